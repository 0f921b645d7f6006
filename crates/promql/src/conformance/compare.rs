//! Answers against expectations.

use model::LabelSet;

use super::script::{Eval, Notes, Text};
use crate::engine::math::almost_equal;
use crate::series::{self, Item};
use crate::{MatrixSeries, QueryError, QueryResult, SampleValue, Value, VectorSample, format_value};

/// Relative difference that still counts as equal.
const EPSILON: f64 = 1e-6;

/// Why a case failed, in words; nothing when it passed.
pub(super) fn check(eval: &Eval, result: Result<QueryResult, QueryError>) -> Result<(), String> {
    let result = match (result, &eval.fail) {
        (Ok(result), None) => result,
        (Ok(_), Some(_)) => return Err("expected a failure, got an answer".into()),
        (Err(error), expected) => return check_failure(&error.to_string(), expected.as_ref()),
    };
    check_notes("warning", &eval.warnings, &result.warnings)?;
    check_notes("info", &eval.infos, &result.infos)?;
    check_value(eval, result.value)
}

fn check_failure(error: &str, expected: Option<&Text>) -> Result<(), String> {
    if error.contains("not supported yet") {
        return Err(error.to_owned());
    }
    match expected {
        Some(text) if matches(text, error)? => Ok(()),
        Some(text) => Err(format!("expected failure {text:?}, got {error:?}")),
        None => Err(format!("failed: {error}")),
    }
}

fn matches(text: &Text, got: &str) -> Result<bool, String> {
    match text {
        Text::Any => Ok(true),
        Text::Exact(message) => Ok(message == got.trim()),
        Text::Regex(pattern) => {
            regex::Regex::new(pattern).map(|regex| regex.is_match(got)).map_err(|error| error.to_string())
        }
    }
}

fn check_notes(what: &str, notes: &Notes, got: &[String]) -> Result<(), String> {
    if notes.none && !got.is_empty() {
        return Err(format!("expected no {what}, got {got:?}"));
    }
    for expected in &notes.expected {
        let mut found = false;
        for text in got {
            found |= matches(expected, text)?;
        }
        if !found {
            return Err(format!("expected {what} {expected:?}, got {got:?}"));
        }
    }
    for text in got.iter().filter(|_| !notes.expected.is_empty()) {
        let mut wanted = false;
        for expected in &notes.expected {
            wanted |= matches(expected, text)?;
        }
        if !wanted {
            return Err(format!("unexpected {what} {text:?}"));
        }
    }
    Ok(())
}

fn check_value(eval: &Eval, value: Value) -> Result<(), String> {
    match value {
        Value::Scalar { value, .. } => {
            let Some(expected) = &eval.scalar else {
                return Err(format!("got the scalar {}", format_value(value)));
            };
            check_number(series::parse_value(expected)?, value)
        }
        Value::String { value, .. } => match &eval.string {
            Some(expected) if *expected == value => Ok(()),
            expected => Err(format!("expected string {expected:?}, got {value:?}")),
        },
        Value::Vector(vector) => check_vector(eval, &vector),
        Value::Matrix(matrix) => check_matrix(eval, &matrix),
    }
}

fn check_number(expected: f64, got: f64) -> Result<(), String> {
    let equal = (expected.is_nan() && got.is_nan()) || almost_equal(expected, got, EPSILON);
    if equal {
        Ok(())
    } else {
        Err(format!("expected {}, got {}", format_value(expected), format_value(got)))
    }
}

fn expected_series(eval: &Eval) -> Result<Vec<(LabelSet, Vec<Item>)>, String> {
    let parse = |line: &String| series::parse(line).map(|line| (line.labels, line.values));
    eval.series.iter().map(parse).collect()
}

fn check_vector(eval: &Eval, got: &[VectorSample]) -> Result<(), String> {
    let expected = expected_series(eval)?;
    if let Some(scalar) = &eval.scalar {
        return Err(format!("expected the scalar {scalar}, got a vector of {}", got.len()));
    }
    for (position, (labels, items)) in expected.iter().enumerate() {
        let [Item::Value(value)] = items[..] else {
            return Err(format!("native histograms are not supported yet ({labels})"));
        };
        let Some(at) = got.iter().position(|got| got.labels == *labels) else {
            return Err(format!("expected {labels} {}, which is missing in {got:?}", format_value(value)));
        };
        if eval.ordered && at != position {
            return Err(format!("expected {labels} at position {position}, got it at {at}"));
        }
        let SampleValue::Float(found) = got[at].value else {
            return Err(format!("{labels}: expected {}, got a histogram", format_value(value)));
        };
        check_number(value, found).map_err(|error| format!("{labels}: {error}"))?;
    }
    match got.iter().find(|got| !expected.iter().any(|(expected, _)| *expected == got.labels)) {
        Some(sample) => Err(format!("unexpected {} {:?}", sample.labels, sample.value)),
        None => Ok(()),
    }
}

fn check_matrix(eval: &Eval, got: &[MatrixSeries]) -> Result<(), String> {
    let expected = expected_series(eval)?;
    if !got.is_sorted_by(|left, right| left.labels < right.labels) {
        return Err("series are not ascending by labels".into());
    }
    let step_ms = eval.step_ms.abs().max(1);
    for (labels, items) in &expected {
        let mut wanted = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let ts_ms = eval.start_ms + step_ms * i64::try_from(index).map_err(|error| error.to_string())?;
            match item {
                Item::Gap => {}
                Item::Value(value) => wanted.push((ts_ms, *value)),
                Item::Histogram => return Err(format!("native histograms are not supported yet ({labels})")),
            }
        }
        let series = got.iter().find(|series| series.labels == *labels);
        let (ts_ms, values) =
            series.map_or((&[][..], &[][..]), |series| (&series.ts_ms[..], &series.values[..]));
        let times: Vec<i64> = wanted.iter().map(|(ts_ms, _)| *ts_ms).collect();
        if times != ts_ms {
            return Err(format!("{labels}: expected values at {times:?}, got {ts_ms:?} {values:?}"));
        }
        for ((ts_ms, expected), got) in wanted.iter().zip(values) {
            check_number(*expected, *got).map_err(|error| format!("{labels} at {ts_ms} ms: {error}"))?;
        }
    }
    match got.iter().find(|series| !expected.iter().any(|(labels, _)| *labels == series.labels)) {
        Some(series) => Err(format!("unexpected {} {:?}", series.labels, series.values)),
        None => Ok(()),
    }
}
