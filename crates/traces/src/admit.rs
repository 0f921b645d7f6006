//! Limits on spans: what is refused, and what is cut to size with the loss noted on the span.

use std::mem::size_of;
use std::sync::Arc;

use model::{AttributeValue, Attributes, RejectReason, Span};

use crate::config::TraceStoreConfig;
use crate::page::VALUE_DEPTH_MAX;

/// How far ahead of the clock a span may lie.
const FUTURE_MAX_NS: u64 = 24 * 3600 * 1_000_000_000;

/// A span that passed, with about the bytes it takes in memory.
pub(crate) struct Admitted {
    pub(crate) span: Arc<Span>,
    pub(crate) bytes: usize,
    /// Attributes, events and links cut off.
    pub(crate) cut: u64,
}

/// Why a span was refused, in words, with the value and the limit.
pub(crate) type Refusal = (RejectReason, String);

/// Checks a span against the limits at time `now_ns`.
pub(crate) fn admit(span: &Arc<Span>, config: &TraceStoreConfig, now_ns: u64) -> Result<Admitted, Refusal> {
    check_ids(span)?;
    check_times(span, config, now_ns)?;
    let (span, cut) = cut_to_size(span, config);
    let bytes = span_bytes(&span);
    if bytes > config.span_bytes_max {
        let limit = config.span_bytes_max;
        let text = format!("span {:?} of {bytes} bytes, span_bytes_max is {limit}", shorten(&span.name));
        return Err((RejectReason::TooLarge, text));
    }
    if is_too_deep(&span) {
        let text =
            format!("an attribute of span {:?} is nested deeper than {VALUE_DEPTH_MAX}", shorten(&span.name));
        return Err((RejectReason::TooLarge, text));
    }
    Ok(Admitted { span, bytes, cut })
}

fn check_ids(span: &Span) -> Result<(), Refusal> {
    if span.trace_id.is_zero() {
        return Err((RejectReason::InvalidId, format!("span {:?} has trace id 0", shorten(&span.name))));
    }
    if span.span_id.is_zero() {
        return Err((RejectReason::InvalidId, format!("span {:?} has span id 0", shorten(&span.name))));
    }
    Ok(())
}

fn check_times(span: &Span, config: &TraceStoreConfig, now_ns: u64) -> Result<(), Refusal> {
    let (start, end) = (span.start_ns, span.end_ns);
    let name = || shorten(&span.name);
    if start == 0 {
        return Err((RejectReason::InvalidTime, format!("span {:?} has no start", name())));
    }
    if end < start {
        return Err((
            RejectReason::InvalidTime,
            format!("span {:?} ends at {end} ns before it starts at {start} ns", name()),
        ));
    }
    if end > now_ns.saturating_add(FUTURE_MAX_NS) {
        let text = format!("span {:?} ends at {end} ns, more than a day after now ({now_ns} ns)", name());
        return Err((RejectReason::TooFarInFuture, text));
    }
    let retention_ns = u64::try_from(config.retention.as_nanos()).unwrap_or(u64::MAX);
    if start < now_ns.saturating_sub(retention_ns) {
        let limit = stdx::format_duration(config.retention);
        let text = format!("span {:?} starts at {start} ns, retention is {limit} (now {now_ns} ns)", name());
        return Err((RejectReason::TooOld, text));
    }
    Ok(())
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The span itself when it is within the limits, else a shortened copy that counts what it lost.
fn cut_to_size(span: &Arc<Span>, config: &TraceStoreConfig) -> (Arc<Span>, u64) {
    let attributes_max = config.attributes_max;
    let is_within = span.attributes.len() <= attributes_max
        && span.events.len() <= config.events_max
        && span.links.len() <= config.links_max
        && span.events.iter().all(|event| event.attributes.len() <= attributes_max)
        && span.links.iter().all(|link| link.attributes.len() <= attributes_max);
    if is_within {
        return (Arc::clone(span), 0);
    }
    let mut copy = Span::clone(span);
    let mut cut = 0;
    cut += cut_list(&mut copy.attributes, attributes_max, &mut copy.dropped_attributes);
    cut += cut_list(&mut copy.events, config.events_max, &mut copy.dropped_events);
    cut += cut_list(&mut copy.links, config.links_max, &mut copy.dropped_links);
    for event in &mut copy.events {
        cut += cut_list(&mut event.attributes, attributes_max, &mut event.dropped_attributes);
    }
    // A link has no counter of its own.
    for link in &mut copy.links {
        cut += cut_list(&mut link.attributes, attributes_max, &mut copy.dropped_attributes);
    }
    (Arc::new(copy), cut)
}

fn cut_list<T>(list: &mut Vec<T>, max: usize, dropped: &mut u32) -> u64 {
    let cut = list.len().saturating_sub(max);
    list.truncate(max);
    *dropped = dropped.saturating_add(u32::try_from(cut).unwrap_or(u32::MAX));
    cut as u64
}

/// About the bytes a span takes in memory. Its resource and scope are shared, but counted by a pointer only when
/// small; a giant resource is counted as what it is.
pub(crate) fn span_bytes(span: &Span) -> usize {
    let events = span.events.iter().map(|event| 72 + event.name.len() + attributes_bytes(&event.attributes));
    let links =
        span.links.iter().map(|link| 72 + link.trace_state.len() + attributes_bytes(&link.attributes));
    size_of::<Span>()
        + span.name.len()
        + span.trace_state.len()
        + span.status.message.len()
        + attributes_bytes(&span.attributes)
        + events.sum::<usize>()
        + links.sum::<usize>()
        + shared_bytes(&span.resource.attributes)
        + shared_bytes(&span.scope.attributes)
}

/// Resources and scopes are shared by the spans of a request, so ordinary ones count as a pointer.
fn shared_bytes(attributes: &Attributes) -> usize {
    let bytes = attributes_bytes(attributes);
    if bytes > 64 << 10 { bytes } else { 0 }
}

fn attributes_bytes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(key, value)| key.len() + 32 + value_bytes(value)).sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::String(text) => 16 + text.len(),
        AttributeValue::Bytes(bytes) => 16 + bytes.len(),
        AttributeValue::Array(values) => {
            24 + values.iter().map(|value| 16 + value_bytes(value)).sum::<usize>()
        }
        AttributeValue::Map(pairs) => 24 + attributes_bytes(pairs),
        _ => 16,
    }
}

fn is_too_deep(span: &Span) -> bool {
    let is_deep =
        |attributes: &Attributes| attributes.iter().any(|(_, value)| depth(value) > VALUE_DEPTH_MAX);
    is_deep(&span.attributes)
        || is_deep(&span.resource.attributes)
        || is_deep(&span.scope.attributes)
        || span.events.iter().any(|event| is_deep(&event.attributes))
        || span.links.iter().any(|link| is_deep(&link.attributes))
}

/// Levels of a value; looks one level past the limit at most.
fn depth(value: &AttributeValue) -> usize {
    fn level(value: &AttributeValue, above: usize) -> usize {
        let here = above + 1;
        if here > VALUE_DEPTH_MAX {
            return here;
        }
        match value {
            AttributeValue::Array(values) => {
                values.iter().map(|value| level(value, here)).max().unwrap_or(here)
            }
            AttributeValue::Map(pairs) => {
                pairs.iter().map(|(_, value)| level(value, here)).max().unwrap_or(here)
            }
            _ => here,
        }
    }
    level(value, 0)
}
