//! One server process: everything it runs, in the order it starts and stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alerts::AlertService;
use clock::Clock;
use eino_metrics_core::Registry;
use http_api::{Api, ApiParts, HttpLimits, ServerInfo};
use model::{MetricSink, MetricSource, SpanSink, SpanSource};
use promql::{Engine, EngineConfig};
use rules::{AlertSink, RuleManager, RuleStores};
use scrape::ScrapeManager;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::analysis_worker::AnalysisWorker;
use crate::config::{self, Config, Loaded};
use crate::data_dir::{DataDir, DataDirError};
use crate::http::{self, BindError, Bound};
use crate::maintenance::Maintenance;
use crate::options::{Listen, ServerOptions};
use crate::stores::{StoreError, StoreSettings, Stores};

/// How long running requests may go on after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(4);
/// How long notifications under way may go on.
const NOTIFY_DRAIN: Duration = Duration::from_secs(2);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Rules(String),
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// A running server.
pub struct Server {
    listeners: Vec<(&'static str, SocketAddr)>,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
    scrape: ScrapeManager,
    rules: RuleManager,
    alerts: Arc<AlertService>,
    analysis: AnalysisWorker,
    maintenance: Maintenance,
    stores: Arc<Stores>,
}

impl Server {
    /// Starts everything. Requests are answered when this returns.
    ///
    /// # Errors
    /// [`StartError`]; nothing keeps running then.
    pub async fn start(options: ServerOptions, clock: Clock) -> Result<Self, StartError> {
        let Loaded { config, warnings } = load(&options)?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        // Ports first: a taken one is found before a store is touched.
        let bound = bind(&options).await?;
        let listeners: Vec<_> = bound.iter().map(|bound| (bound.name, bound.address)).collect();
        let registry = Registry::new();
        let data = DataDir::open(&options.data)?;
        let stores = open_stores(data, &config, &clock, &registry).await?;
        let maintenance = Maintenance::start(Arc::clone(&stores), &registry).map_err(StartError::Thread)?;
        let metric_sink: Arc<dyn MetricSink> = stores.metrics.clone();
        let metric_source: Arc<dyn MetricSource> = stores.metrics.clone();
        let span_store: Arc<dyn SpanSink> = stores.traces.clone();
        let span_source: Arc<dyn SpanSource> = stores.traces.clone();
        let write_every = config.analysis_write_interval;
        let (analysis, span_sink) = AnalysisWorker::start(
            span_store,
            Arc::clone(&metric_sink),
            write_every,
            clock.clone(),
            &registry,
        )
        .map_err(StartError::Thread)?;
        let engine = Arc::new(Engine::new(engine_config(&config), clock.clone()));
        let scrape = ScrapeManager::new(Arc::clone(&metric_sink), clock.clone(), &registry, options.seed);
        scrape.apply(config.scrape_configs.clone());
        let alerts = AlertService::start(config.alerting.clone(), clock.clone(), &registry, options.seed);
        let alerts = Arc::new(alerts);
        let rule_stores = RuleStores {
            engine: Arc::clone(&engine),
            source: Arc::clone(&metric_source),
            sink: Arc::clone(&metric_sink),
        };
        let alert_sink: Arc<dyn AlertSink> = alerts.clone();
        let rules = RuleManager::new(rule_stores, alert_sink, clock.clone(), &registry);
        rules.apply(config.rule_groups.clone(), &config.rules).await;
        let mut info = info(&options, &config, &warnings, &listeners, &clock);
        info.alertmanagers = alerts.alertmanagers();
        let api = Api::new(ApiParts {
            clock: clock.clone(),
            registry,
            metric_source,
            metric_sink,
            span_source,
            span_sink,
            engine,
            scrape: scrape.view(),
            rules: rules.view(),
            admin: stores.clone(),
            info,
            limits: http_limits(&config),
        });
        let (stop, stopped) = watch::channel(false);
        let serving = bound.into_iter().map(|bound| {
            let router = match bound.name {
                "otlp_grpc" => http_api::otlp_grpc_router(api.clone()),
                "otlp_http" => http_api::otlp_http_router(api.clone()),
                _ => http_api::main_router(api.clone()),
            };
            http::serve(bound, router, stopped.clone())
        });
        let serving = serving.collect();
        Ok(Self { listeners, stop, serving, scrape, rules, alerts, analysis, maintenance, stores })
    }

    /// Name and bound address of every listener.
    pub fn listeners(&self) -> &[(&'static str, SocketAddr)] {
        &self.listeners
    }

    /// Stops in order: no new requests, workers, the analysis' last figures, stores at rest.
    pub async fn stop(self) {
        // No listener left means nothing to tell.
        let _no_listener = self.stop.send(true).is_err();
        for mut task in self.serving {
            if tokio::time::timeout(DRAIN, &mut task).await.is_err() {
                tracing::warn!("requests still run after {} s and are cut off", DRAIN.as_secs());
                task.abort();
                // Its end frees the sinks that the analysis waits for.
                let _aborted = task.await.is_err();
            }
        }
        self.scrape.shutdown().await;
        self.rules.shutdown().await;
        self.alerts.shutdown(NOTIFY_DRAIN).await;
        let (analysis, maintenance, stores) = (self.analysis, self.maintenance, self.stores);
        let rest = tokio::task::spawn_blocking(move || {
            analysis.join();
            maintenance.stop();
            stores.close();
        });
        if rest.await.is_err() {
            tracing::error!("closing the stores panicked; what is logged is safe");
        }
    }
}

fn load(options: &ServerOptions) -> Result<Loaded, config::ConfigError> {
    match &options.config {
        Some(file) => config::load(file),
        None => Ok(Loaded::default()),
    }
}

async fn bind(options: &ServerOptions) -> Result<Vec<Bound>, BindError> {
    let wanted = [
        ("http", Listen::At(options.listen)),
        ("otlp_grpc", options.otlp_grpc),
        ("otlp_http", options.otlp_http),
    ];
    let mut bound = Vec::new();
    for (name, listen) in wanted {
        bound.extend(http::bind(name, listen).await?);
    }
    Ok(bound)
}

/// Replay may take a while, so it runs on a blocking thread.
async fn open_stores(
    data: DataDir,
    config: &Config,
    clock: &Clock,
    registry: &Registry,
) -> Result<Arc<Stores>, StartError> {
    let settings = StoreSettings {
        metrics_retention: config.metrics_retention,
        traces_retention: config.traces_retention,
        // 0 is what a file that says nothing has; the store then uses its own default.
        out_of_order_window: Some(config.out_of_order_window).filter(|window| !window.is_zero()),
        sync_always: config.sync_always,
    };
    let (clock, registry) = (clock.clone(), registry.clone());
    let opened = tokio::task::spawn_blocking(move || Stores::open(data, &settings, &clock, &registry)).await;
    let stores = opened.map_err(|error| StartError::Thread(std::io::Error::other(error)))??;
    Ok(Arc::new(stores))
}

fn engine_config(config: &Config) -> EngineConfig {
    let default = EngineConfig::default();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    EngineConfig {
        samples_max: config.limits.query_samples.unwrap_or(default.samples_max),
        timeout: config.limits.query_timeout.unwrap_or(default.timeout),
        threads_max: threads.min(8),
        ..default
    }
}

fn http_limits(config: &Config) -> HttpLimits {
    let default = HttpLimits::default();
    let or = |set: Option<u64>, default: usize| {
        set.and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
    };
    let limits = &config.limits;
    HttpLimits {
        body_bytes_max: or(limits.request_body_bytes, default.body_bytes_max),
        decoded_bytes_max: or(limits.request_decoded_bytes, default.decoded_bytes_max),
        ingest_concurrency: or(limits.ingest_concurrency, default.ingest_concurrency),
        query_concurrency: or(limits.query_concurrency, default.query_concurrency),
        ..default
    }
}

fn info(
    options: &ServerOptions,
    config: &Config,
    warnings: &[config::Warning],
    listeners: &[(&'static str, SocketAddr)],
    clock: &Clock,
) -> ServerInfo {
    ServerInfo {
        version: env!("CARGO_PKG_VERSION"),
        role: "all",
        started_ms: clock.unix_ms(),
        data_dir: options.data.clone(),
        config_file: options.config.clone(),
        config_text: config.text.clone(),
        listeners: listeners.iter().map(|(name, address)| (*name, address.to_string())).collect(),
        warnings: warnings.iter().map(ToString::to_string).collect(),
        alertmanagers: Vec::new(),
        flags: options.flags.clone(),
    }
}
