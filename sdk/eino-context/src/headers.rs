//! The context in HTTP headers.
//!
//! ```text
//! traceparent := "00-" trace-id "-" span-id "-" flags          (W3C Trace Context level 2; lower-case hex)
//! tracestate  := passed on unchanged when it came with a valid traceparent
//! X-Trace-ID, X-Span-ID, X-Parent-ID                            (a UUID is accepted as trace id)
//! X-Eino-Timeout-Ms := time the caller still waits, never a moment in time: clocks differ
//! x-md-global-NAME := metadata
//! ```

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Ctx, Metadata, SpanId, TraceId};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const X_SPAN_ID: HeaderName = HeaderName::from_static("x-span-id");
const X_PARENT_ID: HeaderName = HeaderName::from_static("x-parent-id");
const TIMEOUT_MS: HeaderName = HeaderName::from_static("x-eino-timeout-ms");
const METADATA_PREFIX: &str = "x-md-global-";

/// Longest `tracestate` that is passed on; W3C asks for at least 512.
const TRACESTATE_BYTES_MAX: usize = 2048;
/// Longest timeout that is believed.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a caller sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub trace_id: TraceId,
    /// The caller's span; absent when only `X-Trace-ID` came.
    pub span_id: Option<SpanId>,
    /// The caller's decision; absent when it came by `X-Trace-ID`, which carries none.
    pub sampled: Option<bool>,
    pub tracestate: Option<String>,
    pub timeout: Option<Duration>,
    pub metadata: Metadata,
}

/// Reads the caller's context. A valid `traceparent` wins over `X-Trace-ID`; without either there is none.
pub fn extract(headers: &HeaderMap) -> Option<Remote> {
    let mut remote = from_traceparent(headers).or_else(|| from_x_headers(headers))?;
    remote.timeout = text(headers, &TIMEOUT_MS)
        .and_then(|text| text.trim().parse().ok())
        .map(|ms| Duration::from_millis(ms).min(TIMEOUT_MAX));
    remote.metadata = read_metadata(headers);
    Some(remote)
}

/// Writes `ctx` as the context of an outgoing call, replacing what was there.
pub fn inject(ctx: &Ctx, headers: &mut HeaderMap) {
    let flags = u8::from(ctx.is_sampled());
    set(headers, TRACEPARENT, &format!("00-{}-{}-{flags:02x}", ctx.trace_id(), ctx.span_id()));
    match ctx.tracestate() {
        Some(state) => set(headers, TRACESTATE, state),
        None => drop(headers.remove(TRACESTATE)),
    }
    set(headers, X_TRACE_ID, &ctx.trace_id().to_string());
    set(headers, X_SPAN_ID, &ctx.span_id().to_string());
    match ctx.parent_id() {
        Some(parent) => set(headers, X_PARENT_ID, &parent.to_string()),
        None => drop(headers.remove(X_PARENT_ID)),
    }
    if let Some(left) = ctx.remaining() {
        set(headers, TIMEOUT_MS, &left.as_millis().to_string());
    }
    for (name, value) in ctx.metadata_entries() {
        if let Ok(name) = HeaderName::try_from(format!("{METADATA_PREFIX}{name}")) {
            set(headers, name, value);
        }
    }
}

fn from_traceparent(headers: &HeaderMap) -> Option<Remote> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None; // W3C: more than one is invalid.
    }
    let (trace_id, span_id, sampled) = parse_traceparent(value.trim())?;
    Some(Remote { tracestate: tracestate(headers), ..Remote::of(trace_id, Some(span_id), Some(sampled)) })
}

impl Remote {
    fn of(trace_id: TraceId, span_id: Option<SpanId>, sampled: Option<bool>) -> Self {
        let metadata = Metadata::default();
        Self { trace_id, span_id, sampled, tracestate: None, timeout: None, metadata }
    }
}

/// A later version may append fields; version `ff` is invalid, and `00` ends after the flags.
fn parse_traceparent(value: &str) -> Option<(TraceId, SpanId, bool)> {
    let mut parts = value.splitn(5, '-');
    let version = hex_byte(parts.next()?)?;
    let trace_id = TraceId::parse_strict(parts.next()?)?;
    let span_id = SpanId::parse_strict(parts.next()?)?;
    let flags = hex_byte(parts.next()?)?;
    let has_more = parts.next().is_some();
    let valid = version != 0xff && !(version == 0 && has_more);
    valid.then_some((trace_id, span_id, flags & 1 == 1))
}

fn hex_byte(text: &str) -> Option<u8> {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 2 || !text.bytes().all(lower_hex) {
        return None;
    }
    u8::from_str_radix(text, 16).ok()
}

/// Several `tracestate` headers are one list. A list that is too long is left out as a whole.
fn tracestate(headers: &HeaderMap) -> Option<String> {
    let parts: Vec<&str> =
        headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok()).collect::<Option<_>>()?;
    let joined = parts.join(",");
    (!joined.is_empty() && joined.len() <= TRACESTATE_BYTES_MAX).then_some(joined)
}

fn from_x_headers(headers: &HeaderMap) -> Option<Remote> {
    let trace_id = TraceId::parse_lenient(text(headers, &X_TRACE_ID)?.trim())?;
    let span_id = text(headers, &X_SPAN_ID).and_then(|text| SpanId::parse_lenient(text.trim()));
    Some(Remote::of(trace_id, span_id, None))
}

fn read_metadata(headers: &HeaderMap) -> Metadata {
    let mut metadata = Metadata::default();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(METADATA_PREFIX) else { continue };
        let Ok(value) = value.to_str() else { continue };
        if metadata.insert(name, value).is_err() {
            continue; // Over the limit: the request goes on without this entry.
        }
    }
    metadata
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
