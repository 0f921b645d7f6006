//! `admin/tsdb/*`: deleting, cleaning, snapshots. Off unless a setting says otherwise.

use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

use super::metadata::{range, selector};
use super::{Answer, data, params};
use crate::Api;
use crate::error::ApiError;
use crate::params::refused;

fn enabled(api: &Api) -> Result<(), ApiError> {
    match api.web.admin_api {
        true => Ok(()),
        false => Err(ApiError::Disabled("admin APIs disabled".into())),
    }
}

pub(super) async fn delete_series(State(api): State<Api>, request: Request) -> Answer {
    enabled(&api)?;
    let params = params(&api, request).await?;
    let parse = |text: &str| selector(text).map_err(|why| refused("match[]", &why));
    let selectors = params.all("match[]").map(parse).collect::<Result<Vec<_>, _>>()?;
    if selectors.is_empty() {
        return Err(ApiError::BadData("no match[] parameter provided".into()));
    }
    let range_ms = range(&params)?;
    let delete = move |api: &Api| api.admin.delete_series(&selectors, range_ms).map_err(ApiError::Internal);
    api.query(delete).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn clean(State(api): State<Api>) -> Answer {
    enabled(&api)?;
    api.query(|api| api.admin.clean_tombstones().map_err(ApiError::Internal)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn snapshot(State(api): State<Api>, request: Request) -> Answer {
    enabled(&api)?;
    let skip_head = params(&api, request).await?.flag("skip_head")?;
    let name = api.query(move |api| api.admin.snapshot(skip_head).map_err(ApiError::Internal)).await?;
    data(&json!({"name": name}))
}
