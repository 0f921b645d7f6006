//! `query`, `query_range`, `format_query`, `query_exemplars`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use promql::{QueryError, QueryOptions, QueryResult, Value};

use super::json::write_result;
use super::metadata::{limit, optional_time_ms, truncated};
use super::{Answer, data, params};
use crate::Api;
use crate::error::ApiError;
use crate::params::{Params, refused};
use crate::query_gate::Ticket;

/// Points per series of one range query, as Prometheus bounds them.
const POINTS_MAX: i64 = 11_000;

pub(super) async fn instant(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let limit = limit(&params)?;
    let time_ms = optional_time_ms(&params, "time")?.unwrap_or_else(|| api.clock.unix_ms());
    let (timeout, options) = (timeout(&params)?, Options::of(&params)?);
    let expr = parse(&api, &params).map_err(|why| refused("query", &why))?;
    let run = move |api: &Api, ticket: &Ticket| {
        let options = options.with(ticket);
        let result = api.engine.instant_with(&*api.metric_source, &expr, time_ms, &options);
        Ok(cut(result.map_err(query_error)?, limit))
    };
    api.stream(timeout, run, |result, outlet| write_result(outlet, result, "")).await
}

pub(super) async fn range(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let limit = limit(&params)?;
    let steps = steps(&params)?;
    let (timeout, options) = (timeout(&params)?, Options::of(&params)?);
    let expr = parse(&api, &params).map_err(|why| refused("query", &why))?;
    let run = move |api: &Api, ticket: &Ticket| {
        let options = options.with(ticket);
        let result = api.engine.range_with(&*api.metric_source, &expr, steps, &options);
        Ok(cut(result.map_err(query_error)?, limit))
    };
    api.stream(timeout, run, |result, outlet| write_result(outlet, result, "")).await
}

/// `start`, `end` and `step` in milliseconds, as Prometheus checks them.
fn steps(params: &Params) -> Result<(i64, i64, i64), ApiError> {
    let (start_ms, end_ms) = (params.required_time_ms("start")?, params.required_time_ms("end")?);
    if end_ms < start_ms {
        return Err(refused("end", "end timestamp must not be before start time"));
    }
    let step_ms = params.required_duration_ms("step")?;
    if step_ms <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(refused("step", why));
    }
    let points = end_ms.checked_sub(start_ms).map_or(i64::MAX, |span_ms| span_ms / step_ms);
    if points > POINTS_MAX {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
                   (?step=XX)";
        return Err(ApiError::BadData(why.into()));
    }
    Ok((start_ms, end_ms, step_ms))
}

pub(super) async fn format(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let expr = parse(&api, &params).map_err(|why| refused("query", &why))?;
    data(&promql::pretty(&expr, promql::PRETTY_WIDTH).into())
}

/// `query`, in the syntax that the settings allow.
pub(super) fn parse(api: &Api, params: &Params) -> Result<promql::Expr, String> {
    api.engine.parse(params.get("query").unwrap_or_default()).map_err(|error| error.to_string())
}

/// `timeout`; one that has passed already is 0.
fn timeout(params: &Params) -> Result<Option<Duration>, ApiError> {
    Ok(params.duration_ms("timeout")?.map(not_negative))
}

fn not_negative(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// What one query asks for itself.
struct Options {
    lookback: Option<Duration>,
}

impl Options {
    fn of(params: &Params) -> Result<Self, ApiError> {
        let lookback = params.duration_ms("lookback_delta")?.map(not_negative);
        // 0 and less = the engine's own.
        Ok(Self { lookback: lookback.filter(|lookback| !lookback.is_zero()) })
    }

    fn with(&self, ticket: &Ticket) -> QueryOptions {
        QueryOptions {
            timeout: Some(ticket.time_left),
            lookback: self.lookback,
            cancel: Some(Arc::clone(&ticket.cancel)),
            ..QueryOptions::default()
        }
    }
}

fn query_error(error: QueryError) -> ApiError {
    match error {
        QueryError::Parse(error) => refused("query", &error.to_string()),
        QueryError::BadRequest(text) => refused("query", &text),
        QueryError::Execution(text) => ApiError::Execution(text),
        error @ QueryError::Timeout(_) => ApiError::Timeout(error.to_string()),
        error @ QueryError::Canceled => ApiError::Canceled(error.to_string()),
        QueryError::Storage(error) => error.into(),
    }
}

/// Cuts to the limit; a cut is a warning.
fn cut(mut result: QueryResult, limit: usize) -> QueryResult {
    let warnings = match &mut result.value {
        Value::Vector(samples) => truncated(samples, limit),
        Value::Matrix(series) => truncated(series, limit),
        Value::Scalar { .. } | Value::String { .. } => Vec::new(),
    };
    result.warnings.extend(warnings);
    result
}
