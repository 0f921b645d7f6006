//! Jaeger's JSON of a trace, as its query API and its UI have it.
//!
//! Times are microseconds. What OpenTelemetry has and Jaeger's model has not becomes tags: `span.kind`, the status as
//! `otel.status_code`, `otel.status_description` and `error`, the scope as `otel.scope.name` and `otel.scope.version`,
//! the trace state as `w3c.tracestate`. Events become logs (their name is the field `event`), links become references.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{AttributeValue, Resource, Span, SpanEvent, SpanLink, StatusCode, attribute};
use serde_json::{Value, json};

use crate::otlp::CLAMPED_END;

/// Largest integer that a JavaScript number holds exactly; larger ones are written as strings.
const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

/// One element of `data`: `{traceID, spans, processes, warnings}`. `spans` are those of one trace.
pub fn trace_json(spans: &[Arc<Span>]) -> Value {
    let mut processes = Processes::default();
    let span_values: Vec<_> =
        spans.iter().map(|span| span_json(span, &processes.id(&span.resource))).collect();
    let trace_id = spans.first().map(|span| span.trace_id.to_string()).unwrap_or_default();
    json!({
        "traceID": trace_id,
        "spans": span_values,
        "processes": processes.into_json(),
        "warnings": null,
    })
}

/// The resources of a trace, numbered `p1`, `p2`, … in the order they are met.
#[derive(Default)]
struct Processes<'a> {
    resources: Vec<&'a Arc<Resource>>,
}

impl<'a> Processes<'a> {
    fn id(&mut self, resource: &'a Arc<Resource>) -> String {
        let same = |known: &&Arc<Resource>| Arc::ptr_eq(known, resource) || *known == resource;
        let position = self.resources.iter().position(same).unwrap_or_else(|| {
            self.resources.push(resource);
            self.resources.len() - 1
        });
        format!("p{}", position + 1)
    }

    fn into_json(self) -> Value {
        let processes = self.resources.iter().enumerate();
        let processes =
            processes.map(|(index, resource)| (format!("p{}", index + 1), process_json(resource)));
        Value::Object(processes.collect())
    }
}

fn process_json(resource: &Resource) -> Value {
    let attributes = resource.attributes.iter().filter(|(key, _)| &**key != "service.name");
    let tags: Vec<_> = attributes.map(|(key, value)| tag(key, value)).collect();
    json!({ "serviceName": resource.service, "tags": tags })
}

fn span_json(span: &Span, process_id: &str) -> Value {
    json!({
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "operationName": span.name,
        "references": references(span),
        "startTime": span.start_ns / 1_000,
        "duration": span.duration_ns() / 1_000,
        "tags": span_tags(span),
        "logs": span.events.iter().map(log_json).collect::<Vec<_>>(),
        "processID": process_id,
        "warnings": warnings(span),
    })
}

/// The parent first, then the links. A link may say that it is a parent too, as OpenTracing shims do.
fn references(span: &Span) -> Vec<Value> {
    let reference =
        |kind, trace_id, span_id| json!({"refType": kind, "traceID": trace_id, "spanID": span_id});
    let parent = span.parent_span_id.map(|parent| reference("CHILD_OF", span.trace_id, parent));
    let links = span.links.iter().map(|link| reference(link_kind(link), link.trace_id, link.span_id));
    parent.into_iter().chain(links).collect()
}

fn link_kind(link: &SpanLink) -> &'static str {
    match attribute(&link.attributes, "opentracing.ref_type").and_then(AttributeValue::as_str) {
        Some("child_of") => "CHILD_OF",
        _ => "FOLLOWS_FROM",
    }
}

fn span_tags(span: &Span) -> Vec<Value> {
    let text = |key: &str, value: &str| json!({"key": key, "type": "string", "value": value});
    let mut tags = Vec::with_capacity(span.attributes.len() + 4);
    let push_text = |tags: &mut Vec<Value>, key, value: &str| {
        if !value.is_empty() {
            tags.push(text(key, value));
        }
    };
    push_text(&mut tags, "otel.scope.name", &span.scope.name);
    push_text(&mut tags, "otel.scope.version", &span.scope.version);
    tags.extend(span.attributes.iter().map(|(key, value)| tag(key, value)));
    push_text(&mut tags, "span.kind", span.kind.as_str());
    match span.status.code {
        StatusCode::Unset => {}
        StatusCode::Ok => push_text(&mut tags, "otel.status_code", "OK"),
        StatusCode::Error => {
            push_text(&mut tags, "otel.status_code", "ERROR");
            tags.push(json!({"key": "error", "type": "bool", "value": true}));
        }
    }
    push_text(&mut tags, "otel.status_description", &span.status.message);
    push_text(&mut tags, "w3c.tracestate", &span.trace_state);
    tags
}

fn log_json(event: &SpanEvent) -> Value {
    let name =
        (!event.name.is_empty()).then(|| json!({"key": "event", "type": "string", "value": event.name}));
    let attributes = event.attributes.iter().map(|(key, value)| tag(key, value));
    let fields: Vec<_> = name.into_iter().chain(attributes).collect();
    json!({ "timestamp": event.time_ns / 1_000, "fields": fields })
}

/// `null` when there is nothing to warn of, as Jaeger writes it.
fn warnings(span: &Span) -> Value {
    match span.attribute(CLAMPED_END) {
        Some(claimed) => json!([format!(
            "the span ended at {claimed} ns, before its start at {} ns: its duration is shown as 0",
            span.start_ns
        )]),
        None => Value::Null,
    }
}

/// Arrays and maps become JSON-like text, as Jaeger's model has no place for them.
fn tag(key: &str, value: &AttributeValue) -> Value {
    let (kind, value) = match value {
        AttributeValue::String(text) => ("string", json!(text)),
        AttributeValue::Bool(value) => ("bool", json!(value)),
        AttributeValue::Int(value) if value.unsigned_abs() <= SAFE_INTEGER_MAX => ("int64", json!(value)),
        AttributeValue::Int(value) => ("int64", json!(value.to_string())),
        AttributeValue::Double(value) if value.is_finite() => ("float64", json!(value)),
        AttributeValue::Double(value) => ("string", json!(value.to_string())),
        AttributeValue::Bytes(bytes) => ("binary", json!(STANDARD.encode(bytes))),
        AttributeValue::Empty | AttributeValue::Array(_) | AttributeValue::Map(_) => {
            ("string", json!(value.to_string()))
        }
    };
    json!({ "key": key, "type": kind, "value": value })
}

#[cfg(test)]
mod tests;
