//! One request at a time: collects parts, sends them, tries again.
//!
//! ```text
//! part, part … ─ full, or the deadline is over ─▶ request ─ 2xx ─▶ done
//!                                                    ├─ 5xx, 429, 408, 401, 403, network ─▶ wait ─▶ request
//!                                                    └─ other 4xx ─▶ given up, counted, said
//! ```
//! 401 and 403 are tried again: credentials get repaired, and the samples wait on disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use clock::Clock;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request, StatusCode};
use http_client::{ClientError, HttpClient, read_body};
use model::{METRIC_NAME, MetricBatch, MetricMetadata};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::metrics::TargetMetrics;
use super::prepare::{add_all, newest_ms};
use crate::{WriteConfig, WriteMessage};

/// Longest wait that a target may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// How much of a refusal's text is read.
const REFUSAL_BYTES: usize = 512;

/// What is known of families, by name.
pub(super) type Families = ArcSwap<HashMap<String, MetricMetadata>>;

/// What a shard gets.
pub(super) struct Load {
    pub(super) batch: MetricBatch,
    pub(super) token: Arc<Token>,
}

/// Parts of a queued batch that have neither arrived nor been given up.
#[derive(Debug)]
pub(super) struct Token(AtomicUsize);

impl Token {
    pub(super) fn of(parts: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(parts)))
    }

    fn part_done(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// Sends to a target.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) config: Arc<WriteConfig>,
    pub(super) client: Result<HttpClient, ClientError>,
    pub(super) metrics: TargetMetrics,
    pub(super) families: Arc<Families>,
    pub(super) clock: Clock,
    pub(super) stop: watch::Receiver<bool>,
}

/// What became of a request.
enum Outcome {
    Arrived,
    /// For good.
    Refused(String),
    Passing {
        why: String,
        wait: Option<Duration>,
    },
}

impl Sender {
    /// Sends what comes, until there is no more or a stop is told; then what is at hand gets one try.
    pub(super) async fn run(mut self, mut loads: mpsc::Receiver<Load>) {
        let mut batch = MetricBatch::new();
        let mut tokens = Vec::new();
        let mut deadline = None;
        loop {
            let full = batch.sample_count() >= self.config.queue.samples_max;
            if full || (deadline.is_some_and(|deadline| deadline <= Instant::now())) {
                if !self.deliver(&batch).await {
                    return;
                }
                batch.clear();
                tokens.drain(..).for_each(|token: Arc<Token>| token.part_done());
                deadline = None;
            }
            let due = deadline.unwrap_or_else(|| Instant::now() + self.config.queue.deadline);
            tokio::select! {
                load = loads.recv() => {
                    let Some(Load { batch: more, token }) = load else { break };
                    add_all(&more, &mut batch);
                    tokens.push(token);
                    deadline.get_or_insert_with(|| Instant::now() + self.config.queue.deadline);
                }
                () = tokio::time::sleep_until(due), if deadline.is_some() => {}
            }
        }
        if batch.is_empty() {
            return;
        }
        // What is not done is read again after the next start.
        if matches!(self.try_once(&self.body(&batch), &batch).await, Outcome::Arrived) {
            tokens.iter().for_each(|token| token.part_done());
        }
    }

    /// Until it arrived or was given up; `false` when a stop came first: then nothing of it is acknowledged.
    async fn deliver(&mut self, batch: &MetricBatch) -> bool {
        let body = self.body(batch);
        let queue = self.config.queue.clone();
        let mut backoff = queue.backoff_min;
        loop {
            match self.try_once(&body, batch).await {
                Outcome::Arrived => return true,
                Outcome::Refused(why) => {
                    let samples = batch.sample_count();
                    warn!(target = self.config.name, samples, error = why, "samples refused by the target");
                    self.metrics.samples_failed.add(samples as u64);
                    return true;
                }
                Outcome::Passing { why, wait } => {
                    debug!(target = self.config.name, error = why, "samples not sent, trying again");
                    self.metrics.requests_retried.inc();
                    let wait = wait.unwrap_or(backoff);
                    backoff = (backoff * 2).min(queue.backoff_max);
                    tokio::select! {
                        _ = self.stop.wait_for(|stop| *stop) => return false,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    fn body(&self, batch: &MetricBatch) -> Vec<u8> {
        match self.config.message {
            WriteMessage::V1 => wire::remote_write::encode(batch),
            WriteMessage::V2 => {
                let mut batch = batch.clone();
                batch.metadata = self.metadata_of(&batch);
                wire::remote_write::encode_v2(&batch)
            }
        }
    }

    fn metadata_of(&self, batch: &MetricBatch) -> Vec<MetricMetadata> {
        let families = self.families.load();
        let mut found: HashMap<&str, &MetricMetadata> = HashMap::new();
        for name in batch.series().filter_map(|series| series.labels.get(METRIC_NAME)) {
            let stems = ["_bucket", "_count", "_sum"].iter().filter_map(|suffix| name.strip_suffix(suffix));
            for family in stems.chain([name]) {
                if let Some(metadata) = families.get(family) {
                    found.insert(&metadata.family, metadata);
                }
            }
        }
        found.into_values().cloned().collect()
    }

    async fn try_once(&self, body: &[u8], batch: &MetricBatch) -> Outcome {
        let outcome = self.post(body).await;
        if matches!(outcome, Outcome::Arrived) {
            let histograms: usize = batch.series().map(|series| series.histograms.len()).sum();
            self.metrics.histograms.add(histograms as u64);
            self.metrics.samples.add((batch.sample_count() - histograms) as u64);
            self.metrics.exemplars.add(batch.exemplar_count() as u64);
            if let Some(newest_ms) = newest_ms(batch) {
                self.metrics.sent_seconds.set(newest_ms as f64 / 1_000.0);
            }
        }
        outcome
    }

    /// Sends metadata as 1.0 has it, once.
    pub(super) async fn send_metadata(&self, metadata: Vec<MetricMetadata>) {
        let count = metadata.len() as u64;
        let mut batch = MetricBatch::new();
        batch.metadata = metadata;
        match self.post(&wire::remote_write::encode(&batch)).await {
            Outcome::Arrived => self.metrics.metadata.add(count),
            Outcome::Refused(why) | Outcome::Passing { why, .. } => {
                debug!(target = self.config.name, error = why, "metadata not sent");
            }
        }
    }

    async fn post(&self, body: &[u8]) -> Outcome {
        let client = match &self.client {
            Ok(client) => client,
            Err(error) => return Outcome::Passing { why: error.to_string(), wait: None },
        };
        let request = match self.request(body) {
            Ok(request) => request,
            Err(why) => return Outcome::Refused(why),
        };
        let bytes = request.body().len() as u64;
        let answered = tokio::time::timeout(self.config.timeout, async {
            let response = client.send(request).await?;
            let (parts, body) = response.into_parts();
            let text = if parts.status.is_success() { Vec::new() } else { first_bytes(body).await };
            Ok::<_, ClientError>((parts.status, parts.headers, text))
        });
        match answered.await {
            Ok(Ok((status, headers, text))) => {
                self.metrics.bytes.add(bytes);
                self.outcome(status, &headers, &text)
            }
            Ok(Err(error)) => Outcome::Passing { why: error.to_string(), wait: None },
            Err(_) => {
                let why = format!("no answer within {}", stdx::format_duration(self.config.timeout));
                Outcome::Passing { why, wait: None }
            }
        }
    }

    fn request(&self, body: &[u8]) -> Result<Request<Bytes>, String> {
        let (content_type, version) = match self.config.message {
            WriteMessage::V1 => ("application/x-protobuf", "0.1.0"),
            WriteMessage::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.config.url)
            .header(CONTENT_TYPE, content_type)
            .header(CONTENT_ENCODING, "snappy")
            .header("x-prometheus-remote-write-version", version);
        for (name, value) in &self.config.headers {
            request = request.header(name, value);
        }
        let compressed = wire::compress::to_snappy_block(body)?;
        request.body(Bytes::from(compressed)).map_err(|error| format!("the request cannot be made: {error}"))
    }

    fn outcome(&self, status: StatusCode, headers: &HeaderMap, text: &[u8]) -> Outcome {
        if status.is_success() {
            return Outcome::Arrived;
        }
        let why = format!("answered {status}: {}", String::from_utf8_lossy(text).trim());
        let waits = [StatusCode::REQUEST_TIMEOUT, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        let is_passing = status.is_server_error()
            || waits.contains(&status)
            || (status == StatusCode::TOO_MANY_REQUESTS && self.config.queue.retry_on_429);
        if !is_passing {
            return Outcome::Refused(why);
        }
        let wait = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        Outcome::Passing { why, wait: wait.map(|wait| wait.min(RETRY_AFTER_MAX)) }
    }
}

async fn first_bytes(body: http_client::Body) -> Vec<u8> {
    let read = read_body(body, 64 << 10).await.unwrap_or_default();
    read.into_iter().take(REFUSAL_BYTES).collect()
}
