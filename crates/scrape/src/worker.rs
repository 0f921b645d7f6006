//! The life of one target: scrape at each tick until told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use eino_metrics_core::{Counter, Registry};
use model::{Appended, LabelSet, METRIC_NAME, MetricBatch, MetricSink, SinkError};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, error};

use crate::ScrapeConfig;
use crate::cache::{Context, Counts, SeriesCache};
use crate::client::{FetchError, JobClient, Page};
use crate::page::read_page;
use crate::status::{Health, TargetsView};
use crate::target::Target;

/// What all targets share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) sink: Arc<dyn MetricSink>,
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    pub(crate) seed: u64,
    pub(crate) view: TargetsView,
    pub(crate) metrics: Metrics,
}

/// Counters of all scrapes.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) scrapes: Counter,
    pub(crate) samples: Counter,
    pub(crate) stale: Counter,
    histograms_refused: Counter,
    pub(crate) registry: Registry,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            scrapes: registry.counter("eino_scrape_scrapes_total", "Scrapes done, good or failed."),
            samples: registry.counter("eino_scrape_samples_total", "Samples kept from scrapes."),
            stale: registry
                .counter("eino_scrape_stale_markers_total", "Stale markers written for vanished series."),
            histograms_refused: registry.counter(
                "eino_scrape_histograms_refused_total",
                "Classic histograms that make no sense and did not become native ones.",
            ),
            registry: registry.clone(),
        }
    }

    pub(crate) fn failed(&self, reason: &'static str) {
        let help = "Scrapes that failed, by reason.";
        self.registry.counter_with("eino_scrape_failures_total", help, &[("reason", reason)]).inc();
    }

    fn rejected(&self, appended: &Appended) {
        let help = "Scraped samples that the store refused, by reason.";
        for rejection in &appended.rejected {
            let labels = [("reason", rejection.reason.as_str())];
            self.registry
                .counter_with("eino_scrape_samples_rejected_total", help, &labels)
                .add(rejection.count);
        }
    }
}

/// One target and what is remembered of it.
pub(crate) struct Worker {
    pub(crate) shared: Shared,
    pub(crate) config: Arc<ScrapeConfig>,
    pub(crate) client: JobClient,
    pub(crate) target: Target,
    pub(crate) cache: SeriesCache,
}

/// Synthetic series of each scrape, in this order.
const REPORT: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

impl Worker {
    /// Scrapes until `stop` changes or closes; then gives back the series that are live.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Vec<LabelSet> {
        let mut ticks = tokio::time::interval_at(Instant::now() + self.first_delay(), self.target.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last_ms = None;
        while !stopped(&mut stop, ticks.tick()).await {
            let ts_ms = align(self.shared.clock.unix_ms(), last_ms, self.target.interval);
            last_ms = Some(ts_ms);
            let start = self.shared.clock.monotonic();
            // A stop does not wait for a slow target.
            let page = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                page = self.client.fetch(&self.config, &self.target) => page,
            };
            self = self.store_elsewhere(page, ts_ms, start).await;
        }
        let mut live = self.cache.into_live();
        if last_ms.is_some() {
            live.extend(report_labels(&self.target.labels));
        }
        live
    }

    /// Until the target's next slot.
    fn first_delay(&self) -> Duration {
        let interval_ns = self.target.interval.as_nanos().max(1);
        let now_ns = u128::from(self.shared.clock.unix_ns());
        let offset_ns = self.target.offset(self.shared.seed).as_nanos();
        let wait_ns = (offset_ns + interval_ns - now_ns % interval_ns) % interval_ns;
        Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(u64::MAX))
    }

    /// Decodes and stores an answer off the runtime's threads, for both block, and notes how it went.
    async fn store_elsewhere(self, page: Result<Page, FetchError>, ts_ms: i64, start: Duration) -> Self {
        let key = self.target.key();
        let pool = self.config.job_name.clone();
        let view = self.shared.view.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut worker = self;
            let outcome = worker.store(page, ts_ms, start);
            (worker, outcome)
        });
        match done.await {
            Ok((worker, (outcome, took))) => {
                view.update(&pool, |pool| {
                    let Some(status) = pool.active.get_mut(&key) else { return };
                    status.last_scrape_ms = Some(ts_ms);
                    status.last_scrape_duration_seconds = took.as_secs_f64();
                    status.health = if outcome.is_ok() { Health::Up } else { Health::Down };
                    status.last_error = outcome.err().unwrap_or_default();
                });
                worker
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Turns an answer into samples, stale markers and the report, and stores them as one batch.
    fn store(
        &mut self,
        page: Result<Page, FetchError>,
        ts_ms: i64,
        start: Duration,
    ) -> (Result<(), String>, Duration) {
        let mut batch = MetricBatch::new();
        let mut counts = Counts::default();
        let context = Context { config: &self.config, target_labels: &self.target.labels };
        self.cache.begin();
        let read =
            page.and_then(|page| read_page(&page, &context, ts_ms, &mut self.cache, &mut batch, &mut counts));
        match &read {
            Ok(()) => self.cache.finish(ts_ms, &mut batch, &mut counts),
            Err(failure) => {
                self.cache.fail(ts_ms, &mut batch, &mut counts);
                self.shared.metrics.failed(failure.reason);
                debug!(url = %self.target.url, error = %failure.message, "scrape failed");
            }
        }
        let took = self.shared.clock.monotonic().saturating_sub(start);
        push_report(&self.target.labels, ts_ms, read.is_ok(), took, counts, &mut batch);
        let metrics = &self.shared.metrics;
        metrics.scrapes.inc();
        metrics.stale.add(counts.stale);
        let stored = append(&self.shared, &batch);
        if stored.is_ok() && read.is_ok() {
            metrics.samples.add(counts.kept);
            metrics.histograms_refused.add(counts.histograms_refused);
        }
        (read.map_err(|failure| failure.message).and(stored), took)
    }
}

/// Writes stale markers for series whose target is gone. Blocks.
pub(crate) fn end_series(shared: &Shared, live: &[LabelSet]) {
    let ts_ms = shared.clock.unix_ms();
    let mut batch = MetricBatch::new();
    for labels in live {
        batch.start_series_canonical(labels.as_ref());
        batch.push_sample(ts_ms, model::stale_nan());
    }
    shared.metrics.stale.add(live.len() as u64);
    // A refusal is counted and logged by `append`; the series then end by lookback.
    append(shared, &batch).unwrap_or_default();
}

fn append(shared: &Shared, batch: &MetricBatch) -> Result<(), String> {
    if batch.is_empty() {
        return Ok(());
    }
    match shared.sink.append(batch) {
        Ok(appended) => {
            shared.metrics.rejected(&appended);
            Ok(())
        }
        Err(refused) => {
            shared.metrics.failed("sink");
            if !matches!(refused, SinkError::Closed(_)) {
                error!(error = %refused, "scraped samples not stored");
            }
            Err(format!("samples not stored: {refused}"))
        }
    }
}

fn report_labels(target_labels: &LabelSet) -> impl Iterator<Item = LabelSet> {
    REPORT.iter().map(|name| {
        let mut labels = target_labels.to_builder();
        labels.set(METRIC_NAME, name);
        labels.build()
    })
}

fn push_report(
    target_labels: &LabelSet,
    ts_ms: i64,
    up: bool,
    took: Duration,
    counts: Counts,
    batch: &mut MetricBatch,
) {
    let values = [
        f64::from(u8::from(up)),
        took.as_secs_f64(),
        counts.scraped as f64,
        counts.kept as f64,
        counts.series_added as f64,
    ];
    for (labels, value) in report_labels(target_labels).zip(values) {
        batch.start_series_canonical(labels.as_ref());
        batch.push_sample(ts_ms, value);
    }
}

/// Whether the worker is told to stop before `tick` comes.
pub(crate) async fn stopped<T>(stop: &mut watch::Receiver<bool>, tick: impl Future<Output = T>) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => true,
        _ = tick => false,
    }
}

/// Scrapes come a little late; within a tolerance their timestamps keep the exact interval, which compresses better.
fn align(now_ms: i64, last_ms: Option<i64>, interval: Duration) -> i64 {
    const TOLERANCE_MS: i64 = 2;
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let Some(last_ms) = last_ms else { return now_ms };
    let tolerance_ms = TOLERANCE_MS.min(interval_ms / 100);
    let late_ms = (now_ms - last_ms) % interval_ms;
    let on_grid = now_ms - late_ms > last_ms && late_ms <= tolerance_ms;
    if on_grid { now_ms - late_ms } else { now_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_keep_the_interval_within_the_tolerance() {
        let interval = Duration::from_secs(1);
        for (now_ms, last_ms, want) in [
            (5_000, None, 5_000),
            (6_002, Some(5_000), 6_000),
            (6_003, Some(5_000), 6_003),
            (5_001, Some(5_000), 5_001),
        ] {
            assert_eq!(align(now_ms, last_ms, interval), want, "{now_ms}");
        }
    }
}
