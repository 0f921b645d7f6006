//! Calls between services, read off a whole trace.
//!
//! ```text
//!  user ─▶ gateway ─▶ order ─▶ payment ─▶ card-processor     a root SERVER was called by "user";
//!                                                             a CLIENT that nobody answered called something outside
//! ```
//! A call is seen where a span and its parent differ in service (or a CLIENT calls a SERVER of its own service), so
//! INTERNAL spans between and unset kinds hide nothing.

use std::sync::Arc;

use model::{AttributeValue, Span, SpanKind, attribute};

use crate::Trace;

/// Name of the caller of a trace's first server.
pub(crate) const USER: &str = "user";

/// How two services talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    Direct,
    Messaging,
    /// To a database that sends no spans.
    Database,
    /// To something else that sends no spans, or from the user.
    Virtual,
}

impl CallKind {
    /// The metric label `connection_type`, as Tempo writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "",
            Self::Messaging => "messaging_system",
            Self::Database => "database",
            Self::Virtual => "virtual_node",
        }
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub client: Arc<str>,
    pub server: Arc<str>,
    pub kind: CallKind,
    pub failed: bool,
    /// Duration as the caller saw it; none if it has no span of its own for it.
    pub client_ns: Option<u64>,
    /// Duration as the called side saw it; none outside of our sight.
    pub server_ns: Option<u64>,
    /// The span that decides: the server's, else the client's.
    pub span: usize,
}

/// Calls in a trace, in the order of its spans.
pub fn calls(trace: &Trace) -> Vec<Call> {
    (0..trace.spans().len()).filter_map(|index| call_at(trace, index)).collect()
}

fn call_at(trace: &Trace, index: usize) -> Option<Call> {
    let span = trace.span(index);
    match trace.parent(index) {
        Some(parent) if trace.is_remote(parent, index) => Some(answered(trace, parent, index)),
        None if span.parent_span_id.is_none() && span.kind == SpanKind::Server => Some(Call {
            client: USER.into(),
            server: span.service().clone(),
            kind: CallKind::Virtual,
            failed: span.is_error(),
            client_ns: None,
            server_ns: Some(span.duration_ns()),
            span: index,
        }),
        _ => outside(trace, index),
    }
    .or_else(|| outside(trace, index))
}

fn answered(trace: &Trace, parent: usize, index: usize) -> Call {
    let (client, server) = (trace.span(parent), trace.span(index));
    let has_client_span = matches!(client.kind, SpanKind::Client | SpanKind::Producer);
    let kind = if trace.is_message(parent, index) { CallKind::Messaging } else { CallKind::Direct };
    Call {
        client: client.service().clone(),
        server: server.service().clone(),
        kind,
        failed: server.is_error() || (has_client_span && client.is_error()),
        client_ns: has_client_span.then(|| client.duration_ns()),
        server_ns: Some(server.duration_ns()),
        span: index,
    }
}

/// A call that no span of ours answers.
fn outside(trace: &Trace, index: usize) -> Option<Call> {
    let span = trace.span(index);
    let (server, kind) = outside_peer(trace, index)?;
    Some(Call {
        client: span.service().clone(),
        server,
        kind,
        failed: span.is_error(),
        client_ns: Some(span.duration_ns()),
        server_ns: None,
        span: index,
    })
}

/// Whom a CLIENT or PRODUCER span called, when no child runs elsewhere.
pub(crate) fn outside_peer(trace: &Trace, index: usize) -> Option<(Arc<str>, CallKind)> {
    let span = trace.span(index);
    let calls_out = matches!(span.kind, SpanKind::Client | SpanKind::Producer);
    let answered = trace.children(index).iter().any(|child| trace.is_remote(index, *child));
    if calls_out && !answered { peer_name(span) } else { None }
}

fn peer_name(span: &Span) -> Option<(Arc<str>, CallKind)> {
    let text = |keys: &[&str]| {
        let values = keys.iter().filter_map(|key| attribute(&span.attributes, key));
        values.filter_map(AttributeValue::as_str).find(|value| !value.is_empty()).map(Arc::<str>::from)
    };
    let database = text(&["db.system.name", "db.system"]);
    let messaging = text(&["messaging.system"]);
    let address = text(&["server.address", "net.peer.name", "http.host", "network.peer.address"]);
    let kind = match (&database, &messaging) {
        (Some(_), _) => CallKind::Database,
        (None, Some(_)) => CallKind::Messaging,
        (None, None) => CallKind::Virtual,
    };
    let name = text(&["peer.service"]).or(database).or(messaging).or(address)?;
    Some((name, kind))
}

#[cfg(test)]
mod tests;
