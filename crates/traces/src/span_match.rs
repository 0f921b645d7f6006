//! Whether a span is what a search asks for.
//!
//! Attributes are compared as text. They are looked for on the span, its resource and scope, its events and links,
//! and among what Jaeger shows as tags though OpenTelemetry has fields for it:
//! `error`, `span.kind`, `otel.status_code`, `otel.status_description`, `otel.scope.name`, `otel.scope.version`,
//! `w3c.tracestate`, and `event` for the name of an event.

use model::{Attributes, Span, SpanKind, StatusCode, TraceQuery};

use crate::memtable::as_i64;

/// Whether all conditions hold on this span.
pub(crate) fn matches(query: &TraceQuery, span: &Span) -> bool {
    query.range_ns.contains(as_i64(span.start_ns))
        && matches_duration(query, span.duration_ns())
        && query.service.as_ref().is_none_or(|service| **service == **span.service())
        && query.operation.as_ref().is_none_or(|operation| **operation == *span.name)
        && query.attributes.iter().all(|(key, text)| has_attribute(span, key, text))
}

pub(crate) fn matches_duration(query: &TraceQuery, duration_ns: u64) -> bool {
    query.duration_min_ns.is_none_or(|min| min <= duration_ns)
        && query.duration_max_ns.is_none_or(|max| duration_ns <= max)
}

/// Whether the span has an attribute, or a field shown as one, that reads as `text`.
pub(crate) fn has_attribute(span: &Span, key: &str, text: &str) -> bool {
    has(&span.attributes, key, text)
        || has(&span.resource.attributes, key, text)
        || has(&span.scope.attributes, key, text)
        || span
            .events
            .iter()
            .any(|event| has(&event.attributes, key, text) || (key == "event" && is_text(&event.name, text)))
        || span.links.iter().any(|link| has(&link.attributes, key, text))
        || has_kind_or_status(key, text, span.kind, span.status.code)
        || match key {
            "otel.status_description" => is_text(&span.status.message, text),
            "otel.scope.name" => is_text(&span.scope.name, text),
            "otel.scope.version" => is_text(&span.scope.version, text),
            "w3c.tracestate" => is_text(&span.trace_state, text),
            _ => false,
        }
}

pub(crate) fn has(attributes: &Attributes, key: &str, text: &str) -> bool {
    attributes.iter().any(|(candidate, value)| **candidate == *key && value.reads_as(text))
}

/// A field that is empty is absent.
pub(crate) fn is_text(field: &str, text: &str) -> bool {
    !field.is_empty() && field == text
}

/// The tags that stand for the kind and the status.
pub(crate) fn has_kind_or_status(key: &str, text: &str, kind: SpanKind, status: StatusCode) -> bool {
    match key {
        "span.kind" => is_text(kind.as_str(), text),
        "error" => status == StatusCode::Error && text == "true",
        "otel.status_code" => match status {
            StatusCode::Unset => false,
            StatusCode::Ok => text == "OK",
            StatusCode::Error => text == "ERROR",
        },
        _ => false,
    }
}
