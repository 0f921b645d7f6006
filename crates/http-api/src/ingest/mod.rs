//! Receivers: remote write and OTLP, over HTTP and gRPC.

mod body;
mod grpc;
mod otlp;
mod receive_metrics;
mod remote_write;

pub(crate) use body::{read_body, refuse};
pub(crate) use receive_metrics::ReceiveMetrics;

use axum::Router;
use axum::routing::post;

use crate::Api;

/// OTLP over HTTP and remote write.
pub(crate) fn http_routes() -> Router<Api> {
    Router::new()
        .route("/v1/traces", post(otlp::traces))
        .route("/v1/metrics", post(otlp::metrics))
        .route("/v1/logs", post(otlp::logs))
        .route("/api/v1/otlp/v1/metrics", post(otlp::metrics))
        .route("/api/v1/write", post(remote_write::write))
}

/// OTLP over gRPC.
pub(crate) fn grpc_routes() -> Router<Api> {
    grpc::routes()
}
