//! Loads the configuration again, and stops the server on request.
//!
//! ```text
//! POST /-/reload, SIGHUP ──▶ load all files ──┬─ a mistake: nothing changes; error, notice, metric
//!                                             └─ good: scrape jobs, rules, alerts follow it
//! ```
//! What only a start can change (storage, limits, analysis) is said in a warning when it differs.

use std::path::PathBuf;
use std::sync::Arc;

use alerts::AlertService;
use clock::Clock;
use http_api::{Live, LoadedConfig, Pending, ProcessControl};
use remote::{RemoteSource, RemoteWriter};
use rules::RuleManager;
use scrape::ScrapeManager;
use tokio::sync::{Mutex, watch};

use crate::config::{self, Config, Loaded};

const RELOAD_FAILED: &str = "Configuration reload has failed.";

/// A cheap handle.
#[derive(Clone)]
pub(crate) struct Control(Arc<Inner>);

/// The parts that follow a changed configuration while they run.
pub(crate) struct Reloadable {
    pub(crate) scrape: Arc<ScrapeManager>,
    pub(crate) rules: Arc<RuleManager>,
    pub(crate) alerts: Arc<AlertService>,
    pub(crate) remote_write: Arc<RemoteWriter>,
    pub(crate) remote_read: Arc<RemoteSource>,
}

struct Inner {
    file: Option<PathBuf>,
    clock: Clock,
    live: Live,
    parts: Reloadable,
    /// The configuration of the start, for what only a start can change. The lock lets one reload run at a time.
    started_with: Mutex<Config>,
    quit: watch::Sender<bool>,
}

impl Control {
    pub(crate) fn new(
        file: Option<PathBuf>,
        clock: Clock,
        live: Live,
        parts: Reloadable,
        started_with: Config,
    ) -> Self {
        let (quit, _) = watch::channel(false);
        let started_with = Mutex::new(started_with);
        Self(Arc::new(Inner { file, clock, live, parts, started_with, quit }))
    }

    /// Applies the configuration of the start.
    pub(crate) async fn apply_first(&self, warnings: &[config::Warning]) {
        let config = self.0.started_with.lock().await.clone();
        self.0.apply(config, warnings.iter().map(ToString::to_string).collect()).await;
    }

    /// Resolves when a stop was asked for over HTTP.
    pub(crate) async fn quit_asked(&self) {
        // The sender lives as long as `self`.
        let _never_closed = self.0.quit.subscribe().wait_for(|quit| *quit).await.is_err();
    }
}

impl ProcessControl for Control {
    fn reload(&self) -> Pending<Result<(), String>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            // A task of its own: a caller that goes away leaves no half of a configuration behind.
            let done = tokio::spawn(async move { inner.reload().await }).await;
            done.unwrap_or_else(|error| Err(format!("the reload failed inside the server: {error}")))
        })
    }

    fn quit(&self) -> bool {
        !self.0.quit.send_replace(true)
    }
}

impl Inner {
    async fn reload(&self) -> Result<(), String> {
        let started_with = self.started_with.lock().await;
        let (file, syntax) = (self.file.clone(), started_with.syntax);
        let load = move || file.map_or_else(|| Ok(Loaded::default()), |file| config::load(&file, syntax));
        let loaded = tokio::task::spawn_blocking(load).await.map_err(|error| error.to_string());
        let loaded = loaded.and_then(|loaded| loaded.map_err(|error| error.to_string()));
        let Loaded { config, warnings } = match loaded {
            Ok(loaded) => loaded,
            Err(why) => {
                tracing::error!(error = why, "the configuration was not reloaded; the one before goes on");
                self.live.config_refused();
                self.live.raise(RELOAD_FAILED, self.clock.unix_ms());
                return Err(why);
            }
        };
        let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        warnings.extend(needs_restart(&started_with, &config));
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        self.apply(config, warnings).await;
        self.live.clear(RELOAD_FAILED);
        tracing::info!("the configuration was reloaded");
        Ok(())
    }

    async fn apply(&self, config: Config, warnings: Vec<String>) {
        let Reloadable { scrape, rules, alerts, remote_write, remote_read } = &self.parts;
        let loaded = LoadedConfig {
            text: config.text,
            external_labels: config.rules.globals.external_labels.clone(),
            loaded_ms: self.clock.unix_ms(),
            last_reload_ok: true,
            warnings,
            alertmanagers: config
                .alerting
                .alertmanagers
                .iter()
                .map(|external| external.url.clone())
                .collect(),
            retention: retention(config.metrics_retention, config.metrics_retention_bytes),
            otlp: config.otlp,
        };
        remote_read.apply(config.remote_read);
        if let Err(error) = remote_write.apply(config.remote_write).await {
            tracing::error!(error = &error as &dyn std::error::Error, "remote write is as it was before");
        }
        scrape.apply(config.scrape_configs);
        alerts.apply(config.alerting);
        rules.apply(config.rule_groups, &config.rules).await;
        self.live.config_loaded(loaded);
    }
}

/// What the new file asks for and only a start can do.
fn needs_restart(running: &Config, new: &Config) -> Vec<String> {
    let storage = |config: &Config| {
        let kept = (config.metrics_retention, config.metrics_retention_bytes, config.traces_retention);
        (kept, config.out_of_order_window, config.sync_always)
    };
    let changed = [
        ("storage and traces", storage(running) != storage(new)),
        ("limits", running.limits != new.limits),
        ("analysis", running.analysis_write_interval != new.analysis_write_interval),
    ];
    let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(section, _)| format!("{section}: the change takes effect at the next start")).collect()
}

/// `15d or 512MiB`, as Prometheus joins the two.
fn retention(time: std::time::Duration, bytes: Option<u64>) -> String {
    let time = stdx::format_duration(time);
    match bytes {
        Some(bytes) => format!("{time} or {}", stdx::format_bytes(bytes)),
        None => time,
    }
}
