//! All jobs: applies settings, answers which targets there are, stops everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use clock::Clock;
use eino_metrics_core::Registry;
use model::MetricSink;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::ScrapeConfig;
use crate::pool::{Order, Pool};
use crate::status::{Targets, TargetsView};
use crate::worker::{Metrics, Shared};

/// Runs the scrape jobs. Dropping it stops them without waiting.
pub struct ScrapeManager {
    shared: Shared,
    /// Protects which jobs run; held only to look up and change the maps.
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    running: HashMap<String, RunningPool>,
    /// Jobs that were told to end. One of the same name starts only after its predecessor.
    ending: HashMap<String, JoinHandle<()>>,
}

struct RunningPool {
    config: Arc<ScrapeConfig>,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

impl ScrapeManager {
    /// A manager without jobs. `seed` spreads the scrapes of several servers over time.
    pub fn new(sink: Arc<dyn MetricSink>, clock: Clock, registry: &Registry, seed: u64) -> Self {
        let shared = Shared {
            sink,
            clock,
            registry: registry.clone(),
            seed,
            view: TargetsView::default(),
            metrics: Metrics::new(registry),
        };
        Self { shared, jobs: Mutex::default() }
    }

    /// Makes `configs` the jobs that run: unchanged ones go on, changed ones start over, missing ones end and their
    /// series get stale markers. Returns at once.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn apply(&self, configs: Vec<ScrapeConfig>) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let Jobs { running, ending } = &mut *jobs;
        let wanted: HashMap<String, Arc<ScrapeConfig>> =
            configs.into_iter().map(|config| (config.job_name.clone(), Arc::new(config))).collect();
        ending.retain(|_, task| !task.is_finished());
        for (name, pool) in running.extract_if(|name, _| !wanted.contains_key(name)) {
            info!(job = name, "job ended");
            pool.orders.send_replace(Order::Stop { end_series: true });
            ending.insert(name, pool.task);
        }
        for (name, config) in wanted {
            match running.get_mut(&name) {
                Some(pool) if pool.config == config => {}
                Some(pool) => {
                    info!(job = name, "job changed");
                    pool.config = Arc::clone(&config);
                    pool.orders.send_replace(Order::Run(config));
                }
                None => {
                    let predecessor = ending.remove(&name);
                    running.insert(name, self.start(config, predecessor));
                }
            }
        }
    }

    fn start(&self, config: Arc<ScrapeConfig>, predecessor: Option<JoinHandle<()>>) -> RunningPool {
        let (orders, receiver) = watch::channel(Order::Run(Arc::clone(&config)));
        let (shared, first) = (self.shared.clone(), Arc::clone(&config));
        let task = tokio::spawn(async move {
            if let Some(predecessor) = predecessor {
                joined(&first.job_name, predecessor).await;
            }
            Pool::run(shared, first, receiver).await;
        });
        RunningPool { config, orders, task }
    }

    /// The targets now.
    pub fn targets(&self) -> Targets {
        self.shared.view.targets()
    }

    /// A handle that answers which targets there are.
    pub fn view(&self) -> TargetsView {
        self.shared.view.clone()
    }

    /// Stops all jobs: requests under way are given up, what was fetched is stored. Writes no stale markers: a restart
    /// goes on with the same series.
    pub async fn shutdown(&self) {
        let Jobs { running, ending } = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *jobs)
        };
        for pool in running.values() {
            pool.orders.send_replace(Order::Stop { end_series: false });
        }
        let tasks = running.into_iter().map(|(name, pool)| (name, pool.task));
        for (name, task) in tasks.chain(ending) {
            joined(&name, task).await;
        }
    }
}

async fn joined(job: &str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        error!(%error, job, "a scrape job panicked");
    }
}
