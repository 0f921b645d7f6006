//! One server process: everything it runs, in the order it starts and stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alerts::{AlertService, AlertingSettings};
use clock::Clock;
use disk::Disk;
use eino_metrics_core::Registry;
use http_api::{Api, ApiParts, HttpLimits, ProcessControl, ServerInfo};
use model::{MetricSink, MetricSource, SpanSink, SpanSource};
use promql::{Engine, EngineConfig};
use remote::{RemoteSource, RemoteWriter, WriterParts};
use rules::{AlertSink, RuleManager, RuleStores};
use scrape::ScrapeManager;

use crate::analysis_worker::AnalysisWorker;
use crate::config::{self, Config, Loaded};
use crate::control::{Control, Reloadable};
use crate::data_dir::{DataDir, DataDirError};
use crate::front::Front;
use crate::http::BindError;
use crate::maintenance::Maintenance;
use crate::options::{Features, ServerOptions};
use crate::stores::{StoreError, StoreSettings, Stores};

/// How long notifications under way may go on.
const NOTIFY_DRAIN: Duration = Duration::from_secs(2);
/// Most bytes of the queue of remote write when `limits.remote_write_queue` says nothing.
const REMOTE_WRITE_QUEUE_BYTES: u64 = 2 << 30;

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
    front: Front,
    behind: Behind,
}

/// What runs behind the listeners.
struct Behind {
    control: Control,
    scrape: Arc<ScrapeManager>,
    rules: Arc<RuleManager>,
    alerts: Arc<AlertService>,
    remote_write: Arc<RemoteWriter>,
    analysis: AnalysisWorker,
    maintenance: Maintenance,
    stores: Arc<Stores>,
}

impl Server {
    /// Starts everything. Requests are answered when this returns; until then the main port says that it is starting.
    ///
    /// # Errors
    /// [`StartError`]; nothing keeps running then.
    pub async fn start(options: ServerOptions, clock: Clock) -> Result<Self, StartError> {
        let loaded = load(&options)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        for name in &options.features.without_effect {
            tracing::warn!("--enable-feature={name} is unknown here or always on");
        }
        let registry = Registry::new();
        // Ports first: a taken one is found before a store is touched.
        let mut front = Front::bind(&options, &clock, &registry).await?;
        match Behind::start(&options, loaded, clock, registry, &mut front).await {
            Ok(behind) => Ok(Self { front, behind }),
            Err(error) => {
                front.close().await;
                Err(error)
            }
        }
    }

    /// Name and bound address of every listener.
    pub fn listeners(&self) -> &[(&'static str, SocketAddr)] {
        self.front.listeners()
    }

    /// Loads the configuration again and applies it; a bad one changes nothing.
    ///
    /// # Errors
    /// What is wrong with it. It has been logged.
    pub async fn reload(&self) -> Result<(), String> {
        self.behind.control.reload().await
    }

    /// Resolves when a stop was asked for over HTTP.
    pub async fn quit_asked(&self) {
        self.behind.control.quit_asked().await;
    }

    /// Stops in order: no new requests, workers, the analysis' last figures, stores at rest.
    pub async fn stop(self) {
        self.front.close().await;
        self.behind.stop().await;
    }
}

impl Behind {
    async fn start(
        options: &ServerOptions,
        Loaded { config, warnings }: Loaded,
        clock: Clock,
        registry: Registry,
        front: &mut Front,
    ) -> Result<Self, StartError> {
        let started_ms = clock.unix_ms();
        let data = DataDir::open(&options.data)?;
        let queue_dir = data.part("queue").join("remote_write");
        let stores = open_stores(data, &config, &clock, &registry).await?;
        let maintenance = Maintenance::start(Arc::clone(&stores), &registry).map_err(StartError::Thread)?;
        let remote_write = Arc::new(RemoteWriter::new(WriterParts {
            dir: queue_dir,
            disk: Disk::real(),
            spool_bytes_max: config.limits.remote_write_queue_bytes.unwrap_or(REMOTE_WRITE_QUEUE_BYTES),
            source: stores.metrics.clone(),
            clock: clock.clone(),
            registry: registry.clone(),
        }));
        let metric_sink: Arc<dyn MetricSink> = Arc::new(remote_write.sink(stores.metrics.clone()));
        let local = Arc::clone(&stores);
        let local_start_ms = Arc::new(move || local.metrics.status().min_ms);
        let remote_read = Arc::new(RemoteSource::new(stores.metrics.clone(), local_start_ms, &registry));
        let metric_source: Arc<dyn MetricSource> = remote_read.clone();
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
        let engine = Arc::new(Engine::new(engine_config(&config, &options.features), clock.clone()));
        let scrape = ScrapeManager::new(Arc::clone(&metric_sink), clock.clone(), &registry, options.seed);
        let scrape = Arc::new(scrape);
        let nowhere = AlertingSettings::default();
        let alerts = Arc::new(AlertService::start(nowhere, clock.clone(), &registry, options.seed));
        let rule_stores = RuleStores {
            engine: Arc::clone(&engine),
            source: Arc::clone(&metric_source),
            sink: Arc::clone(&metric_sink),
        };
        let alert_sink: Arc<dyn AlertSink> = alerts.clone();
        let rules = Arc::new(RuleManager::new(rule_stores, alert_sink, clock.clone(), &registry));
        let limits = http_limits(&config);
        let reloadable = Reloadable {
            scrape: scrape.clone(),
            rules: rules.clone(),
            alerts: alerts.clone(),
            remote_write: remote_write.clone(),
            remote_read,
        };
        let live = front.live.clone();
        let control = Control::new(options.config.clone(), clock.clone(), live.clone(), reloadable, config);
        control.apply_first(&warnings).await;
        front.open(&Api::new(ApiParts {
            clock,
            registry,
            metric_source,
            metric_sink,
            span_source,
            span_sink,
            engine,
            scrape: scrape.view(),
            rules: rules.view(),
            admin: stores.clone(),
            control: Arc::new(control.clone()),
            live,
            info: info(options, started_ms, front.listeners()),
            web: options.web.clone(),
            limits,
        }));
        Ok(Self { control, scrape, rules, alerts, remote_write, analysis, maintenance, stores })
    }

    async fn stop(self) {
        self.scrape.shutdown().await;
        self.rules.shutdown().await;
        self.alerts.shutdown(NOTIFY_DRAIN).await;
        let Self { control, scrape, rules, alerts, remote_write, analysis, maintenance, stores } = self;
        // They hold the sinks that the analysis waits for.
        drop((control, scrape, rules, alerts));
        if tokio::task::spawn_blocking(move || analysis.join()).await.is_err() {
            tracing::error!("the analysis panicked while it ended");
        }
        remote_write.shutdown().await;
        let rest = tokio::task::spawn_blocking(move || {
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
        Some(file) => config::load(file, options.features.syntax),
        None => Ok(Loaded::default()),
    }
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
        metrics_retention_bytes: config.metrics_retention_bytes,
        downsampling: config.downsampling,
        background_bytes_per_second: config.background_bytes_per_second,
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

fn engine_config(config: &Config, features: &Features) -> EngineConfig {
    let default = EngineConfig::default();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    EngineConfig {
        samples_max: config.limits.query_samples.unwrap_or(default.samples_max),
        series_max: config.limits.query_series.unwrap_or(default.series_max),
        bytes_max: config.limits.query_memory_bytes.unwrap_or(default.bytes_max),
        timeout: config.limits.query_timeout.unwrap_or(default.timeout),
        // One is left for queries that are answered in a moment.
        threads_max: threads.saturating_sub(1).clamp(1, 8),
        syntax: features.syntax,
        use_start_times: features.use_start_times,
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
        delta_streams_max: or(limits.delta_streams, default.delta_streams_max),
        query_concurrency: or(limits.query_concurrency, default.query_concurrency),
        query_queue: or(limits.query_queue, default.query_queue),
        streams_max: or(limits.answer_streams, default.streams_max),
        ..default
    }
}

fn info(options: &ServerOptions, started_ms: i64, listeners: &[(&'static str, SocketAddr)]) -> ServerInfo {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    ServerInfo {
        version: env!("CARGO_PKG_VERSION"),
        role: "all",
        started_ms,
        hostname: hostname.trim().to_owned(),
        working_dir: std::env::current_dir().unwrap_or_default(),
        data_dir: options.data.clone(),
        config_file: options.config.clone(),
        listeners: listeners.iter().map(|(name, address)| (*name, address.to_string())).collect(),
        flags: options.flags.clone(),
    }
}
