//! `rules`, `alerts`, `alertmanagers`.

use std::fmt::Write;

use axum::extract::{Request, State};
use model::{LabelSet, Matcher};
use rules::{GroupStatus, RuleStatus};
use serde_json::{Value, json};

use super::metadata::selectors;
use super::{Answer, data, to_json};
use crate::Api;
use crate::error::ApiError;
use crate::params::{Params, refused};

/// Which rules are wanted. No condition of a kind = all.
struct RuleFilter<'p> {
    params: &'p Params,
    alerting: bool,
    recording: bool,
    selectors: Vec<Vec<Matcher>>,
}

impl<'p> RuleFilter<'p> {
    fn of(params: &'p Params) -> Result<Self, ApiError> {
        let kind = params.get("type").unwrap_or_default().to_lowercase();
        if !matches!(kind.as_str(), "" | "alert" | "record") {
            return Err(refused("type", &format!("not supported value {kind:?}")));
        }
        let selectors = selectors(params).map_err(ApiError::BadData)?;
        Ok(Self { params, alerting: kind != "record", recording: kind != "alert", selectors })
    }

    fn named(&self, list: &str, name: &str) -> bool {
        self.params.all(list).next().is_none() || self.params.all(list).any(|one| one == name)
    }

    fn wants_group(&self, group: &GroupStatus) -> bool {
        self.named("rule_group[]", &group.name) && self.named("file[]", &group.file)
    }

    fn wants_rule(&self, rule: &RuleStatus) -> bool {
        let (wanted, name, labels) = match rule {
            RuleStatus::Alerting(rule) => (self.alerting, &rule.name, &rule.labels),
            RuleStatus::Recording(rule) => (self.recording, &rule.name, &rule.labels),
        };
        wanted && self.named("rule_name[]", name) && self.matches(labels)
    }

    fn matches(&self, labels: &LabelSet) -> bool {
        let all = |matchers: &Vec<Matcher>| {
            matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
        };
        self.selectors.is_empty() || self.selectors.iter().any(all)
    }
}

/// `group_limit` and `group_next_token`.
struct Page<'p> {
    limit: usize,
    from: Option<&'p str>,
}

impl<'p> Page<'p> {
    fn of(params: &'p Params) -> Result<Self, ApiError> {
        let from = params.get("group_next_token");
        let Some(text) = params.get("group_limit") else {
            let why = "group_limit needs to be present in order to paginate over the groups";
            return match from {
                Some(_) => Err(refused("group_next_token", why)),
                None => Ok(Self { limit: usize::MAX, from: None }),
            };
        };
        let limit: i32 = text.parse().map_err(|_| {
            refused("group_limit", &format!("group_limit needs to be a valid number, not {text:?}"))
        })?;
        match usize::try_from(limit) {
            Ok(limit) if limit > 0 => Ok(Self { limit, from }),
            _ => Err(refused("group_limit", "group_limit needs to be greater than 0")),
        }
    }
}

pub(super) async fn rules(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of_query(&request.into_parts().0)?;
    let filter = RuleFilter::of(&params)?;
    let exclude_alerts = params.flag("exclude_alerts")?;
    let page = Page::of(&params)?;
    let mut groups = api.rules.groups();
    groups.sort_by(|left, right| (&left.file, &left.name).cmp(&(&right.file, &right.name)));
    if let Some(from) = page.from {
        let start = groups.iter().position(|group| page_token(group) == from).ok_or_else(|| {
            let why = format!("invalid group_next_token '{from}'. were rule groups changed?");
            refused("group_next_token", &why)
        })?;
        groups.drain(..start);
    }
    groups.retain(|group| filter.wants_group(group));
    for group in &mut groups {
        group.rules.retain(|rule| filter.wants_rule(rule));
        if exclude_alerts {
            group.rules.iter_mut().for_each(drop_alerts);
        }
    }
    groups.retain(|group| !group.rules.is_empty());
    let next = groups.get(page.limit).map(page_token);
    groups.truncate(page.limit);
    let mut answer = json!({"groups": to_json(&groups)?});
    if let Some(next) = next {
        answer["groupNextToken"] = next.into();
    }
    data(&answer)
}

fn drop_alerts(rule: &mut RuleStatus) {
    if let RuleStatus::Alerting(rule) = rule {
        rule.alerts.clear();
    }
}

/// Names a group: its file and name in hexadecimal, so that it passes through URLs unchanged.
fn page_token(group: &GroupStatus) -> String {
    let mut token = String::new();
    for byte in group.file.bytes().chain([b';']).chain(group.name.bytes()) {
        // Writing to a String does not fail.
        let _written = write!(token, "{byte:02x}").is_ok();
    }
    token
}

pub(super) async fn alerts(State(api): State<Api>) -> Answer {
    data(&json!({"alerts": to_json(&api.rules.alerts())?}))
}

pub(super) async fn alertmanagers(State(api): State<Api>) -> Answer {
    let config = api.live.config();
    let active: Vec<Value> = config.alertmanagers.iter().map(|url| json!({"url": url})).collect();
    data(&json!({"activeAlertmanagers": active, "droppedAlertmanagers": []}))
}
