//! Which notifications are due: routes, groups and the memory of what was sent. Pure; times are handed in.
//!
//! ```text
//! alert ─ route tree ─▶ group ─ group_wait ─▶ flush ─ group_interval ─▶ flush ─▶ …
//!                                               │
//!                       per webhook: is anything new since the last message that arrived?
//!                         no entry, firing          first notification
//!                         more firing               new alerts added
//!                         none firing any more      all alerts resolved
//!                         more resolved             some alerts resolved
//!                         older than repeat         repeat interval elapsed
//! ```
//! - Memory of a message is written only after it arrived: a crash in between repeats it, never loses it.
//! - Resolved alerts leave a group only after a flush in which every message arrived.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use model::LabelSet;
use settings::Secret;

use crate::alert::{Alert, WebhookAlert, WebhookMessage, common, fingerprint};
use crate::config::{AlertmanagerConfig, GroupBy, Route, WebhookConfig};

/// Alerts in all groups; more are refused and counted.
pub(crate) const ALERTS_MAX: usize = 100_000;

type GroupId = (usize, LabelSet);

/// The groups of all routes.
#[derive(Debug, Default)]
pub(crate) struct Dispatcher {
    config: AlertmanagerConfig,
    /// The routing tree, depth first; the index is a route's name.
    routes: Vec<FlatRoute>,
    /// Ordered, so that messages leave in the same order whenever the same groups are due.
    groups: BTreeMap<GroupId, Group>,
    external_url: String,
    alert_count: usize,
}

#[derive(Clone, Debug)]
struct FlatRoute {
    route: Route,
    /// `{}/{severity="page"}`: the matchers from the root to here.
    key: String,
    /// Indices of children.
    children: Vec<usize>,
}

#[derive(Debug)]
struct Group {
    alerts: BTreeMap<LabelSet, Alert>,
    next_flush_ms: i64,
    flushed: bool,
    /// Per webhook of the receiver.
    sent: HashMap<usize, Sent>,
    /// Messages of the last flush that are under way, and whether one of them failed.
    under_way: usize,
    failed: bool,
}

/// The last message that arrived.
#[derive(Clone, Debug, Default)]
struct Sent {
    at_ms: i64,
    firing: BTreeSet<u64>,
    resolved: BTreeSet<u64>,
}

/// A message that is due.
pub(crate) struct Notification {
    pub(crate) id: NotificationId,
    pub(crate) webhook: WebhookConfig,
    pub(crate) body: Vec<u8>,
    /// How long it may take with all its retries.
    pub(crate) deadline: Duration,
}

/// Names a notification when its outcome is known.
#[derive(Debug)]
pub(crate) struct NotificationId {
    group: GroupId,
    webhook: usize,
    sent: Sent,
}

impl Dispatcher {
    /// A dispatcher without alerts.
    pub(crate) fn new(config: AlertmanagerConfig, external_url: String) -> Self {
        let mut routes = Vec::new();
        flatten(&config.route, "", &mut routes);
        Self { config, routes, groups: BTreeMap::new(), external_url, alert_count: 0 }
    }

    /// Alerts it holds; handed to the dispatcher of new settings.
    pub(crate) fn into_alerts(self) -> Vec<Alert> {
        let mut alerts: BTreeMap<LabelSet, Alert> = BTreeMap::new();
        for group in self.groups.into_values() {
            alerts.extend(group.alerts);
        }
        alerts.into_values().collect()
    }

    /// Takes an alert into the groups of its routes. `false`: the limit of alerts is reached and it is not taken.
    pub(crate) fn insert(&mut self, alert: Alert, now_ms: i64) -> bool {
        let mut matched = Vec::new();
        if !self.routes.is_empty() {
            match_routes(&self.routes, 0, &alert.labels, &mut matched);
        }
        for index in matched {
            let Some(flat) = self.routes.get(index) else { continue };
            let id = (index, group_labels(&flat.route.group_by, &alert.labels));
            if !self.groups.contains_key(&id) && alert.is_resolved(now_ms) {
                continue;
            }
            let wait_ms = millis(flat.route.group_wait);
            let group = self.groups.entry(id).or_insert_with(|| Group::new(now_ms + wait_ms));
            let known = group.alerts.get(&alert.labels);
            if known.is_none() && self.alert_count >= ALERTS_MAX {
                return false;
            }
            self.alert_count += usize::from(known.is_none());
            let starts_at_ms =
                known.map_or(alert.starts_at_ms, |known| known.starts_at_ms.min(alert.starts_at_ms));
            if !group.flushed && alert.starts_at_ms + wait_ms <= now_ms {
                group.next_flush_ms = now_ms;
            }
            group.alerts.insert(alert.labels.clone(), Alert { starts_at_ms, ..alert.clone() });
        }
        true
    }

    /// When something may be due next.
    pub(crate) fn next_flush_ms(&self) -> Option<i64> {
        self.groups.values().filter(|group| group.under_way == 0).map(|group| group.next_flush_ms).min()
    }

    /// Number of groups.
    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The messages of all groups whose time has come.
    pub(crate) fn due(&mut self, now_ms: i64) -> Vec<Notification> {
        let mut out = Vec::new();
        for (id, group) in &mut self.groups {
            if group.next_flush_ms > now_ms || group.under_way > 0 {
                continue;
            }
            let Some(flat) = self.routes.get(id.0) else { continue };
            group.next_flush_ms = now_ms + millis(flat.route.group_interval);
            group.flushed = true;
            group.failed = false;
            let webhooks = self
                .config
                .receivers
                .get(&flat.route.receiver)
                .map_or(&[][..], |receiver| &receiver.webhooks);
            for (index, webhook) in webhooks.iter().enumerate() {
                let Some((reason, sent)) =
                    group.news(index, webhook, millis(flat.route.repeat_interval), now_ms)
                else {
                    continue;
                };
                group.under_way += 1;
                out.push(Notification {
                    body: group.message(flat, id, webhook, &self.external_url, reason, now_ms).to_json(),
                    id: NotificationId { group: id.clone(), webhook: index, sent },
                    webhook: webhook.clone(),
                    deadline: flat.route.group_interval.max(Duration::from_secs(10)),
                });
            }
            if group.under_way == 0 {
                self.alert_count -= group.forget_resolved(now_ms);
            }
        }
        self.groups.retain(|_, group| group.under_way > 0 || !group.alerts.is_empty());
        out
    }

    /// Says how a notification went.
    pub(crate) fn done(&mut self, id: NotificationId, arrived: bool) {
        let Some(group) = self.groups.get_mut(&id.group) else { return };
        group.under_way = group.under_way.saturating_sub(1);
        group.failed |= !arrived;
        let at_ms = id.sent.at_ms;
        if arrived {
            group.sent.insert(id.webhook, id.sent);
        }
        if group.under_way == 0 && !group.failed {
            self.alert_count -= group.forget_resolved(at_ms);
            if group.alerts.is_empty() {
                self.groups.remove(&id.group);
            }
        }
    }
}

impl Group {
    fn new(next_flush_ms: i64) -> Self {
        Self {
            alerts: BTreeMap::new(),
            next_flush_ms,
            flushed: false,
            sent: HashMap::new(),
            under_way: 0,
            failed: false,
        }
    }

    /// Why a message is due to a webhook, if it is, and what it will have said.
    fn news(
        &mut self,
        index: usize,
        webhook: &WebhookConfig,
        repeat_ms: i64,
        now_ms: i64,
    ) -> Option<(&'static str, Sent)> {
        let (mut firing, mut resolved) = (BTreeSet::new(), BTreeSet::new());
        for alert in self.alerts.values() {
            let set = if alert.is_resolved(now_ms) { &mut resolved } else { &mut firing };
            set.insert(fingerprint(&alert.labels));
        }
        let reason = match self.sent.get(&index) {
            None if firing.is_empty() => None,
            None => Some("first notification"),
            Some(sent) if !firing.is_subset(&sent.firing) => Some("new alerts added"),
            Some(sent) if firing.is_empty() => (!sent.firing.is_empty()).then_some("all alerts resolved"),
            Some(sent) if webhook.send_resolved && !resolved.is_subset(&sent.resolved) => {
                Some("some alerts resolved")
            }
            Some(sent) if sent.at_ms + repeat_ms <= now_ms => Some("repeat interval elapsed"),
            Some(_) => None,
        };
        let sent = Sent { at_ms: now_ms, firing, resolved };
        let reason = reason?;
        if !webhook.send_resolved && sent.firing.is_empty() {
            // Nothing is said about resolved alerts, but that they are gone is remembered.
            self.sent.insert(index, sent);
            return None;
        }
        Some((reason, sent))
    }

    fn message(
        &self,
        flat: &FlatRoute,
        id: &GroupId,
        webhook: &WebhookConfig,
        external_url: &str,
        reason: &'static str,
        now_ms: i64,
    ) -> WebhookMessage {
        let said = |alert: &&Alert| webhook.send_resolved || !alert.is_resolved(now_ms);
        let alerts: Vec<&Alert> = self.alerts.values().filter(said).collect();
        let firing = alerts.iter().any(|alert| !alert.is_resolved(now_ms));
        let shown = match usize::try_from(webhook.max_alerts) {
            Ok(max @ 1..) => max.min(alerts.len()),
            _ => alerts.len(),
        };
        WebhookMessage {
            receiver: regex_quote(&flat.route.receiver),
            status: if firing { "firing" } else { "resolved" },
            group_labels: id.1.clone(),
            common_labels: common(alerts.iter().map(|alert| &alert.labels)),
            common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
            external_url: external_url.to_owned(),
            version: "4",
            group_key: format!("{}:{}", flat.key, braced(&id.1)),
            truncated_alerts: alerts.len() - shown,
            alerts: alerts.iter().take(shown).map(|alert| WebhookAlert::new(alert, now_ms)).collect(),
            reason,
        }
    }

    /// Drops alerts that were resolved at `at_ms`. Returns how many.
    fn forget_resolved(&mut self, at_ms: i64) -> usize {
        let before = self.alerts.len();
        self.alerts.retain(|_, alert| !alert.is_resolved(at_ms));
        before - self.alerts.len()
    }
}

impl WebhookConfig {
    /// The URL, read from its file if it is kept in one.
    pub(crate) fn url(&self) -> Result<Secret, String> {
        let Some(file) = &self.url_file else { return Ok(self.url.clone()) };
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read the URL in {}: {error}", file.display()))?;
        Ok(Secret::new(text.trim()))
    }
}

fn flatten(route: &Route, parent_key: &str, out: &mut Vec<FlatRoute>) -> usize {
    let matchers = route.matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let separator = if parent_key.is_empty() { "" } else { "/" };
    let key = format!("{parent_key}{separator}{{{matchers}}}");
    let index = out.len();
    out.push(FlatRoute {
        route: Route { routes: Vec::new(), ..route.clone() },
        key: key.clone(),
        children: Vec::new(),
    });
    let children: Vec<usize> = route.routes.iter().map(|child| flatten(child, &key, out)).collect();
    if let Some(flat) = out.get_mut(index) {
        flat.children = children;
    }
    index
}

/// Depth first: the first child that matches takes the alert, and so do later ones while it says `continue`; when no
/// child does, the node itself.
fn match_routes(routes: &[FlatRoute], index: usize, labels: &LabelSet, out: &mut Vec<usize>) -> bool {
    let Some(flat) = routes.get(index) else { return false };
    let matches = flat
        .route
        .matchers
        .iter()
        .all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()));
    if !matches {
        return false;
    }
    let mut taken = false;
    for child in &flat.children {
        let child_took = match_routes(routes, *child, labels, out);
        taken |= child_took;
        let goes_on = routes.get(*child).is_some_and(|child| child.route.goes_on);
        if child_took && !goes_on {
            break;
        }
    }
    if !taken {
        out.push(index);
    }
    true
}

fn group_labels(group_by: &GroupBy, labels: &LabelSet) -> LabelSet {
    match group_by {
        GroupBy::All => labels.clone(),
        GroupBy::Labels(names) => {
            labels.filtered(|name| names.binary_search_by(|known| known.as_str().cmp(name)).is_ok())
        }
    }
}

/// `{a="1", b="2"}`, also for a set with a metric name.
fn braced(labels: &LabelSet) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// As Go quotes a text for a regular expression.
fn regex_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
