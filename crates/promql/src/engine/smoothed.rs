//! Values between samples: the edges of `anchored` and `smoothed`, and `smoothed` instant selectors.
//!
//! ```text
//! .        |   .          at the line a smoothed value lies between both samples;
//! 1       1.6  2          without a later sample it is the earlier one
//! ```

use std::sync::Arc;

use model::{Histogram, HistogramSum, IncompatibleSchemas, LabelSet, ResetHint, SampleColumns};

use super::annotations::{Note, Operation};
use super::column::{Grid, Steps};
use super::context::{Context, Shift};
use crate::ast::{Extension, Span};
use crate::error::QueryError;
use crate::value::SampleValue;

/// A float at a time.
pub(super) type Point = (i64, f64);

/// The value at `at_ms` between two samples. A counter that fell began at zero.
pub(super) fn interpolate(first: Point, second: Point, at_ms: i64, is_counter: bool) -> f64 {
    let start = if is_counter && second.1 < first.1 { 0.0 } else { first.1 };
    start + (second.1 - start) * fraction(first.0, second.0, at_ms)
}

#[expect(clippy::cast_precision_loss, reason = "distances of samples are far below 2^53 ms")]
fn fraction(first_ms: i64, second_ms: i64, at_ms: i64) -> f64 {
    (at_ms - first_ms) as f64 / (second_ms - first_ms) as f64
}

/// The histogram at `at_ms` between two samples; whether custom bounds were reconciled by subtraction and by addition.
pub(super) fn interpolate_histograms(
    (first_ms, first): (i64, &Arc<Histogram>),
    (second_ms, second): (i64, &Arc<Histogram>),
    at_ms: i64,
    is_counter: bool,
    mut reconciled: impl FnMut(Operation),
) -> Result<Arc<Histogram>, IncompatibleSchemas> {
    if at_ms == first_ms {
        return Ok(first.clone());
    }
    if at_ms == second_ms {
        return Ok(second.clone());
    }
    let fraction = fraction(first_ms, second_ms, at_ms);
    if is_counter && second.is_reset_after(first) {
        return Ok(Arc::new(second.multiplied(fraction)));
    }
    let mut sum = HistogramSum::new(second);
    if sum.subtract(first)?.custom_bounds_differed {
        reconciled(Operation::Subtraction);
    }
    sum.scale(fraction);
    if sum.add(first)?.custom_bounds_differed {
        reconciled(Operation::Addition);
    }
    Ok(Arc::new(sum.total()))
}

/// A `smoothed` instant selector: the samples around each step, no farther than the lookback.
pub(super) fn values(
    context: &Context<'_>,
    span: Span,
    labels: &LabelSet,
    samples: &SampleColumns,
    grid: Grid,
    shift: Shift,
) -> Option<Steps> {
    let mut steps = Steps::default();
    for time_ms in grid.times_ms() {
        let at_ms = shift.apply(time_ms);
        let start_ms = at_ms.saturating_sub(context.lookback_ms);
        let end_ms = at_ms.saturating_add(context.lookback_ms);
        let within = |ts_ms: i64| ts_ms > start_ms && ts_ms <= end_ms;
        let has_floats = samples.ts_ms.iter().any(|ts_ms| within(*ts_ms));
        let has_histograms = samples.histograms.iter().any(|sample| within(sample.ts_ms));
        let sample = match (has_floats, has_histograms) {
            (true, true) => {
                context.note(span, Note::mixed_floats_histograms(labels.metric_name()));
                None
            }
            (true, false) => float_at(samples, at_ms, within).map(SampleValue::Float),
            (false, true) => {
                histogram_at(context, span, labels, samples, at_ms, within).map(SampleValue::Histogram)
            }
            (false, false) => None,
        };
        steps.push(sample, grid.count);
    }
    steps.any().then_some(steps)
}

fn float_at(samples: &SampleColumns, at_ms: i64, within: impl Fn(i64) -> bool) -> Option<f64> {
    let next = samples.ts_ms.partition_point(|ts_ms| *ts_ms < at_ms);
    let point = |index: usize| (samples.ts_ms[index], samples.values[index]);
    let after = (next < samples.ts_ms.len()).then(|| point(next)).filter(|(ts_ms, _)| within(*ts_ms));
    if let Some((_, value)) = after.filter(|(ts_ms, _)| *ts_ms == at_ms) {
        return Some(value);
    }
    let before = next.checked_sub(1).map(point).filter(|(ts_ms, _)| within(*ts_ms))?;
    Some(after.map_or(before.1, |after| interpolate(before, after, at_ms, false)))
}

fn histogram_at(
    context: &Context<'_>,
    span: Span,
    labels: &LabelSet,
    samples: &SampleColumns,
    at_ms: i64,
    within: impl Fn(i64) -> bool,
) -> Option<Arc<Histogram>> {
    let next = samples.histograms.partition_point(|sample| sample.ts_ms < at_ms);
    let after = samples.histograms.get(next).filter(|sample| within(sample.ts_ms));
    if let Some(exact) = after.filter(|sample| sample.ts_ms == at_ms) {
        return Some(exact.histogram.clone());
    }
    let before = &samples.histograms[next.checked_sub(1)?];
    if !within(before.ts_ms) {
        return None;
    }
    let Some(after) = after else {
        // The hint speaks of consecutive samples, not of the value carried on.
        let histogram = Histogram::clone(&before.histogram);
        return Some(Arc::new(Histogram { reset_hint: ResetHint::Unknown, ..histogram }));
    };
    if before.histogram.has_custom_bounds() != after.histogram.has_custom_bounds() {
        context.note(span, Note::mixed_exponential_custom(labels.metric_name()));
        return None;
    }
    let is_gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    let is_counter = !(is_gauge(&before.histogram) && is_gauge(&after.histogram));
    interpolate_histograms(
        (before.ts_ms, &before.histogram),
        (after.ts_ms, &after.histogram),
        at_ms,
        is_counter,
        |operation| context.note(span, Note::bounds_reconciled(operation)),
    )
    .ok()
}

/// The first and last sample that a window with reach needs, and the edges of its range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edges {
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Finds them; nothing when no sample is inside.
pub(super) fn edges(
    count: usize,
    ts_ms: impl Fn(usize) -> i64,
    (start_ms, end_ms): (i64, i64),
    is_smoothed: bool,
) -> Option<Edges> {
    let mut last = count.checked_sub(1)?;
    let first = (0..last).position(|index| ts_ms(index) > start_ms).unwrap_or(last).saturating_sub(1);
    if is_smoothed {
        last = (0..last).position(|index| ts_ms(index) >= end_ms).unwrap_or(last);
    }
    let outside = ts_ms(last) <= start_ms || (is_smoothed && ts_ms(first) > end_ms);
    (!outside).then_some(Edges { first, last })
}

/// The values at the edges of the range `(start, end]`.
pub(super) fn edge_values(
    point: impl Fn(usize) -> Point,
    edges: Edges,
    (start_ms, end_ms): (i64, i64),
    is_smoothed: bool,
    is_counter: bool,
) -> (f64, f64) {
    let Edges { first, last } = edges;
    let left = if is_smoothed && point(first).0 < start_ms && first < last {
        interpolate(point(first), point(first + 1), start_ms, is_counter)
    } else {
        point(first).1
    };
    let right = if is_smoothed && last > 0 && point(last).0 > end_ms {
        interpolate(point(last - 1), point(last), end_ms, is_counter)
    } else {
        point(last).1
    };
    (left, right)
}

/// The range vector of an `anchored` or `smoothed` selector: samples inside, and values at both edges.
pub(super) fn extend(
    samples: &mut SampleColumns,
    range: (i64, i64),
    extension: Extension,
) -> Result<(), QueryError> {
    let is_smoothed = extension == Extension::Smoothed;
    if !samples.histograms.is_empty() {
        let name = if is_smoothed { "smoothed" } else { "anchored" };
        return Err(QueryError::Execution(format!("{name} modifier is not supported with histograms")));
    }
    let point = |index: usize| (samples.ts_ms[index], samples.values[index]);
    let mut extended = SampleColumns::default();
    if let Some(edges) = edges(samples.ts_ms.len(), |index| samples.ts_ms[index], range, is_smoothed) {
        let (left, right) = edge_values(point, edges, range, is_smoothed, false);
        extended.push(range.0, left);
        for index in edges.first..=edges.last {
            let (ts_ms, value) = point(index);
            if ts_ms > range.0 && ts_ms < range.1 {
                extended.push(ts_ms, value);
            }
        }
        extended.push(range.1, right);
    }
    *samples = extended;
    Ok(())
}
