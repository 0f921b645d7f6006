//! What one running query carries: its source, limits, counters and annotations.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clock::Clock;
use model::MetricSource;

use super::annotations::{Annotations, Note};
use super::statistics_only;
use super::{EngineConfig, QueryOptions, QueryResult};
use crate::ast::{At, DurationExpr, Expr, Span, TimeShift};
use crate::error::QueryError;
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
    samples_read: AtomicU64,
    points: AtomicU64,
    /// Protects the annotations; held for one insertion.
    annotations: Mutex<Annotations>,
    /// Selectors whose histograms are looked at for count and sum alone, by where they start.
    statistics_only: Vec<u32>,
}

impl<'q> Context<'q> {
    pub(crate) fn new(
        source: &'q dyn MetricSource,
        expr: &Expr,
        bounds: Bounds,
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
            samples_read: AtomicU64::new(0),
            points: AtomicU64::new(0),
            annotations: Mutex::default(),
            statistics_only: statistics_only::selectors(expr),
        }
    }

    /// Stops a query that was canceled or ran too long. Called at least once per series.
    pub(crate) fn check_running(&self) -> Result<(), QueryError> {
        if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(QueryError::Canceled);
        }
        if self.clock.monotonic() > self.deadline {
            return Err(QueryError::Timeout(format!("it ran longer than its timeout of {:?}", self.timeout)));
        }
        Ok(())
    }

    /// Counts decoded samples.
    pub(crate) fn count_samples(&self, count: usize) -> Result<(), QueryError> {
        self.count(&self.samples_read, count, "read")
    }

    /// Counts points that are held at the same time as the rest.
    pub(crate) fn count_points(&self, count: usize) -> Result<(), QueryError> {
        self.count(&self.points, count, "hold")
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
        let annotations = self.annotations.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (warnings, infos) = annotations.into_texts();
        QueryResult { value, warnings, infos, samples_read: self.samples_read.into_inner() }
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
