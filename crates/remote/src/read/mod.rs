//! Remote read: a source whose answers are the local store's and those of other servers, merged.
//!
//! ```text
//! select ─┬─▶ local ─────────────────────────────┐
//!         └─▶ target, if it is to be asked ─▶ HTTP ─▶ merged by labels; where both have a time, the local sample counts
//! ```
//! Questions about names, values, metadata and exemplars are answered locally, as Prometheus does.

mod client;
mod merged;

use std::sync::Arc;

use arc_swap::ArcSwap;
use eino_metrics_core::{Counter, Registry};
use model::{Exemplar, LabelSet, Matcher, MetricMetadata, MetricSource, SeriesSet, SourceError, TimeRange};
use tokio::runtime::Handle;
use tracing::warn;

use crate::ReadConfig;
use client::ReadClient;
use merged::Merged;

/// When the local store begins, Unix milliseconds; `None` when it is empty.
type LocalStart = Arc<dyn Fn() -> Option<i64> + Send + Sync>;

/// A source that also asks other servers. Ask it from threads that may block, never from the runtime's.
pub struct RemoteSource {
    local: Arc<dyn MetricSource>,
    local_start_ms: LocalStart,
    targets: ArcSwap<Vec<ReadClient>>,
    runtime: Handle,
    requests: Counter,
    failed: Counter,
}

impl RemoteSource {
    /// Without targets.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn new(local: Arc<dyn MetricSource>, local_start_ms: LocalStart, registry: &Registry) -> Self {
        let failed = "Remote reads that failed: their answers were local only.";
        Self {
            local,
            local_start_ms,
            targets: ArcSwap::default(),
            runtime: Handle::current(),
            requests: registry.counter("eino_remote_read_requests_total", "Remote reads asked."),
            failed: registry.counter("eino_remote_read_failures_total", failed),
        }
    }

    /// Makes `configs` the targets. Reads certificate files.
    pub fn apply(&self, configs: Vec<ReadConfig>) {
        self.targets.store(Arc::new(configs.into_iter().map(ReadClient::new).collect()));
    }
}

impl MetricSource for RemoteSource {
    fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError> {
        let local = self.local.select(matchers, range_ms)?;
        let targets = self.targets.load();
        if targets.is_empty() {
            return Ok(local);
        }
        let mut merged = Merged::new(local);
        for target in targets.iter() {
            let Some(range_ms) = target.range(matchers, range_ms, || (self.local_start_ms)()) else {
                continue;
            };
            self.requests.inc();
            match self.runtime.block_on(target.select(matchers, range_ms)) {
                Ok(series) => merged.add(series),
                Err(why) => {
                    self.failed.inc();
                    let info =
                        format!("remote read of {} failed, its samples are missing: {why}", target.name());
                    warn!("{info}");
                    merged.note(info);
                }
            }
        }
        Ok(Box::new(merged.finish()))
    }

    fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        self.local.label_names(selectors, range_ms)
    }

    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        self.local.label_values(name, selectors, range_ms)
    }

    fn metadata(&self, family: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError> {
        self.local.metadata(family)
    }

    fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<(LabelSet, Vec<Exemplar>)>, SourceError> {
        self.local.exemplars(selectors, range_ms)
    }
}
