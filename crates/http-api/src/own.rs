//! The server itself: health, readiness, version, reload and stop, its own metrics.

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use eino_metrics_core::Registry;
use http::{StatusCode, header};

use crate::Api;
use crate::prometheus;

pub(crate) fn routes() -> Router<Api> {
    routes_before_ready::<Api>()
        .route("/-/ready", get(|| async { "Eino is Ready.\n" }))
        .route("/-/reload", order(post(reload).put(reload)))
        .route("/-/quit", order(post(quit).put(quit)))
        .route("/version", get(version))
}

/// What answers also before the stores are open.
pub(crate) fn routes_before_ready<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Registry: FromRef<S>,
{
    Router::new().route("/metrics", get(metrics)).route("/-/healthy", get(|| async { "Eino is Healthy.\n" }))
}

/// Orders are not given by a link: GET says so in Prometheus's words.
fn order(methods: MethodRouter<Api>) -> MethodRouter<Api> {
    methods.get(|| async { (StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed") })
}

async fn metrics(State(registry): State<Registry>) -> Response {
    let text = registry.encode_text();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// As `/api/v1/status/buildinfo`, without the envelope.
async fn version(State(api): State<Api>) -> Response {
    let body = format!("{}\n", prometheus::build_info(&api));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn reload(State(api): State<Api>) -> Response {
    if !api.web.lifecycle {
        return lifecycle_is_off();
    }
    match api.control.reload().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(why) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {why}\n")).into_response()
        }
    }
}

async fn quit(State(api): State<Api>) -> Response {
    if !api.web.lifecycle {
        return lifecycle_is_off();
    }
    let text = match api.control.quit() {
        true => "Requesting termination... Goodbye!",
        false => "Termination already in progress.",
    };
    text.into_response()
}

fn lifecycle_is_off() -> Response {
    (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.").into_response()
}
