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
use crate::client::HttpClient;
use crate::pool::{Order, Pool};
use crate::status::{Targets, TargetsView};
use crate::worker::{Metrics, Shared};

/// Runs the scrape jobs. Dropping it stops them without waiting.
pub struct ScrapeManager {
    shared: Shared,
    /// Protects which jobs run; held only to look up and change the map.
    pools: Mutex<HashMap<String, RunningPool>>,
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
            client: HttpClient::new(),
            view: TargetsView::default(),
            metrics: Metrics::new(registry),
        };
        Self { shared, pools: Mutex::default() }
    }

    /// Makes `configs` the jobs that run: unchanged ones go on, changed ones start over, missing ones end and their
    /// series get stale markers. Returns at once.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn apply(&self, configs: Vec<ScrapeConfig>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: HashMap<String, Arc<ScrapeConfig>> =
            configs.into_iter().map(|config| (config.job_name.clone(), Arc::new(config))).collect();
        pools.retain(|name, pool| {
            let keep = wanted.contains_key(name);
            if !keep {
                info!(job = name, "job ended");
                pool.orders.send_replace(Order::Stop { end_series: true });
            }
            keep
        });
        for (name, config) in wanted {
            match pools.get_mut(&name) {
                Some(pool) if pool.config == config => {}
                Some(pool) => {
                    info!(job = name, "job changed");
                    pool.config = Arc::clone(&config);
                    pool.orders.send_replace(Order::Run(config));
                }
                None => {
                    let (orders, receiver) = watch::channel(Order::Run(Arc::clone(&config)));
                    let task = tokio::spawn(Pool::run(self.shared.clone(), Arc::clone(&config), receiver));
                    pools.insert(name, RunningPool { config, orders, task });
                }
            }
        }
    }

    /// The targets now.
    pub fn targets(&self) -> Targets {
        self.shared.view.targets()
    }

    /// A handle that answers which targets there are.
    pub fn view(&self) -> TargetsView {
        self.shared.view.clone()
    }

    /// Stops all jobs and waits for scrapes under way (at most one scrape timeout). Writes no stale markers: a restart
    /// goes on with the same series.
    pub async fn shutdown(&self) {
        let pools: Vec<RunningPool> = {
            let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.drain().map(|(_, pool)| pool).collect()
        };
        for pool in &pools {
            pool.orders.send_replace(Order::Stop { end_series: false });
        }
        for pool in pools {
            if let Err(error) = pool.task.await {
                error!(%error, job = pool.config.job_name, "a scrape job panicked");
            }
        }
    }
}
