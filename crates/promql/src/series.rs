//! The notation of series in PromQL test scripts and in unit tests of rules.
//!
//! ```text
//! name{label="value"} 0+15x8 _ stale 1x3 _x2
//!                     │      │ │     │   └ two gaps
//!                     │      │ │     └ 1 1 1 1: a value and three repetitions
//!                     │      │ └ a stale marker
//!                     │      └ a gap
//!                     └ 0 15 30 … 120: nine values, 15 apart
//! ```

use model::{LabelSet, METRIC_NAME, stale_nan};

use crate::parser::parse_duration_ms;
use crate::parser::strings::scan_string;

/// A series as written: one entry per interval.
#[derive(Clone, Debug)]
pub struct SeriesLine {
    pub labels: LabelSet,
    pub values: Vec<Item>,
}

/// What stands at one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item {
    Gap,
    Value(f64),
    /// A native histogram, which we do not read yet.
    Histogram,
}

/// Parses a line.
///
/// # Errors
/// What is wrong, with the line.
pub fn parse(line: &str) -> Result<SeriesLine, String> {
    let (labels, rest) = parse_metric(line.trim())?;
    let mut values = Vec::new();
    for word in words(rest) {
        parse_item(&word, &mut values).map_err(|detail| format!("{detail} in series line {line:?}"))?;
    }
    Ok(SeriesLine { labels, values })
}

/// Words by blanks; `{{…}}` and `[…]` hold together.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0_i32;
    for character in text.chars() {
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        if character.is_whitespace() && depth <= 0 {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    words.retain(|word| !word.is_empty());
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
fn parse_item(word: &str, out: &mut Vec<Item>) -> Result<(), String> {
    let (body, times) = split_times(word)?;
    if body == "_" {
        let gaps = times.unwrap_or(1);
        out.extend(std::iter::repeat_n(Item::Gap, gaps));
        return Ok(());
    }
    let count = times.map_or(1, |times| times + 1);
    if body.starts_with("{{") {
        out.extend(std::iter::repeat_n(Item::Histogram, count));
        return Ok(());
    }
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
    fn notation() {
        check("m 1 2", "m", &[1.0, 2.0]);
        check("m{a=\"b\"} 0+15x2 _ 3x1", "m{a=\"b\"}", &[0.0, 15.0, 30.0, -999.0, 3.0, 3.0]);
        check("{a=\"x y\"} 1e3 -5-1x1", "{a=\"x y\"}", &[1000.0, -5.0, -6.0]);
        check("m _x2 1m", "m", &[-999.0, -999.0, 60.0]);
        check("m {{schema:1 buckets:[1 2]}}x1", "m", &[-999.0, -999.0]);
    }
}
