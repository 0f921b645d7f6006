//! `/eino/v1/explain`: where a query's time and samples go, node by node.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use promql::{QueryOptions, Value};
use serde_json::json;

use crate::Api;
use crate::error::{ApiError, json_response};
use crate::params::refused;
use crate::prometheus::{When, evaluate, optional_time_ms, params, parse, steps};
use crate::query_gate::Ticket;

/// `query`, and `time` as for an instant query or `start`, `end` and `step` as for a range query. The query runs; its
/// answer is counted, not sent.
pub(crate) async fn explain(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let params = params(&api, request).await?;
    let when = match params.get("start").or(params.get("end")).or(params.get("step")) {
        Some(_) => {
            let (start_ms, end_ms, step_ms) = steps(&params)?;
            When::Steps { start_ms, end_ms, step_ms }
        }
        None => When::At(optional_time_ms(&params, "time")?.unwrap_or_else(|| api.clock.unix_ms())),
    };
    let expr = parse(&api, &params).map_err(|why| refused("query", &why))?;
    let run = move |api: &Api, ticket: &Ticket| {
        let options = QueryOptions {
            timeout: Some(ticket.time_left),
            cancel: Some(Arc::clone(&ticket.cancel)),
            step_stats: false,
            explain: true,
            ..QueryOptions::default()
        };
        let result = evaluate(api, &expr, when, options)?;
        let answer = json!({
            "query": promql::pretty(&expr, promql::PRETTY_WIDTH),
            "series": series(&result.value),
            "stats": {
                "samples_read": result.stats.samples_read,
                "total_queryable_samples": result.stats.total_queryable_samples,
                "peak_samples": result.stats.peak_samples,
                "bytes_held": result.stats.bytes_held,
                "series_selected": result.stats.series_selected,
                "queue_ns": ticket.waited.as_nanos(),
                "eval_ns": result.stats.eval_time.as_nanos(),
            },
            "plan": result.plan,
            "warnings": result.warnings,
            "infos": result.infos,
        });
        Ok(answer.to_string())
    };
    Ok(json_response(StatusCode::OK, api.query_with(run).await?))
}

fn series(value: &Value) -> usize {
    match value {
        Value::Scalar { .. } | Value::String { .. } => 1,
        Value::Vector(samples) => samples.len(),
        Value::Matrix(series) => series.len(),
    }
}
