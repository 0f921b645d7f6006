//! The two embedded stores.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use eino_metrics_core::Registry;
use traces::{TraceStore, TraceStoreConfig};
use tsdb::{Tsdb, TsdbConfig};

use crate::config::Downsampling;
use crate::data_dir::DataDir;
use crate::maintenance;

/// A store that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the metrics store")]
    Metrics(#[source] tsdb::Error),
    #[error("cannot open the span store")]
    Traces(#[source] traces::Error),
}

/// What the configuration file says about storage.
#[derive(Clone, Debug)]
pub(crate) struct StoreSettings {
    pub(crate) metrics_retention: Duration,
    pub(crate) metrics_retention_bytes: Option<u64>,
    pub(crate) downsampling: Downsampling,
    pub(crate) background_bytes_per_second: u64,
    pub(crate) traces_retention: Duration,
    pub(crate) out_of_order_window: Option<Duration>,
    pub(crate) sync_always: bool,
}

pub(crate) struct Stores {
    pub(crate) metrics: Arc<Tsdb>,
    pub(crate) traces: Arc<TraceStore>,
    pub(crate) data: DataDir,
    pub(crate) clock: Clock,
}

impl Stores {
    pub(crate) fn open(
        data: DataDir,
        settings: &StoreSettings,
        clock: &Clock,
        registry: &Registry,
    ) -> Result<Self, StoreError> {
        let sync = || match settings.sync_always {
            true => log::SyncPolicy::Always,
            false => log::SyncPolicy::Every(Duration::from_millis(100)),
        };
        let mut metrics = TsdbConfig::new(data.part("metrics"));
        metrics.retention = settings.metrics_retention;
        metrics.retention_bytes = settings.metrics_retention_bytes;
        metrics.five_minutes_retention = settings.downsampling.five_minutes;
        metrics.one_hour_retention = settings.downsampling.one_hour;
        metrics.merge_bytes_per_call =
            settings.background_bytes_per_second.saturating_mul(maintenance::EVERY.as_secs());
        metrics.sync = sync();
        if let Some(window) = settings.out_of_order_window {
            metrics.out_of_order_window = window;
        }
        let mut traces = TraceStoreConfig::new(data.part("traces"));
        traces.retention = settings.traces_retention;
        traces.sync = sync();
        Ok(Self {
            metrics: Arc::new(Tsdb::open(metrics, clock.clone(), registry).map_err(StoreError::Metrics)?),
            traces: Arc::new(TraceStore::open(traces, clock.clone(), registry).map_err(StoreError::Traces)?),
            data,
            clock: clock.clone(),
        })
    }

    /// Flushes and closes both. What is logged is safe even when this fails.
    pub(crate) fn close(&self) {
        if let Err(error) = self.metrics.close() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the metrics store did not close cleanly"
            );
        }
        if let Err(error) = self.traces.close() {
            tracing::error!(error = &error as &dyn std::error::Error, "the span store did not close cleanly");
        }
    }
}
