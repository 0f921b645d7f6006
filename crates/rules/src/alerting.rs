//! The life of the alerts of one alerting rule.
//!
//! ```text
//!              result has it                 for is over                 gone, keep_firing_for over
//!  (nothing) ───────────────▶ pending ───────────────────▶ firing ──────────────────────────────▶ inactive
//!      ▲                         │ gone                      ▲  │ `for` is longer after a reload      │
//!      │◀────────────────────────┘                           │  └──▶ pending                          │
//!      │◀────────────────────────────────────────────────── (resolved: sent for 15 m more) ◀──────────┘
//! ```
//! - An alert is its label set: the sample's labels without the metric name, the rule's labels, and `alertname`.
//! - A query that fails changes nothing: a store that does not answer resolves no alert.
//! - Pure: times and query results are handed in. See `group` for who does it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use model::{LabelSet, METRIC_NAME};

use crate::AlertState;
use crate::config::{RuleConfig, RuleKind};
use crate::template::{QueryFn, Template, TemplateData, TemplateGlobals};

/// How long a resolved alert is remembered and sent again.
const RESOLVED_RETENTION_MS: i64 = 15 * 60 * 1_000;

/// One alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alert {
    pub(crate) state: AlertState,
    pub(crate) annotations: LabelSet,
    pub(crate) value: f64,
    pub(crate) active_at_ms: i64,
    pub(crate) fired_at_ms: Option<i64>,
    pub(crate) resolved_at_ms: Option<i64>,
    pub(crate) last_sent_at_ms: Option<i64>,
    pub(crate) keep_firing_since_ms: Option<i64>,
}

/// An alert to be delivered, or one that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertEvent {
    /// With `alertname`; without external labels.
    pub labels: LabelSet,
    pub annotations: LabelSet,
    /// When it began to fire.
    pub starts_at_ms: i64,
    /// When it is over: in the past if it is resolved, else a promise to say so again before.
    pub ends_at_ms: i64,
    pub resolved: bool,
    /// The rule's expression.
    pub query: String,
}

/// The alerts of one rule.
#[derive(Clone, Debug)]
pub(crate) struct AlertingRule {
    name: String,
    query: String,
    hold_ms: i64,
    keep_firing_ms: i64,
    labels: Vec<(String, Template)>,
    annotations: Vec<(String, Template)>,
    limit: u64,
    pub(crate) active: HashMap<LabelSet, Alert>,
}

/// What an evaluation happens in.
pub(crate) struct EvalContext<'c> {
    pub(crate) ts_ms: i64,
    pub(crate) globals: &'c TemplateGlobals,
    pub(crate) query: QueryFn,
}

impl AlertingRule {
    /// `None` for a recording rule.
    pub(crate) fn new(config: &RuleConfig, limit: u64) -> Option<Self> {
        let RuleKind::Alerting { hold, keep_firing_for, labels, annotations } = &config.kind else {
            return None;
        };
        Some(Self {
            name: config.name.clone(),
            query: config.query.clone(),
            hold_ms: millis(*hold),
            keep_firing_ms: millis(*keep_firing_for),
            labels: labels.clone(),
            annotations: annotations.clone(),
            limit,
            active: HashMap::new(),
        })
    }

    /// Takes over the alerts of the same rule from before a reload.
    pub(crate) fn inherit(&mut self, active: HashMap<LabelSet, Alert>) {
        self.active = active;
    }

    /// Applies a query result.
    ///
    /// # Errors
    /// Two samples that become the same alert (nothing changes), or more alerts than the limit (all are dropped).
    pub(crate) fn apply(
        &mut self,
        samples: &[(LabelSet, f64)],
        context: &EvalContext<'_>,
    ) -> Result<(), String> {
        let found = self.alerts_of(samples, context)?;
        let present: HashSet<LabelSet> = found.keys().cloned().collect();
        for (labels, alert) in found {
            match self.active.get_mut(&labels) {
                Some(known) if known.state != AlertState::Inactive => {
                    known.value = alert.value;
                    known.annotations = alert.annotations;
                }
                _ => {
                    self.active.insert(labels, alert);
                }
            }
        }
        let (hold_ms, keep_firing_ms) = (self.hold_ms, self.keep_firing_ms);
        self.active.retain(|labels, alert| {
            if present.contains(labels) {
                alert.advance(context.ts_ms, hold_ms);
                return true;
            }
            alert.absent(context.ts_ms, keep_firing_ms)
        });
        let active = self.active.values().filter(|alert| alert.state != AlertState::Inactive).count();
        if self.limit > 0 && active as u64 > self.limit {
            self.active.clear();
            return Err(format!("exceeded limit of {} with {active} alerts", self.limit));
        }
        Ok(())
    }

    fn alerts_of(
        &self,
        samples: &[(LabelSet, f64)],
        context: &EvalContext<'_>,
    ) -> Result<HashMap<LabelSet, Alert>, String> {
        let mut found = HashMap::with_capacity(samples.len());
        for (metric, value) in samples {
            let bare = metric.filtered(|name| name != METRIC_NAME);
            let data = TemplateData {
                labels: &bare,
                value: *value,
                globals: context.globals,
                query: context.query.clone(),
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "milliseconds since 1970 fit a double exactly"
                )]
                now_seconds: context.ts_ms as f64 / 1_000.0,
            };
            let mut labels = bare.to_builder();
            for (name, template) in &self.labels {
                labels.set(name, &template.expand(&data));
            }
            labels.set("alertname", &self.name);
            let mut annotations = LabelSet::empty().to_builder();
            for (name, template) in &self.annotations {
                annotations.set(name, &template.expand(&data));
            }
            let alert = Alert {
                state: AlertState::Pending,
                annotations: annotations.build(),
                value: *value,
                active_at_ms: context.ts_ms,
                fired_at_ms: None,
                resolved_at_ms: None,
                last_sent_at_ms: None,
                keep_firing_since_ms: None,
            };
            if found.insert(labels.build(), alert).is_some() {
                return Err(
                    "vector contains metrics with the same labelset after applying alert labels".to_owned()
                );
            }
        }
        Ok(found)
    }

    /// Sets back the clock of an alert to what `ALERTS_FOR_STATE` said before a restart: the time the server was down
    /// counts neither for nor against it, and nothing fires within `grace_ms` of the restart because of it.
    pub(crate) fn restore(&mut self, labels: &LabelSet, stored: StoredState, now_ms: i64, grace_ms: i64) {
        let hold_ms = self.hold_ms;
        let Some(alert) = self.active.get_mut(labels) else { return };
        let pending_ms = stored.seen_ms - stored.active_at_ms;
        let remaining_ms = hold_ms - pending_ms;
        alert.active_at_ms = if remaining_ms <= 0 {
            // It was firing when the server went down.
            stored.active_at_ms
        } else if remaining_ms < grace_ms {
            now_ms + grace_ms - hold_ms
        } else {
            stored.active_at_ms + (now_ms - stored.seen_ms)
        };
    }

    /// Whether `for` is long enough that its progress is worth restoring.
    pub(crate) fn restores(&self, grace_ms: i64) -> bool {
        self.hold_ms >= grace_ms && !self.active.is_empty()
    }

    /// The alerts due for delivery, marked as sent. Pending ones never are.
    pub(crate) fn take_due(&mut self, ts_ms: i64, resend_ms: i64, interval_ms: i64) -> Vec<AlertEvent> {
        let mut due = Vec::new();
        for (labels, alert) in &mut self.active {
            if !alert.is_due(ts_ms, resend_ms) {
                continue;
            }
            alert.last_sent_at_ms = Some(ts_ms);
            due.push(AlertEvent {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at_ms: alert.fired_at_ms.unwrap_or(alert.active_at_ms),
                ends_at_ms: alert.resolved_at_ms.unwrap_or(ts_ms + 4 * resend_ms.max(interval_ms)),
                resolved: alert.resolved_at_ms.is_some(),
                query: self.query.clone(),
            });
        }
        due.sort_by(|left, right| left.labels.cmp(&right.labels));
        due
    }

    /// The highest state of any alert.
    pub(crate) fn state(&self) -> AlertState {
        self.active.values().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// What `ALERTS_FOR_STATE` says of an alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredState {
    /// Time of its last sample.
    pub(crate) seen_ms: i64,
    pub(crate) active_at_ms: i64,
}

impl Alert {
    /// The result has it.
    fn advance(&mut self, ts_ms: i64, hold_ms: i64) {
        self.keep_firing_since_ms = None;
        let held = ts_ms - self.active_at_ms >= hold_ms;
        if self.state == AlertState::Pending && held {
            self.state = AlertState::Firing;
            self.fired_at_ms = Some(ts_ms);
        } else if self.state == AlertState::Firing && !held {
            self.state = AlertState::Pending;
            self.fired_at_ms = None;
        }
    }

    /// The result has it no more. Returns whether it is still remembered.
    fn absent(&mut self, ts_ms: i64, keep_firing_ms: i64) -> bool {
        match self.state {
            AlertState::Pending => false,
            AlertState::Inactive => {
                self.resolved_at_ms.is_some_and(|resolved| ts_ms - resolved <= RESOLVED_RETENTION_MS)
            }
            AlertState::Firing => {
                if keep_firing_ms > 0 {
                    let since = *self.keep_firing_since_ms.get_or_insert(ts_ms);
                    if ts_ms - since < keep_firing_ms {
                        return true;
                    }
                }
                self.state = AlertState::Inactive;
                self.resolved_at_ms = Some(ts_ms);
                true
            }
        }
    }

    fn is_due(&self, ts_ms: i64, resend_ms: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(last_sent) = self.last_sent_at_ms else { return true };
        self.resolved_at_ms.is_some_and(|resolved| resolved > last_sent) || last_sent + resend_ms < ts_ms
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
