//! Warnings and infos that come along with an answer, in Prometheus's words, each with the place it speaks of.
//!
//! A text is told once. What happens at many steps or series is merged: bounds and counts grow.

use std::fmt::{self, Write as _};

use super::column::Map;
use crate::ast::Span;

/// Most different warnings and infos of one query that are told, each; those above are counted.
const ANNOTATIONS_MAX: usize = 10;
/// Most notes of one query that are kept.
const KEPT_MAX: usize = 10_000;

/// What an annotation says.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    is_warning: bool,
    text: String,
    detail: Detail,
}

/// What is known only when all steps have been evaluated.
#[derive(Clone, Debug)]
enum Detail {
    None,
    Monotonicity(Forced),
    Overlaps { count: u64 },
}

/// Buckets of classic histograms that were not monotonic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forced {
    pub(crate) ts_min_ms: i64,
    pub(crate) ts_max_ms: i64,
    /// Bounds of the lowest and the highest bucket that was raised.
    pub(crate) bucket_min: f64,
    pub(crate) bucket_max: f64,
    /// Most that a count was raised by.
    pub(crate) difference_max: f64,
    pub(crate) count: u64,
}

/// Which operation on histograms a note speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        })
    }
}

impl Note {
    fn warning(text: String) -> Self {
        Self { is_warning: true, text, detail: Detail::None }
    }

    fn info(text: String) -> Self {
        Self { is_warning: false, text, detail: Detail::None }
    }

    pub(crate) fn invalid_quantile(phi: f64) -> Self {
        let got = crate::format_value_short(phi);
        Self::warning(format!("quantile value should be between 0 and 1, got {got}"))
    }

    pub(crate) fn invalid_ratio(ratio: f64) -> Self {
        let (got, to) = (crate::format_value_short(ratio), ratio.signum());
        Self::warning(format!("ratio value should be between -1 and 1, got {got}, capping to {to}"))
    }

    pub(crate) fn bad_bucket_label(metric: &str, written: &str) -> Self {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {written:?}");
        Self::warning(text + &for_metric_name(metric))
    }

    pub(crate) fn mixed_floats_histograms(metric: &str) -> Self {
        Self::warning(format!("encountered a mix of histograms and floats for metric name {metric:?}"))
    }

    pub(crate) fn mixed_floats_histograms_in_aggregation() -> Self {
        Self::warning("encountered a mix of histograms and floats for aggregation".to_owned())
    }

    pub(crate) fn mixed_classic_native(metric: &str) -> Self {
        let text = "vector contains a mix of classic and native histograms".to_owned();
        Self::warning(text + &for_metric_name(metric))
    }

    pub(crate) fn not_counter(metric: &str) -> Self {
        Self::warning(format!("this native histogram metric is not a counter: {metric:?}"))
    }

    pub(crate) fn not_gauge(metric: &str) -> Self {
        Self::warning(format!("this native histogram metric is not a gauge: {metric:?}"))
    }

    pub(crate) fn mixed_exponential_custom(metric: &str) -> Self {
        Self::warning(format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {metric:?}"
        ))
    }

    pub(crate) fn incompatible_buckets(operator: &str) -> Self {
        Self::warning(format!("incompatible bucket layout encountered for binary operator {operator}"))
    }

    pub(crate) fn sort_in_range_query() -> Self {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        Self::warning(text.to_owned())
    }

    pub(crate) fn reset_hints_collide(operation: Operation) -> Self {
        Self::warning(format!("conflicting counter resets during histogram {operation}"))
    }

    pub(crate) fn start_time_overlaps(metric: &str) -> Self {
        let text = "sample has start time that overlaps with previous sample timestamp for metric";
        Self { detail: Detail::Overlaps { count: 1 }, ..Self::warning(format!("{text} {metric:?}")) }
    }

    pub(crate) fn possible_non_counter(metric: &str) -> Self {
        Self::info(format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}"
        ))
    }

    pub(crate) fn forced_monotonicity(metric: &str, forced: Forced) -> Self {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
            .to_owned();
        Self { detail: Detail::Monotonicity(forced), ..Self::info(text + &for_metric_name(metric)) }
    }

    pub(crate) fn incompatible_types(left: &str, operator: &str, right: &str) -> Self {
        Self::info(format!(
            "incompatible sample types encountered for binary operator {operator:?}: {left} {operator} {right}"
        ))
    }

    pub(crate) fn histogram_ignored_in_aggregation(aggregation: &str) -> Self {
        Self::info(format!("ignored histogram in {aggregation} aggregation"))
    }

    pub(crate) fn histogram_ignored_in_range(metric: &str) -> Self {
        Self::info(format!(
            "ignored histograms in a range containing both floats and histograms for metric name {metric:?}"
        ))
    }

    pub(crate) fn quantile_is_nan(metric: &str) -> Self {
        let text = "input to histogram_quantile has NaN observations, result is NaN".to_owned();
        Self::info(text + &for_metric_name(metric))
    }

    pub(crate) fn quantile_is_skewed(metric: &str) -> Self {
        let text = "input to histogram_quantile has NaN observations, result is skewed higher".to_owned();
        Self::info(text + &for_metric_name(metric))
    }

    pub(crate) fn fraction_excludes_nan(metric: &str) -> Self {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        Self::info(text.to_owned() + &for_metric_name(metric))
    }

    pub(crate) fn bounds_reconciled(operation: Operation) -> Self {
        Self::info(format!("mismatched custom buckets were reconciled during {operation}"))
    }

    /// What a source has to say of its data.
    pub(crate) fn from_source(text: String) -> Self {
        Self::info(text)
    }

    fn merge(&mut self, other: &Self) {
        match (&mut self.detail, &other.detail) {
            (Detail::Monotonicity(all), Detail::Monotonicity(one)) => {
                all.ts_min_ms = all.ts_min_ms.min(one.ts_min_ms);
                all.ts_max_ms = all.ts_max_ms.max(one.ts_max_ms);
                all.bucket_min = all.bucket_min.min(one.bucket_min);
                all.bucket_max = all.bucket_max.max(one.bucket_max);
                all.difference_max = all.difference_max.max(one.difference_max);
                all.count += one.count;
            }
            (Detail::Overlaps { count: all }, Detail::Overlaps { count: one }) => *all += one,
            _ => {}
        }
    }

    fn write_detail(&self, out: &mut String) -> fmt::Result {
        match &self.detail {
            Detail::Monotonicity(forced) => write!(
                out,
                ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                crate::format_value_short(forced.bucket_min),
                crate::format_value_short(forced.bucket_max),
                two_digits(forced.difference_max),
                forced.count,
                super::calendar::rfc3339(forced.ts_min_ms.div_euclid(1_000)),
                super::calendar::rfc3339(forced.ts_max_ms.div_euclid(1_000)),
            ),
            Detail::Overlaps { count } if *count > 1 => write!(out, " ({count} occurrences)"),
            Detail::None | Detail::Overlaps { .. } => Ok(()),
        }
    }
}

/// As Go's `%.2g`.
fn two_digits(value: f64) -> String {
    let text = format!("{value:.1e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..2).contains(&exponent) && value.is_finite() {
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let rounded: f64 = text.parse().unwrap_or(value);
    crate::format_value(rounded)
}

/// ` for metric name "x"`, or nothing without a name.
fn for_metric_name(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") }
}

/// The notes of one query.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    notes: Vec<(Note, Option<Span>)>,
    /// Where the note of a text is.
    index: Map<String, usize>,
}

impl Annotations {
    /// Adds a note or merges it with that of the same text. The place said last stays, as in Prometheus.
    pub(crate) fn add(&mut self, span: Option<Span>, note: Note) {
        if let Some((known, place)) = self.index.get(&note.text).map(|position| &mut self.notes[*position]) {
            known.merge(&note);
            *place = span;
        } else if self.notes.len() < KEPT_MAX {
            self.index.insert(note.text.clone(), self.notes.len());
            self.notes.push((note, span));
        }
    }

    /// The warnings and the infos in words; the last of a list counts those that are too many to be told.
    pub(crate) fn into_texts(self) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        let (mut warnings_omitted, mut infos_omitted) = (0_usize, 0_usize);
        for (note, span) in self.notes {
            let (kind, list, omitted) = if note.is_warning {
                ("warning", &mut warnings, &mut warnings_omitted)
            } else {
                ("info", &mut infos, &mut infos_omitted)
            };
            if list.len() == ANNOTATIONS_MAX {
                *omitted += 1;
                continue;
            }
            let mut text = match span {
                Some(_) => format!("PromQL {kind}: {}", note.text),
                None => note.text.clone(),
            };
            let mut written = note.write_detail(&mut text);
            if let Some(span) = span {
                written = written.and_then(|()| write!(text, " ({}:{})", span.line, span.column));
            }
            debug_assert!(written.is_ok(), "BUG: writing to a string cannot fail");
            list.push(text);
        }
        for (kind, list, omitted) in
            [("warning", &mut warnings, warnings_omitted), ("info", &mut infos, infos_omitted)]
        {
            if omitted > 0 {
                list.push(format!("{omitted} more {kind} annotations omitted"));
            }
        }
        (warnings, infos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(column: u32) -> Option<Span> {
        Some(Span { start: column - 1, end: column, line: 1, column })
    }

    #[test]
    fn a_text_is_told_once() {
        let mut annotations = Annotations::default();
        annotations.add(at(3), Note::not_counter("m"));
        annotations.add(at(5), Note::not_counter("m"));
        annotations.add(at(1), Note::possible_non_counter("m"));
        let (warnings, infos) = annotations.into_texts();
        assert_eq!(warnings, ["PromQL warning: this native histogram metric is not a counter: \"m\" (1:5)"]);
        assert_eq!(infos.len(), 1);
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut annotations = Annotations::default();
        for number in 2..14 {
            annotations.add(at(1), Note::invalid_quantile(f64::from(number)));
        }
        annotations.add(at(1), Note::possible_non_counter("m"));
        let (warnings, infos) = annotations.into_texts();
        assert_eq!(warnings.len(), ANNOTATIONS_MAX + 1);
        assert_eq!(warnings[ANNOTATIONS_MAX], "2 more warning annotations omitted");
        assert_eq!(infos.len(), 1);
    }

    #[test]
    fn differences_have_two_digits() {
        for (value, want) in
            [(0.126, "0.13"), (58.0, "58"), (99.6, "1e+02"), (1_234.0, "1.2e+03"), (0.000_012, "1.2e-05")]
        {
            assert_eq!(two_digits(value), want, "{value}");
        }
    }

    #[test]
    fn what_happens_often_is_merged() {
        let mut annotations = Annotations::default();
        for (ts_ms, bound) in [(60_000, 0.5), (0, 2.0)] {
            let forced = Forced {
                ts_min_ms: ts_ms,
                ts_max_ms: ts_ms,
                bucket_min: bound,
                bucket_max: bound,
                difference_max: 0.126,
                count: 1,
            };
            annotations.add(at(24), Note::forced_monotonicity("", forced));
        }
        let (_, infos) = annotations.into_texts();
        assert_eq!(
            infos,
            ["PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), from buckets 0.5 \
             to 2, with a max diff of 0.13, over 2 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:24)"]
        );
    }
}
