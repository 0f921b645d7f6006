//! `labels`, `label/…/values`, `series`, `metadata`.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use model::{LabelSet, Matcher, TimeRange};

use super::json::{envelope, push_labels};
use super::query::params;
use crate::Api;
use crate::error::{ApiError, json_response};
use crate::params::{Params, invalid};

type Answer = Result<Response, ApiError>;

pub(super) async fn labels(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let (selectors, range_ms) = (selectors(&params)?, range(&params)?);
    let names = api.query(move |api| Ok(api.metric_source.label_names(&selectors, range_ms)?)).await?;
    list(names, &params)
}

pub(super) async fn label_values(
    State(api): State<Api>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let params = params(&api, request).await?;
    let name = unescape_label_name(&name)
        .ok_or_else(|| ApiError::BadData(format!("invalid label name: {name:?}")))?;
    let (selectors, range_ms) = (selectors(&params)?, range(&params)?);
    let values =
        api.query(move |api| Ok(api.metric_source.label_values(&name, &selectors, range_ms)?)).await?;
    list(values, &params)
}

pub(super) async fn series(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let (selectors, range_ms) = (selectors(&params)?, range(&params)?);
    if selectors.is_empty() {
        return Err(ApiError::BadData("no match[] parameter provided".into()));
    }
    let found = api.query(move |api| select(api, &selectors, range_ms)).await?;
    let shown = limited(found, &params)?;
    let mut data = String::from("[");
    for (index, labels) in shown.items.iter().enumerate() {
        if index > 0 {
            data.push(',');
        }
        push_labels(&mut data, labels);
    }
    data.push(']');
    Ok(json_response(StatusCode::OK, envelope(&data, &shown.warnings, &[])))
}

fn select(api: &Api, selectors: &[Vec<Matcher>], range_ms: TimeRange) -> Result<Vec<LabelSet>, ApiError> {
    let mut found = Vec::new();
    for matchers in selectors {
        let set = api.metric_source.select(matchers, range_ms)?;
        found.extend((0..set.len()).map(|index| set.labels(index).clone()));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

pub(super) async fn metadata(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let family = params.get("metric").map(str::to_owned);
    let limit = params.count("limit")?.unwrap_or(usize::MAX);
    let found = api.query(move |api| Ok(api.metric_source.metadata(family.as_deref())?)).await?;
    let mut families: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for metadata in &found {
        if families.len() < limit || families.contains_key(metadata.family.as_str()) {
            families.entry(&metadata.family).or_default().push(metadata);
        }
    }
    Ok(json_response(StatusCode::OK, envelope(&serde_json::json!(families).to_string(), &[], &[])))
}

fn list(items: Vec<String>, params: &Params) -> Answer {
    let shown = limited(items, params)?;
    Ok(json_response(
        StatusCode::OK,
        envelope(&serde_json::json!(shown.items).to_string(), &shown.warnings, &[]),
    ))
}

struct Limited<T> {
    items: Vec<T>,
    warnings: Vec<String>,
}

fn limited<T>(mut items: Vec<T>, params: &Params) -> Result<Limited<T>, ApiError> {
    let limit = params.count("limit")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let cut = items.len() > limit;
    items.truncate(limit);
    let warnings = if cut { vec!["results truncated due to limit".to_owned()] } else { Vec::new() };
    Ok(Limited { items, warnings })
}

/// `start` and `end`, both inside; all of time by default.
fn range(params: &Params) -> Result<TimeRange, ApiError> {
    let start = params.time_ms("start")?.unwrap_or(i64::MIN);
    let end = params.time_ms("end")?.unwrap_or(i64::MAX);
    Ok(TimeRange::new(start, end.saturating_add(1)))
}

fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let parse = |text: &str| {
        let matchers =
            promql::parse_selector(text).map_err(|error| invalid("match[]", "", &error.to_string()))?;
        if matchers.iter().all(Matcher::matches_empty) {
            return Err(ApiError::BadData("match[] must contain at least one non-empty matcher".into()));
        }
        Ok(matchers)
    };
    params.all("match[]").map(parse).collect()
}

/// Names with characters outside `[a-zA-Z0-9_]` arrive as `U__` escapes: `_XX_` is a code point in hexadecimal, `__` an underscore.
fn unescape_label_name(name: &str) -> Option<String> {
    let Some(mut rest) = name.strip_prefix("U__") else { return Some(name.to_owned()) };
    let mut out = String::new();
    while let Some(start) = rest.find('_') {
        out.push_str(&rest[..start]);
        let tail = &rest[start + 1..];
        let end = tail.find('_')?;
        if end == 0 {
            out.push('_');
        } else {
            out.push(u32::from_str_radix(&tail[..end], 16).ok().and_then(char::from_u32)?);
        }
        rest = &tail[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::unescape_label_name;

    #[test]
    fn escaped_label_names() {
        assert_eq!(unescape_label_name("job").as_deref(), Some("job"));
        assert_eq!(unescape_label_name("U__http_2e_status__code").as_deref(), Some("http.status_code"));
        assert_eq!(unescape_label_name("U__a_zz_"), None);
        assert_eq!(unescape_label_name("U__a_2"), None);
    }
}
