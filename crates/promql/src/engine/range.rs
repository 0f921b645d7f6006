//! Range selectors and subqueries: windows that slide over the samples of a series.
//!
//! ```text
//! samples      .  .   .  .    .  .        read once, ascending
//! steps          |      |      |          windows (t − range, t]: both ends only move forward
//! ```
//! Series of floats alone slide over two slices. Those with histograms, start times or edges that reach beyond the
//! range (`anchored`, `smoothed`) are left to [`mixed`](super::mixed).

use model::{Aggregate, LabelSet, SampleColumns, TimeRange};

use super::column::{Column, Grid, Steps, absent};
use super::context::{Context, Shift};
use super::eval::Sink;
use super::mixed::{self, MixedFn};
use super::select::{each_series, read_range, read_series, remove_stale};
use super::tracer::histogram_samples;
use super::windows::{CachePool, WindowCache, WindowShape};
use super::{smoothed, statistics_only, subquery, whole_series};
use crate::ast::{Expr, ExprKind, Extension, Selector, Span};
use crate::error::QueryError;
use crate::functions::Window;
use crate::value::MatrixSeries;

/// From so many steps on it pays to find the windows of all before the first is computed.
const AT_ONCE_STEPS_MIN: usize = 4;

/// The floats of one step's range, and the range itself.
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

/// A function of ranges.
pub(crate) struct RangeFunction<'f> {
    /// Its name, if all windows of a series of floats may be computed at once.
    pub(crate) at_once: Option<Window>,
    /// Its value for floats alone.
    pub(crate) floats: &'f (dyn Fn(&WindowView<'_>) -> Option<f64> + Sync),
    /// Its value for all else.
    pub(crate) mixed: MixedFn<'f>,
    /// Whether it looks at when counters began.
    pub(crate) reads_start_times: bool,
    /// What it wants of samples that are downsampled.
    pub(crate) aggregate: Aggregate,
    /// What it says of a series for which it gave floats.
    pub(crate) remark: &'f (dyn Fn(&LabelSet) + Sync),
}

/// A range vector: a range selector or a subquery.
pub(crate) struct RangeArgument<'e> {
    expr: &'e Expr,
    pub(crate) range_ms: i64,
    /// Where annotations of its series point: a subquery's have no place of their own, as in Prometheus.
    pub(crate) span: Span,
    pub(crate) extension: Option<Extension>,
}

impl<'e> RangeArgument<'e> {
    pub(crate) fn new(context: &Context<'_>, expr: &'e Expr) -> Result<Self, QueryError> {
        let inner = expr.unwrap_parens();
        let nowhere = Span { line: 1, column: 1, ..Span::default() };
        let (range, span, extension) = match &inner.kind {
            ExprKind::Selector(selector @ Selector { range: Some(range), .. }) => {
                (range, inner.span, selector.extension)
            }
            ExprKind::Subquery(subquery) => (&subquery.range, nowhere, None),
            _ => return Err(QueryError::Execution("BUG: expected a range vector".into())),
        };
        Ok(Self { expr: inner, range_ms: context.positive_duration_ms(range)?, span, extension })
    }

    /// Slides over each series and hands on a column for each with any value.
    pub(crate) fn each(
        &self,
        context: &Context<'_>,
        grid: Grid,
        function: &RangeFunction<'_>,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        match &self.expr.kind {
            ExprKind::Selector(selector) => {
                let shift = context.shift(&selector.shift);
                let detects_resets = context.is_statistics_only(self.span);
                let caches = CachePool::default();
                let compute = |labels: &LabelSet, samples: &mut SampleColumns| {
                    remove_stale(samples);
                    if detects_resets {
                        statistics_only::detect_resets(samples);
                    }
                    caches.with(|cache| self.slide(context, labels, samples, (grid, shift), function, cache))
                };
                each_series(
                    context,
                    &selector.matchers,
                    self.read_range(context, grid, shift),
                    function.aggregate,
                    &compute,
                    sink,
                )
            }
            ExprKind::Subquery(node) => {
                let shift = context.shift(&node.shift);
                let mut cache = WindowCache::default();
                for column in subquery::columns(context, node, grid, shift, self.range_ms)? {
                    let steps = self.slide(
                        context,
                        &column.labels,
                        &column.samples,
                        (grid, shift),
                        function,
                        &mut cache,
                    )?;
                    if let Some(steps) = steps {
                        sink(Column::new(column.labels, column.drop_name, steps))?;
                    }
                }
                Ok(())
            }
            _ => Err(QueryError::Execution("BUG: expected a range vector".into())),
        }
    }

    /// Edges that reach beyond the range read as far as an instant selector looks.
    fn read_range(&self, context: &Context<'_>, grid: Grid, shift: Shift) -> TimeRange {
        let (before_ms, after_ms) = reach_ms(context, self.extension);
        let range = read_range(grid, shift, self.range_ms.saturating_add(before_ms));
        TimeRange { end: range.end.saturating_add(after_ms), ..range }
    }

    fn slide(
        &self,
        context: &Context<'_>,
        labels: &LabelSet,
        samples: &SampleColumns,
        (grid, shift): (Grid, Shift),
        function: &RangeFunction<'_>,
        cache: &mut WindowCache,
    ) -> Result<Option<Steps>, QueryError> {
        let reads_start_times =
            function.reads_start_times && context.config.use_start_times && has_start_times(samples);
        let steps = if samples.histograms.is_empty() && self.extension.is_none() && !reads_start_times {
            let values = match function.at_once {
                Some(function) if grid.count >= AT_ONCE_STEPS_MIN => {
                    let rate = whole_series::rate_kind(function);
                    let shape = WindowShape { grid, shift, range_ms: self.range_ms, rate };
                    let windows = cache.windows(shape, &samples.ts_ms);
                    windows.count_samples(&context.queryable);
                    whole_series::values(function, self.range_ms, windows, &samples.values)
                }
                _ => slide(context, samples, grid, shift, self.range_ms, function.floats)?,
            };
            values.map(|values| Steps { values, histograms: Vec::new() })
        } else {
            let reach = reach_ms(context, self.extension);
            mixed::slide(context, labels, samples, grid, shift, self.range_ms, reach, function.mixed)?
        };
        if steps
            .as_ref()
            .is_some_and(|steps| steps.values.iter().any(|value| !super::column::is_absent(*value)))
        {
            (function.remark)(labels);
        }
        Ok(steps)
    }
}

fn has_start_times(samples: &SampleColumns) -> bool {
    !samples.start_ms.is_empty() || samples.histograms.iter().any(|sample| sample.start_ms != 0)
}

/// How far windows reach before and after their range.
pub(super) fn reach_ms(context: &Context<'_>, extension: Option<Extension>) -> (i64, i64) {
    match extension {
        None => (0, 0),
        Some(Extension::Anchored) => (context.lookback_ms, 0),
        Some(Extension::Smoothed) => (context.lookback_ms, context.lookback_ms),
    }
}

fn slide(
    context: &Context<'_>,
    samples: &SampleColumns,
    grid: Grid,
    shift: Shift,
    range_ms: i64,
    function: &(dyn Fn(&WindowView<'_>) -> Option<f64> + Sync),
) -> Result<Option<Vec<f64>>, QueryError> {
    let count = samples.ts_ms.len();
    let resets: Vec<usize> =
        (1..count).filter(|index| samples.values[*index] < samples.values[index - 1]).collect();
    let (mut low, mut high, mut reset_low) = (0, 0, 0);
    let mut values = Vec::with_capacity(grid.count);
    let mut any = false;
    let mut seen = 0;
    let is_per_step = context.queryable.is_per_step();
    for step in 0..grid.count {
        if step % 1024 == 1023 {
            context.check_running()?;
        }
        let time_ms = grid.time_ms(step);
        let end_ms = shift.apply(time_ms);
        let start_ms = end_ms.saturating_sub(range_ms);
        while high < count && samples.ts_ms[high] <= end_ms {
            high += 1;
        }
        while low < high && samples.ts_ms[low] <= start_ms {
            low += 1;
        }
        while reset_low < resets.len() && resets[reset_low] <= low {
            reset_low += 1;
        }
        if is_per_step {
            context.queryable.add(step, (high - low) as u64);
        }
        seen += high - low;
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
    if !is_per_step {
        context.queryable.add(0, seen as u64);
    }
    Ok(any.then_some(values))
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
            let shift = context.shift(&selector.shift);
            let set = context.source.select(&selector.matchers, argument.read_range(context, grid, shift))?;
            context.count_series(set.len())?;
            context.note_source(set.infos());
            let mut samples = SampleColumns::default();
            for index in 0..set.len() {
                read_series(context, set.as_ref(), index, Aggregate::Samples, &mut samples)?;
                remove_stale(&mut samples);
                if let Some(extension) = argument.extension {
                    let end_ms = shift.apply(grid.start_ms);
                    let range = (end_ms.saturating_sub(argument.range_ms), end_ms);
                    smoothed::extend(&mut samples, range, extension)?;
                }
                let histograms = samples.histograms.iter().map(|sample| histogram_samples(&sample.histogram));
                context.queryable.add(0, samples.ts_ms.len() as u64 + histograms.sum::<u64>());
                push_series(&mut matrix, set.labels(index).clone(), std::mem::take(&mut samples));
            }
        }
        ExprKind::Subquery(node) => {
            let shift = context.shift(&node.shift);
            for column in subquery::counted_columns(context, node, grid, shift, argument.range_ms)? {
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
