//! OTLP protobuf, as much of it as spans need, written by hand.
//!
//! ```text
//! request        := resource_spans(1)
//! resource_spans := resource(1) scope_spans(2)
//! scope_spans    := scope(1) span(2)* schema_url(3)
//! span           := trace_id(1) span_id(2) trace_state(3) parent(4) name(5) kind(6) start(7) end(8)
//!                   attribute(9)* dropped(10) event(11)* dropped(12) status(15) flags(16)
//! ```
//! Field numbers are those of opentelemetry-proto 1.x. Default values are left out as protobuf does,
//! except inside `AnyValue`, where presence is the type.

use crate::span::{Attributes, Event, Kind, SpanData};
use crate::tracer::TraceConfig;
use crate::value::Value;

const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// The `Resource` message, encoded once.
pub(crate) fn encode_resource(config: &TraceConfig) -> Vec<u8> {
    let pid = std::process::id().to_string();
    let own = [
        ("service.name", config.service_name.as_str()),
        ("service.instance.id", &config.instance_id),
        ("telemetry.sdk.name", "eino"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let more = config.resource.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let mut out = Vec::new();
    for (key, value) in own.into_iter().chain(more) {
        message(&mut out, 1, |out| key_value(out, key, &Value::from(value)));
    }
    let pid: Value = pid.parse::<i64>().unwrap_or_default().into();
    message(&mut out, 1, |out| key_value(out, "process.pid", &pid));
    out
}

/// One request body with all `spans`, which are encoded already.
pub(crate) fn encode_request(resource: &[u8], spans: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(resource.len() + spans.len() + 128);
    message(&mut out, 1, |out| {
        bytes(out, 1, resource);
        message(out, 2, |out| {
            message(out, 1, |out| {
                bytes(out, 1, b"eino");
                bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            out.extend_from_slice(spans);
            bytes(out, 3, SCHEMA_URL.as_bytes());
        });
    });
    out
}

/// Appends one `spans` entry of `ScopeSpans`.
pub(crate) fn encode_span(out: &mut Vec<u8>, span: &SpanData) {
    message(out, 2, |out| {
        bytes(out, 1, span.trace_id.as_bytes());
        bytes(out, 2, span.span_id.as_bytes());
        if let Some(state) = &span.tracestate {
            bytes(out, 3, state.as_bytes());
        }
        if let Some(parent) = span.parent_id {
            bytes(out, 4, parent.as_bytes());
        }
        bytes(out, 5, span.name.as_bytes());
        uint(out, 6, kind_number(span.kind));
        fixed64(out, 7, span.start_ns);
        fixed64(out, 8, span.end_ns);
        attributes(out, 9, 10, &span.attributes);
        span.events.iter().for_each(|event| message(out, 11, |out| encode_event(out, event)));
        uint(out, 12, span.events_dropped.into());
        if let Some(error) = &span.error {
            message(out, 15, |out| {
                bytes(out, 2, error.as_bytes());
                uint(out, 3, 2);
            });
        }
        fixed32(out, 16, flags(span));
    });
}

/// Spans that the collector refused although it answered 2xx, from an `ExportTraceServiceResponse`.
pub(crate) fn rejected_spans(mut response: &[u8]) -> u64 {
    while let Some((field, payload)) = next_field(&mut response) {
        let (1, Payload::Bytes(mut partial)) = (field, payload) else { continue };
        while let Some((field, payload)) = next_field(&mut partial) {
            if let (1, Payload::Number(rejected)) = (field, payload) {
                return rejected;
            }
        }
    }
    0
}

fn encode_event(out: &mut Vec<u8>, event: &Event) {
    fixed64(out, 1, event.time_ns);
    bytes(out, 2, event.name.as_bytes());
    attributes(out, 3, 4, &event.attributes);
}

fn kind_number(kind: Kind) -> u64 {
    match kind {
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    }
}

/// W3C flags in the low byte (only sampled spans get here), then whether the parent is known to be remote.
fn flags(span: &SpanData) -> u32 {
    const SAMPLED: u32 = 1;
    const HAS_IS_REMOTE: u32 = 0x100;
    const IS_REMOTE: u32 = 0x200;
    SAMPLED | HAS_IS_REMOTE | if span.parent_is_remote { IS_REMOTE } else { 0 }
}

fn attributes(out: &mut Vec<u8>, field: u32, dropped_field: u32, attributes: &Attributes) {
    for (key, value) in &attributes.list {
        message(out, field, |out| key_value(out, key, value));
    }
    uint(out, dropped_field, attributes.dropped.into());
}

fn key_value(out: &mut Vec<u8>, key: &str, value: &Value) {
    bytes(out, 1, key.as_bytes());
    message(out, 2, |out| match value {
        Value::Str(text) => {
            tag(out, 1, 2);
            varint(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bool(yes) => {
            tag(out, 2, 0);
            varint(out, u64::from(*yes));
        }
        Value::Int(number) => {
            tag(out, 3, 0);
            varint(out, number.cast_unsigned());
        }
        Value::Float(number) => {
            tag(out, 4, 1);
            out.extend_from_slice(&number.to_le_bytes());
        }
    });
}

/// A nested message: written first, then its length is moved in before it.
fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, 2);
    let start = out.len();
    write(out);
    let mut length = Vec::with_capacity(5);
    varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
}

fn bytes(out: &mut Vec<u8>, field: u32, payload: &[u8]) {
    if !payload.is_empty() {
        tag(out, field, 2);
        varint(out, payload.len() as u64);
        out.extend_from_slice(payload);
    }
}

fn uint(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        tag(out, field, 0);
        varint(out, value);
    }
}

fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    tag(out, field, 5);
    out.extend_from_slice(&value.to_le_bytes());
}

fn tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    varint(out, u64::from((field << 3) | wire_type));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// What follows a tag.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The next field of a message; `None` at its end and at bytes that are not protobuf.
pub(crate) fn next_field<'a>(input: &mut &'a [u8]) -> Option<(u32, Payload<'a>)> {
    let tag = u32::try_from(read_varint(input)?).ok()?;
    let payload = match tag & 7 {
        0 => Payload::Number(read_varint(input)?),
        1 => Payload::Number(u64::from_le_bytes(take(input, 8)?.try_into().ok()?)),
        2 => {
            let length = usize::try_from(read_varint(input)?).ok()?;
            Payload::Bytes(take(input, length)?)
        }
        5 => Payload::Number(u32::from_le_bytes(take(input, 4)?.try_into().ok()?).into()),
        _ => return None,
    };
    Some((tag >> 3, payload))
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = input.split_at_checked(length)?;
    *input = tail;
    Some(head)
}

fn read_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(input, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
