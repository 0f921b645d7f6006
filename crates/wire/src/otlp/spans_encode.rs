//! Spans into protobuf.

use std::sync::Arc;

use model::{AttributeValue, Attributes, Resource, Scope, Span, SpanEvent, SpanLink, StatusCode};

use crate::protobuf::{
    put_blob, put_fixed32, put_fixed64, put_message, put_oneof_blob, put_oneof_fixed64, put_oneof_uint,
    put_uint,
};

/// Bytes of a typical span, to reserve memory once.
const SPAN_BYTES_TYPICAL: usize = 384;

pub(super) fn encode(spans: &[Arc<Span>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(spans.len() * SPAN_BYTES_TYPICAL);
    for of_resource in spans.chunk_by(|left, right| same(&left.resource, &right.resource)) {
        let Some(first) = of_resource.first() else { continue };
        put_message(&mut out, 1, |out| {
            put_message(out, 1, |out| put_resource(out, &first.resource));
            for of_scope in of_resource.chunk_by(|left, right| same(&left.scope, &right.scope)) {
                put_message(out, 2, |out| put_scope_spans(out, of_scope));
            }
        });
    }
    out
}

fn same<T: PartialEq>(left: &Arc<T>, right: &Arc<T>) -> bool {
    Arc::ptr_eq(left, right) || left == right
}

fn put_resource(out: &mut Vec<u8>, resource: &Resource) {
    put_attributes(out, 1, &resource.attributes);
}

fn put_scope_spans(out: &mut Vec<u8>, spans: &[Arc<Span>]) {
    if let Some(first) = spans.first() {
        put_message(out, 1, |out| put_scope(out, &first.scope));
    }
    for span in spans {
        put_message(out, 2, |out| put_span(out, span));
    }
}

fn put_scope(out: &mut Vec<u8>, scope: &Scope) {
    put_blob(out, 1, scope.name.as_bytes());
    put_blob(out, 2, scope.version.as_bytes());
    put_attributes(out, 3, &scope.attributes);
}

fn put_span(out: &mut Vec<u8>, span: &Span) {
    put_blob(out, 1, &span.trace_id.0);
    put_blob(out, 2, &span.span_id.0);
    put_blob(out, 3, span.trace_state.as_bytes());
    if let Some(parent) = span.parent_span_id {
        put_blob(out, 4, &parent.0);
    }
    put_blob(out, 5, span.name.as_bytes());
    put_uint(out, 6, span.kind.to_otlp());
    put_fixed64(out, 7, span.start_ns);
    put_fixed64(out, 8, span.end_ns);
    put_attributes(out, 9, &span.attributes);
    put_uint(out, 10, span.dropped_attributes.into());
    for event in &span.events {
        put_message(out, 11, |out| put_event(out, event));
    }
    put_uint(out, 12, span.dropped_events.into());
    for link in &span.links {
        put_message(out, 13, |out| put_link(out, link));
    }
    put_uint(out, 14, span.dropped_links.into());
    if span.status.code != StatusCode::Unset || !span.status.message.is_empty() {
        put_message(out, 15, |out| {
            put_blob(out, 2, span.status.message.as_bytes());
            put_uint(out, 3, status_number(span.status.code));
        });
    }
    put_fixed32(out, 16, span.flags);
}

fn status_number(code: StatusCode) -> u64 {
    match code {
        StatusCode::Unset => 0,
        StatusCode::Ok => 1,
        StatusCode::Error => 2,
    }
}

/// The time is written even when it is zero, so that a blank event survives.
fn put_event(out: &mut Vec<u8>, event: &SpanEvent) {
    put_oneof_fixed64(out, 1, event.time_ns);
    put_blob(out, 2, event.name.as_bytes());
    put_attributes(out, 3, &event.attributes);
    put_uint(out, 4, event.dropped_attributes.into());
}

fn put_link(out: &mut Vec<u8>, link: &SpanLink) {
    put_blob(out, 1, &link.trace_id.0);
    put_blob(out, 2, &link.span_id.0);
    put_blob(out, 3, link.trace_state.as_bytes());
    put_attributes(out, 4, &link.attributes);
    put_fixed32(out, 6, link.flags);
}

fn put_attributes(out: &mut Vec<u8>, number: u32, attributes: &Attributes) {
    for (key, value) in attributes {
        put_message(out, number, |out| {
            put_blob(out, 1, key.as_bytes());
            put_message(out, 2, |out| put_value(out, value));
        });
    }
}

fn put_value(out: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::Empty => {}
        AttributeValue::String(text) => put_oneof_blob(out, 1, text.as_bytes()),
        AttributeValue::Bool(value) => put_oneof_uint(out, 2, u64::from(*value)),
        AttributeValue::Int(value) => put_oneof_uint(out, 3, value.cast_unsigned()),
        AttributeValue::Double(value) => put_oneof_fixed64(out, 4, value.to_bits()),
        AttributeValue::Array(values) => put_message(out, 5, |out| {
            for value in values {
                put_message(out, 1, |out| put_value(out, value));
            }
        }),
        AttributeValue::Map(pairs) => put_message(out, 6, |out| put_attributes(out, 1, pairs)),
        AttributeValue::Bytes(bytes) => put_oneof_blob(out, 7, bytes),
    }
}
