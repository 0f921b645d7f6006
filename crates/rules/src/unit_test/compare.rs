//! Expected against got, as lines of a diff.

use std::sync::Arc;
use std::time::Duration;

use model::{Histogram, LabelSet};
use promql::{SampleValue, format_value};

use super::file::{ExpectedAlert, ExpectedSample};

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffLine {
    /// Expected and there.
    Same(String),
    /// Expected and not there.
    Missing(String),
    /// There and not expected.
    Unexpected(String),
}

/// Why a test failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was tested: `expr "up"`, `alert "Down"`, `rule "x:y"`, `input series "…"`.
    pub what: String,
    /// When, since the start of the test.
    pub at: Duration,
    /// What went wrong; nothing when only the values differ.
    pub error: Option<String>,
    pub diff: Vec<DiffLine>,
}

impl Failure {
    pub(super) fn error(what: String, at: Duration, error: impl Into<String>) -> Self {
        Self { what, at, error: Some(error.into()), diff: Vec::new() }
    }
}

/// A firing alert: its labels and annotations.
pub(super) type FiringAlert = (LabelSet, LabelSet);

/// What fires against what should; nothing when they are the same.
pub(super) fn alerts(name: &str, expected: &[ExpectedAlert], mut got: Vec<FiringAlert>) -> Vec<DiffLine> {
    let expected = expected.iter().map(|alert| {
        let empty = LabelSet::empty();
        let mut labels = empty.to_builder();
        for (label, value) in alert.exp_labels.iter().flatten() {
            labels.set(label, value);
        }
        labels.set("alertname", name);
        let mut annotations = empty.to_builder();
        for (annotation, value) in alert.exp_annotations.iter().flatten() {
            annotations.set(annotation, value);
        }
        (labels.build(), annotations.build())
    });
    let mut expected: Vec<FiringAlert> = expected.collect();
    expected.sort();
    got.sort();
    let show = |(labels, annotations): &FiringAlert| {
        if annotations.is_empty() {
            labels.to_string()
        } else {
            format!("{labels} annotations {annotations}")
        }
    };
    diff(&expected, &got, |left, right| left == right, show)
}

/// A value of an answer.
pub(super) type Sample = (LabelSet, SampleValue);

/// Expected samples, ascending by labels.
///
/// # Errors
/// Labels that can't be read.
pub(super) fn expected_samples(expected: &[ExpectedSample]) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::with_capacity(expected.len());
    for sample in expected {
        let text = sample.labels.as_deref().unwrap_or_default();
        let (labels, rest) =
            promql::series::parse_metric(text.trim()).map_err(|error| format!("labels {text:?}: {error}"))?;
        if !rest.trim().is_empty() {
            return Err(format!("labels {text:?}: unexpected {rest:?}"));
        }
        let value = match &sample.histogram {
            Some(text) => SampleValue::Histogram(Arc::new(promql::series::parse_histogram(text)?)),
            None => SampleValue::Float(sample.value),
        };
        samples.push((labels, value));
    }
    samples.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(samples)
}

/// An answer against what is expected, both ascending by labels; nothing when they are the same.
pub(super) fn samples(expected: &[Sample], got: &[Sample], fuzzy: bool) -> Vec<DiffLine> {
    let same = |left: &Sample, right: &Sample| left.0 == right.0 && same_value(&left.1, &right.1, fuzzy);
    diff(expected, got, same, |(labels, value)| format!("{labels} {}", show_value(value)))
}

fn show_value(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format_value(*value),
        SampleValue::Histogram(histogram) => histogram.to_string(),
    }
}

fn same_value(left: &SampleValue, right: &SampleValue, fuzzy: bool) -> bool {
    match (left, right) {
        (SampleValue::Float(left), SampleValue::Float(right)) => same_float(*left, *right, fuzzy),
        (SampleValue::Histogram(left), SampleValue::Histogram(right)) => {
            let compacted = |histogram: &Histogram| histogram.clone().compacted();
            compacted(left).same_data(&compacted(right))
        }
        _ => false,
    }
}

fn same_float(left: f64, right: f64, fuzzy: bool) -> bool {
    left == right
        || (left.is_nan() && right.is_nan())
        || (fuzzy && (left.next_up() == right || left.next_down() == right))
}

fn diff<T>(
    expected: &[T],
    got: &[T],
    same: impl Fn(&T, &T) -> bool,
    show: impl Fn(&T) -> String,
) -> Vec<DiffLine> {
    let mut unexpected: Vec<&T> = got.iter().collect();
    let mut lines = Vec::new();
    for item in expected {
        match unexpected.iter().position(|got| same(item, got)) {
            Some(at) => {
                unexpected.remove(at);
                lines.push(DiffLine::Same(show(item)));
            }
            None => lines.push(DiffLine::Missing(show(item))),
        }
    }
    lines.extend(unexpected.into_iter().map(|item| DiffLine::Unexpected(show(item))));
    if lines.iter().all(|line| matches!(line, DiffLine::Same(_))) { Vec::new() } else { lines }
}
