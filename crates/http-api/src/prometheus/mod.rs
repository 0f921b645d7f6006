//! The Prometheus HTTP API v1.

mod admin;
mod escaping;
mod exemplars;
mod features;
mod federate;
mod federate_protobuf;
mod json;
mod json_histogram;
mod label_name;
mod metadata;
mod negotiate;
mod notifications;
mod number;
mod query;
mod rules;
mod scrape_pool;
mod status;
mod targets;

use axum::Router;
use axum::extract::{FromRef, Request};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::Value;

use crate::Api;
use crate::error::{ApiError, json_response};
use crate::ingest::read_body;
use crate::live::Live;
use crate::params::Params;

pub(crate) use metadata::optional_time_ms;
pub(crate) use query::{When, evaluate, parse, steps};
pub(crate) use status::build_info;

type Answer = Result<Response, ApiError>;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/format_query", get(query::format).post(query::format))
        .route("/api/v1/parse_query", get(query::tree).post(query::tree))
        .route("/api/v1/query_exemplars", get(exemplars::exemplars).post(exemplars::exemplars))
        .route("/api/v1/labels", get(metadata::labels).post(metadata::labels))
        .route("/api/v1/label/{name}/values", get(metadata::label_values))
        .route("/api/v1/series", get(metadata::series).post(metadata::series))
        .route("/api/v1/metadata", get(metadata::metadata))
        .route("/api/v1/scrape_pools", get(targets::scrape_pools))
        .route("/api/v1/scrape_pools/config", get(scrape_pool::config))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/targets/metadata", get(targets::metadata))
        .route("/api/v1/targets/relabel_steps", get(scrape_pool::steps))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/alertmanagers", get(rules::alertmanagers))
        .route("/api/v1/features", get(features::features))
        .route("/federate", get(federate::federate))
        .merge(status_routes())
        .merge(admin_routes())
        .merge(routes_before_ready())
}

fn status_routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/status/buildinfo", get(status::buildinfo))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/runtimeinfo", get(status::runtimeinfo))
        .route("/api/v1/status/tsdb", get(status::tsdb))
        .route("/api/v1/status/tsdb/blocks", get(status::blocks))
}

fn admin_routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/api/v1/admin/tsdb/clean_tombstones", post(admin::clean).put(admin::clean))
        .route("/api/v1/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
}

/// What answers also before the stores are open.
pub(crate) fn routes_before_ready<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Live: FromRef<S>,
{
    Router::new()
        .route("/api/v1/status/walreplay", get(notifications::walreplay))
        .route("/api/v1/notifications", get(notifications::notifications))
        .route("/api/v1/notifications/live", get(notifications::live))
}

/// Parameters of a GET or of a POST with a form.
pub(crate) async fn params(api: &Api, request: Request) -> Result<Params, ApiError> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, api.limits.body_bytes_max).await?;
    Params::of(&parts, &body)
}

/// A small answer.
fn data(value: &Value) -> Answer {
    Ok(json_response(StatusCode::OK, json::envelope(&value.to_string(), &[], &[])))
}

fn to_json(value: &impl serde::Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value)
        .map_err(|error| ApiError::Internal(format!("cannot write the answer: {error}")))
}
