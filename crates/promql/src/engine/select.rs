//! Reading series, and instant selectors: the latest sample at each step.
//!
//! ```text
//! samples      .  .   .  .    .  .        read once, ascending
//! steps          |      |      |          the latest in (t − lookback, t]
//! ```
//! Time goes into decoding (`SeriesSet::read`) and, for few steps, into the labels of the answer. Histograms, which
//! few series have, take a path of their own.

use model::{
    Aggregate, HistogramSample, LabelSet, LatestSample, Matcher, SampleColumns, SeriesSet, TimeRange,
    is_stale_nan,
};

use super::column::{Column, Grid, Steps, absent};
use super::context::{Context, Shift};
use super::eval::Sink;
use super::tracer::histogram_samples;
use super::{parallel, smoothed, statistics_only};
use crate::ast::{Extension, Selector, Span};
use crate::error::QueryError;
use crate::value::SampleValue;

/// Selections of at least this many series are decoded by several threads: fewer take less time than starting them.
const PARALLEL_SERIES_MIN: usize = 1_024;
/// Series that one thread decodes before their columns are handed on.
const BATCH_SERIES: usize = 128;

/// What is computed from the samples of one series; `None` when there is nothing.
pub(super) type Compute<'c> =
    &'c (dyn Fn(&LabelSet, &mut SampleColumns) -> Result<Option<Steps>, QueryError> + Sync);

/// What is taken of the latest sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    Value,
    /// Its time, in seconds.
    Timestamp,
    /// When its counter began, in seconds; 0 when nobody knows.
    StartTimestamp,
}

/// Evaluates an instant selector, or a function of its samples' times.
pub(crate) fn instant(
    context: &Context<'_>,
    selector: &Selector,
    span: Span,
    grid: Grid,
    pick: Pick,
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    let shift = context.shift(&selector.shift);
    let lookback_ms = context.lookback_ms;
    let range = read_range(grid, shift, lookback_ms);
    if selector.extension == Some(Extension::Smoothed) && pick == Pick::Value {
        let ahead = TimeRange { end: range.end.saturating_add(lookback_ms), ..range };
        let compute = |labels: &LabelSet, samples: &mut SampleColumns| {
            remove_stale(samples);
            Ok(smoothed::values(context, span, labels, samples, grid, shift))
        };
        return each_series(context, &selector.matchers, ahead, Aggregate::Samples, &compute, sink);
    }
    let detects_resets = context.is_statistics_only(span);
    if grid.count == 1 && pick == Pick::Value && !detects_resets {
        let set = select(context, &selector.matchers, range)?;
        return each_latest(context, set.as_ref(), &mut |index, latest| {
            sink(Column::of(set.labels(index).clone(), latest))
        });
    }
    let compute = |_: &LabelSet, samples: &mut SampleColumns| {
        if detects_resets {
            statistics_only::detect_resets(samples);
        }
        let steps = if samples.histograms.is_empty() {
            let values = latest_floats(samples, grid, shift, lookback_ms, pick);
            values.map(|values| Steps { values, histograms: Vec::new() })
        } else {
            latest_of_both(samples, grid, shift, lookback_ms, pick)
        };
        if let Some(steps) = &steps {
            context.queryable.add_steps(steps);
        }
        Ok(steps)
    };
    each_series(context, &selector.matchers, range, Aggregate::Samples, &compute, sink)
}

/// The latest sample of each series of a selection that reaches back as far as an instant selector looks, at one step.
/// Whole chunks need not be decoded for it.
pub(super) fn each_latest(
    context: &Context<'_>,
    set: &dyn SeriesSet,
    sink: &mut dyn FnMut(usize, SampleValue) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    for index in 0..set.len() {
        if index.is_multiple_of(16) {
            context.check_running()?;
        }
        let latest = match set.read_latest(index)? {
            Some(LatestSample::Float { value, .. }) if !is_stale_nan(value) => SampleValue::Float(value),
            Some(LatestSample::Histogram(sample)) if !sample.histogram.is_stale() => {
                SampleValue::Histogram(sample.histogram)
            }
            _ => continue,
        };
        context.count_samples(1)?;
        let weight = match &latest {
            SampleValue::Float(_) => 1,
            SampleValue::Histogram(histogram) => histogram_samples(histogram),
        };
        context.queryable.add(0, weight);
        sink(index, latest)?;
    }
    Ok(())
}

/// Milliseconds to seconds.
#[expect(clippy::cast_precision_loss, reason = "times of this age are far below 2^53 ms")]
pub(crate) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}

/// All that the windows of `grid` cover.
pub(super) fn read_range(grid: Grid, shift: Shift, range_ms: i64) -> TimeRange {
    let first = shift.apply(grid.start_ms);
    TimeRange::left_open_ms(first.saturating_sub(range_ms), shift.apply(grid.last_ms()))
}

/// The latest float of each step; a stale one is none.
pub(super) fn latest_floats(
    samples: &SampleColumns,
    grid: Grid,
    shift: Shift,
    lookback_ms: i64,
    pick: Pick,
) -> Option<Vec<f64>> {
    let mut values = Vec::with_capacity(grid.count);
    let mut next = 0;
    let mut any = false;
    for time_ms in grid.times_ms() {
        let time_ms = shift.apply(time_ms);
        while next < samples.ts_ms.len() && samples.ts_ms[next] <= time_ms {
            next += 1;
        }
        let latest = next.checked_sub(1).filter(|latest| {
            samples.ts_ms[*latest] > time_ms.saturating_sub(lookback_ms)
                && !is_stale_nan(samples.values[*latest])
        });
        any |= latest.is_some();
        values.push(latest.map_or_else(absent, |latest| pick_float(samples, latest, pick)));
    }
    any.then_some(values)
}

fn pick_float(samples: &SampleColumns, index: usize, pick: Pick) -> f64 {
    match pick {
        Pick::Value => samples.values[index],
        Pick::Timestamp => seconds(samples.ts_ms[index]),
        Pick::StartTimestamp => seconds(samples.start_ms.get(index).copied().unwrap_or(0)),
    }
}

/// The latest sample of either kind at each step.
fn latest_of_both(
    samples: &SampleColumns,
    grid: Grid,
    shift: Shift,
    lookback_ms: i64,
    pick: Pick,
) -> Option<Steps> {
    let mut steps = Steps::default();
    let mut any = false;
    for time_ms in grid.times_ms() {
        let time_ms = shift.apply(time_ms);
        let float = samples.ts_ms.partition_point(|ts_ms| *ts_ms <= time_ms).checked_sub(1);
        let histogram = samples.histograms.partition_point(|sample| sample.ts_ms <= time_ms).checked_sub(1);
        let histogram = histogram.map(|index| &samples.histograms[index]);
        let oldest_ms = time_ms.saturating_sub(lookback_ms);
        let float = float.filter(|index| samples.ts_ms[*index] > oldest_ms);
        let histogram = histogram.filter(|sample| sample.ts_ms > oldest_ms);
        let is_later =
            |sample: &&HistogramSample| float.is_none_or(|index| samples.ts_ms[index] < sample.ts_ms);
        let sample = match histogram.filter(is_later) {
            Some(sample) => (!sample.histogram.is_stale()).then(|| pick_histogram(sample, pick)),
            None => float
                .filter(|index| !is_stale_nan(samples.values[*index]))
                .map(|index| SampleValue::Float(pick_float(samples, index, pick))),
        };
        any |= sample.is_some();
        steps.push(sample, grid.count);
    }
    any.then_some(steps)
}

fn pick_histogram(sample: &HistogramSample, pick: Pick) -> SampleValue {
    match pick {
        Pick::Value => SampleValue::Histogram(sample.histogram.clone()),
        Pick::Timestamp => SampleValue::Float(seconds(sample.ts_ms)),
        Pick::StartTimestamp => SampleValue::Float(seconds(sample.start_ms)),
    }
}

/// Takes the stale markers away: ranges do not see them.
pub(super) fn remove_stale(samples: &mut SampleColumns) {
    samples.histograms.retain(|sample| !sample.histogram.is_stale());
    // Without a branch per sample: almost always there is none.
    if !samples.values.iter().fold(false, |any, value| any | is_stale_nan(*value)) {
        return;
    }
    let keep: Vec<bool> = samples.values.iter().map(|value| !is_stale_nan(*value)).collect();
    retain(&mut samples.ts_ms, &keep);
    retain(&mut samples.start_ms, &keep);
    samples.values.retain(|value| !is_stale_nan(*value));
}

fn retain(list: &mut Vec<i64>, keep: &[bool]) {
    let mut keep = keep.iter();
    list.retain(|_| keep.next().copied().unwrap_or(false));
}

pub(super) fn read_series(
    context: &Context<'_>,
    set: &dyn SeriesSet,
    index: usize,
    aggregate: Aggregate,
    samples: &mut SampleColumns,
) -> Result<(), QueryError> {
    // Asking the clock costs as much as reading a short series.
    if index.is_multiple_of(16) {
        context.check_running()?;
    }
    set.read_aggregate(index, aggregate, samples)?;
    context.count_samples(samples.len())
}

/// The series of a selection, within the limit.
pub(super) fn select(
    context: &Context<'_>,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<Box<dyn SeriesSet>, QueryError> {
    context.check_running()?;
    let set = context.source.select(matchers, range)?;
    context.count_series(set.len())?;
    context.note_source(set.infos());
    Ok(set)
}

/// Reads every selected series, computes its column and hands it on, in the order of the selection.
pub(super) fn each_series(
    context: &Context<'_>,
    matchers: &[Matcher],
    range: TimeRange,
    aggregate: Aggregate,
    compute: Compute<'_>,
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    let set = select(context, matchers, range)?;
    let threads = context.config.threads_max;
    if threads > 1 && set.len() >= PARALLEL_SERIES_MIN {
        return each_series_parallel(context, set.as_ref(), aggregate, compute, threads, sink);
    }
    let mut samples = SampleColumns::default();
    for index in 0..set.len() {
        if let Some(column) = compute_column(context, set.as_ref(), index, aggregate, compute, &mut samples)?
        {
            sink(column)?;
        }
    }
    Ok(())
}

fn compute_column(
    context: &Context<'_>,
    set: &dyn SeriesSet,
    index: usize,
    aggregate: Aggregate,
    compute: Compute<'_>,
    samples: &mut SampleColumns,
) -> Result<Option<Column>, QueryError> {
    read_series(context, set, index, aggregate, samples)?;
    let labels = set.labels(index);
    let steps = compute(labels, samples)?;
    Ok(steps.map(|steps| Column::new(labels.clone(), false, steps)))
}

/// Several threads decode, the caller takes the columns in the order of the selection.
fn each_series_parallel(
    context: &Context<'_>,
    set: &dyn SeriesSet,
    aggregate: Aggregate,
    compute: Compute<'_>,
    threads: usize,
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    let decode = |batch: usize| -> Result<Vec<Column>, QueryError> {
        let from = batch * BATCH_SERIES;
        let to = (from + BATCH_SERIES).min(set.len());
        let mut samples = SampleColumns::default();
        let mut columns = Vec::with_capacity(to - from);
        for index in from..to {
            columns.extend(compute_column(context, set, index, aggregate, compute, &mut samples)?);
        }
        Ok(columns)
    };
    let batches = set.len().div_ceil(BATCH_SERIES);
    parallel::in_order(batches, threads, &decode, &mut |columns| columns.into_iter().try_for_each(&mut *sink))
}
