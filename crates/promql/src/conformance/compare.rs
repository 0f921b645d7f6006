//! Answers against expectations.

use model::{Histogram, LabelSet, is_stale_nan};

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
    if same_number(expected, got) {
        Ok(())
    } else {
        Err(format!("expected {}, got {}", format_value(expected), format_value(got)))
    }
}

/// Both stale, both another NaN, or equal but for rounding.
fn same_number(expected: f64, got: f64) -> bool {
    if expected.is_nan() || got.is_nan() {
        return expected.is_nan() && got.is_nan() && is_stale_nan(expected) == is_stale_nan(got);
    }
    almost_equal(expected, got, EPSILON)
}

fn check_item(expected: &Item, got: &SampleValue) -> Result<(), String> {
    match (expected, got) {
        (Item::Value(expected), SampleValue::Float(got)) => check_number(*expected, *got),
        (Item::Histogram { histogram, has_hint }, SampleValue::Histogram(got)) => {
            check_histogram(histogram, got, *has_hint)
        }
        (expected, got) => Err(format!("expected {expected:?}, got {got:?}")),
    }
}

/// Hints count only where one was written.
fn check_histogram(expected: &Histogram, got: &Histogram, has_hint: bool) -> Result<(), String> {
    let pairs = |buckets: &model::Buckets| buckets.compacted().iter().collect::<Vec<(i32, f64)>>();
    let same_buckets = |expected: &model::Buckets, got: &model::Buckets| {
        let (expected, got) = (pairs(expected), pairs(got));
        expected.len() == got.len()
            && expected
                .iter()
                .zip(&got)
                .all(|(left, right)| left.0 == right.0 && same_number(left.1, right.1))
    };
    let same = expected.schema == got.schema
        && same_number(expected.count, got.count)
        && same_number(expected.sum, got.sum)
        && expected.zero_threshold == got.zero_threshold
        && same_number(expected.zero_count, got.zero_count)
        && expected.custom_bounds == got.custom_bounds
        && same_buckets(&expected.positive, &got.positive)
        && same_buckets(&expected.negative, &got.negative)
        && (!has_hint || expected.reset_hint == got.reset_hint);
    let show = |h: &Histogram| format!("{h} {:?} {} {:?}", h.reset_hint, h.zero_threshold, h.custom_bounds);
    if same { Ok(()) } else { Err(format!("expected {}, got {}", show(expected), show(got))) }
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
        let [item] = &items[..] else {
            return Err(format!("{} samples are expected of {labels} at one time", items.len()));
        };
        let Some(at) = got.iter().position(|got| got.labels == *labels) else {
            return Err(format!("expected {labels} {item:?}, which is missing in {got:?}"));
        };
        if eval.ordered && at != position {
            return Err(format!("expected {labels} at position {position}, got it at {at}"));
        }
        check_item(item, &got[at].value).map_err(|error| format!("{labels}: {error}"))?;
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
        let nothing = MatrixSeries::new(labels.clone());
        let series = got.iter().find(|series| series.labels == *labels).unwrap_or(&nothing);
        let mut count = 0;
        for (index, item) in items.iter().enumerate() {
            let ts_ms = eval.start_ms + step_ms * i64::try_from(index).map_err(|error| error.to_string())?;
            if *item == Item::Gap {
                continue;
            }
            count += 1;
            let Some(sample) = series.at(ts_ms) else {
                return Err(format!("{labels}: expected {item:?} at {ts_ms} ms, got {series:?}"));
            };
            check_item(item, &sample).map_err(|error| format!("{labels} at {ts_ms} ms: {error}"))?;
        }
        if count != series.len() {
            return Err(format!("{labels}: expected {count} samples, got {series:?}"));
        }
    }
    match got.iter().find(|series| !expected.iter().any(|(labels, _)| *labels == series.labels)) {
        Some(series) => Err(format!("unexpected {series:?}")),
        None => Ok(()),
    }
}
