//! One job: finds its targets, and starts and stops a worker for each.
//!
//! ```text
//! order: run(config) ─┐                        ┌─▶ worker   (one task per target)
//! files, polled ──────┴▶ discover ─▶ sync ─────┼─▶ worker
//! order: stop ──────────▶ join all             └─▶ gone: stale markers
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use discovery::{FileDiscovery, Refresh};
use model::LabelSet;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::ScrapeConfig;
use crate::cache::SeriesCache;
use crate::client::JobClient;
use crate::status::{DroppedTarget, Health, PoolStatus, TargetStatus};
use crate::target::{Prepared, Target, prepare};
use crate::worker::{Shared, Worker, end_series};

/// How often files are looked at; they are read when size or time of change differ.
const FILE_POLL: Duration = Duration::from_secs(2);
const FILE_REFRESH_DEFAULT: Duration = Duration::from_secs(300);

/// What a pool shall do.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Run(Arc<ScrapeConfig>),
    /// The job is gone: end its series, or not when the whole process stops.
    Stop {
        end_series: bool,
    },
}

pub(crate) struct Pool {
    shared: Shared,
    config: Arc<ScrapeConfig>,
    client: JobClient,
    files: Option<FileDiscovery>,
    running: HashMap<u64, Running>,
}

struct Running {
    target: Target,
    stop: watch::Sender<bool>,
    worker: JoinHandle<Vec<LabelSet>>,
}

impl Pool {
    /// Runs a job until its order is to stop.
    pub(crate) async fn run(shared: Shared, config: Arc<ScrapeConfig>, mut orders: watch::Receiver<Order>) {
        let client = JobClient::new(&config);
        let mut pool = Self { shared, config, client, files: None, running: HashMap::new() };
        pool.restart().await;
        let end = loop {
            let (poll, refresh) = pool.poll_times();
            let mut since_refresh = Duration::ZERO;
            let order = loop {
                tokio::select! {
                    biased;
                    changed = orders.changed() => {
                        let order = orders.borrow_and_update().clone();
                        break if changed.is_ok() { order } else { Order::Stop { end_series: false } };
                    }
                    () = tokio::time::sleep(poll), if pool.files.is_some() => {
                        since_refresh += poll;
                        let due = since_refresh >= refresh;
                        if due {
                            since_refresh = Duration::ZERO;
                        }
                        if pool.refresh(if due { Refresh::All } else { Refresh::Changed }).await {
                            pool.sync().await;
                        }
                    }
                }
            };
            match order {
                Order::Run(config) => {
                    pool.client = JobClient::new(&config);
                    pool.config = config;
                    pool.restart().await;
                }
                Order::Stop { end_series } => break end_series,
            }
        };
        let live = pool.stop_all().await;
        if end {
            pool.end(live.into_values().flatten().collect()).await;
        }
        pool.shared.view.remove(&pool.config.job_name);
    }

    fn poll_times(&self) -> (Duration, Duration) {
        let intervals = self
            .config
            .sources
            .files
            .iter()
            .map(|files| files.refresh_interval.map_or(FILE_REFRESH_DEFAULT, |interval| interval.0));
        let refresh = intervals.min().unwrap_or(FILE_REFRESH_DEFAULT).max(Duration::from_millis(1));
        (refresh.min(FILE_POLL), refresh)
    }

    /// Starts over with new settings. Targets that stay keep their live series, so that nothing looks stale between.
    async fn restart(&mut self) {
        let has_files = !self.config.sources.files.is_empty();
        self.files = has_files.then(|| FileDiscovery::new(&self.config.sources.files, &self.shared.registry));
        self.refresh(Refresh::All).await;
        let mut live = self.stop_all().await;
        for target in self.discover() {
            let inherited = live.remove(&target.key()).unwrap_or_default();
            self.start(target, inherited);
        }
        self.end(live.into_values().flatten().collect()).await;
    }

    /// Looks at the files, off the runtime's threads. Returns whether targets may have changed.
    async fn refresh(&mut self, refresh: Refresh) -> bool {
        let Some(mut files) = self.files.take() else { return false };
        let done = tokio::task::spawn_blocking(move || {
            let changed = files.refresh(refresh);
            (files, changed)
        });
        match done.await {
            Ok((files, changed)) => {
                self.files = Some(files);
                changed
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Starts workers of new targets, stops those of vanished ones, leaves the others alone.
    async fn sync(&mut self) {
        let targets: HashMap<u64, Target> =
            self.discover().into_iter().map(|target| (target.key(), target)).collect();
        let gone: Vec<u64> = self
            .running
            .iter()
            .filter(|(key, running)| targets.get(key) != Some(&running.target))
            .map(|(key, _)| *key)
            .collect();
        let mut inherited = HashMap::new();
        for key in gone {
            if let Some(running) = self.running.remove(&key) {
                inherited.insert(key, stop(running).await);
            }
        }
        for (key, target) in targets {
            if !self.running.contains_key(&key) {
                let live = inherited.remove(&key).unwrap_or_default();
                self.start(target, live);
            }
        }
        self.end(inherited.into_values().flatten().collect()).await;
    }

    /// Relabels what discovery found, and writes down what was dropped and what each target is.
    fn discover(&self) -> Vec<Target> {
        let mut targets: HashMap<u64, Target> = HashMap::new();
        let mut status = PoolStatus { config: Some(Arc::clone(&self.config)), ..PoolStatus::default() };
        let groups = self.config.sources.static_groups.iter();
        let groups = groups.chain(self.files.iter().flat_map(FileDiscovery::groups));
        for labels in groups.flat_map(|group| group.label_sets().collect::<Vec<_>>()) {
            match prepare(&self.config, &labels) {
                Ok(Prepared::Kept(target)) => {
                    targets.insert(target.key(), target);
                }
                Ok(Prepared::Dropped(discovered)) => self.note_dropped(discovered, &mut status),
                Err(error) => warn!(job = self.config.job_name, %labels, error, "target not usable"),
            }
        }
        let limit = self.config.limits.targets;
        let over = limit > 0 && targets.len() as u64 > limit;
        if over {
            error!(
                job = self.config.job_name,
                targets = targets.len(),
                limit,
                "over target_limit: no target is scraped"
            );
            self.shared.metrics.failed("target_limit");
            targets.clear();
        }
        self.shared.view.update(&self.config.job_name, |pool| {
            for (key, target) in &targets {
                let fresh = || fresh_status(&self.config.job_name, target);
                let known = pool.active.remove(key).unwrap_or_else(fresh);
                status
                    .active
                    .insert(*key, TargetStatus { discovered_labels: target.discovered.clone(), ..known });
            }
            *pool = status;
        });
        targets.into_values().collect()
    }

    fn note_dropped(&self, discovered_labels: LabelSet, status: &mut PoolStatus) {
        status.dropped_count += 1;
        let keep = self.config.keep_dropped_targets;
        if keep == 0 || status.dropped_count <= keep {
            status
                .dropped
                .push(DroppedTarget { discovered_labels, scrape_pool: self.config.job_name.clone() });
        }
    }

    fn start(&mut self, target: Target, live: Vec<LabelSet>) {
        let (stop, stopped) = watch::channel(false);
        let worker = Worker {
            shared: self.shared.clone(),
            config: Arc::clone(&self.config),
            client: self.client.clone(),
            target: target.clone(),
            cache: SeriesCache::inheriting(live),
        };
        info!(job = self.config.job_name, url = target.url, "target started");
        let worker = tokio::spawn(worker.run(stopped));
        self.running.insert(target.key(), Running { target, stop, worker });
    }

    /// Stops every worker; the live series by target.
    async fn stop_all(&mut self) -> HashMap<u64, Vec<LabelSet>> {
        for running in self.running.values() {
            running.stop.send_replace(true);
        }
        let mut live = HashMap::new();
        for (key, running) in self.running.drain() {
            live.insert(key, stop(running).await);
        }
        live
    }

    async fn end(&self, live: Vec<LabelSet>) {
        if live.is_empty() {
            return;
        }
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || end_series(&shared, &live)).await;
        if let Err(panic) = done {
            std::panic::resume_unwind(panic.into_panic());
        }
    }
}

async fn stop(running: Running) -> Vec<LabelSet> {
    running.stop.send_replace(true);
    match running.worker.await {
        Ok(live) => live,
        Err(error) => {
            error!(%error, url = running.target.url, "a scrape worker panicked");
            Vec::new()
        }
    }
}

fn fresh_status(job: &str, target: &Target) -> TargetStatus {
    TargetStatus {
        discovered_labels: target.discovered.clone(),
        labels: target.labels.clone(),
        scrape_pool: job.to_owned(),
        scrape_url: target.url.clone(),
        global_url: target.url.clone(),
        last_error: String::new(),
        last_scrape_ms: None,
        last_scrape_duration_seconds: 0.0,
        health: Health::Unknown,
        scrape_interval: target.interval,
        scrape_timeout: target.timeout,
    }
}
