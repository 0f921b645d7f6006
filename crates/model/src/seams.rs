//! The two seams that make every role the same code: a [`MetricSink`]/[`SpanSink`] accepts a batch and returns
//! when it is durable; a [`MetricSource`]/[`SpanSource`] answers an engine's questions.
//!
//! All are synchronous: `async` begins where sockets begin, and the edges move blocking calls off their runtime.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{
    Exemplar, HistogramSample, LabelSet, Matcher, MetricBatch, MetricMetadata, SampleColumns, Span,
    SpanBatch, SpanKind, TimeRange, TraceId,
};

/// What a sink did with a batch. Everything not rejected is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Samples or spans accepted.
    pub accepted: u64,
    /// How many of `accepted` are native histograms.
    pub accepted_histograms: u64,
    /// Exemplars accepted, which `accepted` does not count.
    pub accepted_exemplars: u64,
    /// Refused ones by reason; at most one entry per reason.
    pub rejected: Vec<Rejection>,
}

/// Samples or spans refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reason: RejectReason,
    pub count: u64,
    /// One of them in words, with the value and the limit.
    pub example: String,
}

impl Appended {
    /// Notes a refusal; `example` is asked only for the first of its reason.
    pub fn reject(&mut self, reason: RejectReason, count: u64, example: impl FnOnce() -> String) {
        match self.rejected.iter_mut().find(|rejection| rejection.reason == reason) {
            Some(rejection) => rejection.count += count,
            None => self.rejected.push(Rejection { reason, count, example: example() }),
        }
    }

    /// How many were refused.
    pub fn rejected_count(&self) -> u64 {
        self.rejected.iter().map(|rejection| rejection.count).sum()
    }
}

/// Why a sample or span was refused: the label `reason` of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    OutOfOrder,
    DuplicateTimestamp,
    TooOld,
    TooFarInFuture,
    InvalidLabels,
    TooManySeries,
    LabelTooLong,
    TooManyLabels,
    InvalidId,
    InvalidTime,
    InvalidHistogram,
    TooLarge,
    Unsupported,
}

impl RejectReason {
    /// Value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::DuplicateTimestamp => "duplicate_timestamp",
            Self::TooOld => "too_old",
            Self::TooFarInFuture => "too_far_in_future",
            Self::InvalidLabels => "invalid_labels",
            Self::TooManySeries => "too_many_series",
            Self::LabelTooLong => "label_too_long",
            Self::TooManyLabels => "too_many_labels",
            Self::InvalidId => "invalid_id",
            Self::InvalidTime => "invalid_time",
            Self::InvalidHistogram => "invalid_histogram",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
        }
    }
}

/// A batch that was not stored at all. The sender should try again later.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The disk said no.
    #[error("cannot {op} {}", .path.display())]
    Io { op: &'static str, path: PathBuf, source: std::io::Error },
    /// The sink is stopping, or refuses writes after a failed sync.
    #[error("not accepting writes: {0}")]
    Closed(String),
}

/// A question that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A limit was hit; the text names it, its value and what to do.
    #[error("{0}")]
    LimitExceeded(String),
    /// The disk said no.
    #[error("cannot {op} {}", .path.display())]
    Io { op: &'static str, path: PathBuf, source: std::io::Error },
    /// Stored bytes are damaged.
    #[error("corrupt data in {}: {detail}", .path.display())]
    Corrupt { path: PathBuf, detail: String },
    /// A remote engine failed.
    #[error("{0}")]
    Remote(String),
}

/// Accepts samples.
pub trait MetricSink: Send + Sync {
    /// Stores a batch; when it returns `Ok`, all accepted samples survive `kill -9`.
    fn append(&self, batch: &MetricBatch) -> Result<Appended, SinkError>;
}

/// Accepts spans.
pub trait SpanSink: Send + Sync {
    /// Stores a batch; when it returns `Ok`, all accepted spans survive `kill -9`.
    fn append(&self, batch: &SpanBatch) -> Result<Appended, SinkError>;
}

/// Answers questions about metrics.
pub trait MetricSource: Send + Sync {
    /// Series that pass all `matchers` and may have samples in `range_ms`: a consistent snapshot.
    fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError>;

    /// Label names of series that pass any of `selectors` (all series if there is none), ascending.
    fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError>;

    /// Values of one label, likewise, ascending.
    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError>;

    /// What is known of metric families, ascending by family; of one family if `family` is given.
    fn metadata(&self, family: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError>;

    /// Exemplars in `range_ms` of series that pass any of `selectors`, series ascending by labels, exemplars by time.
    /// A source that keeps none answers none.
    fn exemplars(
        &self,
        _selectors: &[Vec<Matcher>],
        _range_ms: TimeRange,
    ) -> Result<Vec<(LabelSet, Vec<Exemplar>)>, SourceError> {
        Ok(Vec::new())
    }
}

/// Which value stands for the samples of a downsampled window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregate {
    /// The samples that were kept: the window's last, and those around resets.
    #[default]
    Samples,
    Min,
    Max,
    /// Their sum.
    Sum,
}

/// Series of one selection, ascending by labels. Reading is independent per series, so that it can run in parallel.
pub trait SeriesSet: Send + Sync {
    /// Number of series.
    fn len(&self) -> usize;

    /// Whether nothing was selected.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Labels of series `index` (below `len`).
    fn labels(&self, index: usize) -> &LabelSet;

    /// Replaces `out` by the samples of series `index` in the selection's range, strictly ascending in time; may be none.
    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError>;

    /// As [`read`](Self::read), but where samples are downsampled one value a window, at the time of its last sample:
    /// the smallest for who looks for the smallest, and so on. Samples that are not downsampled stay as they are.
    fn read_aggregate(
        &self,
        index: usize,
        _aggregate: Aggregate,
        out: &mut SampleColumns,
    ) -> Result<(), SourceError> {
        self.read(index, out)
    }

    /// The newest sample of series `index` in the selection's range, of either kind, or none: what an instant selector
    /// asks. Sources that need not decode a chunk for it answer much faster than by [`read`](Self::read).
    fn read_latest(&self, index: usize) -> Result<Option<LatestSample>, SourceError> {
        let mut columns = SampleColumns::default();
        self.read(index, &mut columns)?;
        Ok(LatestSample::of(&columns))
    }

    /// A column of the values of label `name`: one id for each series, so that grouping compares numbers. Sources
    /// that keep labels by number answer it without looking at any string.
    fn label_ids(&self, name: &str) -> LabelIds {
        LabelIds::of((0..self.len()).map(|index| self.labels(index).get(name).unwrap_or_default()))
    }

    /// What whoever reads the answer should know of it, each a sentence: that it comes from downsampled data, say.
    fn infos(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The newest of some samples.
#[derive(Clone, Debug, PartialEq)]
pub enum LatestSample {
    Float { ts_ms: i64, value: f64 },
    Histogram(HistogramSample),
}

impl LatestSample {
    /// The newest sample of `columns`.
    pub fn of(columns: &SampleColumns) -> Option<Self> {
        let float = columns.ts_ms.last().zip(columns.values.last());
        let float = float.map(|(&ts_ms, &value)| Self::Float { ts_ms, value });
        match (float, columns.histograms.last()) {
            (Some(float), Some(histogram)) if float.ts_ms() >= histogram.ts_ms => Some(float),
            (_, Some(histogram)) => Some(Self::Histogram(histogram.clone())),
            (float, None) => float,
        }
    }

    /// Its time.
    pub fn ts_ms(&self) -> i64 {
        match self {
            Self::Float { ts_ms, .. } => *ts_ms,
            Self::Histogram(sample) => sample.ts_ms,
        }
    }
}

/// Values of one label of many series, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelIds {
    /// For each series the index of its value in `values`; series without the label have that of `""`.
    pub ids: Vec<u32>,
    /// Each value once.
    pub values: Vec<Box<str>>,
}

impl LabelIds {
    /// Numbers values in the order in which they first occur.
    pub fn of<'v>(labels: impl Iterator<Item = &'v str>) -> Self {
        let mut known = HashMap::new();
        let mut values: Vec<Box<str>> = Vec::new();
        let number = |value: &'v str| {
            *known.entry(value).or_insert_with(|| {
                values.push(value.into());
                (values.len() - 1) as u32
            })
        };
        let ids = labels.map(number).collect();
        Self { ids, values }
    }
}

/// What a search for traces asks. Every given condition must hold **on one span** of the trace.
#[derive(Clone, Debug)]
pub struct TraceQuery {
    pub service: Option<String>,
    pub operation: Option<String>,
    /// Attribute (of span, resource or event) equals text; compared by [`AttributeValue::reads_as`](crate::AttributeValue::reads_as).
    pub attributes: Vec<(String, String)>,
    pub duration_min_ns: Option<u64>,
    pub duration_max_ns: Option<u64>,
    /// Start of the matching span, `[start, end)`.
    pub range_ns: TimeRange,
    /// Most traces to return.
    pub limit: usize,
}

/// Answers questions about spans.
pub trait SpanSource: Send + Sync {
    /// All spans of a trace, ascending by start; none when it is unknown.
    fn trace(&self, id: TraceId) -> Result<Vec<Arc<Span>>, SourceError>;

    /// Ids of matching traces, newest first (by start of the matching span).
    fn search(&self, query: &TraceQuery) -> Result<Vec<TraceId>, SourceError>;

    /// Names of services that made spans, ascending.
    fn services(&self) -> Result<Vec<Arc<str>>, SourceError>;

    /// Operations of a service with their kinds, ascending.
    fn operations(&self, service: &str) -> Result<Vec<(Arc<str>, SpanKind)>, SourceError>;

    /// Visits every trace whose earliest stored span starts in `range_ns`, oldest first, all its spans at once,
    /// until `visit` breaks.
    fn scan(
        &self,
        range_ns: TimeRange,
        visit: &mut dyn FnMut(&[Arc<Span>]) -> ControlFlow<()>,
    ) -> Result<(), SourceError>;
}
