//! The server itself: health, readiness, its own metrics.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;

use crate::Api;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "Eino is healthy.\n" }))
        .route("/-/ready", get(|| async { "Eino is ready.\n" }))
}

async fn metrics(State(api): State<Api>) -> Response {
    let text = api.registry.encode_text();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
