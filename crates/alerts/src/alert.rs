//! An alert on its way to people.

use model::LabelSet;
use rules::{AlertEvent, TemplateGlobals, format_rfc3339};
use serde::Serialize;

/// Go's zero time: an end that is not known.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// An alert as Alertmanagers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alert {
    /// With external labels.
    pub(crate) labels: LabelSet,
    pub(crate) annotations: LabelSet,
    pub(crate) starts_at_ms: i64,
    pub(crate) ends_at_ms: i64,
    pub(crate) generator_url: String,
}

impl Alert {
    /// Adds what every alert of this server carries.
    pub(crate) fn of_event(event: AlertEvent, globals: &TemplateGlobals) -> Self {
        let mut labels = event.labels.to_builder();
        for (name, value) in globals.external_labels.iter() {
            if labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        let base = globals.external_url.trim_end_matches('/');
        let expression = query_escape(&event.query);
        Self {
            labels: labels.build(),
            annotations: event.annotations,
            starts_at_ms: event.starts_at_ms,
            ends_at_ms: event.ends_at_ms,
            generator_url: format!("{base}/graph?g0.expr={expression}&g0.tab=1"),
        }
    }

    pub(crate) fn is_resolved(&self, now_ms: i64) -> bool {
        self.ends_at_ms <= now_ms
    }
}

/// FNV-1a-64 of `name 0xff value 0xff …`, ascending by name: the identity that Alertmanager's API shows.
pub(crate) fn fingerprint(labels: &LabelSet) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (name, value) in labels.iter() {
        for byte in name.bytes().chain([0xff]).chain(value.bytes()).chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

/// Body of `POST /api/v2/alerts`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostableAlert<'a> {
    labels: &'a LabelSet,
    annotations: &'a LabelSet,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
}

/// The alerts as an external Alertmanager takes them.
pub(crate) fn api_v2_json(alerts: &[Alert]) -> Vec<u8> {
    let alerts: Vec<_> = alerts
        .iter()
        .map(|alert| PostableAlert {
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: format_rfc3339(alert.starts_at_ms),
            ends_at: format_rfc3339(alert.ends_at_ms),
            generator_url: &alert.generator_url,
        })
        .collect();
    to_json(&alerts)
}

/// A message to a webhook: Alertmanager's format, version 4.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookMessage {
    pub(crate) receiver: String,
    pub(crate) status: &'static str,
    pub(crate) alerts: Vec<WebhookAlert>,
    pub(crate) group_labels: LabelSet,
    pub(crate) common_labels: LabelSet,
    pub(crate) common_annotations: LabelSet,
    #[serde(rename = "externalURL")]
    pub(crate) external_url: String,
    pub(crate) version: &'static str,
    pub(crate) group_key: String,
    pub(crate) truncated_alerts: usize,
    #[serde(rename = "notification_reason")]
    pub(crate) reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookAlert {
    status: &'static str,
    labels: LabelSet,
    annotations: LabelSet,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

impl WebhookAlert {
    pub(crate) fn new(alert: &Alert, now_ms: i64) -> Self {
        let resolved = alert.is_resolved(now_ms);
        Self {
            status: if resolved { "resolved" } else { "firing" },
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: format_rfc3339(alert.starts_at_ms),
            ends_at: if resolved { format_rfc3339(alert.ends_at_ms) } else { NO_TIME.to_owned() },
            generator_url: alert.generator_url.clone(),
            fingerprint: format!("{:016x}", fingerprint(&alert.labels)),
        }
    }
}

impl WebhookMessage {
    pub(crate) fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| {
        // Labels and texts are strings, maps have string keys: nothing in them can fail.
        debug_assert!(false, "BUG: an alert is always JSON: {error}");
        Vec::new()
    })
}

/// The pairs that all label sets share.
pub(crate) fn common<'l>(mut sets: impl Iterator<Item = &'l LabelSet>) -> LabelSet {
    let Some(first) = sets.next() else { return LabelSet::empty() };
    let mut shared = first.clone();
    for set in sets {
        let before = shared.clone();
        shared = shared.filtered(|name| set.get(name) == before.get(name));
    }
    shared
}

/// As Go escapes a query: space becomes `+`.
fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_alertmanagers() {
        let labels =
            LabelSet::from_pairs([("alertname", "HighCPU"), ("instance", "a:9100"), ("severity", "warning")]);
        assert_eq!(format!("{:016x}", fingerprint(&labels.expect("valid"))), "f22606fb9d9cb667");
    }

    #[test]
    fn api_v2_body_is_prometheuss() {
        let globals = TemplateGlobals {
            external_labels: LabelSet::from_pairs([("zone", "a"), ("job", "other")]).expect("valid"),
            external_url: "http://host/".to_owned(),
        };
        let event = AlertEvent {
            labels: LabelSet::from_pairs([("alertname", "Up"), ("job", "x")]).expect("valid"),
            annotations: LabelSet::from_pairs([("summary", "s")]).expect("valid"),
            starts_at_ms: 1_700_000_000_250,
            ends_at_ms: 1_700_000_240_250,
            resolved: false,
            query: "up == 1".to_owned(),
        };
        let body = api_v2_json(&[Alert::of_event(event, &globals)]);
        assert_eq!(
            String::from_utf8(body).expect("text"),
            r#"[{"labels":{"alertname":"Up","job":"x","zone":"a"},"annotations":{"summary":"s"},"startsAt":"2023-11-14T22:13:20.25Z","endsAt":"2023-11-14T22:17:20.25Z","generatorURL":"http://host/graph?g0.expr=up+%3D%3D+1&g0.tab=1"}]"#
        );
    }

    #[test]
    fn common_pairs() {
        let sets = [
            LabelSet::from_pairs([("a", "1"), ("b", "2")]).expect("valid"),
            LabelSet::from_pairs([("a", "1"), ("b", "3"), ("c", "4")]).expect("valid"),
        ];
        assert_eq!(common(sets.iter()).to_string(), r#"{a="1"}"#);
    }
}
