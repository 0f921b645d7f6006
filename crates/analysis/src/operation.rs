//! The name under which a span's time is added up.
//!
//! It is the span's name, but HTTP clients that know no route call their spans just `POST`: then the other side is
//! part of the name, or calls to different services would be one operation.

use std::sync::Arc;

use model::{AttributeValue, Span, SpanKind, attribute};

const METHODS: &[&str] =
    &["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "HTTP"];

/// The span's name; `POST card-processor` for a CLIENT span called `POST`.
pub(crate) fn operation(span: &Span) -> Arc<str> {
    let bare = span.name.strip_prefix("HTTP ").unwrap_or(&span.name);
    if span.kind != SpanKind::Client || !METHODS.contains(&bare) {
        return span.name.clone();
    }
    let peer = ["peer.service", "server.address", "net.peer.name"].iter().find_map(|key| {
        attribute(&span.attributes, key).and_then(AttributeValue::as_str).filter(|peer| !peer.is_empty())
    });
    peer.map_or_else(|| span.name.clone(), |peer| format!("{} {peer}", span.name).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{span, trace_id};

    #[test]
    fn a_bare_method_gets_its_peer() {
        let name = |line: &str| operation(&span(trace_id(1), &format!("A - 0 1 {line}"))).to_string();
        assert_eq!(name("client a/POST peer.service=card server.address=h"), "POST card");
        assert_eq!(name("client a/GET server.address=h"), "GET h");
        assert_eq!(name("client a/HTTP_GET net.peer.name=h"), "HTTP GET h");
        assert_eq!(name("client a/GET"), "GET");
        assert_eq!(name("client a/GET_/x server.address=h"), "GET /x");
        assert_eq!(name("server a/GET server.address=h"), "GET");
    }
}
