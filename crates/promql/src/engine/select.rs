//! Reading series and laying their samples on the steps.
//!
//! ```text
//! samples      .  .   .  .    .  .        read once, ascending
//! steps          |      |      |          windows (t − range, t] slide: both ends only move forward
//! ```

use model::{LabelSet, Matcher, SampleColumns, SeriesSet, TimeRange, is_stale_nan};

use super::column::{Column, Grid, absent, is_absent};
use super::context::{Context, Shift};
use super::eval::{self, Sink};
use super::math;
use crate::ast::{Expr, ExprKind, Selector, Span, Subquery};
use crate::error::QueryError;
use crate::value::MatrixSeries;

/// Selections of at least this many series are decoded by several threads.
const PARALLEL_SERIES_MIN: usize = 256;
/// Series that one thread decodes before their columns are handed on.
const BATCH_SERIES: usize = 128;

/// What is computed from the samples of one series; `None` when there is nothing.
type Compute<'c> = &'c (dyn Fn(&LabelSet, &mut SampleColumns) -> Result<Option<Vec<f64>>, QueryError> + Sync);

/// Evaluates an instant selector.
pub(crate) fn instant(
    context: &Context<'_>,
    selector: &Selector,
    grid: Grid,
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    instant_by(context, selector, grid, &|_, value| value, sink)
}

/// Evaluates `timestamp(selector)`: the samples' times in seconds.
pub(crate) fn instant_timestamps(
    context: &Context<'_>,
    selector: &Selector,
    grid: Grid,
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    instant_by(context, selector, grid, &|ts_ms, _| seconds(ts_ms), sink)
}

/// Milliseconds to seconds.
#[expect(clippy::cast_precision_loss, reason = "times of this age are far below 2^53 ms")]
pub(crate) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}

fn instant_by(
    context: &Context<'_>,
    selector: &Selector,
    grid: Grid,
    pick: &(dyn Fn(i64, f64) -> f64 + Sync),
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    refuse_extension(selector)?;
    let shift = context.shift(&selector.shift);
    let lookback_ms = context.lookback_ms;
    let range = read_range(grid, shift, lookback_ms);
    each_series(
        context,
        &selector.matchers,
        range,
        &|_, samples| Ok(latest_values(samples, grid, shift, lookback_ms, pick)),
        sink,
    )
}

fn refuse_extension(selector: &Selector) -> Result<(), QueryError> {
    match selector.extension {
        None => Ok(()),
        Some(_) => {
            Err(QueryError::Execution("the anchored and smoothed modifiers are not supported yet".into()))
        }
    }
}

/// All that the windows of `grid` cover.
fn read_range(grid: Grid, shift: Shift, range_ms: i64) -> TimeRange {
    let first = shift.apply(grid.start_ms);
    TimeRange::left_open_ms(first.saturating_sub(range_ms), shift.apply(grid.last_ms()))
}

/// The latest sample in `(t − lookback, t]` of each step; a stale one is none.
fn latest_values(
    samples: &SampleColumns,
    grid: Grid,
    shift: Shift,
    lookback_ms: i64,
    pick: &dyn Fn(i64, f64) -> f64,
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
        values.push(latest.map_or_else(absent, |latest| pick(samples.ts_ms[latest], samples.values[latest])));
    }
    any.then_some(values)
}

/// The samples of one step's range, and the range itself.
pub(crate) struct WindowView<'s> {
    pub(crate) ts_ms: &'s [i64],
    pub(crate) values: &'s [f64],
    /// Indexes in `values` (from 1) of samples that are below the one before.
    pub(crate) resets: &'s [usize],
    /// Index in the series of the window's first sample: `resets` count from the series' start.
    pub(crate) first: usize,
    /// The range is `(start, end]`.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// Where the step is.
    pub(crate) step: usize,
    pub(crate) time_ms: i64,
}

/// What a function makes of one window.
pub(crate) type WindowFn<'f> = &'f (dyn Fn(&WindowView<'_>) -> Option<f64> + Sync);
/// What a function says of a series with values.
pub(crate) type Remark<'f> = &'f (dyn Fn(&Context<'_>, &LabelSet, bool) + Sync);

/// A range vector: a range selector or a subquery.
pub(crate) struct RangeArgument<'e> {
    expr: &'e Expr,
    pub(crate) range_ms: i64,
    pub(crate) span: Span,
}

impl<'e> RangeArgument<'e> {
    pub(crate) fn new(context: &Context<'_>, expr: &'e Expr) -> Result<Self, QueryError> {
        let inner = expr.unwrap_parens();
        let range = match &inner.kind {
            ExprKind::Selector(Selector { range: Some(range), .. }) => range,
            ExprKind::Subquery(subquery) => &subquery.range,
            _ => return Err(QueryError::Execution("BUG: expected a range vector".into())),
        };
        Ok(Self { expr: inner, range_ms: context.positive_duration_ms(range)?, span: inner.span })
    }

    /// Slides over each series and hands on a column for each with any value.
    pub(crate) fn each(
        &self,
        context: &Context<'_>,
        grid: Grid,
        function: WindowFn<'_>,
        remark: Remark<'_>,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let range_ms = self.range_ms;
        match &self.expr.kind {
            ExprKind::Selector(selector) => {
                refuse_extension(selector)?;
                let shift = context.shift(&selector.shift);
                let range = read_range(grid, shift, range_ms);
                each_series(
                    context,
                    &selector.matchers,
                    range,
                    &|labels, samples| {
                        remove_stale(samples);
                        let values = slide(context, samples, grid, shift, range_ms, function)?;
                        remark(context, labels, values.is_some());
                        Ok(values)
                    },
                    sink,
                )
            }
            ExprKind::Subquery(subquery) => {
                let shift = context.shift(&subquery.shift);
                for column in subquery_columns(context, subquery, grid, shift, range_ms)? {
                    let samples = column.samples;
                    let values = slide(context, &samples, grid, shift, range_ms, function)?;
                    remark(context, &column.labels, values.is_some());
                    if let Some(values) = values {
                        sink(Column { labels: column.labels, drop_name: column.drop_name, values })?;
                    }
                }
                Ok(())
            }
            _ => Err(QueryError::Execution("BUG: expected a range vector".into())),
        }
    }
}

fn remove_stale(samples: &mut SampleColumns) {
    if !samples.values.iter().any(|value| is_stale_nan(*value)) {
        return;
    }
    let mut keep = samples.values.iter().map(|value| !is_stale_nan(*value));
    samples.ts_ms.retain(|_| keep.next().unwrap_or(false));
    samples.values.retain(|value| !is_stale_nan(*value));
}

fn slide(
    context: &Context<'_>,
    samples: &SampleColumns,
    grid: Grid,
    shift: Shift,
    range_ms: i64,
    function: WindowFn<'_>,
) -> Result<Option<Vec<f64>>, QueryError> {
    let resets: Vec<usize> =
        (1..samples.len()).filter(|index| samples.values[*index] < samples.values[index - 1]).collect();
    let (mut low, mut high, mut reset_low) = (0, 0, 0);
    let mut values = Vec::with_capacity(grid.count);
    let mut any = false;
    for step in 0..grid.count {
        if step % 1024 == 1023 {
            context.check_running()?;
        }
        let time_ms = grid.time_ms(step);
        let end_ms = shift.apply(time_ms);
        let start_ms = end_ms.saturating_sub(range_ms);
        while high < samples.len() && samples.ts_ms[high] <= end_ms {
            high += 1;
        }
        while low < high && samples.ts_ms[low] <= start_ms {
            low += 1;
        }
        while reset_low < resets.len() && resets[reset_low] <= low {
            reset_low += 1;
        }
        let value = if low == high {
            None
        } else {
            function(&WindowView {
                ts_ms: &samples.ts_ms[low..high],
                values: &samples.values[low..high],
                resets: &resets[reset_low..],
                first: low,
                start_ms,
                end_ms,
                step,
                time_ms,
            })
        };
        any |= value.is_some();
        values.push(value.unwrap_or_else(absent));
    }
    Ok(any.then_some(values))
}

struct SubqueryColumn {
    labels: LabelSet,
    drop_name: bool,
    samples: SampleColumns,
}

/// Evaluates the inner expression at the multiples of its step inside all windows.
fn subquery_columns(
    context: &Context<'_>,
    subquery: &Subquery,
    outer: Grid,
    shift: Shift,
    range_ms: i64,
) -> Result<Vec<SubqueryColumn>, QueryError> {
    let inner = subquery_grid(context, subquery, outer, shift, range_ms)?;
    let mut columns = Vec::new();
    if inner.count == 0 {
        return Ok(columns);
    }
    for column in eval::vector(context, &subquery.expr, inner)? {
        context.check_running()?;
        let mut samples = SampleColumns::default();
        for (step, value) in column.values.iter().enumerate() {
            if !is_absent(*value) {
                samples.push(inner.time_ms(step), *value);
            }
        }
        columns.push(SubqueryColumn { labels: column.labels, drop_name: column.drop_name, samples });
    }
    Ok(columns)
}

fn subquery_grid(
    context: &Context<'_>,
    subquery: &Subquery,
    outer: Grid,
    shift: Shift,
    range_ms: i64,
) -> Result<Grid, QueryError> {
    let step_ms = match &subquery.step {
        Some(step) => context.positive_duration_ms(step)?,
        None => super::context::duration_ms(context.config.subquery_step).max(1),
    };
    let after_ms = shift.apply(outer.start_ms).saturating_sub(range_ms);
    let start_ms = (after_ms.div_euclid(step_ms) + 1).saturating_mul(step_ms);
    let last_ms = shift.apply(outer.last_ms());
    let count = if start_ms > last_ms { 0 } else { (last_ms - start_ms) / step_ms + 1 };
    // An inner grid is as long as range and step make it; what it holds is bounded by `samples_max`.
    let points_max = context.config.samples_max;
    if count.unsigned_abs() > points_max {
        return Err(QueryError::Execution(format!(
            "subquery has {count} steps of {step_ms} ms, samples_max is {points_max}"
        )));
    }
    Ok(Grid { start_ms, step_ms, count: usize::try_from(count).unwrap_or(0) })
}

/// A range vector as the answer of an instant query: raw samples.
pub(crate) fn raw_matrix(
    context: &Context<'_>,
    expr: &Expr,
    grid: Grid,
) -> Result<Vec<MatrixSeries>, QueryError> {
    let argument = RangeArgument::new(context, expr)?;
    let mut matrix = Vec::new();
    match &argument.expr.kind {
        ExprKind::Selector(selector) => {
            refuse_extension(selector)?;
            let shift = context.shift(&selector.shift);
            let range = read_range(grid, shift, argument.range_ms);
            let set = context.source.select(&selector.matchers, range)?;
            let mut samples = SampleColumns::default();
            for index in 0..set.len() {
                read_series(context, set.as_ref(), index, &mut samples)?;
                remove_stale(&mut samples);
                push_series(&mut matrix, set.labels(index).clone(), std::mem::take(&mut samples));
            }
        }
        ExprKind::Subquery(subquery) => {
            let shift = context.shift(&subquery.shift);
            for column in subquery_columns(context, subquery, grid, shift, argument.range_ms)? {
                let labels = if column.drop_name {
                    super::column::without_metadata(&column.labels)
                } else {
                    column.labels
                };
                push_series(&mut matrix, labels, column.samples);
            }
        }
        _ => return Err(QueryError::Execution("BUG: expected a range vector".into())),
    }
    matrix.sort_by(|left, right| left.labels.cmp(&right.labels));
    if matrix.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
        return Err(QueryError::Execution("vector cannot contain metrics with the same labelset".into()));
    }
    Ok(matrix)
}

fn push_series(matrix: &mut Vec<MatrixSeries>, labels: LabelSet, samples: SampleColumns) {
    if !samples.is_empty() {
        let histograms =
            samples.histograms.into_iter().map(|sample| (sample.ts_ms, sample.histogram)).collect();
        matrix.push(MatrixSeries { labels, ts_ms: samples.ts_ms, values: samples.values, histograms });
    }
}

fn read_series(
    context: &Context<'_>,
    set: &dyn SeriesSet,
    index: usize,
    samples: &mut SampleColumns,
) -> Result<(), QueryError> {
    context.check_running()?;
    set.read(index, samples)?;
    if !samples.histograms.is_empty() {
        let message = format!("native histograms are not supported yet (series {})", set.labels(index));
        return Err(QueryError::Execution(message));
    }
    context.count_samples(samples.len())
}

/// Reads every selected series, computes its column and hands it on, in the order of the selection.
fn each_series(
    context: &Context<'_>,
    matchers: &[Matcher],
    range: TimeRange,
    compute: Compute<'_>,
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    context.check_running()?;
    let set = context.source.select(matchers, range)?;
    let threads = context.config.threads_max;
    if threads > 1 && set.len() >= PARALLEL_SERIES_MIN {
        return each_series_parallel(context, set.as_ref(), compute, threads, sink);
    }
    let mut samples = SampleColumns::default();
    for index in 0..set.len() {
        if let Some(column) = compute_column(context, set.as_ref(), index, compute, &mut samples)? {
            sink(column)?;
        }
    }
    Ok(())
}

fn compute_column(
    context: &Context<'_>,
    set: &dyn SeriesSet,
    index: usize,
    compute: Compute<'_>,
    samples: &mut SampleColumns,
) -> Result<Option<Column>, QueryError> {
    read_series(context, set, index, samples)?;
    let labels = set.labels(index);
    let values = compute(labels, samples)?;
    Ok(values.map(|values| Column { labels: labels.clone(), drop_name: false, values }))
}

fn each_series_parallel(
    context: &Context<'_>,
    set: &dyn SeriesSet,
    compute: Compute<'_>,
    threads: usize,
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    let decode = |from: usize, to: usize| -> Result<Vec<Column>, QueryError> {
        let mut samples = SampleColumns::default();
        let mut columns = Vec::with_capacity(to - from);
        for index in from..to {
            columns.extend(compute_column(context, set, index, compute, &mut samples)?);
        }
        Ok(columns)
    };
    for batch in (0..set.len()).step_by(BATCH_SERIES * threads) {
        let batches: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|worker| (batch + worker * BATCH_SERIES).min(set.len()))
                .map(|from| (from, (from + BATCH_SERIES).min(set.len())))
                .filter(|(from, to)| from < to)
                .map(|(from, to)| scope.spawn(move || decode(from, to)))
                .collect();
            workers.into_iter().map(|worker| worker.join()).collect()
        });
        for columns in batches {
            let columns = columns
                .map_err(|_| QueryError::Execution("BUG: a thread that decodes series panicked".into()))?;
            columns?.into_iter().try_for_each(&mut *sink)?;
        }
    }
    Ok(())
}

/// A median, as `mad_over_time` needs two of.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    math::sort_nan_first(values);
    math::quantile_sorted(0.5, values)
}
