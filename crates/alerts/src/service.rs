//! Takes alerts from the rules, and delivers them: to webhooks through the routing tree, and to external Alertmanagers.
//!
//! ```text
//! rules ─ send ─▶ queue (bounded, oldest dropped) ─▶ loop ─┬▶ Dispatcher ─▶ deliveries (tasks) ─ outcome ─▶ loop
//!                                                          └▶ POST /api/v2/alerts of each Alertmanager
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clock::Clock;
use discovery::RelabelRule;
use eino_metrics_core::{Counter, Gauge, Registry};
use rules::{AlertEvent, AlertSink, TemplateGlobals};
use settings::HttpClientConfig;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{info, warn};

use crate::alert::{Alert, api_v2_json};
use crate::config::AlertmanagerConfig;
use crate::delivery::{DeliveryError, HttpClient};
use crate::dispatch::{Dispatcher, Notification, NotificationId};

/// Alerts waiting for the loop; then the oldest are dropped.
const QUEUE_MAX: usize = 10_000;
/// Alerts in one `POST /api/v2/alerts`.
const BATCH_MAX: usize = 256;
/// Messages to external Alertmanagers under way; more are dropped (the rules send again every minute).
const FORWARDS_MAX: usize = 64;
/// The loop looks at its groups at least this often.
const TICK_MAX: Duration = Duration::from_secs(1);

/// Where alerts go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertingSettings {
    /// The built-in routing; `None`: no routing here.
    pub routing: Option<AlertmanagerConfig>,
    pub alertmanagers: Vec<ExternalAlertmanager>,
    /// `alerting.alert_relabel_configs`.
    pub relabel: Vec<RelabelRule>,
    pub globals: TemplateGlobals,
}

/// An Alertmanager elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalAlertmanager {
    /// `http://host:9093/api/v2/alerts`.
    pub url: String,
    pub timeout: Duration,
    pub http: HttpClientConfig,
    pub relabel: Vec<RelabelRule>,
}

/// Delivers alerts. Dropping it stops without waiting.
pub struct AlertService {
    shared: Arc<Shared>,
    settings: watch::Sender<Arc<AlertingSettings>>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// Protects the queue; held for pushes and drains only.
    queue: Mutex<VecDeque<AlertEvent>>,
    wake: Notify,
    metrics: Metrics,
}

struct Metrics {
    dropped: Counter,
    groups: Gauge,
    registry: Registry,
}

impl Metrics {
    fn new(registry: &Registry) -> Self {
        Self {
            dropped: registry.counter(
                "eino_alerts_dropped_total",
                "Alerts dropped because a queue or the limit of alerts was full.",
            ),
            groups: registry.gauge("eino_alerts_groups", "Groups of alerts."),
            registry: registry.clone(),
        }
    }

    fn sent(&self, integration: &str, outcome: &Result<(), DeliveryError>) {
        let labels = [("integration", integration)];
        let help = "Notifications tried (retries of one count once).";
        self.registry.counter_with("eino_alerts_notifications_total", help, &labels).inc();
        if let Err(error) = outcome {
            let labels = [("integration", integration), ("reason", error.reason)];
            let help = "Notifications that did not arrive, by reason.";
            self.registry.counter_with("eino_alerts_notifications_failed_total", help, &labels).inc();
        }
    }
}

impl AlertSink for AlertService {
    fn send(&self, alerts: Vec<AlertEvent>) {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.extend(alerts);
        let over = queue.len().saturating_sub(QUEUE_MAX);
        queue.drain(..over);
        drop(queue);
        self.shared.metrics.dropped.add(over as u64);
        self.shared.wake.notify_one();
    }
}

impl AlertService {
    /// Starts the loop. `seed` spreads retries.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn start(settings: AlertingSettings, clock: Clock, registry: &Registry, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Notify::new(),
            metrics: Metrics::new(registry),
        });
        let settings = Arc::new(settings);
        let (settings_sender, settings_receiver) = watch::channel(Arc::clone(&settings));
        let (stop, stopped) = watch::channel(false);
        let worker = Worker {
            shared: Arc::clone(&shared),
            dispatcher: dispatcher_of(&settings),
            settings,
            clock,
            client: HttpClient::new(),
            random: fastrand::Rng::with_seed(seed),
            deliveries: JoinSet::new(),
            forwards: JoinSet::new(),
        };
        let task = tokio::spawn(worker.run(settings_receiver, stopped));
        Self { shared, settings: settings_sender, stop, task: Mutex::new(Some(task)) }
    }

    /// Changes where alerts go. Alerts that are active stay; groups start over.
    pub fn apply(&self, settings: AlertingSettings) {
        self.settings.send_if_modified(|current| {
            let changed = **current != settings;
            if changed {
                *current = Arc::new(settings);
            }
            changed
        });
    }

    /// URLs of the external Alertmanagers, for `/api/v1/alertmanagers`.
    pub fn alertmanagers(&self) -> Vec<String> {
        self.settings.borrow().alertmanagers.iter().map(|external| external.url.clone()).collect()
    }

    /// Sends what is queued, waits for messages under way (at most `patience`) and stops.
    pub async fn shutdown(&self, patience: Duration) {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && tokio::time::timeout(patience, task).await.is_err()
        {
            warn!("notifications under way were given up");
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    settings: Arc<AlertingSettings>,
    dispatcher: Dispatcher,
    clock: Clock,
    client: HttpClient,
    random: fastrand::Rng,
    deliveries: JoinSet<(NotificationId, Result<(), DeliveryError>)>,
    forwards: JoinSet<(String, Result<(), DeliveryError>)>,
}

impl Worker {
    async fn run(
        mut self,
        mut settings: watch::Receiver<Arc<AlertingSettings>>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let pause = self.until_next_flush();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                changed = settings.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let new = Arc::clone(&settings.borrow_and_update());
                    self.change(new);
                }
                Some(done) = self.deliveries.join_next() => self.delivered(done),
                Some(done) = self.forwards.join_next() => self.forwarded(done),
                () = self.shared.wake.notified() => self.take_queue(),
                () = tokio::time::sleep(pause) => {}
            }
            self.flush();
        }
        self.take_queue();
        self.flush();
        while let Some(done) = self.forwards.join_next().await {
            self.forwarded(done);
        }
        while let Some(done) = self.deliveries.join_next().await {
            self.delivered(done);
        }
    }

    fn until_next_flush(&self) -> Duration {
        let now_ms = self.clock.unix_ms();
        let next_ms = self.dispatcher.next_flush_ms().unwrap_or(i64::MAX);
        let wait_ms = u64::try_from(next_ms.saturating_sub(now_ms)).unwrap_or_default();
        Duration::from_millis(wait_ms).min(TICK_MAX)
    }

    fn change(&mut self, settings: Arc<AlertingSettings>) {
        info!("alerting settings changed");
        let now_ms = self.clock.unix_ms();
        let old = std::mem::replace(&mut self.dispatcher, dispatcher_of(&settings));
        for alert in old.into_alerts() {
            self.insert(alert, now_ms);
        }
        self.settings = settings;
    }

    fn insert(&mut self, alert: Alert, now_ms: i64) {
        if !self.dispatcher.insert(alert, now_ms) {
            self.shared.metrics.dropped.inc();
        }
    }

    fn take_queue(&mut self) {
        let events = std::mem::take(&mut *self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner));
        let settings = Arc::clone(&self.settings);
        let alerts: Vec<Alert> = events
            .into_iter()
            .map(|event| Alert::of_event(event, &settings.globals))
            .filter_map(|alert| relabelled(alert, &settings.relabel))
            .collect();
        for external in &settings.alertmanagers {
            self.forward(external, &alerts);
        }
        let now_ms = self.clock.unix_ms();
        for alert in alerts {
            self.insert(alert, now_ms);
        }
    }

    fn forward(&mut self, external: &ExternalAlertmanager, alerts: &[Alert]) {
        let alerts: Vec<Alert> =
            alerts.iter().filter_map(|alert| relabelled(alert.clone(), &external.relabel)).collect();
        for batch in alerts.chunks(BATCH_MAX) {
            if self.forwards.len() >= FORWARDS_MAX {
                self.shared.metrics.dropped.add(batch.len() as u64);
                continue;
            }
            let (client, external, body) = (self.client.clone(), external.clone(), api_v2_json(batch));
            self.forwards.spawn(async move {
                let outcome = client.post(&external.url, body, &external.http, external.timeout).await;
                (external.url, outcome)
            });
        }
    }

    fn flush(&mut self) {
        let due = self.dispatcher.due(self.clock.unix_ms());
        self.shared.metrics.groups.set(self.dispatcher.group_count() as f64);
        for notification in due {
            let Notification { id, webhook, body, deadline } = notification;
            let client = self.client.clone();
            let mut random = self.random.fork();
            self.deliveries.spawn(async move {
                let outcome = match webhook.url() {
                    Ok(url) => {
                        client
                            .deliver(
                                url.expose(),
                                &body,
                                &webhook.http,
                                webhook.timeout,
                                deadline,
                                &mut random,
                            )
                            .await
                    }
                    Err(message) => Err(DeliveryError::secret(message)),
                };
                (id, outcome)
            });
        }
    }

    fn delivered(
        &mut self,
        done: Result<(NotificationId, Result<(), DeliveryError>), tokio::task::JoinError>,
    ) {
        let (id, outcome) = match done {
            Ok(done) => done,
            Err(error) => return warn!(%error, "a notification panicked"),
        };
        self.shared.metrics.sent("webhook", &outcome);
        if let Err(error) = &outcome {
            warn!(reason = error.reason, error = error.message, "webhook notification did not arrive");
        }
        self.dispatcher.done(id, outcome.is_ok());
    }

    fn forwarded(&mut self, done: Result<(String, Result<(), DeliveryError>), tokio::task::JoinError>) {
        let (url, outcome) = match done {
            Ok(done) => done,
            Err(error) => return warn!(%error, "sending to an Alertmanager panicked"),
        };
        self.shared.metrics.sent("alertmanager", &outcome);
        if let Err(error) = &outcome {
            warn!(url, reason = error.reason, error = error.message, "alerts not taken by the Alertmanager");
        }
    }
}

fn dispatcher_of(settings: &AlertingSettings) -> Dispatcher {
    settings.routing.clone().map_or_else(Dispatcher::default, |routing| {
        Dispatcher::new(routing, settings.globals.external_url.clone())
    })
}

fn relabelled(alert: Alert, rules: &[RelabelRule]) -> Option<Alert> {
    let labels = discovery::relabel::relabel(&alert.labels, rules)?;
    Some(Alert { labels, ..alert })
}
