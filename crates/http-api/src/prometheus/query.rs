//! `query`, `query_range`, `format_query`, `query_exemplars`.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use promql::{QueryError, QueryOptions, QueryResult, Value};

use super::json::{envelope, query_data};
use crate::Api;
use crate::error::{ApiError, json_response};
use crate::ingest::read_body;
use crate::params::{Params, invalid};

/// Points per series of one range query, as Prometheus bounds them.
const POINTS_MAX: i64 = 11_000;

type Answer = Result<Response, ApiError>;

/// Parameters of a GET or of a POST with a form.
pub(super) async fn params(api: &Api, request: Request) -> Result<Params, ApiError> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, api.limits.body_bytes_max).await?;
    Params::of(&parts, &body)
}

pub(super) async fn instant(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let expr = parse(&params)?;
    let time_ms = params.time_ms("time")?.unwrap_or_else(|| api.clock.unix_ms());
    let options = options(&params)?;
    let limit = params.count("limit")?;
    let body = api.query(move |api| {
        let result =
            api.engine.instant_with(&*api.metric_source, &expr, time_ms, &options).map_err(query_error)?;
        Ok(result_body(result, limit))
    });
    Ok(json_response(StatusCode::OK, body.await?))
}

pub(super) async fn range(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let time = |name: &str| params.time_ms(name)?.ok_or_else(|| invalid(name, "", "it is missing"));
    let (start_ms, end_ms) = (time("start")?, time("end")?);
    let step_ms = params.duration_ms("step")?.ok_or_else(|| invalid("step", "", "it is missing"))?;
    if end_ms < start_ms {
        return Err(invalid(
            "end",
            params.get("end").unwrap_or_default(),
            "end timestamp must not be before start time",
        ));
    }
    if step_ms <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(invalid("step", params.get("step").unwrap_or_default(), why));
    }
    if (end_ms - start_ms) / step_ms > POINTS_MAX {
        return Err(ApiError::BadData(format!(
            "exceeded maximum resolution of {POINTS_MAX} points per timeseries. Try decreasing the query resolution (?step=XX)"
        )));
    }
    let expr = parse(&params)?;
    let options = options(&params)?;
    let limit = params.count("limit")?;
    let body = api.query(move |api| {
        let steps = (start_ms, end_ms, step_ms);
        let result = api.engine.range_with(&*api.metric_source, &expr, steps, &options);
        Ok(result_body(result.map_err(query_error)?, limit))
    });
    Ok(json_response(StatusCode::OK, body.await?))
}

pub(super) async fn format(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    let text = parse(&params)?.to_string();
    Ok(json_response(StatusCode::OK, envelope(&serde_json::json!(text).to_string(), &[], &[])))
}

/// No exemplars are stored yet: an empty list, which clients take as "none found".
pub(super) async fn exemplars(State(api): State<Api>, request: Request) -> Answer {
    let params = params(&api, request).await?;
    parse(&params)?;
    Ok(json_response(StatusCode::OK, envelope("[]", &[], &[])))
}

fn parse(params: &Params) -> Result<promql::Expr, ApiError> {
    let text = params.get("query").unwrap_or_default();
    promql::parse(text).map_err(|error| invalid("query", "", &error.to_string()))
}

fn options(params: &Params) -> Result<QueryOptions, ApiError> {
    let duration = |name: &str| -> Result<_, ApiError> {
        let value = params.duration_ms(name)?;
        let positive =
            value.map(|ms| u64::try_from(ms).map_err(|_| invalid(name, &ms.to_string(), "it is negative")));
        Ok(positive.transpose()?.map(std::time::Duration::from_millis))
    };
    Ok(QueryOptions {
        timeout: duration("timeout")?,
        lookback: duration("lookback_delta")?,
        ..QueryOptions::default()
    })
}

fn query_error(error: QueryError) -> ApiError {
    match error {
        QueryError::Parse(error) => invalid("query", "", &error.to_string()),
        QueryError::BadRequest(text) => ApiError::BadData(text),
        QueryError::Execution(text) => ApiError::Execution(text),
        QueryError::Timeout(text) => ApiError::Timeout(text),
        QueryError::Canceled => ApiError::Canceled("query was canceled".into()),
        QueryError::Storage(error) => error.into(),
    }
}

fn result_body(mut result: QueryResult, limit: Option<usize>) -> String {
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let cut = match &mut result.value {
        Value::Vector(samples) => truncated(samples, limit),
        Value::Matrix(series) => truncated(series, limit),
        Value::Scalar { .. } | Value::String { .. } => false,
    };
    if cut {
        result.warnings.push("results truncated due to limit".to_owned());
    }
    envelope(&query_data(&result), &result.warnings, &result.infos)
}

fn truncated<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let cut = items.len() > limit;
    items.truncate(limit);
    cut
}
