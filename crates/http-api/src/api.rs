//! What all handlers share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRef;
use axum::response::Response;
use clock::Clock;
use eino_metrics_core::{Counter, Registry};
use http::StatusCode;
use model::{MetricSink, MetricSource, SpanSink, SpanSource};
use tokio::sync::Semaphore;
use wire::otlp::Deltas;

use crate::admin::{ProcessControl, StoreAdmin};
use crate::cors::CorsOrigin;
use crate::error::{ApiError, json_response};
use crate::ingest::ReceiveMetrics;
use crate::live::Live;
use crate::outlet::{Buffer, Gone, Outlet, OutletLimits};
use crate::query_gate::{ClientWatch, QueryGate, Ticket};

/// Shared state of the handlers. Clones are cheap.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// The parts an [`Api`] is made of.
pub struct ApiParts {
    pub clock: Clock,
    pub registry: Registry,
    pub metric_source: Arc<dyn MetricSource>,
    pub metric_sink: Arc<dyn MetricSink>,
    pub span_source: Arc<dyn SpanSource>,
    pub span_sink: Arc<dyn SpanSink>,
    pub engine: Arc<promql::Engine>,
    pub scrape: scrape::TargetsView,
    pub rules: rules::RulesView,
    pub admin: Arc<dyn StoreAdmin>,
    pub control: Arc<dyn ProcessControl>,
    pub live: Live,
    pub info: ServerInfo,
    pub web: WebSettings,
    pub limits: HttpLimits,
}

/// What `/eino/v1/status` and `/api/v1/status/*` say about the process.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    pub version: &'static str,
    pub role: &'static str,
    pub started_ms: i64,
    pub hostname: String,
    pub working_dir: PathBuf,
    pub data_dir: PathBuf,
    pub config_file: Option<PathBuf>,
    /// `(name, address)` of every listener.
    pub listeners: Vec<(&'static str, String)>,
    pub flags: Vec<(&'static str, String)>,
}

/// Which parts of the HTTP API are open, and to whom.
#[derive(Clone, Debug, Default)]
pub struct WebSettings {
    /// `/-/reload` and `/-/quit`.
    pub lifecycle: bool,
    /// `/api/v1/admin/*`.
    pub admin_api: bool,
    /// Origins of pages that may read answers.
    pub cors_origin: CorsOrigin,
}

/// Limits of the HTTP and gRPC edges.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Largest body as it comes over the wire.
    pub body_bytes_max: usize,
    /// Largest body after decompression.
    pub decoded_bytes_max: usize,
    /// Most bodies decoded and stored at the same time; others wait.
    pub ingest_concurrency: usize,
    /// Most streams of OTLP deltas whose running totals are remembered; those not seen for longest begin anew.
    pub delta_streams_max: usize,
    /// Most queries that run at the same time; others wait.
    pub query_concurrency: usize,
    /// Most queries that wait; more are refused.
    pub query_queue: usize,
    /// Most large answers that are sent at the same time; more are refused.
    pub streams_max: usize,
    /// Longest wait for a client that takes nothing of its answer.
    pub answer_stall: Duration,
    /// Most traces that one report reads; a larger window is sampled evenly by trace id.
    pub report_traces_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 32 << 20,
            decoded_bytes_max: 64 << 20,
            ingest_concurrency: 32,
            delta_streams_max: 200_000,
            query_concurrency: 20,
            query_queue: 1_000,
            streams_max: 64,
            answer_stall: Duration::from_secs(60),
            report_traces_max: 20_000,
        }
    }
}

pub(crate) struct Shared {
    pub(crate) parts: ApiParts,
    pub(crate) receive: ReceiveMetrics,
    pub(crate) deltas: Deltas,
    ingest_permits: Semaphore,
    queries: QueryGate,
    outlets: OutletLimits,
    answers_broken: [Counter; 2],
}

impl std::ops::Deref for Api {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0.parts
    }
}

impl FromRef<Api> for Live {
    fn from_ref(api: &Api) -> Self {
        api.live.clone()
    }
}

impl FromRef<Api> for Registry {
    fn from_ref(api: &Api) -> Self {
        api.registry.clone()
    }
}

impl Api {
    /// The shared state of these parts.
    pub fn new(parts: ApiParts) -> Self {
        let receive = ReceiveMetrics::new(&parts.registry);
        let deltas = Deltas::new(parts.limits.delta_streams_max);
        let ingest_permits = Semaphore::new(parts.limits.ingest_concurrency);
        let limits = &parts.limits;
        let queries = QueryGate::new(
            limits.query_concurrency,
            limits.query_queue,
            parts.clock.clone(),
            &parts.registry,
        );
        let outlets = OutletLimits {
            stall: limits.answer_stall,
            streams: Arc::new(Semaphore::new(limits.streams_max)),
            streams_max: limits.streams_max,
        };
        let answers_broken = ["client_stalled", "answer_streams"].map(|reason| {
            let help = "Answers that were not sent to their end because of a limit, by reason.";
            parts.registry.counter_with("eino_http_answers_refused_total", help, &[("reason", reason)])
        });
        Self(Arc::new(Shared { parts, receive, deltas, ingest_permits, queries, outlets, answers_broken }))
    }

    /// Running totals of OTLP deltas.
    pub(crate) fn deltas(&self) -> &Deltas {
        &self.0.deltas
    }

    pub(crate) fn receive(&self) -> &ReceiveMetrics {
        &self.0.receive
    }

    /// Runs the decoding and storing of one body on a blocking thread, at most `ingest_concurrency` at a time.
    pub(crate) async fn ingest<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Api) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.blocking(&self.0.ingest_permits, work).await
    }

    /// Runs a question on a blocking thread, at most `query_concurrency` at a time.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Api) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.query_with(move |api, _| work(api)).await
    }

    /// As [`query`](Self::query), for work that heeds its ticket.
    pub(crate) async fn query_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Api, &Ticket) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (ticket, _watch) = self.0.queries.enter(self.engine.config().timeout).await?;
        let api = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&api, &ticket);
            drop(ticket);
            done
        });
        done.await.unwrap_or_else(panicked)
    }

    /// A place among the running queries, for an answer that is read while it is sent.
    pub(crate) async fn query_ticket(&self) -> Result<(Ticket, ClientWatch), ApiError> {
        self.0.queries.enter(self.engine.config().timeout).await
    }

    /// As [`query`](Self::query), and streams what `write` makes of the result as JSON.
    pub(crate) async fn stream<T: 'static>(
        &self,
        timeout: Option<Duration>,
        run: impl FnOnce(&Api, &Ticket) -> Result<T, ApiError> + Send + 'static,
        write: impl FnOnce(T, Outlet) -> Result<(), Gone> + Send + 'static,
    ) -> Result<Response, ApiError> {
        Ok(json_response(StatusCode::OK, self.stream_body(timeout, run, write).await?))
    }

    /// As [`stream`](Self::stream), for any format. The place among the running queries is given back before the first
    /// byte is written: slow clients hold up nobody.
    pub(crate) async fn stream_body<T: 'static, B: Buffer>(
        &self,
        timeout: Option<Duration>,
        run: impl FnOnce(&Api, &Ticket) -> Result<T, ApiError> + Send + 'static,
        write: impl FnOnce(T, Outlet<B>) -> Result<(), Gone> + Send + 'static,
    ) -> Result<Body, ApiError> {
        let timeout_max = self.engine.config().timeout;
        let timeout = timeout.map_or(timeout_max, |timeout| timeout.min(timeout_max));
        let (ticket, _watch) = self.0.queries.enter(timeout).await?;
        let (outlet, opening) = Outlet::new(self.0.outlets.clone());
        let api = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = run(&api, &ticket);
            drop(ticket);
            match result {
                Ok(result) => api.note(write(result, outlet)),
                Err(error) => outlet.refuse(error),
            }
        });
        opening.body().await
    }

    fn note(&self, written: Result<(), Gone>) {
        let [stalled, refused] = &self.0.answers_broken;
        match written {
            Ok(()) | Err(Gone::Closed) => {}
            Err(Gone::Stalled) => stalled.inc(),
            Err(Gone::Refused) => refused.inc(),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        permits: &Semaphore,
        work: impl FnOnce(&Api) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let _permit =
            permits.acquire().await.map_err(|_| ApiError::Unavailable("the server is stopping".into()))?;
        let api = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&api)).await;
        done.unwrap_or_else(panicked)
    }
}

fn panicked<T>(error: tokio::task::JoinError) -> Result<T, ApiError> {
    tracing::error!(%error, "a request's work panicked");
    Err(ApiError::Internal("the request failed inside the server; see its log".into()))
}
