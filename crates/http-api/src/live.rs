//! What changes while the server runs and handlers show: the loaded configuration, notices, the replay's progress.
//!
//! The server writes, handlers read. It exists before the stores are open, so that the first requests have an answer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use eino_metrics_core::{Counter, Gauge, Registry};
use model::LabelSet;
use serde::Serialize;
use tokio::sync::broadcast;
use wire::otlp::MetricOptions;

/// Most notices at a time; the oldest make room.
const NOTICES_MAX: usize = 100;
/// Most clients that follow the notices at the same time, as Prometheus bounds them.
const FOLLOWERS_MAX: usize = 16;
/// Notices that one follower may lag behind; then it misses the oldest.
const FOLLOWER_LAG_MAX: usize = 64;

/// A cheap handle.
#[derive(Clone)]
pub struct Live(Arc<State>);

struct State {
    config: RwLock<Arc<LoadedConfig>>,
    /// Protects the notices that stand; held while a change is told, so that no follower misses one.
    notices: Mutex<VecDeque<Notice>>,
    changes: broadcast::Sender<Notice>,
    replay: [AtomicU64; 3],
    metrics: Metrics,
}

struct Metrics {
    reload_ok: Gauge,
    reload_time: Gauge,
    followers_refused: Counter,
}

/// The configuration that runs.
#[derive(Clone, Debug, Default)]
pub struct LoadedConfig {
    /// The file as it was read, without secrets.
    pub text: String,
    /// `global.external_labels`.
    pub external_labels: LabelSet,
    /// When it was loaded; Unix milliseconds.
    pub loaded_ms: i64,
    /// Whether the last attempt to load one went well.
    pub last_reload_ok: bool,
    pub warnings: Vec<String>,
    /// External Alertmanagers that alerts are sent to.
    pub alertmanagers: Vec<String>,
    /// How long metrics are kept, in words.
    pub retention: String,
    /// How OTLP metrics become series.
    pub otlp: MetricOptions,
}

/// Something whoever watches the server should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub text: String,
    #[serde(rename = "date", serialize_with = "rfc3339")]
    pub date_ms: i64,
    /// `false` when it no longer holds.
    pub active: bool,
}

/// How far the logs are read at the start, in segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replay {
    pub min: u64,
    pub max: u64,
    pub current: u64,
}

fn rfc3339<S: serde::Serializer>(time_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rules::format_rfc3339(*time_ms))
}

impl Live {
    /// Nothing loaded, no notices.
    pub fn new(registry: &Registry) -> Self {
        let metrics = Metrics {
            reload_ok: registry.gauge(
                "eino_config_last_reload_successful",
                "Whether the last load of the configuration went well.",
            ),
            reload_time: registry.gauge(
                "eino_config_last_reload_success_timestamp_seconds",
                "When the running configuration was loaded.",
            ),
            followers_refused: registry.counter(
                "eino_notification_followers_refused_total",
                "Clients of /api/v1/notifications/live over the limit of 16.",
            ),
        };
        Self(Arc::new(State {
            config: RwLock::default(),
            notices: Mutex::default(),
            changes: broadcast::Sender::new(FOLLOWER_LAG_MAX),
            replay: Default::default(),
            metrics,
        }))
    }

    /// The configuration that runs.
    pub fn config(&self) -> Arc<LoadedConfig> {
        Arc::clone(&self.0.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A configuration was loaded and applied.
    pub fn config_loaded(&self, config: LoadedConfig) {
        self.0.metrics.reload_ok.set(f64::from(u8::from(config.last_reload_ok)));
        self.0.metrics.reload_time.set(config.loaded_ms as f64 / 1_000.0);
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// A configuration was refused; the one before goes on.
    pub fn config_refused(&self) {
        self.0.metrics.reload_ok.set(0.0);
        let mut config = self.0.config.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut config).last_reload_ok = false;
    }

    /// How far the logs are read.
    pub fn replay(&self) -> Replay {
        let [min, max, current] = &self.0.replay;
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Replay { min: read(min), max: read(max), current: read(current) }
    }

    /// Tells how far the logs are read.
    pub fn set_replay(&self, replay: Replay) {
        let values = [replay.min, replay.max, replay.current];
        for (cell, value) in self.0.replay.iter().zip(values) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// The notices that stand, oldest first.
    pub fn notices(&self) -> Vec<Notice> {
        self.lock_notices().iter().cloned().collect()
    }

    /// Tells something, or that it still holds.
    pub fn raise(&self, text: &str, now_ms: i64) {
        let notice = Notice { text: text.to_owned(), date_ms: now_ms, active: true };
        let mut notices = self.lock_notices();
        match notices.iter_mut().find(|known| known.text == text) {
            Some(known) => known.date_ms = now_ms,
            None => {
                if notices.len() == NOTICES_MAX {
                    notices.pop_front();
                }
                notices.push_back(notice.clone());
            }
        }
        self.tell(notice);
    }

    /// Takes a notice back; nothing if it does not stand.
    pub fn clear(&self, text: &str) {
        let mut notices = self.lock_notices();
        let Some(index) = notices.iter().position(|known| known.text == text) else { return };
        if let Some(notice) = notices.remove(index) {
            self.tell(Notice { active: false, ..notice });
        }
    }

    /// The notices that stand and all changes from now on; `None` when too many follow already.
    pub(crate) fn follow(&self) -> Option<(Vec<Notice>, broadcast::Receiver<Notice>)> {
        let notices = self.lock_notices();
        if self.0.changes.receiver_count() >= FOLLOWERS_MAX {
            self.0.metrics.followers_refused.inc();
            return None;
        }
        Some((notices.iter().cloned().collect(), self.0.changes.subscribe()))
    }

    fn tell(&self, notice: Notice) {
        // An error means that nobody follows.
        let _nobody = self.0.changes.send(notice).is_err();
    }

    fn lock_notices(&self) -> std::sync::MutexGuard<'_, VecDeque<Notice>> {
        self.0.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_stands_until_it_is_taken_back() {
        let live = Live::new(&Registry::new());
        live.raise("disk is full", 1);
        let (standing, mut changes) = live.follow().expect("nobody follows yet");
        assert_eq!(standing, live.notices());
        live.raise("disk is full", 2);
        assert_eq!(live.notices(), [Notice { text: "disk is full".into(), date_ms: 2, active: true }]);
        live.clear("disk is full");
        live.clear("never said");
        assert!(live.notices().is_empty());
        let heard: Vec<_> =
            std::iter::from_fn(|| changes.try_recv().ok()).map(|notice| notice.active).collect();
        assert_eq!(heard, [true, false]);
    }

    #[test]
    fn notices_and_followers_are_bounded() {
        let live = Live::new(&Registry::new());
        for number in 0..=NOTICES_MAX {
            live.raise(&number.to_string(), 0);
        }
        assert_eq!((live.notices().len(), live.notices()[0].text.as_str()), (NOTICES_MAX, "1"));
        let followers: Vec<_> = std::iter::repeat_with(|| live.follow()).take(FOLLOWERS_MAX + 1).collect();
        assert_eq!(followers.iter().flatten().count(), FOLLOWERS_MAX);
    }

    #[test]
    fn a_refused_configuration_leaves_the_running_one() {
        let live = Live::new(&Registry::new());
        live.config_loaded(LoadedConfig { text: "a: 1".into(), last_reload_ok: true, ..Default::default() });
        live.config_refused();
        assert_eq!((live.config().text.as_str(), live.config().last_reload_ok), ("a: 1", false));
    }
}
