//! What flows through Eino: label sets, samples and spans, and the two seams they pass.
//!
//! ```text
//!  receivers ──▶ MetricBatch / SpanBatch ──▶ Sink (a store, a queue, a remote)
//!                                              │
//!  engines   ◀── SeriesSet / spans       ◀── Source (the same store, or a remote)
//! ```
//! - Times of samples are milliseconds since the Unix epoch (`i64`, `…_ms`), times of spans nanoseconds
//!   (`u64`, `…_ns`), as their wire protocols have them.
//! - Intervals are half-open `[start, end)`: see [`TimeRange`]. PromQL's left-open ranges become half-open
//!   ones in [`TimeRange::left_open_ms`] and nowhere else.
//! - A label set is one allocation of canonical bytes, so that equality, hashing and cloning are cheap.

mod go_regex;
mod histogram;
mod kahan;
mod labels;
mod matcher;
mod metric_batch;
mod seams;
mod span;
mod time_range;

pub use go_regex::translate_go_regex;
pub use histogram::{
    BUCKETS_MAX, Bucket, BucketSpan, Buckets, CUSTOM_BOUNDS_SCHEMA, EXPONENTIAL_SCHEMA_MAX,
    EXPONENTIAL_SCHEMA_MIN, Histogram, HistogramError, HistogramSum, IncompatibleSchemas, Reconciled,
    ResetHint, Trim, exponential_bound,
};
pub use kahan::KahanSum;
pub use labels::{
    LabelError, LabelSet, LabelSetBuilder, LabelSetRef, Labels, METRIC_NAME, encode_labels,
    is_valid_label_name,
};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use metric_batch::{
    Exemplar, HistogramSample, MetricBatch, MetricKind, MetricMetadata, STALE_NAN_BITS, SampleColumns,
    SeriesRef, is_stale_nan, stale_nan,
};
pub use seams::{
    Aggregate, Appended, LabelIds, LatestSample, MetricSink, MetricSource, RejectReason, Rejection,
    SeriesSet, SinkError, SourceError, SpanSink, SpanSource, TraceQuery,
};
pub use span::{
    AttributeValue, Attributes, IdError, Resource, Scope, Span, SpanBatch, SpanEvent, SpanId, SpanKind,
    SpanLink, SpanStatus, StatusCode, TraceId, attribute,
};
pub use time_range::TimeRange;
