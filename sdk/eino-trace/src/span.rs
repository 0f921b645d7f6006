//! The span guard. It ends when it is dropped, also when its future is cancelled or panics.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use eino_context::{Ctx, SpanId, TraceId};

use crate::tracer::Inner;
use crate::value::{Value, limit};

/// Most attributes of one span or event; more are counted as dropped.
const ATTRIBUTES_MAX: usize = 64;
/// Most events of one span; more are counted as dropped.
const EVENTS_MAX: usize = 32;

/// Which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// Work with a beginning and an end. Without a sampled context it records nothing and costs nothing.
#[derive(Debug)]
#[must_use = "a span ends when it is dropped"]
pub struct Span {
    ctx: Option<Ctx>,
    recording: Option<Box<Recording>>,
}

#[derive(Debug)]
struct Recording {
    data: SpanData,
    tracer: Arc<Inner>,
}

/// A finished span as the exporter sees it.
#[derive(Clone, Debug)]
pub(crate) struct SpanData {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent_id: Option<SpanId>,
    pub(crate) parent_is_remote: bool,
    pub(crate) tracestate: Option<Box<str>>,
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: Kind,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) attributes: Attributes,
    pub(crate) events: Vec<Event>,
    pub(crate) events_dropped: u32,
    pub(crate) error: Option<Cow<'static, str>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) time_ns: u64,
    pub(crate) name: Cow<'static, str>,
    pub(crate) attributes: Attributes,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) list: Vec<(&'static str, Value)>,
    pub(crate) dropped: u32,
}

/// Starts an internal span as child of the ambient context.
///
/// Without an ambient context, in one that was not sampled, or after the tracer was shut down, nothing is
/// recorded.
/// ```
/// # async fn load() {}
/// # async fn example() {
/// let cart = eino_trace::span("cart.load").attr("cart.items", 3).around(load()).await;
/// # }
/// ```
pub fn span(name: impl Into<Cow<'static, str>>) -> Span {
    let Some(parent) = Ctx::current() else { return Span { ctx: None, recording: None } };
    let tracer = parent.local().and_then(|local| Arc::clone(local).downcast::<Inner>().ok());
    match tracer {
        Some(tracer) if parent.is_sampled() => {
            let ctx = parent.child(tracer.ids.span_id());
            Span::recording(tracer, ctx, false, name.into())
        }
        _ => Span { ctx: Some(parent), recording: None },
    }
}

impl Span {
    pub(crate) fn unsampled(ctx: Ctx) -> Self {
        Self { ctx: Some(ctx), recording: None }
    }

    pub(crate) fn recording(
        tracer: Arc<Inner>,
        ctx: Ctx,
        parent_is_remote: bool,
        name: Cow<'static, str>,
    ) -> Self {
        let start_ns = tracer.clock.now_ns();
        let data = SpanData {
            trace_id: ctx.trace_id(),
            span_id: ctx.span_id(),
            parent_id: ctx.parent_id(),
            parent_is_remote,
            tracestate: ctx.tracestate().map(Into::into),
            name: limit(name),
            kind: Kind::Internal,
            start_ns,
            end_ns: start_ns,
            attributes: Attributes::default(),
            events: Vec::new(),
            events_dropped: 0,
            error: None,
        };
        Self { ctx: Some(ctx), recording: Some(Box::new(Recording { data, tracer })) }
    }

    /// Whether anything is recorded; ask before computing a costly attribute.
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// The context whose current span this is; `None` only without an ambient context at the start.
    pub fn ctx(&self) -> Option<&Ctx> {
        self.ctx.as_ref()
    }

    /// Replaces the name: once more is known, or to compute it only when it is recorded.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        if let Some(recording) = &mut self.recording {
            recording.data.name = limit(name.into());
        }
        self
    }

    /// Sets the kind.
    pub fn kind(mut self, kind: Kind) -> Self {
        if let Some(recording) = &mut self.recording {
            recording.data.kind = kind;
        }
        self
    }

    /// Adds an attribute. At most 64 are kept; strings are cut at 4096 bytes.
    pub fn attr(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.set_attr(key, value);
        self
    }

    /// Adds an attribute to a span that runs.
    pub fn set_attr(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(recording) = &mut self.recording {
            recording.data.attributes.push(key, value);
        }
    }

    /// Adds an event that happens now. At most 32 are kept.
    pub fn event(&mut self, name: impl Into<Cow<'static, str>>, attributes: &[(&'static str, Value)]) {
        let Some(recording) = &mut self.recording else { return };
        let time_ns = recording.tracer.clock.now_ns();
        let data = &mut recording.data;
        if data.events.len() >= EVENTS_MAX {
            data.events_dropped += 1;
            return;
        }
        let mut kept = Attributes::default();
        attributes.iter().for_each(|(key, value)| kept.push(key, value.clone()));
        data.events.push(Event { time_ns, name: limit(name.into()), attributes: kept });
    }

    /// Marks the span as failed, for a reason that a person reads.
    pub fn set_error(&mut self, message: impl Into<Cow<'static, str>>) {
        if let Some(recording) = &mut self.recording {
            recording.data.error = Some(limit(message.into()));
        }
    }

    /// Runs `future` with this span as the ambient one. The span goes on afterwards.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        match &self.ctx {
            Some(ctx) => ctx.clone().scope(future).await,
            None => future.await,
        }
    }

    /// Runs `future` as what this span measures.
    pub async fn around<F: Future>(self, future: F) -> F::Output {
        self.scope(future).await
    }

    /// Like [`Span::around`]; an `Err` marks the span as failed.
    pub async fn around_result<T, E: Display>(
        mut self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let result = self.scope(future).await;
        if let (Err(error), true) = (&result, self.is_recording()) {
            self.set_error(error.to_string());
        }
        result
    }

    /// Ends the span now.
    pub fn end(self) {}
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(recording) = self.recording.take() else { return };
        let Recording { mut data, tracer } = *recording;
        data.end_ns = tracer.clock.now_ns().max(data.start_ns);
        tracer.finish(data);
    }
}

impl Attributes {
    fn push(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.list.len() >= ATTRIBUTES_MAX {
            self.dropped += 1;
            return;
        }
        self.list.push((key, value.into().limited()));
    }
}
