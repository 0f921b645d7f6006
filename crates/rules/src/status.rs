//! What is known of the rules right now, in the shapes of `/api/v1/rules` and `/api/v1/alerts`.

use std::sync::{Arc, Mutex, PoisonError};

use model::LabelSet;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// State of an alert or of an alerting rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Inactive,
    Pending,
    Firing,
}

impl AlertState {
    /// Value of the label `alertstate`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// Outcome of a rule's last evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleHealth {
    /// Not evaluated yet.
    Unknown,
    Ok,
    Err,
}

/// An active alert. Serializes as an item of Prometheus's `alerts`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    pub labels: LabelSet,
    pub annotations: LabelSet,
    pub state: AlertState,
    #[serde(rename = "activeAt", serialize_with = "rfc3339")]
    pub active_at_ms: i64,
    #[serde(
        rename = "keepFiringSince",
        serialize_with = "rfc3339_or_zero",
        skip_serializing_if = "Option::is_none"
    )]
    pub keep_firing_since_ms: Option<i64>,
    /// As PromQL prints it: `1e+00`.
    pub value: String,
}

/// A rule. Serializes as an item of Prometheus's `rules`.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum RuleStatus {
    Alerting(AlertingRuleStatus),
    Recording(RecordingRuleStatus),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertingRuleStatus {
    pub state: AlertState,
    pub name: String,
    pub query: String,
    /// Seconds.
    #[serde(rename = "duration")]
    pub hold_seconds: f64,
    #[serde(rename = "keepFiringFor")]
    pub keep_firing_seconds: f64,
    pub labels: LabelSet,
    pub annotations: LabelSet,
    pub alerts: Vec<AlertStatus>,
    pub health: RuleHealth,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(rename = "evaluationTime")]
    pub evaluation_seconds: f64,
    #[serde(rename = "lastEvaluation", serialize_with = "rfc3339_or_zero")]
    pub last_evaluation_ms: Option<i64>,
    /// Always `alerting`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingRuleStatus {
    pub name: String,
    pub query: String,
    pub labels: LabelSet,
    pub health: RuleHealth,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(rename = "evaluationTime")]
    pub evaluation_seconds: f64,
    #[serde(rename = "lastEvaluation", serialize_with = "rfc3339_or_zero")]
    pub last_evaluation_ms: Option<i64>,
    /// Always `recording`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// A group. Serializes as an item of Prometheus's `groups`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    pub name: String,
    pub file: String,
    pub rules: Vec<RuleStatus>,
    /// Seconds.
    #[serde(rename = "interval")]
    pub interval_seconds: f64,
    pub limit: u64,
    #[serde(rename = "evaluationTime")]
    pub evaluation_seconds: f64,
    #[serde(rename = "lastEvaluation", serialize_with = "rfc3339_or_zero")]
    pub last_evaluation_ms: Option<i64>,
}

/// A cheap handle that answers which rules and alerts there are.
#[derive(Clone, Debug, Default)]
pub struct RulesView(Arc<Mutex<Vec<GroupStatus>>>);

impl RulesView {
    /// All groups, ordered by file, then as written.
    pub fn groups(&self) -> Vec<GroupStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All pending and firing alerts.
    pub fn alerts(&self) -> Vec<AlertStatus> {
        let groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = groups.iter().flat_map(|group| &group.rules);
        let alerts = rules.filter_map(|rule| match rule {
            RuleStatus::Alerting(rule) => Some(&rule.alerts),
            RuleStatus::Recording(_) => None,
        });
        alerts.flatten().cloned().collect()
    }

    pub(crate) fn replace_all(&self, groups: Vec<GroupStatus>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = groups;
    }

    pub(crate) fn replace(&self, status: GroupStatus) {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = groups.iter_mut().find(|group| group.name == status.name && group.file == status.file);
        if let Some(group) = known {
            *group = status;
        }
    }
}

/// RFC 3339 in UTC, at most nanoseconds.
pub fn format_rfc3339(time_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time_ms) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned())
}

fn rfc3339<S: Serializer>(time_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_rfc3339(*time_ms))
}

fn rfc3339_or_zero<S: Serializer>(time_ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = time_ms.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), format_rfc3339);
    serializer.serialize_str(&text)
}
