//! Remote write: the sink that feeds the spool, and the targets that empty it.

mod metrics;
mod prepare;
mod shard;
mod spool;
mod target;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use clock::Clock;
use disk::Disk;
use eino_metrics_core::Registry;
use model::{Appended, MetricBatch, MetricSink, MetricSource, SinkError};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::{Error, WriteConfig};
use metrics::SpoolMetrics;
use spool::Spool;
use target::Target;

/// What a writer is made of.
pub struct WriterParts {
    /// Holds nothing but the spool. Made when a target is configured.
    pub dir: PathBuf,
    pub disk: Disk,
    /// Most bytes of the spool.
    pub spool_bytes_max: u64,
    /// Answers what is known of families.
    pub source: Arc<dyn MetricSource>,
    pub clock: Clock,
    pub registry: Registry,
}

/// Runs the targets.
pub struct RemoteWriter {
    parts: WriterParts,
    /// Present as long as there is a target.
    spool: Arc<ArcSwapOption<Spool>>,
    metrics: SpoolMetrics,
    /// Protects which targets run; held over their stop, so that two changes do not cross.
    running: Mutex<HashMap<String, Running>>,
}

struct Running {
    config: WriteConfig,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RemoteWriter {
    /// Without targets.
    pub fn new(parts: WriterParts) -> Self {
        let metrics = SpoolMetrics::new(&parts.registry);
        Self { parts, spool: Arc::default(), metrics, running: Mutex::default() }
    }

    /// A sink that hands what `store` accepted to the targets too.
    pub fn sink(&self, store: Arc<dyn MetricSink>) -> RemoteSink {
        RemoteSink { store, spool: Arc::clone(&self.spool), metrics: self.metrics.clone() }
    }

    /// Makes `configs` the targets: unchanged ones go on, changed ones start over where they were, missing ones end.
    ///
    /// # Errors
    /// [`Error::Spool`]; the targets are then as before.
    pub async fn apply(&self, configs: Vec<WriteConfig>) -> Result<(), Error> {
        let mut running = self.running.lock().await;
        let wanted: HashMap<String, WriteConfig> =
            configs.into_iter().map(|config| (config.name.clone(), config)).collect();
        if wanted.is_empty() {
            self.spool.store(None);
        } else if self.spool.load().is_none() {
            self.spool.store(Some(Arc::new(self.open().await?)));
        }
        let ended: Vec<_> =
            running.extract_if(|name, target| wanted.get(name) != Some(&target.config)).collect();
        for (name, target) in ended {
            target.stop.send_replace(true);
            joined(&name, target.task).await;
            if !wanted.contains_key(&name) {
                info!(target = name, "remote write ended");
            }
        }
        let Some(spool) = self.spool.load_full() else { return Ok(()) };
        spool.keep_targets(wanted.keys());
        for (name, config) in wanted {
            if running.contains_key(&name) {
                continue;
            }
            info!(target = name, url = config.url, "remote write started");
            let (stop, stopped) = watch::channel(false);
            let target = Target::new(&self.parts, Arc::clone(&spool), config.clone(), stopped);
            // Before this returns: what is stored from now on is the target's.
            let (place, known) = (Arc::clone(&spool), name.clone());
            let position = match tokio::task::spawn_blocking(move || place.start(&known)).await {
                Ok(position) => position,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            };
            running.insert(name, Running { config, stop, task: tokio::spawn(target.run(position)) });
        }
        Ok(())
    }

    async fn open(&self) -> Result<Spool, Error> {
        let parts = &self.parts;
        let (dir, disk, limit) = (parts.dir.clone(), parts.disk.clone(), parts.spool_bytes_max);
        let (clock, registry, metrics) = (parts.clock.clone(), parts.registry.clone(), self.metrics.clone());
        let open = move || Spool::open(dir, disk, limit, clock, &registry, metrics);
        match tokio::task::spawn_blocking(open).await {
            Ok(opened) => opened.map_err(Error::Spool),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Stops all targets: what is being sent gets one more try, and positions are written down.
    pub async fn shutdown(&self) {
        let mut running = self.running.lock().await;
        for target in running.values() {
            target.stop.send_replace(true);
        }
        for (name, target) in running.drain() {
            joined(&name, target.task).await;
        }
        if let Some(spool) = self.spool.swap(None) {
            spool.close();
        }
    }
}

async fn joined(name: &str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        error!(%error, target = name, "a remote write target panicked");
    }
}

/// A sink whose batches also go to the targets.
pub struct RemoteSink {
    store: Arc<dyn MetricSink>,
    spool: Arc<ArcSwapOption<Spool>>,
    metrics: SpoolMetrics,
}

impl MetricSink for RemoteSink {
    /// Stores the batch, then spools it whole: samples that the store refused one by one are sent too, and refused there.
    /// A spool that cannot take it is counted, and costs the targets the batch, not the caller.
    fn append(&self, batch: &MetricBatch) -> Result<Appended, SinkError> {
        let appended = self.store.append(batch)?;
        if let Some(spool) = &*self.spool.load()
            && let Err(refused) = spool.append(batch)
        {
            let samples = batch.sample_count() as u64;
            self.metrics.refused(refused.reason).add(samples);
            error!(error = refused.message, samples, "samples not queued for remote write");
        }
        Ok(appended)
    }
}
