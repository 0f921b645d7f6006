//! The notation of series in PromQL test scripts and in unit tests of rules.
//!
//! ```text
//! name{label="value"} 0+15x8 _ stale 1x3 _x2
//!                     │      │ │     │   └ two gaps
//!                     │      │ │     └ 1 1 1 1: a value and three repetitions
//!                     │      │ └ a stale marker
//!                     │      └ a gap
//!                     └ 0 15 30 … 120: nine values, 15 apart
//! name {{schema:1 count:3 sum:4.5 buckets:[1 2]}}+{{buckets:[1 0]}}x3        native histograms, likewise
//! name@st -15s 0 _                 when the counter began at each sample, from the sample's time
//! ```
//! Errors begin with line and column, as those of expressions do.

mod histogram;

use std::sync::Arc;

use model::{Histogram, HistogramSum, LabelSet, METRIC_NAME, stale_nan};

use crate::parser::parse_duration_ms;
use crate::parser::strings::scan_string;

/// A series as written: one entry per interval.
#[derive(Clone, Debug)]
pub struct SeriesLine {
    pub labels: LabelSet,
    pub values: Vec<Item>,
}

/// What stands at one interval.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Gap,
    Value(f64),
    Histogram {
        histogram: Arc<Histogram>,
        /// Whether a reset hint was written: expectations without one do not care.
        has_hint: bool,
    },
}

/// Parses a line.
///
/// # Errors
/// What is wrong, and where.
pub fn parse(line: &str) -> Result<SeriesLine, String> {
    let (labels, rest) = parse_metric(line.trim())?;
    let offset = rest.as_ptr() as usize - line.as_ptr() as usize;
    let mut values = Vec::new();
    for (start, word) in words(rest) {
        parse_item(word, &mut values)
            .map_err(|error| error.at(offset + start))
            .map_err(|error| format!("{error} in series line {line:?}"))?;
    }
    Ok(SeriesLine { labels, values })
}

/// Parses one histogram, `{{count:3 sum:4.5 buckets:[1 2]}}`.
///
/// # Errors
/// What is wrong, and where.
pub fn parse_histogram(text: &str) -> Result<Histogram, String> {
    let text = text.trim();
    let (literal, length) = histogram::parse(text).map_err(|error| error.at(0))?;
    if length < text.len() {
        return Err(format!(
            "1:{}: parse error: unexpected {:?} after a histogram",
            length + 1,
            &text[length..]
        ));
    }
    Ok(literal.histogram)
}

/// When counters began, as milliseconds from each sample's time; nothing where nobody knows.
#[derive(Clone, Debug)]
pub struct StartTimesLine {
    pub labels: LabelSet,
    pub offsets_ms: Vec<Option<i64>>,
}

/// Parses a line `metric@st …`; nothing when it is an ordinary one.
///
/// # Errors
/// What is wrong, with the line.
pub fn parse_start_times(line: &str) -> Result<Option<StartTimesLine>, String> {
    let name_end = line.rfind('}').map_or(0, |at| at + 1);
    let Some(at) = line[name_end..].split_whitespace().next().and_then(|word| word.find("@st")) else {
        return Ok(None);
    };
    let (metric, rest) = line.split_at(name_end + at);
    let (labels, _) = parse_metric(metric.trim())?;
    let mut offsets_ms = Vec::new();
    for word in rest["@st".len()..].split_whitespace() {
        parse_start_item(word, &mut offsets_ms)
            .map_err(|error| format!("{error} in series line {line:?}"))?;
    }
    Ok(Some(StartTimesLine { labels, offsets_ms }))
}

/// `_`, `_x3`, `-5s`, `-5s x3`, `-5s+1sx3`.
fn parse_start_item(word: &str, out: &mut Vec<Option<i64>>) -> Result<(), String> {
    let (body, times) = split_times(word)?;
    if body == "_" {
        out.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
        return Ok(());
    }
    let step_at = times.and_then(|_| find_step(body));
    let (mut offset, step) = match step_at {
        Some(at) => (signed_ms(&body[..at])?, signed_ms(&body[at..])?),
        None => (signed_ms(body)?, 0),
    };
    for _ in 0..times.map_or(1, |times| times + 1) {
        out.push(Some(offset));
        offset = offset.saturating_add(step);
    }
    Ok(())
}

fn signed_ms(text: &str) -> Result<i64, String> {
    match text.strip_prefix('-') {
        Some(rest) => Ok(-parse_duration_ms(rest)?),
        None => parse_duration_ms(text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Something wrong inside a word.
#[derive(Debug)]
struct ItemError {
    /// Byte of the word, or the line's start where the reference points there.
    place: Place,
    message: String,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Word(usize),
    LineStart,
}

impl ItemError {
    fn new(position: usize, message: impl Into<String>) -> Self {
        Self { place: Place::Word(position), message: message.into() }
    }

    fn at(self, word_start: usize) -> String {
        let column = match self.place {
            Place::Word(position) => word_start + position + 1,
            Place::LineStart => 1,
        };
        format!("1:{column}: parse error: {}", self.message)
    }
}

impl From<String> for ItemError {
    fn from(message: String) -> Self {
        Self::new(0, message)
    }
}

/// Words by blanks with their places; `{{…}}` and `[…]` hold together.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut depth = 0_i32;
    for (position, character) in text.char_indices() {
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ if character.is_whitespace() && depth <= 0 => {
                words.push((start, &text[start..position]));
                start = position + character.len_utf8();
            }
            _ => {}
        }
    }
    words.push((start, &text[start..]));
    words.retain(|(_, word)| !word.is_empty());
    words
}

/// The labels at the start of a line, and what follows.
///
/// # Errors
/// What is wrong with the labels.
pub fn parse_metric(line: &str) -> Result<(LabelSet, &str), String> {
    let name_end = line.find(|c: char| c.is_whitespace() || c == '{').unwrap_or(line.len());
    let (name, mut rest) = line.split_at(name_end);
    let mut builder = LabelSet::empty().to_builder();
    builder.set(METRIC_NAME, name);
    let is_labels = rest.starts_with('{') && !rest.starts_with("{{");
    if is_labels || rest.trim_start().starts_with('{') && !rest.trim_start().starts_with("{{") {
        rest = rest.trim_start()[1..].trim_start();
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = parse_label(rest, &mut builder)?.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
    }
    Ok((builder.build(), rest))
}

fn parse_label<'t>(text: &'t str, builder: &mut model::LabelSetBuilder) -> Result<&'t str, String> {
    let (name, rest) = if text.starts_with(['"', '\'', '`']) {
        quoted(text)?
    } else {
        let end = text.find(['=', ',', '}', ' ']).ok_or_else(|| format!("bad label at {text:?}"))?;
        (text[..end].to_owned(), &text[end..])
    };
    let Some(rest) = rest.trim_start().strip_prefix('=') else {
        builder.set(METRIC_NAME, &name);
        return Ok(rest);
    };
    let (value, rest) = quoted(rest.trim_start())?;
    builder.set(&name, &value);
    Ok(rest)
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    if !text.starts_with(['"', '\'', '`']) {
        return Err(format!("expected a quoted string at {text:?}"));
    }
    let (bytes, length) = scan_string(text).map_err(|(message, _)| message)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), &text[length..]))
}

/// One word: `1`, `_x3`, `1x3`, `1+2x3`, `stale`, `{{…}}x3`.
fn parse_item(word: &str, out: &mut Vec<Item>) -> Result<(), ItemError> {
    if word.starts_with("{{") {
        return parse_histograms(word, out);
    }
    let (body, times) = split_times(word)?;
    if body == "_" {
        let gaps = times.unwrap_or(1);
        out.extend(std::iter::repeat_n(Item::Gap, gaps));
        return Ok(());
    }
    let count = times.map_or(1, |times| times + 1);
    let step_at = times.and_then(|_| find_step(body));
    let (start, step) = match step_at {
        Some(at) => (parse_value(&body[..at])?, parse_value(&body[at..])?),
        None => (parse_value(body)?, 0.0),
    };
    let mut value = start;
    for _ in 0..count {
        out.push(Item::Value(value));
        value += step;
    }
    Ok(())
}

/// `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`.
fn parse_histograms(word: &str, out: &mut Vec<Item>) -> Result<(), ItemError> {
    let (first, length) = histogram::parse(word)?;
    let push = |histogram: Histogram, out: &mut Vec<Item>| {
        out.push(Item::Histogram { histogram: Arc::new(histogram), has_hint: first.has_hint });
    };
    let rest = &word[length..];
    let sign = rest.chars().next().filter(|sign| matches!(sign, '+' | '-'));
    let (step, times_at) = match sign {
        Some(_) => {
            let (step, step_length) = histogram::parse(&rest[1..]).map_err(|error| match error.place {
                Place::Word(at) => ItemError { place: Place::Word(length + 1 + at), ..error },
                _ => error,
            })?;
            (Some(step.histogram), length + 1 + step_length)
        }
        None => (None, length),
    };
    let (nothing, times) = split_times(&word[times_at..])?;
    if !nothing.is_empty() || (step.is_some() && times.is_none()) {
        let message = format!("unexpected {:?} in series values", &word[times_at..]);
        return Err(ItemError::new(times_at, message));
    }
    push(first.histogram.clone(), out);
    let mut sum = HistogramSum::new(&first.histogram);
    for _ in 0..times.unwrap_or(0) {
        if let Some(step) = &step {
            add_step(&mut sum, &first.histogram, step, sign == Some('-')).map_err(|detail| {
                ItemError::new(times_at + 1, format!("error combining histograms: {detail}"))
            })?;
            push(sum.total(), out);
        } else {
            push(first.histogram.clone(), out);
        }
    }
    Ok(())
}

fn add_step(
    sum: &mut HistogramSum,
    first: &Histogram,
    step: &Histogram,
    subtract: bool,
) -> Result<(), String> {
    if first.schema > step.schema {
        return Err(format!("cannot merge from schema {} to {}", step.schema, first.schema));
    }
    let added = if subtract { sum.subtract(step) } else { sum.add(step) };
    added.map(|_| ()).map_err(|error| error.to_string())
}

/// The `xN` at the end.
fn split_times(word: &str) -> Result<(&str, Option<usize>), String> {
    let Some(at) = word.rfind('x') else { return Ok((word, None)) };
    match word[at + 1..].parse::<usize>() {
        Ok(times) if times <= 1_000_000 => Ok((&word[..at], Some(times))),
        Ok(times) => Err(format!("{times} repetitions are too many")),
        Err(_) => Ok((word, None)),
    }
}

/// Where the sign of the step stands: not first, not after an exponent.
fn find_step(body: &str) -> Option<usize> {
    let bytes = body.as_bytes();
    (1..bytes.len()).find(|at| {
        matches!(bytes[*at], b'+' | b'-')
            && !(matches!(bytes[at - 1], b'e' | b'E')
                && at.checked_sub(2).is_some_and(|b| bytes[b].is_ascii_digit()))
    })
}

/// A number, a duration in seconds, or `stale`.
///
/// # Errors
/// When it is none of these.
pub fn parse_value(text: &str) -> Result<f64, String> {
    if text == "stale" {
        return Ok(stale_nan());
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = match digits.to_ascii_lowercase().as_str() {
        "inf" => f64::INFINITY,
        "nan" => f64::NAN,
        _ => match digits.parse::<f64>() {
            Ok(value) => value,
            #[expect(clippy::cast_precision_loss, reason = "durations in scripts are small")]
            Err(_) => parse_duration_ms(digits).map_err(|_| format!("bad value {text:?}"))? as f64 / 1e3,
        },
    };
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, labels: &str, values: &[f64]) {
        let parsed = parse(line).expect("valid line");
        assert_eq!(parsed.labels.to_string(), labels);
        let got: Vec<f64> = parsed
            .values
            .iter()
            .map(|item| match item {
                Item::Value(value) => *value,
                _ => -999.0,
            })
            .collect();
        assert_eq!(got, values);
    }

    #[test]
    fn histograms_are_added_up() {
        let line = parse("m {{schema:1 count:1 buckets:[5 10]}}+{{count:2 buckets:[1 0 3] schema:1}}x2 _")
            .expect("valid line");
        let shown: Vec<String> = line
            .values
            .iter()
            .map(|item| match item {
                Item::Histogram { histogram, has_hint } => format!("{histogram} {has_hint}"),
                other => format!("{other:?}"),
            })
            .collect();
        let base = std::f64::consts::SQRT_2;
        assert_eq!(shown[0], format!("{{count:1, sum:0, (0.7071067811865476,1]:5, (1,{base}]:10}} false"));
        assert_eq!(
            shown[2],
            format!("{{count:5, sum:0, (0.7071067811865476,1]:7, (1,{base}]:10, ({base},2]:6}} false")
        );
        assert_eq!(shown[3], "Gap");
    }

    #[test]
    fn start_times() {
        let line = parse_start_times("m{a=\"b\"}@st -15s 0 _ -59999msx1 -1m+30sx2").expect("valid line");
        let line = line.expect("a line of start times");
        assert_eq!(line.labels.to_string(), "m{a=\"b\"}");
        let want = [
            Some(-15_000),
            Some(0),
            None,
            Some(-59_999),
            Some(-59_999),
            Some(-60_000),
            Some(-30_000),
            Some(0),
        ];
        assert_eq!(line.offsets_ms, want);
        assert!(parse_start_times("m 1 2").expect("valid line").is_none());
    }

    #[test]
    fn notation() {
        check("m 1 2", "m", &[1.0, 2.0]);
        check("m{a=\"b\"} 0+15x2 _ 3x1", "m{a=\"b\"}", &[0.0, 15.0, 30.0, -999.0, 3.0, 3.0]);
        check("{a=\"x y\"} 1e3 -5-1x1", "{a=\"x y\"}", &[1000.0, -5.0, -6.0]);
        check("m _x2 1m", "m", &[-999.0, -999.0, 60.0]);
    }
}
