//! OTLP: traces and metrics in protobuf and JSON, logs as a count.
//!
//! ```text
//! request   := 1 Resource{Spans,Metrics,Logs}*
//! Resource… := 1 resource · 2 Scope…*            Scope… := 1 scope · 2 (span | metric | log record)*
//! ```
//! There is one decoder per signal, and it reads protobuf. OTLP JSON is turned into protobuf first, by the tables of
//! [`schema`], which hold the field numbers and the JSON names side by side; the way back for traces is the same
//! tables read the other way. So both encodings accept and mean the same.
//!
//! Items that cannot be stored (spans without valid ids, points without a time, …) are counted by reason; the rest is kept.

mod delta;
mod json;
mod metrics;
mod naming;
mod options;
mod points;
mod response;
mod schema;
mod series;
mod spans;
mod spans_encode;
mod value;

pub use delta::{DeltaSession, Deltas};
pub use options::{MetricOptions, TranslationStrategy};
pub use response::{response_logs, response_metrics, response_traces};
pub use spans::CLAMPED_END;

use std::sync::Arc;

use model::{Appended, MetricBatch, Span, SpanBatch};

use crate::DecodeError;
use crate::protobuf::Fields;

/// Decodes an `ExportTraceServiceRequest` (the same bytes as `TracesData`). What was refused stands in the
/// [`Appended`]; `accepted` is left to the sink.
///
/// # Errors
/// [`DecodeError::Malformed`].
pub fn decode_traces(body: &[u8]) -> Result<(SpanBatch, Appended), DecodeError> {
    spans::decode("OTLP traces", body)
}

/// Decodes the JSON form of [`decode_traces`].
///
/// # Errors
/// [`DecodeError::Malformed`].
pub fn decode_traces_json(body: &[u8]) -> Result<(SpanBatch, Appended), DecodeError> {
    spans::decode("OTLP traces", &json::to_protobuf("OTLP JSON traces", &schema::TRACES, body)?)
}

/// Encodes spans as an `ExportTraceServiceRequest`. Neighbours that share a resource and scope share their message,
/// so spans should stand together by resource.
pub fn encode_traces(spans: &[Arc<Span>]) -> Vec<u8> {
    spans_encode::encode(spans)
}

/// Encodes spans as OTLP JSON: ids in hex, 64-bit integers as strings, enums as numbers.
pub fn encode_traces_json(spans: &[Arc<Span>]) -> String {
    json::from_protobuf(&schema::TRACES, &encode_traces(spans))
}

/// Decodes an `ExportMetricsServiceRequest` and adds its data points to `batch` as Prometheus series. What was refused
/// stands in the [`Appended`], a data point each; `accepted` is left to the sink. Deltas are added to what `deltas` knows;
/// take them back when the batch is not stored.
///
/// # Errors
/// [`DecodeError::Malformed`]; `batch` then holds what came before, and must be thrown away.
pub fn decode_metrics(
    body: &[u8],
    options: &MetricOptions,
    deltas: &mut DeltaSession<'_>,
    batch: &mut MetricBatch,
) -> Result<Appended, DecodeError> {
    metrics::decode("OTLP metrics", body, options, deltas, batch)
}

/// Decodes the JSON form of [`decode_metrics`].
///
/// # Errors
/// As [`decode_metrics`].
pub fn decode_metrics_json(
    body: &[u8],
    options: &MetricOptions,
    deltas: &mut DeltaSession<'_>,
    batch: &mut MetricBatch,
) -> Result<Appended, DecodeError> {
    let protobuf = json::to_protobuf("OTLP JSON metrics", &schema::METRICS, body)?;
    metrics::decode("OTLP metrics", &protobuf, options, deltas, batch)
}

/// Number of log records in an `ExportLogsServiceRequest`.
///
/// # Errors
/// [`DecodeError::Malformed`].
pub fn count_logs(body: &[u8]) -> Result<u64, DecodeError> {
    // Request, resource logs, scope logs: the records are field 2 of the innermost.
    count_nested(Fields::new("OTLP logs", body), &[1, 2, 2])
}

/// Number of log records in the JSON form of [`count_logs`].
///
/// # Errors
/// [`DecodeError::Malformed`].
pub fn count_logs_json(body: &[u8]) -> Result<u64, DecodeError> {
    count_logs(&json::to_protobuf("OTLP JSON logs", &schema::LOGS, body)?)
}

fn count_nested(mut fields: Fields<'_>, path: &[u32]) -> Result<u64, DecodeError> {
    let Some((number, rest)) = path.split_first() else { return Ok(0) };
    let mut count = 0;
    while let Some(field) = fields.next()? {
        if field.number == *number {
            let inner = field.message()?;
            count += if rest.is_empty() { 1 } else { count_nested(inner, rest)? };
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
