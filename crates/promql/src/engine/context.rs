//! What one running query carries: its source, limits, counters and annotations.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clock::Clock;
use model::MetricSource;

use super::annotations::{Annotations, Note};
use super::column::{Column, Grid};
use super::statistics_only;
use super::tracer::{Queryable, Tracer, histogram_bytes};
use super::{EngineConfig, QueryOptions, QueryResult};
use crate::ast::{At, DurationExpr, Expr, Span, TimeShift};
use crate::error::QueryError;
use crate::usage::QueryStats;
use crate::value::Value;

/// Start, end and step of the whole query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) is_range: bool,
}

/// Shared by all parts of one query, also across threads.
pub(crate) struct Context<'q> {
    pub(crate) source: &'q dyn MetricSource,
    pub(crate) bounds: Bounds,
    pub(crate) lookback_ms: i64,
    pub(crate) config: &'q EngineConfig,
    clock: &'q Clock,
    timeout: Duration,
    deadline: Duration,
    cancel: Option<&'q AtomicBool>,
    started: Duration,
    grid: Grid,
    samples_read: AtomicU64,
    points: AtomicU64,
    bytes: AtomicU64,
    series: AtomicU64,
    largest_series: AtomicU64,
    pub(crate) queryable: Queryable,
    tracer: Option<Tracer>,
    /// Protects the annotations; held for one insertion.
    annotations: Mutex<Annotations>,
    /// Selectors whose histograms are looked at for count and sum alone, by where they start.
    statistics_only: Vec<u32>,
}

impl<'q> Context<'q> {
    pub(crate) fn new(
        source: &'q dyn MetricSource,
        expr: &Expr,
        (bounds, grid): (Bounds, Grid),
        config: &'q EngineConfig,
        clock: &'q Clock,
        options: &'q QueryOptions,
    ) -> Self {
        let timeout = options.timeout.map_or(config.timeout, |timeout| timeout.min(config.timeout));
        Self {
            source,
            bounds,
            lookback_ms: duration_ms(options.lookback.unwrap_or(config.lookback)),
            config,
            clock,
            timeout,
            deadline: clock.monotonic().saturating_add(timeout),
            cancel: options.cancel.as_deref(),
            started: clock.monotonic(),
            grid,
            samples_read: AtomicU64::new(0),
            points: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            series: AtomicU64::new(0),
            largest_series: AtomicU64::new(0),
            queryable: Queryable::new(grid.count, options.step_stats),
            tracer: options.explain.then(Tracer::new),
            annotations: Mutex::default(),
            statistics_only: statistics_only::selectors(expr),
        }
    }

    /// Stops a query that was canceled or ran too long. Called every few series.
    pub(crate) fn check_running(&self) -> Result<(), QueryError> {
        if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(QueryError::Canceled);
        }
        if self.clock.monotonic() > self.deadline {
            return Err(QueryError::Timeout(format!("it ran longer than its timeout of {:?}", self.timeout)));
        }
        Ok(())
    }

    /// Counts decoded samples of one series.
    pub(crate) fn count_samples(&self, count: usize) -> Result<(), QueryError> {
        self.largest_series.fetch_max(count as u64, Ordering::Relaxed);
        self.count(&self.samples_read, count, "read")
    }

    /// Counts points that are held at the same time as the rest.
    pub(crate) fn count_points(&self, count: usize) -> Result<(), QueryError> {
        self.count(&self.points, count, "hold")?;
        self.count_bytes((count as u64).saturating_mul(size_of::<f64>() as u64))
    }

    /// Counts a column that is held.
    pub(crate) fn count_column(&self, column: &Column) -> Result<(), QueryError> {
        self.count_points(column.values.len())?;
        if column.histograms.is_empty() {
            return Ok(());
        }
        let histograms = column.histograms.iter().flatten();
        let pointers = (column.histograms.len() * size_of::<usize>()) as u64;
        self.count_bytes(pointers + histograms.map(|histogram| histogram_bytes(histogram)).sum::<u64>())
    }

    fn count_bytes(&self, count: u64) -> Result<(), QueryError> {
        let total = self.bytes.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        let limit = self.config.bytes_max;
        if total > limit {
            return Err(QueryError::Execution(format!(
                "query holds too much in memory: it would hold {total} bytes of intermediate results, bytes_max is {limit}"
            )));
        }
        Ok(())
    }

    /// Counts the series of a selection.
    pub(crate) fn count_series(&self, count: usize) -> Result<(), QueryError> {
        let count = count as u64;
        let total = self.series.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        let limit = self.config.series_max;
        if total > limit {
            return Err(QueryError::Execution(format!(
                "query selects too many series: it would select {total} series, series_max is {limit}"
            )));
        }
        Ok(())
    }

    fn count(&self, counter: &AtomicU64, count: usize, verb: &str) -> Result<(), QueryError> {
        let count = count as u64;
        let total = counter.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        let limit = self.config.samples_max;
        if total > limit {
            return Err(QueryError::Execution(format!(
                "query processing would load too many samples into memory in query execution: \
                 it would {verb} {total} samples, samples_max is {limit}"
            )));
        }
        Ok(())
    }

    /// Whether each node's time is taken.
    pub(crate) fn explains(&self) -> bool {
        self.tracer.is_some()
    }

    /// The time that passes, whatever the hour is.
    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// A node begins.
    pub(crate) fn enter(&self, expr: &Expr, grid: Grid) {
        if let Some(tracer) = &self.tracer {
            tracer.enter(expr, grid, self.now(), self.samples_read.load(Ordering::Relaxed));
        }
    }

    /// The node that began last has ended; others took `handed_on` for its columns.
    pub(crate) fn leave(&self, series: usize, handed_on: Duration) {
        if let Some(tracer) = &self.tracer {
            tracer.leave(series, self.now(), self.samples_read.load(Ordering::Relaxed), handed_on);
        }
    }

    /// Whether the histograms of the selector at `span` are looked at for count and sum alone.
    pub(crate) fn is_statistics_only(&self, span: Span) -> bool {
        self.statistics_only.contains(&span.start)
    }

    /// Adds an annotation of what stands at `span`.
    pub(crate) fn note(&self, span: Span, note: Note) {
        self.annotations.lock().unwrap_or_else(PoisonError::into_inner).add(Some(span), note);
    }

    /// Adds what a source has to say of its data.
    pub(crate) fn note_source(&self, texts: Vec<String>) {
        let mut annotations = self.annotations.lock().unwrap_or_else(PoisonError::into_inner);
        for text in texts {
            annotations.add(None, Note::from_source(text));
        }
    }

    /// A duration of the query in milliseconds.
    pub(crate) fn duration_ms(&self, duration: &DurationExpr) -> i64 {
        let range_ms = self.bounds.end_ms.saturating_sub(self.bounds.start_ms);
        let ms = duration.seconds(self.bounds.step_ms, range_ms) * 1e3;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "`as` saturates; absurd durations become the longest"
        )]
        let ms = ms.round() as i64;
        ms.clamp(-DURATION_MS_MAX, DURATION_MS_MAX)
    }

    /// A range or step: above zero.
    pub(crate) fn positive_duration_ms(&self, duration: &DurationExpr) -> Result<i64, QueryError> {
        match self.duration_ms(duration) {
            ms if ms > 0 => Ok(ms),
            ms => Err(QueryError::Execution(format!("duration must be greater than 0, got {ms}ms"))),
        }
    }

    /// Offset and fixed time of a selection.
    pub(crate) fn shift(&self, shift: &TimeShift) -> Shift {
        Shift {
            offset_ms: shift.offset.as_ref().map_or(0, |offset| self.duration_ms(offset)),
            at_ms: shift.at.map(|at| match at {
                At::Time(ms) => ms,
                At::Start => self.bounds.start_ms,
                At::End => self.bounds.end_ms,
            }),
        }
    }

    pub(crate) fn finish(self, value: Value) -> QueryResult {
        let stats = QueryStats {
            total_queryable_samples: self.queryable.total(),
            total_queryable_samples_per_step: self.queryable.per_step(self.grid),
            eval_time: self.now().saturating_sub(self.started),
            samples_read: self.samples_read.into_inner(),
            peak_samples: self.points.into_inner().saturating_add(self.largest_series.into_inner()),
            bytes_held: self.bytes.into_inner(),
            series_selected: self.series.into_inner(),
        };
        let annotations = self.annotations.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (warnings, infos) = annotations.into_texts();
        QueryResult { value, warnings, infos, stats, plan: self.tracer.and_then(Tracer::finish) }
    }
}

/// Three centuries: keeps sums of times and durations far from overflow.
const DURATION_MS_MAX: i64 = 300 * 365 * 86_400_000;

/// A resolved [`TimeShift`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shift {
    pub(super) offset_ms: i64,
    pub(super) at_ms: Option<i64>,
}

impl Shift {
    /// Where a selection looks when it is evaluated at `time_ms`.
    pub(crate) fn apply(&self, time_ms: i64) -> i64 {
        self.at_ms.unwrap_or(time_ms).saturating_sub(self.offset_ms)
    }
}

pub(crate) fn duration_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(DURATION_MS_MAX)
}
