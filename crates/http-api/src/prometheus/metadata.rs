//! `labels`, `label/…/values`, `series`, `metadata`.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use http::StatusCode;
use model::{LabelSet, Matcher, TimeRange};

use super::json::{envelope, push_labels, push_string, write_list};
use super::label_name::unescape_label_name;
use super::{Answer, params};
use crate::Api;
use crate::error::{ApiError, json_response};
use crate::params::{Params, refused};
use crate::query_gate::Ticket;

/// Prometheus's first and last moment, in milliseconds: the range of a question that names none.
const TIME_MIN_MS: i64 = -9_223_309_901_257_974_000;
const TIME_MAX_MS: i64 = 9_223_309_901_257_974_999;
const TRUNCATED: &str = "results truncated due to limit";

pub(super) async fn labels(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let (limit, range_ms) = (limit(&params)?, range(&params)?);
    let selectors = selectors(&params).map_err(ApiError::BadData)?;
    let names = move |api: &Api| Ok(api.metric_source.label_names(&selectors, range_ms)?);
    list(&api, names, limit).await
}

pub(super) async fn label_values(
    State(api): State<Api>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let params = params(&api, request).await?;
    let name = unescape_label_name(&name);
    if name.is_empty() {
        return Err(ApiError::BadData(format!("invalid label name: {name:?}")));
    }
    let (limit, range_ms) = (limit(&params)?, range(&params)?);
    let selectors = selectors(&params).map_err(ApiError::BadData)?;
    let values = move |api: &Api| Ok(api.metric_source.label_values(&name, &selectors, range_ms)?);
    list(&api, values, limit).await
}

pub(super) async fn series(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::BadData("no match[] parameter provided".into()));
    }
    let (limit, range_ms) = (limit(&params)?, range(&params)?);
    let selectors = selectors(&params).map_err(|why| refused("match[]", &why))?;
    let found = move |api: &Api, _: &Ticket| {
        let mut found = select(api, &selectors, range_ms)?;
        let warnings = truncated(&mut found, limit);
        Ok((found, warnings))
    };
    api.stream(None, found, |(found, warnings), outlet| write_list(outlet, found, &warnings, push_labels))
        .await
}

fn select(api: &Api, selectors: &[Vec<Matcher>], range_ms: TimeRange) -> Result<Vec<LabelSet>, ApiError> {
    let mut found = Vec::new();
    for matchers in selectors {
        let set = api.metric_source.select(matchers, range_ms)?;
        found.extend((0..set.len()).map(|index| set.labels(index).clone()));
    }
    if selectors.len() > 1 {
        found.sort_unstable();
        found.dedup();
    }
    Ok(found)
}

pub(super) async fn metadata(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let family = params.get("metric").map(str::to_owned);
    let limit = family_limit(&params, "limit")?.unwrap_or(usize::MAX);
    let per_metric = family_limit(&params, "limit_per_metric")?.filter(|limit| *limit > 0);
    let per_metric = per_metric.unwrap_or(usize::MAX);
    let found = api.query(move |api| Ok(api.metric_source.metadata(family.as_deref())?)).await?;
    let mut families: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for metadata in &found {
        if families.len() < limit || families.contains_key(metadata.family.as_str()) {
            let known = families.entry(&metadata.family).or_default();
            if known.len() < per_metric {
                known.push(metadata);
            }
        }
    }
    Ok(json_response(StatusCode::OK, envelope(&serde_json::json!(families).to_string(), &[], &[])))
}

/// A limit of families; a negative one is none.
pub(super) fn family_limit(params: &Params, name: &str) -> Result<Option<usize>, ApiError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let number: i64 =
        text.parse().map_err(|_| ApiError::BadData(format!("{name} must be a number, not {text:?}")))?;
    Ok(usize::try_from(number).ok())
}

async fn list(
    api: &Api,
    find: impl FnOnce(&Api) -> Result<Vec<String>, ApiError> + Send + 'static,
    limit: usize,
) -> Answer {
    let find = move |api: &Api, _: &Ticket| {
        let mut items = find(api)?;
        let warnings = truncated(&mut items, limit);
        Ok((items, warnings))
    };
    let push = |out: &mut String, item: &String| push_string(out, item);
    api.stream(None, find, move |(items, warnings), outlet| write_list(outlet, items, &warnings, push)).await
}

/// Cuts to the limit; a cut is a warning.
pub(super) fn truncated<T>(items: &mut Vec<T>, limit: usize) -> Vec<String> {
    let is_cut = items.len() > limit;
    items.truncate(limit);
    if is_cut { vec![TRUNCATED.to_owned()] } else { Vec::new() }
}

/// `limit`; 0 and absent = none.
pub(super) fn limit(params: &Params) -> Result<usize, ApiError> {
    match params.get("limit") {
        Some(text) if text.parse::<i64>().is_ok_and(|limit| limit < 0) => {
            Err(refused("limit", &format!("limit must be non-negative, not {text}")))
        }
        _ => Ok(params.count("limit")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX)),
    }
}

/// `start` and `end`, both inside; all of time by default.
pub(super) fn range(params: &Params) -> Result<TimeRange, ApiError> {
    let start = optional_time_ms(params, "start")?.unwrap_or(TIME_MIN_MS);
    let end = optional_time_ms(params, "end")?.unwrap_or(TIME_MAX_MS);
    Ok(TimeRange::new(start, end.saturating_add(1)))
}

/// Times that may be left out have their own sentence in Prometheus.
pub(crate) fn optional_time_ms(params: &Params, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let parsed = crate::params::parse_time_ms(text);
    let parsed = parsed.map_err(|why| crate::params::invalid_time(name, text, &why))?;
    Ok(Some(parsed))
}

/// Each `match[]`; one that every series passes is refused.
pub(super) fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, String> {
    let parse = |text: &str| {
        let matchers = selector(text)?;
        if matchers.iter().all(Matcher::matches_empty) {
            return Err("match[] must contain at least one non-empty matcher".to_owned());
        }
        Ok(matchers)
    };
    params.all("match[]").map(parse).collect()
}

/// One selector: `up{job="a"}`.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    promql::parse_selector(text).map_err(|error| error.to_string())
}
