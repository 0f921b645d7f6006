//! Spans out of protobuf.
//!
//! Resources, scopes and strings are shared within a request, by their bytes. A span is refused when an id of its own
//! is missing, zero or of the wrong length, or when it starts after the year 2262 (times are kept as `i64` too).
//! A span that ends before it starts is kept with `end = start`, and the end it claimed becomes the attribute
//! [`CLAMPED_END`]: clocks step back, and a span that vanished would hide more than one without a duration.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{
    Appended, AttributeValue, Attributes, RejectReason, Resource, Scope, Span, SpanBatch, SpanEvent, SpanId,
    SpanKind, SpanLink, SpanStatus, StatusCode, TraceId,
};

use super::value::Strings;
use crate::DecodeError;
use crate::protobuf::{Field, Fields};

/// Attribute (integer, Unix nanoseconds) that holds the end a span claimed when that was before its start.
pub const CLAMPED_END: &str = "eino.clamped_end_ns";

pub(super) fn decode(format: &'static str, body: &[u8]) -> Result<(SpanBatch, Appended), DecodeError> {
    let mut reader = Reader {
        strings: Strings::new(body.len()),
        resources: HashMap::default(),
        scopes: HashMap::default(),
        attributes: Attributes::new(),
        spans: Vec::new(),
        rejected: Appended::default(),
    };
    let mut fields = Fields::new(format, body);
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            reader.resource_spans(&field)?;
        }
    }
    Ok((SpanBatch { spans: reader.spans }, reader.rejected))
}

struct Reader<'a> {
    strings: Strings<'a>,
    resources: HashMap<&'a [u8], Arc<Resource>, RandomState>,
    scopes: HashMap<&'a [u8], Arc<Scope>, RandomState>,
    /// Attributes of the span being read, so that the span's own list is allocated once, in its size.
    attributes: Attributes,
    spans: Vec<Arc<Span>>,
    rejected: Appended,
}

impl<'a> Reader<'a> {
    /// Two walks: senders put the resource first, but the format lets it stand last.
    fn resource_spans(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        let resource = last_field(field, 1)?;
        let resource = self.resource(resource)?;
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            if field.number == 2 {
                self.scope_spans(&field, &resource)?;
            }
        }
        Ok(())
    }

    fn scope_spans(&mut self, field: &Field<'a>, resource: &Arc<Resource>) -> Result<(), DecodeError> {
        let scope = last_field(field, 1)?;
        let scope = self.scope(scope)?;
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            if field.number == 2 {
                match self.span(&field, resource, &scope)? {
                    Ok(span) => self.spans.push(Arc::new(span)),
                    Err((reason, why)) => self.rejected.reject(reason, 1, || why),
                }
            }
        }
        Ok(())
    }

    fn resource(&mut self, field: Option<Field<'a>>) -> Result<Arc<Resource>, DecodeError> {
        let bytes = field.map_or(Ok(&[][..]), |field| field.bytes())?;
        if let Some(resource) = self.resources.get(bytes) {
            return Ok(Arc::clone(resource));
        }
        let mut attributes = Attributes::new();
        if let Some(field) = field {
            let mut fields = field.message()?;
            while let Some(field) = fields.next()? {
                if field.number == 1 {
                    self.strings.push_attribute(&field, &mut attributes)?;
                }
            }
        }
        let resource = Arc::new(Resource::new(attributes));
        self.resources.insert(bytes, Arc::clone(&resource));
        Ok(resource)
    }

    fn scope(&mut self, field: Option<Field<'a>>) -> Result<Arc<Scope>, DecodeError> {
        let bytes = field.map_or(Ok(&[][..]), |field| field.bytes())?;
        if let Some(scope) = self.scopes.get(bytes) {
            return Ok(Arc::clone(scope));
        }
        let mut scope = Scope::default();
        if let Some(field) = field {
            let mut fields = field.message()?;
            while let Some(field) = fields.next()? {
                match field.number {
                    1 => scope.name = self.strings.text(&field)?,
                    2 => scope.version = self.strings.text(&field)?,
                    3 => drop(self.strings.push_attribute(&field, &mut scope.attributes)?),
                    _ => {}
                }
            }
        }
        let scope = Arc::new(scope);
        self.scopes.insert(bytes, Arc::clone(&scope));
        Ok(scope)
    }

    /// The inner error is why the span is refused.
    fn span(
        &mut self,
        field: &Field<'a>,
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
    ) -> Result<Result<Span, (RejectReason, String)>, DecodeError> {
        let (mut trace_id, mut span_id, mut parent_id) = (&[][..], &[][..], &[][..]);
        self.attributes.clear();
        let mut span = self.blank(resource, scope);
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => trace_id = field.bytes()?,
                2 => span_id = field.bytes()?,
                3 => span.trace_state = self.strings.text(&field)?,
                4 => parent_id = field.bytes()?,
                5 => span.name = self.strings.text(&field)?,
                6 => span.kind = SpanKind::from_otlp(field.varint()?),
                7 => span.start_ns = field.fixed64()?,
                8 => span.end_ns = field.fixed64()?,
                9 => {
                    let kept = self.strings.push_attribute(&field, &mut self.attributes)?;
                    span.dropped_attributes = span.dropped_attributes.saturating_add(u32::from(!kept));
                }
                10 => span.dropped_attributes = span.dropped_attributes.saturating_add(field.uint32()?),
                11 => self.push_event(&field, &mut span)?,
                12 => span.dropped_events = span.dropped_events.saturating_add(field.uint32()?),
                13 => self.push_link(&field, &mut span)?,
                14 => span.dropped_links = span.dropped_links.saturating_add(field.uint32()?),
                15 => span.status = self.status(field.message()?)?,
                16 => span.flags = field.fixed32()?,
                _ => {}
            }
        }
        span.attributes = self.attributes.drain(..).collect();
        if let Err(why) = set_ids(&mut span, trace_id, span_id, parent_id) {
            return Ok(Err((RejectReason::InvalidId, why)));
        }
        Ok(check_times(&mut span).map(|()| span).map_err(|why| (RejectReason::InvalidTime, why)))
    }

    fn blank(&self, resource: &Arc<Resource>, scope: &Arc<Scope>) -> Span {
        let empty = self.strings.empty();
        Span {
            trace_id: TraceId([0; 16]),
            span_id: SpanId([0; 8]),
            parent_span_id: None,
            trace_state: Arc::clone(&empty),
            flags: 0,
            name: Arc::clone(&empty),
            kind: SpanKind::Unspecified,
            start_ns: 0,
            end_ns: 0,
            status: SpanStatus { code: StatusCode::Unset, message: empty },
            attributes: Attributes::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped_attributes: 0,
            dropped_events: 0,
            dropped_links: 0,
            resource: Arc::clone(resource),
            scope: Arc::clone(scope),
        }
    }

    /// An event that says nothing at all is counted as dropped.
    fn push_event(&mut self, field: &Field<'a>, span: &mut Span) -> Result<(), DecodeError> {
        let mut fields = field.message()?;
        let mut event = SpanEvent {
            time_ns: 0,
            name: self.strings.empty(),
            attributes: Attributes::new(),
            dropped_attributes: 0,
        };
        let mut is_blank = true;
        while let Some(field) = fields.next()? {
            is_blank = false;
            match field.number {
                1 => event.time_ns = field.fixed64()?,
                2 => event.name = self.strings.text(&field)?,
                3 => {
                    let kept = self.strings.push_attribute(&field, &mut event.attributes)?;
                    event.dropped_attributes = event.dropped_attributes.saturating_add(u32::from(!kept));
                }
                4 => event.dropped_attributes = event.dropped_attributes.saturating_add(field.uint32()?),
                _ => {}
            }
        }
        if is_blank {
            span.dropped_events = span.dropped_events.saturating_add(1);
        } else {
            span.events.push(event);
        }
        Ok(())
    }

    /// A link to nowhere is counted as dropped.
    fn push_link(&mut self, field: &Field<'a>, span: &mut Span) -> Result<(), DecodeError> {
        let (mut trace_id, mut span_id) = (&[][..], &[][..]);
        let (mut trace_state, mut attributes, mut flags) = (self.strings.empty(), Attributes::new(), 0);
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => trace_id = field.bytes()?,
                2 => span_id = field.bytes()?,
                3 => trace_state = self.strings.text(&field)?,
                4 => drop(self.strings.push_attribute(&field, &mut attributes)?),
                6 => flags = field.fixed32()?,
                _ => {}
            }
        }
        match (id(trace_id), id(span_id)) {
            (Some(trace_id), Some(span_id)) => {
                let (trace_id, span_id) = (TraceId(trace_id), SpanId(span_id));
                span.links.push(SpanLink { trace_id, span_id, trace_state, attributes, flags });
            }
            _ => span.dropped_links = span.dropped_links.saturating_add(1),
        }
        Ok(())
    }

    fn status(&mut self, mut fields: Fields<'a>) -> Result<SpanStatus, DecodeError> {
        let mut status = SpanStatus { code: StatusCode::Unset, message: self.strings.empty() };
        while let Some(field) = fields.next()? {
            match field.number {
                2 => status.message = self.strings.text(&field)?,
                3 => {
                    status.code = match field.varint()? {
                        1 => StatusCode::Ok,
                        2 => StatusCode::Error,
                        _ => StatusCode::Unset,
                    }
                }
                _ => {}
            }
        }
        Ok(status)
    }
}

/// The last field `number` of a message, which by protobuf's rule is the one that counts.
pub(super) fn last_field<'a>(field: &Field<'a>, number: u32) -> Result<Option<Field<'a>>, DecodeError> {
    let mut last = None;
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        if field.number == number {
            last = Some(field);
        }
    }
    Ok(last)
}

/// An id of exactly `N` bytes that is not zero.
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|bytes| *bytes != [0; N])
}

fn set_ids(span: &mut Span, trace_id: &[u8], span_id: &[u8], parent_id: &[u8]) -> Result<(), String> {
    span.trace_id = TraceId(id(trace_id).ok_or_else(|| bad_id("trace id", trace_id, 16, span))?);
    span.span_id = SpanId(id(span_id).ok_or_else(|| bad_id("span id", span_id, 8, span))?);
    // Without a parent the field is empty; some senders write zeros.
    if parent_id.iter().any(|byte| *byte != 0) || (!parent_id.is_empty() && parent_id.len() != 8) {
        let parent = id(parent_id).ok_or_else(|| bad_id("parent span id", parent_id, 8, span))?;
        span.parent_span_id = Some(SpanId(parent));
    }
    Ok(())
}

#[cold]
fn bad_id(what: &str, bytes: &[u8], want_bytes: usize, span: &Span) -> String {
    let shown: String = bytes.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    let (name, service) = (crate::excerpt(&span.name), crate::excerpt(span.service()));
    let problem = if bytes.len() == want_bytes { "is all zero" } else { "has the wrong length" };
    let length = bytes.len();
    format!(
        "{what} {shown:?} of span {name:?} ({service}) {problem}: {length} bytes, must be {want_bytes} not all zero"
    )
}

/// Times are also kept as `i64`, which ends in the year 2262.
const TIME_NS_MAX: u64 = i64::MAX as u64;

fn check_times(span: &mut Span) -> Result<(), String> {
    if span.start_ns > TIME_NS_MAX || span.end_ns > TIME_NS_MAX {
        let (start, end, name) = (span.start_ns, span.end_ns, crate::excerpt(&span.name));
        return Err(format!(
            "span {name:?} runs from {start} to {end} ns, over the limit of {TIME_NS_MAX} ns"
        ));
    }
    if span.end_ns < span.start_ns {
        let claimed = AttributeValue::Int(span.end_ns.cast_signed());
        span.attributes.push((CLAMPED_END.into(), claimed));
        span.end_ns = span.start_ns;
    }
    Ok(())
}
