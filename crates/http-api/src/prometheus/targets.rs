//! `targets`, `targets/metadata`, `scrape_pools`.

use std::collections::HashMap;

use axum::extract::{Request, State};
use model::{LabelSet, Matcher, MetricMetadata, TimeRange};
use scrape::TargetStatus;
use serde_json::{Value, json};

use super::metadata::{family_limit, selector};
use super::{Answer, data, to_json};
use crate::Api;
use crate::error::ApiError;
use crate::params::{Params, invalid, refused};

/// What the series of a family add to its name.
const SERIES_SUFFIXES: [&str; 6] = ["_bucket", "_count", "_sum", "_total", "_created", "_info"];

pub(super) async fn scrape_pools(State(api): State<Api>) -> Answer {
    data(&json!({"scrapePools": api.scrape.pools()}))
}

pub(super) async fn targets(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of_query(&request.into_parts().0)?;
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

/// What is known of the families that each target exposes.
pub(super) async fn metadata(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of_query(&request.into_parts().0)?;
    let limit = family_limit(&params, "limit")?.unwrap_or(usize::MAX);
    let matchers = params.get("match_target").map(selector).transpose();
    let matchers = matchers.map_err(|why| refused("match_target", &why))?.unwrap_or_default();
    let metric = params.get("metric").map(str::to_owned);
    let mut targets = api.scrape.targets().active_targets;
    targets.retain(|target| matchers.iter().all(|matcher| is_met(matcher, &target.labels)));
    let rows = api.query(move |api| rows(api, &targets, metric.as_deref(), limit)).await?;
    data(&rows.into())
}

fn is_met(matcher: &Matcher, labels: &LabelSet) -> bool {
    matcher.matches(labels.get(matcher.name()).unwrap_or_default())
}

fn rows(
    api: &Api,
    targets: &[TargetStatus],
    metric: Option<&str>,
    limit: usize,
) -> Result<Vec<Value>, ApiError> {
    let known = api.metric_source.metadata(metric)?;
    let known: HashMap<&str, &MetricMetadata> =
        known.iter().map(|metadata| (metadata.family.as_str(), metadata)).collect();
    let mut rows = Vec::new();
    for target in targets {
        for metadata in exposed(api, target, &known)? {
            if rows.len() == limit {
                return Ok(rows);
            }
            let mut row = json!({
                "target": to_json(&target.labels)?,
                "type": metadata.kind,
                "help": metadata.help,
                "unit": metadata.unit,
            });
            if metric.is_none() {
                row["metric"] = metadata.family.clone().into();
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Known families of the target's series, ascending.
fn exposed<'k>(
    api: &Api,
    target: &TargetStatus,
    known: &HashMap<&str, &'k MetricMetadata>,
) -> Result<Vec<&'k MetricMetadata>, ApiError> {
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let matchers = target.labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let names = api.metric_source.label_values("__name__", &[matchers], TimeRange::ALL)?;
    let family = |name: &String| {
        let without_suffix = SERIES_SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
        let families = [Some(name.as_str()), without_suffix];
        families.into_iter().flatten().find_map(|family| known.get(family).copied())
    };
    let mut found: Vec<_> = names.iter().filter_map(family).collect();
    found.sort_unstable_by(|left, right| left.family.cmp(&right.family));
    found.dedup_by(|left, right| left.family == right.family);
    Ok(found)
}
