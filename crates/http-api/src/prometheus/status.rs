//! `targets`, `rules`, `alerts`, `alertmanagers` and `status/{buildinfo,config,flags}`.

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use rules::RuleStatus;
use serde_json::{Value, json};

use super::json::envelope;
use crate::Api;
use crate::error::{ApiError, json_response};
use crate::params::{Params, invalid};

type Answer = Result<Response, ApiError>;

/// The Prometheus release whose API we answer like. Clients switch features on by it.
const PROMETHEUS_VERSION: &str = "3.14.0";

fn data(value: &Value) -> Answer {
    Ok(json_response(StatusCode::OK, envelope(&value.to_string(), &[], &[])))
}

fn to_json(value: &impl serde::Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value)
        .map_err(|error| ApiError::Internal(format!("cannot write the answer: {error}")))
}

pub(super) async fn targets(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of(&request.into_parts().0, &Bytes::new())?;
    let mut targets = api.scrape.targets();
    if let Some(pool) = params.get("scrapePool") {
        targets.active_targets.retain(|target| target.scrape_pool == pool);
        targets.dropped_targets.retain(|target| target.scrape_pool == pool);
    }
    match params.get("state").unwrap_or("any").to_lowercase().as_str() {
        "active" => targets.dropped_targets.clear(),
        "dropped" => targets.active_targets.clear(),
        "any" => {}
        other => return Err(invalid("state", other, "it must be active, dropped or any")),
    }
    data(&to_json(&targets)?)
}

pub(super) async fn rules(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of(&request.into_parts().0, &Bytes::new())?;
    let wanted = params.get("type").unwrap_or_default().to_lowercase();
    if !matches!(wanted.as_str(), "" | "alert" | "record") {
        return Err(invalid("type", &wanted, "it must be alert or record"));
    }
    let named =
        |list: &str, name: &str| params.all(list).next().is_none() || params.all(list).any(|one| one == name);
    let mut groups = api.rules.groups();
    groups.retain(|group| named("rule_group[]", &group.name) && named("file[]", &group.file));
    for group in &mut groups {
        group.rules.retain(|rule| match rule {
            RuleStatus::Alerting(rule) => wanted != "record" && named("rule_name[]", &rule.name),
            RuleStatus::Recording(rule) => wanted != "alert" && named("rule_name[]", &rule.name),
        });
    }
    data(&json!({"groups": to_json(&groups)?}))
}

pub(super) async fn alerts(State(api): State<Api>) -> Answer {
    data(&json!({"alerts": to_json(&api.rules.alerts())?}))
}

pub(super) async fn alertmanagers(State(api): State<Api>) -> Answer {
    let active: Vec<Value> = api.info.alertmanagers.iter().map(|url| json!({"url": url})).collect();
    data(&json!({"activeAlertmanagers": active, "droppedAlertmanagers": []}))
}

/// No `features` and no `application` key: Grafana takes a server that has them for Mimir.
pub(super) async fn buildinfo(State(api): State<Api>) -> Answer {
    data(&json!({
        "version": PROMETHEUS_VERSION,
        "revision": format!("eino-{}", api.info.version),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

pub(super) async fn config(State(api): State<Api>) -> Answer {
    data(&json!({"yaml": api.info.config_text}))
}

pub(super) async fn flags(State(api): State<Api>) -> Answer {
    let flags: serde_json::Map<String, Value> =
        api.info.flags.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    data(&Value::Object(flags))
}
