//! Jaeger's query API under `/jaeger`: what Grafana's Jaeger data source and Jaeger's own UI ask.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use model::{Span, TimeRange, TraceId, TraceQuery};
use serde_json::{Value, json};

use crate::Api;
use crate::error::{ApiError, json_response};
use crate::params::{Params, invalid};

/// Traces that a search returns when it does not say, as in Jaeger.
const LIMIT_DEFAULT: usize = 20;
/// Most traces of one search.
const LIMIT_MAX: usize = 1_500;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/jaeger/api/services", get(services))
        .route("/jaeger/api/services/{service}/operations", get(operations))
        .route("/jaeger/api/operations", get(operations_with_kind))
        .route("/jaeger/api/traces", get(search))
        .route("/jaeger/api/traces/{id}", get(trace))
        .route("/jaeger/api/dependencies", get(dependencies))
}

type Answer = Result<Response, JaegerError>;

/// Jaeger's error envelope: `{"data":null,"errors":[{"code":404,"msg":"trace not found"}]}`.
struct JaegerError(ApiError);

impl From<ApiError> for JaegerError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for JaegerError {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let errors = json!([{"code": status.as_u16(), "msg": self.0.message()}]);
        json_response(
            status,
            json!({"data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors}).to_string(),
        )
    }
}

fn data(items: Vec<Value>) -> Response {
    let body = json!({"total": items.len(), "data": items, "limit": 0, "offset": 0, "errors": null});
    json_response(StatusCode::OK, body.to_string())
}

async fn services(State(api): State<Api>) -> Answer {
    let names = api.query(|api| Ok(api.span_source.services()?)).await?;
    Ok(data(names.iter().map(|name| json!(name)).collect()))
}

async fn operations(State(api): State<Api>, Path(service): Path<String>) -> Answer {
    let found = api.query(move |api| Ok(api.span_source.operations(&service)?)).await?;
    let mut names: Vec<Arc<str>> = found.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    Ok(data(names.iter().map(|name| json!(name)).collect()))
}

async fn operations_with_kind(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of(&request.into_parts().0, &Bytes::new())?;
    let service = params.required("service")?.to_owned();
    let wanted = params.get("spanKind").map(str::to_owned);
    let found = api.query(move |api| Ok(api.span_source.operations(&service)?)).await?;
    let matching =
        found.iter().filter(|(_, kind)| wanted.as_deref().is_none_or(|wanted| kind.as_str() == wanted));
    Ok(data(matching.map(|(name, kind)| json!({"name": name, "spanKind": kind.as_str()})).collect()))
}

async fn trace(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let id = parse_trace_id(&id)?;
    let spans = api.query(move |api| Ok(api.span_source.trace(id)?)).await?;
    if spans.is_empty() {
        return Err(ApiError::NotFound("trace not found".into()).into());
    }
    Ok(data(vec![wire::jaeger::trace_json(&spans)]))
}

/// `GET /api/traces?traceID=…` or a search.
async fn search(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of(&request.into_parts().0, &Bytes::new())?;
    let ids: Vec<TraceId> = params.all("traceID").map(parse_trace_id).collect::<Result<_, _>>()?;
    let query = if ids.is_empty() { Some(trace_query(&params)?) } else { None };
    let traces = api.query(move |api| find(api, ids, query.as_ref())).await?;
    Ok(data(traces.iter().map(|spans| wire::jaeger::trace_json(spans)).collect()))
}

fn find(api: &Api, ids: Vec<TraceId>, query: Option<&TraceQuery>) -> Result<Vec<Vec<Arc<Span>>>, ApiError> {
    let ids = match query {
        Some(query) => api.span_source.search(query)?,
        None => ids,
    };
    let mut traces = Vec::with_capacity(ids.len());
    for id in ids {
        traces.push(api.span_source.trace(id)?);
    }
    traces.retain(|spans| !spans.is_empty());
    Ok(traces)
}

fn trace_query(params: &Params) -> Result<TraceQuery, ApiError> {
    let limit = params.count("limit")?.unwrap_or(LIMIT_DEFAULT);
    if limit == 0 || limit > LIMIT_MAX {
        return Err(invalid("limit", &limit.to_string(), &format!("it must be from 1 to {LIMIT_MAX}")));
    }
    let operation = params.get("operation").filter(|name| *name != "all").map(str::to_owned);
    let start = micros(params, "start")?.unwrap_or(0);
    let end = micros(params, "end")?.unwrap_or(i64::MAX);
    Ok(TraceQuery {
        service: params.get("service").map(str::to_owned),
        operation,
        attributes: attributes(params)?,
        duration_min_ns: duration_ns(params, "minDuration")?,
        duration_max_ns: duration_ns(params, "maxDuration")?,
        range_ns: TimeRange::new(start.saturating_mul(1_000), end.saturating_mul(1_000)),
        limit,
    })
}

/// `tags={"k":"v"}` and any number of `tag=k:v`.
fn attributes(params: &Params) -> Result<Vec<(String, String)>, ApiError> {
    let mut pairs = Vec::new();
    for tag in params.all("tag") {
        let (key, value) = tag.split_once(':').ok_or_else(|| invalid("tag", tag, "write it as key:value"))?;
        pairs.push((key.to_owned(), value.to_owned()));
    }
    if let Some(text) = params.get("tags") {
        let parsed: Value =
            serde_json::from_str(text).map_err(|error| invalid("tags", text, &error.to_string()))?;
        let object = parsed.as_object().ok_or_else(|| invalid("tags", text, "it is not a JSON object"))?;
        for (key, value) in object {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            pairs.push((key.clone(), value));
        }
    }
    Ok(pairs)
}

fn micros(params: &Params, name: &str) -> Result<Option<i64>, ApiError> {
    let parse = |text: &str| text.parse().map_err(|_| invalid(name, text, "it is not Unix microseconds"));
    params.get(name).map(parse).transpose()
}

/// Go's duration notation, one unit or several: `1.5ms`, `2s`, `1m30s`, `100us`.
fn duration_ns(params: &Params, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    parse_go_duration_ns(text)
        .map(Some)
        .ok_or_else(|| invalid(name, text, "write it like 1.2s, 100ms or 500us"))
}

fn parse_go_duration_ns(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total_ns = 0.0;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_len);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_len);
        let unit_ns = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            _ => return None,
        };
        total_ns += number.parse::<f64>().ok()? * unit_ns;
        rest = after;
    }
    // Beyond 2^63 ns (292 years) no span is that long; the cast saturates.
    (!text.is_empty()).then_some(total_ns as u64)
}

fn parse_trace_id(text: &str) -> Result<TraceId, ApiError> {
    text.parse().map_err(|error: model::IdError| ApiError::BadData(error.to_string()))
}

/// `endTs` and `lookback` in milliseconds: calls between services.
async fn dependencies(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of(&request.into_parts().0, &Bytes::new())?;
    let number = |name: &str, default: i64| match params.get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| invalid(name, text, "it is not a number of milliseconds")),
    };
    let end_ms = number("endTs", api.clock.unix_ms())?;
    let start_ms = end_ms.saturating_sub(number("lookback", 86_400_000)?);
    let graph = api
        .query(move |api| crate::report_source::service_graph(api, TimeRange::new(start_ms, end_ms)))
        .await?;
    let edges = graph["edges"].as_array().cloned().unwrap_or_default().into_iter();
    let links = edges
        .map(|edge| json!({"parent": edge["source"], "child": edge["target"], "callCount": edge["calls"]}));
    Ok(data(links.collect()))
}

#[cfg(test)]
mod tests {
    use super::parse_go_duration_ns;

    #[test]
    fn go_durations() {
        assert_eq!(parse_go_duration_ns("1.5ms"), Some(1_500_000));
        assert_eq!(parse_go_duration_ns("1m30s"), Some(90_000_000_000));
        assert_eq!(parse_go_duration_ns("100us"), Some(100_000));
        assert_eq!(parse_go_duration_ns("100"), None);
        assert_eq!(parse_go_duration_ns(""), None);
        assert_eq!(parse_go_duration_ns("5 parsecs"), None);
    }
}
