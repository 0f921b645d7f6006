//! Runs the groups, each at its own interval.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clock::Clock;
use eino_metrics_core::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, info};

use crate::alerting::AlertEvent;
use crate::config::GroupConfig;
use crate::group::{Group, RuleSettings, RuleStores};
use crate::metrics::Metrics;
use crate::status::RulesView;

/// Takes alerts for delivery. Must not block: a full queue drops and counts.
pub trait AlertSink: Send + Sync {
    /// Alerts that fire, fire still, or are resolved.
    fn send(&self, alerts: Vec<AlertEvent>);
}

/// Runs rule groups. Dropping it stops them without waiting.
pub struct RuleManager {
    stores: RuleStores,
    alerts: Arc<dyn AlertSink>,
    clock: Clock,
    metrics: Metrics,
    view: RulesView,
    /// Protects which groups run; held only to look up and change the list.
    running: Mutex<Vec<RunningGroup>>,
}

struct RunningGroup {
    key: (String, String),
    stop: watch::Sender<bool>,
    /// Gives the group back, so that its successor inherits its alerts.
    task: JoinHandle<Option<Group>>,
}

impl RuleManager {
    /// A manager without groups.
    pub fn new(stores: RuleStores, alerts: Arc<dyn AlertSink>, clock: Clock, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self { stores, alerts, clock, metrics, view: RulesView::default(), running: Mutex::default() }
    }

    /// Makes `groups` the ones that run. Rules that stay the same keep their alerts; series of groups that end get
    /// stale markers. Returns when evaluations under way are done.
    pub async fn apply(&self, groups: Vec<GroupConfig>, settings: &RuleSettings) {
        let mut old: HashMap<(String, String), Group> = HashMap::new();
        for running in self.stop_all().await {
            old.insert((running.config().file.clone(), running.config().name.clone()), running);
        }
        let groups: Vec<Group> = groups
            .into_iter()
            .map(|config| {
                let before = old.remove(&(config.file.clone(), config.name.clone()));
                let mut group = Group::new(config, settings.clone());
                if let Some(before) = before {
                    group.inherit(before);
                }
                group
            })
            .collect();
        self.end(old.into_values().collect()).await;
        self.view.replace_all(groups.iter().map(Group::status).collect());
        info!(groups = groups.len(), "rule groups applied");
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for group in groups {
            let key = (group.config().file.clone(), group.config().name.clone());
            let (stop, stopped) = watch::channel(false);
            let runner = Runner {
                stores: self.stores.clone(),
                alerts: Arc::clone(&self.alerts),
                clock: self.clock.clone(),
                metrics: self.metrics.clone(),
                view: self.view.clone(),
            };
            running.push(RunningGroup { key, stop, task: tokio::spawn(runner.run(group, stopped)) });
        }
    }

    /// A handle that answers which rules and alerts there are.
    pub fn view(&self) -> RulesView {
        self.view.clone()
    }

    /// Stops all groups and waits for evaluations under way. Writes no stale markers: a restart goes on.
    pub async fn shutdown(&self) {
        self.stop_all().await;
    }

    async fn stop_all(&self) -> Vec<Group> {
        let running: Vec<RunningGroup> = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.drain(..).collect()
        };
        for group in &running {
            group.stop.send_replace(true);
        }
        let mut groups = Vec::new();
        for group in running {
            match group.task.await {
                Ok(stopped) => groups.extend(stopped),
                Err(error) => {
                    error!(%error, file = group.key.0, group = group.key.1, "a rule group panicked")
                }
            }
        }
        groups
    }

    async fn end(&self, mut groups: Vec<Group>) {
        if groups.is_empty() {
            return;
        }
        let (sink, now_ms) = (Arc::clone(&self.stores.sink), self.clock.unix_ms());
        let done = tokio::task::spawn_blocking(move || {
            for group in &mut groups {
                if let Err(error) = group.end(now_ms, sink.as_ref()) {
                    error!(error, group = group.config().name, "stale markers of an ended group not stored");
                }
            }
        });
        if let Err(error) = done.await {
            error!(%error, "ending rule groups panicked");
        }
    }
}

struct Runner {
    stores: RuleStores,
    alerts: Arc<dyn AlertSink>,
    clock: Clock,
    metrics: Metrics,
    view: RulesView,
}

impl Runner {
    async fn run(self, mut group: Group, mut stop: watch::Receiver<bool>) -> Option<Group> {
        let interval = group.interval();
        let delay = first_delay(&self.clock, &group.config().file, &group.config().name, interval);
        let mut ticks = tokio::time::interval_at(Instant::now() + delay, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let runner = Arc::new(self);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Some(group),
                _ = ticks.tick() => {}
            }
            let start = runner.clock.monotonic();
            let worker = Arc::clone(&runner);
            // Queries and writes block: off the runtime's threads.
            let done = tokio::task::spawn_blocking(move || {
                worker.evaluate(&mut group);
                group
            });
            match done.await {
                Ok(evaluated) => group = evaluated,
                Err(error) => {
                    error!(%error, "evaluating a rule group panicked; it is not evaluated any more");
                    return None;
                }
            }
            let late = runner.clock.monotonic().saturating_sub(start).as_nanos() / interval.as_nanos().max(1);
            runner.metrics.missed.add(u64::try_from(late).unwrap_or(u64::MAX));
        }
    }

    fn evaluate(&self, group: &mut Group) {
        let due = group.evaluate(self.clock.unix_ms(), &self.stores, &self.clock, &self.metrics);
        self.view.replace(group.status());
        if !due.is_empty() {
            self.alerts.send(due);
        }
    }
}

/// Until the group's slot: spread over the interval by file and name, stable over restarts.
fn first_delay(clock: &Clock, file: &str, name: &str, interval: Duration) -> Duration {
    let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    let bytes = file.bytes().chain([0xff]).chain(name.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let wait = (hash % interval_ns + interval_ns - clock.unix_ns() % interval_ns) % interval_ns;
    Duration::from_nanos(wait)
}
