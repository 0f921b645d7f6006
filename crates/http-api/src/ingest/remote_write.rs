//! Prometheus remote write 1.0.
//!
//! 204 = all stored. 400 = some samples were refused (the rest is stored) or the body is malformed: the sender must
//! not retry. 5xx = nothing is stored: retry.

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use model::{Appended, MetricBatch};

use super::body::content_encoding;
use super::{read_body, refuse};
use crate::Api;
use crate::error::ApiError;

const RECEIVER: &str = "remote_write";

pub(crate) async fn write(State(api): State<Api>, request: Request) -> Response {
    match receive(&api, request).await {
        Ok(appended) if appended.rejected.is_empty() => StatusCode::NO_CONTENT.into_response(),
        Ok(appended) => (StatusCode::BAD_REQUEST, rejection_text(&appended)).into_response(),
        Err(error) => refuse(&api, RECEIVER, error),
    }
}

async fn receive(api: &Api, request: Request) -> Result<Appended, ApiError> {
    let (parts, body) = request.into_parts();
    check_headers(&parts.headers)?;
    let body = read_body(body, api.limits.body_bytes_max).await?;
    api.ingest(move |api| store(api, &body)).await
}

fn store(api: &Api, body: &Bytes) -> Result<Appended, ApiError> {
    let limit = api.limits.decoded_bytes_max;
    let decoded = wire::compress::snappy_block(body, limit)?;
    let mut batch = MetricBatch::new();
    let mut rejected = Appended::default();
    wire::remote_write::decode(&decoded, &mut batch, &mut rejected)?;
    let mut appended = api.metric_sink.append(&batch)?;
    for rejection in rejected.rejected {
        appended.reject(rejection.reason, rejection.count, || rejection.example);
    }
    api.receive().stored(RECEIVER, &appended);
    Ok(appended)
}

/// Remote write 2.0 names itself in the content type; anything but protobuf and snappy is not remote write.
fn check_headers(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_protobuf = content_type.is_empty() || content_type.starts_with("application/x-protobuf");
    if !is_protobuf || content_type.contains("io.prometheus.write.v2") {
        let text = format!(
            "content type {content_type:?} is not accepted: send application/x-protobuf;proto=prometheus.WriteRequest"
        );
        return Err(ApiError::UnsupportedMedia(text));
    }
    match content_encoding(headers)? {
        None | Some("snappy") => Ok(()),
        Some(other) => Err(ApiError::UnsupportedMedia(format!(
            "content encoding {other:?} is not accepted: send snappy"
        ))),
    }
}

fn rejection_text(appended: &Appended) -> String {
    let mut text =
        format!("{} samples were not stored, {} were:\n", appended.rejected_count(), appended.accepted);
    for rejection in &appended.rejected {
        text.push_str(&format!(
            "{} x {}: {}\n",
            rejection.count,
            rejection.reason.as_str(),
            rejection.example
        ));
    }
    text
}
