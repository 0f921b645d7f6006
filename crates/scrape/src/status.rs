//! What is known of the targets right now, in the shape of `/api/v1/targets`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::LabelSet;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ScrapeConfig;

/// Outcome of a target's last scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Not scraped yet.
    Unknown,
    Up,
    Down,
}

/// A target that is scraped. Serializes as an item of Prometheus's `activeTargets`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Labels before relabelling.
    pub discovered_labels: LabelSet,
    pub labels: LabelSet,
    pub scrape_pool: String,
    pub scrape_url: String,
    pub global_url: String,
    /// `""` when the last scrape went well.
    pub last_error: String,
    /// Unix milliseconds; `None` before the first scrape.
    #[serde(rename = "lastScrape", serialize_with = "rfc3339")]
    pub last_scrape_ms: Option<i64>,
    #[serde(rename = "lastScrapeDuration")]
    pub last_scrape_duration_seconds: f64,
    pub health: Health,
    #[serde(serialize_with = "human")]
    pub scrape_interval: Duration,
    #[serde(serialize_with = "human")]
    pub scrape_timeout: Duration,
}

/// A target that relabelling dropped.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedTarget {
    pub discovered_labels: LabelSet,
    pub scrape_pool: String,
}

/// All targets. Serializes as the `data` of `/api/v1/targets`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// Ordered by pool, then URL.
    pub active_targets: Vec<TargetStatus>,
    pub dropped_targets: Vec<DroppedTarget>,
    /// Dropped targets by pool, also those no longer kept in `dropped_targets`.
    pub dropped_target_counts: BTreeMap<String, u64>,
}

/// A cheap handle that answers which targets there are.
#[derive(Clone, Debug, Default)]
pub struct TargetsView(Arc<Mutex<BTreeMap<String, PoolStatus>>>);

/// One pool's part of the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoolStatus {
    /// `None` until the job has begun.
    pub(crate) config: Option<Arc<ScrapeConfig>>,
    pub(crate) active: BTreeMap<u64, TargetStatus>,
    pub(crate) dropped: Vec<DroppedTarget>,
    pub(crate) dropped_count: u64,
}

impl TargetsView {
    /// The targets now.
    pub fn targets(&self) -> Targets {
        let pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut targets = Targets::default();
        for (name, pool) in pools.iter() {
            let mut active: Vec<_> = pool.active.values().cloned().collect();
            active.sort_by(|left, right| left.scrape_url.cmp(&right.scrape_url));
            targets.active_targets.extend(active);
            targets.dropped_targets.extend(pool.dropped.iter().cloned());
            targets.dropped_target_counts.insert(name.clone(), pool.dropped_count);
        }
        targets
    }

    /// Names of the jobs.
    pub fn pools(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The job as it runs.
    pub fn config(&self, pool: &str) -> Option<Arc<ScrapeConfig>> {
        let pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pools.get(pool).and_then(|pool| pool.config.clone())
    }

    pub(crate) fn update<T>(&self, pool: &str, change: impl FnOnce(&mut PoolStatus) -> T) -> T {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(pools.entry(pool.to_owned()).or_default())
    }

    pub(crate) fn remove(&self, pool: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(pool);
    }
}

fn human<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&stdx::format_duration(*duration))
}

/// RFC 3339 with milliseconds; Go's zero time for never.
fn rfc3339<S: Serializer>(time_ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = time_ms
        .and_then(|time_ms| OffsetDateTime::from_unix_timestamp_nanos(i128::from(time_ms) * 1_000_000).ok())
        .and_then(|time| time.format(&Rfc3339).ok());
    serializer.serialize_str(text.as_deref().unwrap_or("0001-01-01T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn serializes_as_prometheus_does() {
        let view = TargetsView::default();
        let status = TargetStatus {
            discovered_labels: LabelSet::from_pairs([("__address__", "h:1")]).expect("valid"),
            labels: LabelSet::from_pairs([("job", "a")]).expect("valid"),
            scrape_pool: "a".into(),
            scrape_url: "http://h:1/metrics".into(),
            global_url: "http://h:1/metrics".into(),
            last_error: String::new(),
            last_scrape_ms: Some(1_700_000_000_123),
            last_scrape_duration_seconds: 0.25,
            health: Health::Up,
            scrape_interval: Duration::from_secs(15),
            scrape_timeout: Duration::from_secs(10),
        };
        view.update("a", |pool| pool.active.insert(1, status));
        let json = serde_json::to_string_pretty(&view.targets()).expect("serializable");
        expect![[r#"
            {
              "activeTargets": [
                {
                  "discoveredLabels": {
                    "__address__": "h:1"
                  },
                  "labels": {
                    "job": "a"
                  },
                  "scrapePool": "a",
                  "scrapeUrl": "http://h:1/metrics",
                  "globalUrl": "http://h:1/metrics",
                  "lastError": "",
                  "lastScrape": "2023-11-14T22:13:20.123Z",
                  "lastScrapeDuration": 0.25,
                  "health": "up",
                  "scrapeInterval": "15s",
                  "scrapeTimeout": "10s"
                }
              ],
              "droppedTargets": [],
              "droppedTargetCounts": {
                "a": 0
              }
            }"#]]
        .assert_eq(&json);
    }
}
