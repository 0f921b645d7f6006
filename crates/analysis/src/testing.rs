//! Traces as text, for tests: one span per line, `id parent start end`, then `service/name`, a kind, `error`, or
//! `key=value`, in any order. Parent `-` is none. Times are nanoseconds.

use std::sync::Arc;

use model::{AttributeValue, Resource, Scope, Span, SpanId, SpanKind, SpanStatus, StatusCode, TraceId};

use crate::Trace;

pub(crate) fn span_id(name: &str) -> SpanId {
    let mut bytes = [0; 8];
    for (byte, c) in bytes.iter_mut().rev().zip(name.bytes().rev()) {
        *byte = c;
    }
    SpanId(bytes)
}

/// The text that [`span_id`] made an id of.
pub(crate) fn id_text(id: SpanId) -> String {
    String::from_utf8_lossy(&id.0).trim_start_matches('\0').to_owned()
}

pub(crate) fn trace_id(number: u8) -> TraceId {
    TraceId([number; 16])
}

pub(crate) fn span(trace: TraceId, line: &str) -> Arc<Span> {
    let mut fields = line.split_whitespace();
    let mut next = || fields.next().expect("id parent start end");
    let (id, parent) = (span_id(next()), next());
    let (start_ns, end_ns) = (next().parse().expect("start"), next().parse().expect("end"));
    let mut span = Span {
        trace_id: trace,
        span_id: id,
        parent_span_id: (parent != "-").then(|| span_id(parent)),
        trace_state: "".into(),
        flags: 0,
        name: "op".into(),
        kind: SpanKind::Unspecified,
        start_ns,
        end_ns,
        status: SpanStatus::default(),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped_attributes: 0,
        dropped_events: 0,
        dropped_links: 0,
        resource: Arc::new(Resource { service: "s".into(), attributes: Vec::new() }),
        scope: Arc::new(Scope::default()),
    };
    fields.for_each(|field| apply(&mut span, field));
    Arc::new(span)
}

fn apply(span: &mut Span, field: &str) {
    match field {
        "internal" => span.kind = SpanKind::Internal,
        "server" => span.kind = SpanKind::Server,
        "client" => span.kind = SpanKind::Client,
        "producer" => span.kind = SpanKind::Producer,
        "consumer" => span.kind = SpanKind::Consumer,
        "error" => span.status.code = StatusCode::Error,
        _ => {
            if let Some((key, value)) = field.split_once('=') {
                let value = value.parse().map_or(AttributeValue::String(value.into()), AttributeValue::Int);
                span.attributes.push((key.into(), value));
            } else if let Some((service, name)) = field.split_once('/') {
                span.resource = Arc::new(Resource { service: service.into(), attributes: Vec::new() });
                span.name = name.replace('_', " ").into();
            } else {
                panic!("unknown field {field:?}");
            }
        }
    }
}

pub(crate) fn spans(lines: &str) -> Vec<Arc<Span>> {
    lines.lines().filter(|line| !line.trim().is_empty()).map(|line| span(trace_id(1), line)).collect()
}

pub(crate) fn trace(lines: &str) -> Trace {
    Trace::assemble(&spans(lines))
}
