//! Eino's own API under `/eino/v1`.

use std::sync::Arc;

use analysis::{Lang, Overflow, Trace};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use model::{Span, TimeRange, TraceId};
use serde_json::json;

use crate::Api;
use crate::error::{ApiError, json_response};
use crate::explain;
use crate::params::{Params, invalid, refused};
use crate::report_source;

/// Window of a question that names none: the last 15 minutes.
const WINDOW_DEFAULT_MS: i64 = 15 * 60 * 1_000;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/eino/v1/status", get(status))
        .route("/eino/v1/services", get(services))
        .route("/eino/v1/bottlenecks", get(bottlenecks))
        .route("/eino/v1/service-graph", get(service_graph))
        .route("/eino/v1/compare", get(compare))
        .route("/eino/v1/traces/{id}/critical-path", get(critical_path))
        .route("/eino/v1/explain", get(explain::explain).post(explain::explain))
        .route("/eino/v1/admin/flush", post(flush))
        .route("/eino/v1/openapi.json", get(openapi))
}

/// The document of this API, written by hand and held against the router by a test.
const OPENAPI: &str = include_str!("../openapi.json");

async fn openapi() -> Response {
    json_response(StatusCode::OK, OPENAPI)
}

type Answer = Result<Response, ApiError>;

fn ok(value: &impl serde::Serialize) -> Answer {
    let text = serde_json::to_string(value);
    let text = text.map_err(|error| ApiError::Internal(format!("cannot write the answer: {error}")))?;
    Ok(json_response(StatusCode::OK, text))
}

async fn status(State(api): State<Api>) -> Answer {
    let stores = api.query(|api| Ok(api.admin.status())).await?;
    let info = &api.info;
    let listeners: serde_json::Map<_, _> =
        info.listeners.iter().map(|(name, address)| ((*name).to_owned(), json!(address))).collect();
    ok(&json!({
        "version": info.version,
        "role": info.role,
        "started_ms": info.started_ms,
        "now_ms": api.clock.unix_ms(),
        "data_dir": info.data_dir,
        "config_file": info.config_file,
        "listeners": listeners,
        "warnings": api.live.config().warnings,
        "stores": stores,
    }))
}

async fn services(State(api): State<Api>, request: Request) -> Answer {
    let window_ms = window(&api, request)?;
    ok(&api.query(move |api| report_source::services(api, window_ms)).await?)
}

/// `?start&end&lang`: `lang` (`en`, `zh`) is the language of the evidence.
async fn bottlenecks(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of(&request.into_parts().0, &Bytes::new())?;
    let window_ms = window_of(&api, &params)?;
    let lang = match params.get("lang") {
        None => Lang::En,
        Some(tag) => Lang::from_tag(tag).ok_or_else(|| invalid("lang", tag, "it must be en or zh"))?,
    };
    ok(&api.query(move |api| report_source::report(api, window_ms, lang)).await?)
}

async fn service_graph(State(api): State<Api>, request: Request) -> Answer {
    let window_ms = window(&api, request)?;
    ok(&api.query(move |api| report_source::service_graph(api, window_ms)).await?)
}

/// `?before_start&before_end&after_start&after_end`.
async fn compare(State(api): State<Api>, request: Request) -> Answer {
    let params = Params::of(&request.into_parts().0, &Bytes::new())?;
    let time = |name: &str| params.time_ms(name)?.ok_or_else(|| refused(name, "it is missing"));
    let before_ms = checked_range(time("before_start")?, time("before_end")?)?;
    let after_ms = checked_range(time("after_start")?, time("after_end")?)?;
    ok(&api.query(move |api| report_source::compare(api, before_ms, after_ms)).await?)
}

async fn critical_path(State(api): State<Api>, Path(id): Path<String>, request: Request) -> Answer {
    let params = Params::of(&request.into_parts().0, &Bytes::new())?;
    let overflow = match params.get("overflow") {
        None | Some("auto") => Overflow::Auto,
        Some("clip") => Overflow::Clip,
        Some("async") => Overflow::Async,
        Some(other) => return Err(invalid("overflow", other, "it must be auto, clip or async")),
    };
    let id: TraceId = id.parse().map_err(|error: model::IdError| ApiError::BadData(error.to_string()))?;
    let spans: Vec<Arc<Span>> = api.query(move |api| Ok(api.span_source.trace(id)?)).await?;
    if spans.is_empty() {
        return Err(ApiError::NotFound(format!("trace {id} is not stored")));
    }
    ok(&analysis::critical_path_json(id, &Trace::assemble(&spans), overflow))
}

/// Answers when everything accepted so far is at rest.
async fn flush(State(api): State<Api>) -> Answer {
    api.query(|api| api.admin.flush().map_err(ApiError::Unavailable)).await?;
    ok(&json!({"status": "success"}))
}

/// `start` and `end`; by default the last 15 minutes.
fn window(api: &Api, request: Request) -> Result<TimeRange, ApiError> {
    window_of(api, &Params::of(&request.into_parts().0, &Bytes::new())?)
}

fn window_of(api: &Api, params: &Params) -> Result<TimeRange, ApiError> {
    let end_ms = params.time_ms("end")?.unwrap_or_else(|| api.clock.unix_ms());
    let start_ms = params.time_ms("start")?.unwrap_or(end_ms.saturating_sub(WINDOW_DEFAULT_MS));
    checked_range(start_ms, end_ms)
}

fn checked_range(start_ms: i64, end_ms: i64) -> Result<TimeRange, ApiError> {
    if end_ms <= start_ms {
        return Err(ApiError::BadData(format!("end ({end_ms} ms) must be after start ({start_ms} ms)")));
    }
    Ok(TimeRange::new(start_ms, end_ms))
}
