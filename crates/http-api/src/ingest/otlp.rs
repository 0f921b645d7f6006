//! OTLP over HTTP: protobuf and JSON, gzip, deflate and zstd.
//!
//! A 200 may carry a partial success: some items were refused, the rest is stored. A refused body is answered with
//! `google.rpc.Status` in the encoding of the request.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use codec::{put_bytes, put_varint};
use http::{HeaderMap, StatusCode, header};
use model::{Appended, MetricBatch, RejectReason, SpanBatch};

use super::body::{content_encoding, with_retry_after};
use super::read_body;
use crate::Api;
use crate::error::ApiError;

/// One of the three signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// Encoding of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Signal {
    /// Value of the label `receiver`.
    pub(super) fn receiver(self, is_grpc: bool) -> &'static str {
        match (self, is_grpc) {
            (Self::Traces, false) => "otlp_http_traces",
            (Self::Metrics, false) => "otlp_http_metrics",
            (Self::Logs, false) => "otlp_http_logs",
            (Self::Traces, true) => "otlp_grpc_traces",
            (Self::Metrics, true) => "otlp_grpc_metrics",
            (Self::Logs, true) => "otlp_grpc_logs",
        }
    }
}

pub(crate) async fn traces(State(api): State<Api>, request: Request) -> Response {
    answer(api, Signal::Traces, request).await
}

pub(crate) async fn metrics(State(api): State<Api>, request: Request) -> Response {
    answer(api, Signal::Metrics, request).await
}

pub(crate) async fn logs(State(api): State<Api>, request: Request) -> Response {
    answer(api, Signal::Logs, request).await
}

async fn answer(api: Api, signal: Signal, request: Request) -> Response {
    let encoding = encoding_of(request.headers());
    // A request in an unknown encoding is answered in JSON, which people can read.
    let answer_encoding = *encoding.as_ref().unwrap_or(&Encoding::Json);
    let stored = match encoding {
        Ok(encoding) => receive(&api, signal, encoding, request).await,
        Err(error) => Err(error),
    };
    let (status, body) = match stored {
        Ok(appended) => (StatusCode::OK, response_body(signal, answer_encoding, &appended)),
        Err(error) => {
            api.receive().refused(signal.receiver(false), &error);
            (error.status(), answer_encoding.status_body(&error))
        }
    };
    let media_type = [(header::CONTENT_TYPE, answer_encoding.media_type())];
    with_retry_after((status, media_type, body).into_response())
}

async fn receive(
    api: &Api,
    signal: Signal,
    encoding: Encoding,
    request: Request,
) -> Result<Appended, ApiError> {
    let (parts, body) = request.into_parts();
    let compression = content_encoding(&parts.headers)?.map(str::to_owned);
    let body = read_body(body, api.limits.body_bytes_max).await?;
    api.ingest(move |api| {
        let limit = api.limits.decoded_bytes_max;
        let decoded = wire::compress::decompress(compression.as_deref(), &body, limit)?;
        store(api, signal, encoding, &decoded, signal.receiver(false))
    })
    .await
}

/// Decodes one message and stores what is in it.
pub(super) fn store(
    api: &Api,
    signal: Signal,
    encoding: Encoding,
    message: &[u8],
    receiver: &'static str,
) -> Result<Appended, ApiError> {
    let appended = match signal {
        Signal::Traces => store_traces(api, encoding, message)?,
        Signal::Metrics => store_metrics(api, encoding, message)?,
        Signal::Logs => refuse_logs(encoding, message)?,
    };
    api.receive().stored(receiver, &appended);
    Ok(appended)
}

fn store_traces(api: &Api, encoding: Encoding, message: &[u8]) -> Result<Appended, ApiError> {
    let (batch, refused): (SpanBatch, Appended) = match encoding {
        Encoding::Protobuf => wire::otlp::decode_traces(message)?,
        Encoding::Json => wire::otlp::decode_traces_json(message)?,
    };
    Ok(merged(api.span_sink.append(&batch)?, refused))
}

fn store_metrics(api: &Api, encoding: Encoding, message: &[u8]) -> Result<Appended, ApiError> {
    let mut batch = MetricBatch::new();
    let config = api.live.config();
    let mut deltas = api.deltas().begin();
    let refused = match encoding {
        Encoding::Protobuf => wire::otlp::decode_metrics(message, &config.otlp, &mut deltas, &mut batch),
        Encoding::Json => wire::otlp::decode_metrics_json(message, &config.otlp, &mut deltas, &mut batch),
    };
    let stored = refused.map_err(ApiError::from).and_then(|refused| {
        let appended = api.metric_sink.append(&batch)?;
        Ok(merged(appended, refused))
    });
    if stored.is_err() {
        deltas.roll_back();
    }
    api.receive().delta_streams(api.deltas());
    stored
}

fn refuse_logs(encoding: Encoding, message: &[u8]) -> Result<Appended, ApiError> {
    let count = match encoding {
        Encoding::Protobuf => wire::otlp::count_logs(message)?,
        Encoding::Json => wire::otlp::count_logs_json(message)?,
    };
    let mut appended = Appended::default();
    if count > 0 {
        let why = || "log records are not stored: this server has no event store yet".to_owned();
        appended.reject(RejectReason::Unsupported, count, why);
    }
    Ok(appended)
}

fn merged(mut appended: Appended, refused: Appended) -> Appended {
    for rejection in refused.rejected {
        appended.reject(rejection.reason, rejection.count, || rejection.example);
    }
    appended
}

/// `Export…ServiceResponse`, with a partial success when something was refused.
pub(super) fn response_body(signal: Signal, encoding: Encoding, appended: &Appended) -> Vec<u8> {
    let reasons = appended.rejected.iter();
    let reasons: Vec<String> = reasons
        .map(|refused| format!("{} x {}: {}", refused.count, refused.reason.as_str(), refused.example))
        .collect();
    let (rejected, message) = (appended.rejected_count(), reasons.join("; "));
    let is_json = encoding == Encoding::Json;
    match signal {
        Signal::Traces => wire::otlp::response_traces(rejected, &message, is_json),
        Signal::Metrics => wire::otlp::response_metrics(rejected, &message, is_json),
        Signal::Logs => wire::otlp::response_logs(rejected, &message, is_json),
    }
}

fn encoding_of(headers: &HeaderMap) -> Result<Encoding, ApiError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" | "application/protobuf" => Ok(Encoding::Protobuf),
        "application/json" => Ok(Encoding::Json),
        other => Err(ApiError::UnsupportedMedia(format!(
            "content type {other:?} is not accepted: send application/x-protobuf or application/json"
        ))),
    }
}

impl Encoding {
    fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// `google.rpc.Status { code = 1, message = 2 }`.
    fn status_body(self, error: &ApiError) -> Vec<u8> {
        let code = error.grpc_code() as i32;
        match self {
            Self::Json => {
                serde_json::json!({"code": code, "message": error.message()}).to_string().into_bytes()
            }
            Self::Protobuf => {
                let mut out = vec![0x08];
                put_varint(&mut out, u64::try_from(code).unwrap_or_default());
                out.push(0x12);
                put_bytes(&mut out, error.message().as_bytes());
                out
            }
        }
    }
}
