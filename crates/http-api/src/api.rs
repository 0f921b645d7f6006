//! What all handlers share.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::FromRef;
use clock::Clock;
use eino_metrics_core::Registry;
use model::{MetricSink, MetricSource, SpanSink, SpanSource};
use tokio::sync::Semaphore;
use wire::otlp::Deltas;

use crate::admin::{ProcessControl, StoreAdmin};
use crate::cors::CorsOrigin;
use crate::error::ApiError;
use crate::ingest::ReceiveMetrics;
use crate::live::Live;

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
            report_traces_max: 20_000,
        }
    }
}

pub(crate) struct Shared {
    pub(crate) parts: ApiParts,
    pub(crate) receive: ReceiveMetrics,
    pub(crate) deltas: Deltas,
    ingest_permits: Semaphore,
    query_permits: Semaphore,
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
        let query_permits = Semaphore::new(parts.limits.query_concurrency);
        Self(Arc::new(Shared { parts, receive, deltas, ingest_permits, query_permits }))
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

    /// Runs a query on a blocking thread, at most `query_concurrency` at a time.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Api) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.blocking(&self.0.query_permits, work).await
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
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "a request's work panicked");
            Err(ApiError::Internal("the request failed inside the server; see its log".into()))
        })
    }
}
