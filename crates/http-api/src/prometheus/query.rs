//! `query`, `query_range`, `format_query`, `parse_query`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use http::StatusCode;
use promql::{QueryError, QueryOptions, QueryResult, Value};

use super::json::{envelope, write_result};
use super::metadata::{limit, optional_time_ms, truncated};
use super::{Answer, data, params};
use crate::Api;
use crate::error::{ApiError, json_response};
use crate::params::{Params, refused};
use crate::query_gate::Ticket;

/// Points per series of one range query, as Prometheus bounds them.
const POINTS_MAX: i64 = 11_000;

pub(super) async fn instant(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let limit = limit(&params)?;
    let time_ms = optional_time_ms(&params, "time")?.unwrap_or_else(|| api.clock.unix_ms());
    answer(&api, &params, When::At(time_ms), limit).await
}

pub(super) async fn range(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let limit = limit(&params)?;
    let (start_ms, end_ms, step_ms) = steps(&params)?;
    answer(&api, &params, When::Steps { start_ms, end_ms, step_ms }, limit).await
}

/// The moments that a query is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    At(i64),
    Steps { start_ms: i64, end_ms: i64, step_ms: i64 },
}

async fn answer(api: &Api, params: &Params, when: When, limit: usize) -> Answer {
    let (timeout, options) = (timeout(params)?, Options::of(params)?);
    let expr = parse(api, params).map_err(|why| refused("query", &why))?;
    let run = move |api: &Api, ticket: &Ticket| {
        let mut result = evaluate(api, &expr, when, options.with(ticket))?;
        cut(&mut result, limit);
        result.warnings.extend(options.stats_warning);
        let wants_stats = options.wants_stats;
        let stats = wants_stats.then(|| result.stats.to_json(ticket.waited, ticket.elapsed()));
        Ok((result, stats.unwrap_or_default()))
    };
    api.stream(timeout, run, |(result, stats), outlet| write_result(outlet, result, &stats)).await
}

/// Blocks.
pub(crate) fn evaluate(
    api: &Api,
    expr: &promql::Expr,
    when: When,
    options: QueryOptions,
) -> Result<QueryResult, ApiError> {
    let source = &*api.metric_source;
    let result = match when {
        When::At(time_ms) => api.engine.instant_with(source, expr, time_ms, &options),
        When::Steps { start_ms, end_ms, step_ms } => {
            api.engine.range_with(source, expr, (start_ms, end_ms, step_ms), &options)
        }
    };
    result.map_err(query_error)
}

/// `start`, `end` and `step` in milliseconds, as Prometheus checks them.
pub(crate) fn steps(params: &Params) -> Result<(i64, i64, i64), ApiError> {
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

/// The tree, as Prometheus's pages draw it.
pub(super) async fn tree(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let expr = parse(&api, &params).map_err(|why| refused("query", &why))?;
    Ok(json_response(StatusCode::OK, envelope(&promql::tree_json(&expr), &[], &[])))
}

/// `query`, in the syntax that the settings allow.
pub(crate) fn parse(api: &Api, params: &Params) -> Result<promql::Expr, String> {
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
    wants_stats: bool,
    wants_step_stats: bool,
    /// Said of values of `stats` that Prometheus will refuse one day.
    stats_warning: Option<String>,
}

impl Options {
    fn of(params: &Params) -> Result<Self, ApiError> {
        let lookback = params.duration_ms("lookback_delta")?.map(not_negative);
        let stats = params.get("stats");
        let is_odd = |text: &&str| !matches!(*text, "true" | "all");
        let stats_warning = stats.filter(is_odd).map(|text| {
            format!(
                "value {text:?} for parameter \"stats\" is deprecated and will be rejected in the next major release, \
                 use \"true\" or \"all\""
            )
        });
        Ok(Self {
            // 0 and less = the engine's own.
            lookback: lookback.filter(|lookback| !lookback.is_zero()),
            wants_stats: stats.is_some(),
            wants_step_stats: stats == Some("all"),
            stats_warning,
        })
    }

    fn with(&self, ticket: &Ticket) -> QueryOptions {
        QueryOptions {
            timeout: Some(ticket.time_left),
            lookback: self.lookback,
            cancel: Some(Arc::clone(&ticket.cancel)),
            step_stats: self.wants_step_stats,
            explain: false,
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
fn cut(result: &mut QueryResult, limit: usize) {
    let warnings = match &mut result.value {
        Value::Vector(samples) => truncated(samples, limit),
        Value::Matrix(series) => truncated(series, limit),
        Value::Scalar { .. } | Value::String { .. } => Vec::new(),
    };
    result.warnings.extend(warnings);
}
