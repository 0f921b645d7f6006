//! The exporter task: collects a batch, sends it, tries again, gives up.
//!
//! ```text
//! wait for a span ─▶ collect until batch full or interval over ─▶ POST ─ 2xx ─▶ exported
//!        ▲                                                         │
//!        └────────────────────────────────── 4xx: rejected ◀───────┤
//!                                            else: back off, then POST again; after 5 tries: unreachable
//! ```
//! While it tries again the queue fills, and then spans are dropped at the door: nobody waits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eino_context::IdSource;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use crate::otlp;
use crate::span::SpanData;
use crate::tracer::{Error, Inner, TraceConfig};

/// Tries per batch.
const TRIES: u32 = 5;
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// Request bodies are closed when they reach this; collectors commonly refuse more than 4 MiB.
const BODY_BYTES_SOFT_MAX: usize = 2 * 1024 * 1024;
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Where spans go.
#[derive(Debug)]
pub(crate) struct Target(Uri);

impl Target {
    pub(crate) fn parse(endpoint: &str) -> Result<Self, Error> {
        let error =
            |detail: &str| Error::Endpoint { endpoint: endpoint.to_owned(), detail: detail.to_owned() };
        let rest = endpoint.strip_prefix("http://").ok_or_else(|| error("it must begin with http://"))?;
        let base = rest.trim_end_matches('/').trim_end_matches("/v1/traces");
        let uri: Uri = format!("http://{base}/v1/traces").parse().map_err(|_| error("not a URL"))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(error("it has no host"));
        }
        Ok(Self(uri))
    }
}

pub(crate) struct Exporter {
    tracer: Arc<Inner>,
    queue: mpsc::Receiver<SpanData>,
    target: Target,
    resource: Vec<u8>,
    client: Client<HttpConnector, Full<Bytes>>,
    batch_spans_max: usize,
    flush_interval: Duration,
    export_timeout: Duration,
    jitter: IdSource,
    /// Whether the last try worked; `None` before the first.
    healthy: Option<bool>,
}

/// How one try ended.
enum Outcome {
    Accepted { rejected: u64 },
    Refused(String),
    TryAgain(String),
}

impl Exporter {
    pub(crate) fn new(
        tracer: Arc<Inner>,
        queue: mpsc::Receiver<SpanData>,
        target: Target,
        resource: Vec<u8>,
        config: &TraceConfig,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.export_timeout));
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        let jitter = IdSource::seeded(u128::from_be_bytes(*tracer.ids.trace_id().as_bytes()));
        Self {
            tracer,
            queue,
            target,
            resource,
            client,
            batch_spans_max: config.batch_spans_max.max(1),
            flush_interval: config.flush_interval,
            export_timeout: config.export_timeout,
            jitter,
            healthy: None,
        }
    }

    /// Runs until told to stop, then sends what waits, each batch once.
    pub(crate) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut batch = Vec::with_capacity(self.batch_spans_max);
        let mut stopping = false;
        loop {
            if !stopping {
                tokio::select! {
                    () = collect(&mut self.queue, &mut batch, self.batch_spans_max, self.flush_interval) => {}
                    _ = &mut stop => stopping = true,
                }
            }
            if stopping {
                self.queue.close();
                self.queue.recv_many(&mut batch, self.batch_spans_max).await;
                if batch.is_empty() {
                    return;
                }
            }
            self.tracer.clock.correct();
            self.tracer.metrics.queued.set(self.queue.len() as f64);
            for (body, count) in self.encode(&batch) {
                stopping |= self.export(body, count, stopping, &mut stop).await;
            }
            batch.clear();
        }
    }

    /// Encoded requests with the number of spans in each.
    fn encode(&self, batch: &[SpanData]) -> Vec<(Bytes, u64)> {
        let mut requests = Vec::new();
        let mut spans = Vec::new();
        let mut count = 0;
        for (index, span) in batch.iter().enumerate() {
            otlp::encode_span(&mut spans, span);
            count += 1;
            if spans.len() >= BODY_BYTES_SOFT_MAX || index + 1 == batch.len() {
                requests.push((otlp::encode_request(&self.resource, &spans).into(), count));
                spans.clear();
                count = 0;
            }
        }
        requests
    }

    /// Sends one request; returns whether it was told to stop meanwhile, which ends the tries.
    async fn export(
        &mut self,
        body: Bytes,
        count: u64,
        once: bool,
        stop: &mut oneshot::Receiver<()>,
    ) -> bool {
        let mut stopping = false;
        for attempt in 0..TRIES {
            let reason = match self.try_once(body.clone()).await {
                Outcome::Accepted { rejected } => {
                    self.accepted(count, rejected.min(count));
                    return stopping;
                }
                Outcome::Refused(reason) => {
                    self.failed(&reason);
                    self.tracer.metrics.dropped.rejected.add(count);
                    return stopping;
                }
                Outcome::TryAgain(reason) => reason,
            };
            self.failed(&reason);
            if once || stopping || attempt + 1 == TRIES {
                break;
            }
            tokio::select! {
                () = sleep(self.backoff(attempt)) => {}
                _ = &mut *stop => stopping = true,
            }
        }
        self.tracer.metrics.dropped.unreachable.add(count);
        stopping
    }

    async fn try_once(&self, body: Bytes) -> Outcome {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.target.0.clone())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::USER_AGENT, concat!("eino-sdk/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| chain(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect().await;
            Ok((status, body.map(|body| body.to_bytes()).unwrap_or_default()))
        };
        match timeout(self.export_timeout, exchange).await {
            Err(_) => Outcome::TryAgain(format!("no answer within {:?}", self.export_timeout)),
            Ok(Err(reason)) => Outcome::TryAgain(reason),
            Ok(Ok((status, body))) => judge(status, &body),
        }
    }

    fn accepted(&mut self, count: u64, rejected: u64) {
        let metrics = &self.tracer.metrics;
        metrics.exported.add(count - rejected);
        metrics.dropped.rejected.add(rejected);
        metrics.last_success.set(self.tracer.clock.now_ns() as f64 / 1e9);
        if self.healthy != Some(true) {
            info!(collector = %self.target.0, "span export works");
        }
        self.healthy = Some(true);
    }

    fn failed(&mut self, reason: &str) {
        self.tracer.metrics.exports_failed.inc();
        if self.healthy != Some(false) {
            warn!(collector = %self.target.0, reason, "span export fails");
        }
        self.healthy = Some(false);
    }

    /// Doubles per attempt; the upper half is random, so that services do not return in step.
    fn backoff(&self, attempt: u32) -> Duration {
        let full = BACKOFF_FIRST * 2_u32.saturating_pow(attempt);
        let random = u64::from_be_bytes(*self.jitter.span_id().as_bytes()) as f64 / u64::MAX as f64;
        full.mul_f64(0.5 + random / 2.0)
    }
}

/// Fills `batch`: waits for the first span, then until the batch is full or `interval` is over.
/// Cancel safe: what was taken is in `batch`.
async fn collect(
    queue: &mut mpsc::Receiver<SpanData>,
    batch: &mut Vec<SpanData>,
    max: usize,
    interval: Duration,
) {
    if queue.recv_many(batch, max).await == 0 {
        return std::future::pending().await; // Closed: only the stop signal is left.
    }
    let until = Instant::now() + interval;
    while batch.len() < max {
        let room = max - batch.len();
        match timeout_at(until, queue.recv_many(batch, room)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn judge(status: StatusCode, body: &[u8]) -> Outcome {
    let retryable = matches!(status.as_u16(), 429 | 502 | 503 | 504);
    if status.is_success() {
        Outcome::Accepted { rejected: otlp::rejected_spans(body) }
    } else if retryable {
        Outcome::TryAgain(format!("the collector answered {status}"))
    } else {
        Outcome::Refused(format!("the collector answered {status}"))
    }
}

/// An error with its sources in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
