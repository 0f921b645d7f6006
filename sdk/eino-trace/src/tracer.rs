//! The tracer: decides, numbers and hands finished spans to the exporter.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eino_context::{Ctx, IdSource, Remote, TraceId};
use eino_metrics_core::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock::SpanClock;
use crate::exporter::{Exporter, Target};
use crate::metrics::Metrics;
use crate::otlp;
use crate::span::{Span, SpanData};

/// Settings of a [`Tracer`].
#[derive(Clone, Debug)]
pub struct TraceConfig {
    /// Resource attribute `service.name`.
    pub service_name: String,
    /// Resource attribute `service.instance.id`.
    pub instance_id: String,
    /// More resource attributes.
    pub resource: Vec<(String, String)>,
    /// Base URL of an OTLP/HTTP collector, `http://host:port`; `/v1/traces` is added. `None` records nothing.
    pub endpoint: Option<String>,
    /// Share of traces that begin here and are recorded, 0 to 1. A caller's decision always wins.
    pub sample_ratio: f64,
    /// Most spans that wait for export; more are dropped and counted.
    pub queue_spans_max: usize,
    /// Most spans in one request.
    pub batch_spans_max: usize,
    /// Longest time that a span waits for its batch to fill.
    pub flush_interval: Duration,
    /// Longest time that one request to the collector may take.
    pub export_timeout: Duration,
    /// Seed of the ids; `None` takes one from the operating system.
    pub seed: Option<u128>,
}

impl TraceConfig {
    /// Defaults for a service: everything is sampled, a local collector.
    pub fn new(service_name: impl Into<String>) -> Self {
        Self {
            service_name: service_name.into(),
            instance_id: format!("{:016x}", os_random()),
            resource: Vec::new(),
            endpoint: Some("http://127.0.0.1:4318".to_owned()),
            sample_ratio: 1.0,
            queue_spans_max: 8192,
            batch_spans_max: 512,
            flush_interval: Duration::from_millis(500),
            export_timeout: Duration::from_secs(5),
            seed: None,
        }
    }
}

/// Why a tracer can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is not `http://host:port`.
    #[error("invalid OTLP endpoint {endpoint:?}: {detail}")]
    Endpoint { endpoint: String, detail: String },
}

/// What became of the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Spans that the collector accepted during the tracer's life.
    pub exported: u64,
    /// Spans that were lost during the tracer's life, for whatever reason.
    pub dropped: u64,
}

/// Starts spans. Clones share one exporter.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) ids: IdSource,
    pub(crate) clock: SpanClock,
    pub(crate) metrics: Metrics,
    queue: Option<mpsc::Sender<SpanData>>,
    /// Traces whose low 56 bits are below it are sampled.
    sample_below: u64,
    task: Mutex<Option<Task>>,
}

struct Task {
    stop: oneshot::Sender<()>,
    handle: JoinHandle<()>,
}

impl Tracer {
    /// Starts the exporter on the current tokio runtime.
    ///
    /// # Errors
    /// When the endpoint is not a URL that can be called.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(config: TraceConfig, registry: &Registry) -> Result<Self, Error> {
        let target = config.endpoint.as_deref().map(Target::parse).transpose()?;
        let (queue, receiver) = mpsc::channel(config.queue_spans_max.max(1));
        let seed = config.seed.unwrap_or_else(|| (u128::from(os_random()) << 64) | u128::from(os_random()));
        let inner = Arc::new(Inner {
            ids: IdSource::seeded(seed),
            clock: SpanClock::new(),
            metrics: Metrics::new(registry),
            queue: target.is_some().then_some(queue),
            sample_below: sample_below(config.sample_ratio),
            task: Mutex::new(None),
        });
        if let Some(target) = target {
            let resource = otlp::encode_resource(&config);
            let exporter = Exporter::new(Arc::clone(&inner), receiver, target, resource, &config);
            let (stop, stopped) = oneshot::channel();
            let handle = tokio::spawn(exporter.run(stopped));
            *inner.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(Task { stop, handle });
        }
        Ok(Self(inner))
    }

    /// Starts a span that begins a trace.
    pub fn root(&self, name: impl Into<Cow<'static, str>>) -> Span {
        let trace_id = self.0.ids.trace_id();
        let sampled = self.decide(trace_id, None);
        let ctx = Ctx::root(trace_id, self.0.ids.span_id(), sampled);
        self.begin(ctx, false, name)
    }

    /// Starts a span that answers a remote caller, whose sampling decision holds.
    pub fn continued(&self, remote: Remote, name: impl Into<Cow<'static, str>>) -> Span {
        let sampled = self.decide(remote.trace_id, remote.sampled);
        let ctx = Ctx::from_remote(remote, self.0.ids.span_id(), sampled);
        self.begin(ctx, true, name)
    }

    /// Exports what waits and ends the exporter, within `budget`. Later spans are dropped and counted.
    pub async fn shutdown(&self, budget: Duration) -> ShutdownReport {
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Task { stop, mut handle }) = task {
            // An error means that the exporter has ended already.
            let _ended = stop.send(());
            if tokio::time::timeout(budget, &mut handle).await.is_err() {
                handle.abort();
                let _aborted = handle.await;
            }
        }
        self.0.settle()
    }

    fn decide(&self, trace_id: TraceId, callers: Option<bool>) -> bool {
        self.0.queue.is_some() && callers.unwrap_or_else(|| randomness(trace_id) < self.0.sample_below)
    }

    fn begin(&self, ctx: Ctx, parent_is_remote: bool, name: impl Into<Cow<'static, str>>) -> Span {
        let sampled = ctx.is_sampled();
        let inner = Arc::clone(&self.0);
        let ctx = ctx.with_local(self.0.clone());
        if sampled {
            Span::recording(inner, ctx, parent_is_remote, name.into())
        } else {
            Span::unsampled(ctx)
        }
    }
}

impl Inner {
    /// Takes a finished span; never waits.
    pub(crate) fn finish(&self, span: SpanData) {
        self.metrics.recorded.inc();
        let Some(queue) = &self.queue else { return };
        match queue.try_send(span) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.metrics.dropped.queue_full.inc(),
            Err(mpsc::error::TrySendError::Closed(_)) => self.metrics.dropped.shutdown.inc(),
        }
    }

    /// Spans that are neither exported nor dropped when the exporter has ended were lost by the shutdown.
    fn settle(&self) -> ShutdownReport {
        let metrics = &self.metrics;
        let settled = metrics.exported.get() + metrics.dropped.total();
        let lost = metrics.recorded.get().saturating_sub(settled);
        metrics.dropped.shutdown.add(lost);
        metrics.queued.set(0.0);
        ShutdownReport { exported: metrics.exported.get(), dropped: metrics.dropped.total() }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("exports", &self.queue.is_some()).finish_non_exhaustive()
    }
}

const RANDOM_BITS: u32 = 56;

/// The bits of a trace id that W3C trace context level 2 promises to be random.
fn randomness(trace_id: TraceId) -> u64 {
    let mut low = [0; 8];
    low[1..].copy_from_slice(&trace_id.as_bytes()[9..]);
    u64::from_be_bytes(low)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 2^56 by the clamp"
)]
fn sample_below(ratio: f64) -> u64 {
    let ratio = if ratio.is_nan() { 1.0 } else { ratio.clamp(0.0, 1.0) };
    (ratio * (1_u64 << RANDOM_BITS) as f64) as u64
}

/// 64 bits from the operating system: std seeds its hash maps with them.
fn os_random() -> u64 {
    RandomState::new().hash_one(0_u64)
}
