//! Errors as each protocol wants to see them. The only place where a kind of failure becomes a status.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

/// What went wrong with a request, in terms of what the caller can do about it.
#[derive(Debug)]
pub enum ApiError {
    /// The request is wrong: don't repeat it as it is.
    BadData(String),
    /// No such thing.
    NotFound(String),
    /// The body, before or after decompression, is over the limit.
    TooLarge(String),
    /// An encoding or media type we do not read.
    UnsupportedMedia(String),
    /// The question is well formed and cannot be answered.
    Execution(String),
    /// It took too long.
    Timeout(String),
    /// The caller went away.
    Canceled(String),
    /// Try again later.
    Unavailable(String),
    /// Switched off by a setting; Prometheus calls it unavailable too.
    Disabled(String),
    /// Our fault.
    Internal(String),
}

impl ApiError {
    /// HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadData(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout(_) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            // nginx's "client closed request", as Prometheus answers it.
            Self::Canceled(_) => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            // Prometheus's status for what a flag switches off.
            Self::Disabled(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Prometheus's `errorType`.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::BadData(_) | Self::TooLarge(_) | Self::UnsupportedMedia(_) => "bad_data",
            Self::NotFound(_) => "not_found",
            Self::Execution(_) => "execution",
            Self::Timeout(_) => "timeout",
            Self::Canceled(_) => "canceled",
            Self::Unavailable(_) | Self::Disabled(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// The code of `google.rpc.Status`, for OTLP.
    pub fn grpc_code(&self) -> tonic::Code {
        match self {
            Self::BadData(_) | Self::UnsupportedMedia(_) => tonic::Code::InvalidArgument,
            Self::NotFound(_) => tonic::Code::NotFound,
            Self::TooLarge(_) => tonic::Code::ResourceExhausted,
            Self::Execution(_) => tonic::Code::FailedPrecondition,
            Self::Timeout(_) => tonic::Code::DeadlineExceeded,
            Self::Canceled(_) => tonic::Code::Cancelled,
            Self::Unavailable(_) | Self::Disabled(_) => tonic::Code::Unavailable,
            Self::Internal(_) => tonic::Code::Internal,
        }
    }

    /// Why a body was refused: the label `reason` of `eino_receive_refused_total`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadData(_) => "malformed",
            Self::TooLarge(_) => "too_large",
            Self::UnsupportedMedia(_) => "unsupported_encoding",
            Self::Unavailable(_) | Self::Disabled(_) => "unavailable",
            Self::NotFound(_)
            | Self::Execution(_)
            | Self::Timeout(_)
            | Self::Canceled(_)
            | Self::Internal(_) => "internal",
        }
    }

    /// The sentence for the caller.
    pub fn message(&self) -> &str {
        match self {
            Self::BadData(text)
            | Self::NotFound(text)
            | Self::TooLarge(text)
            | Self::UnsupportedMedia(text)
            | Self::Execution(text)
            | Self::Timeout(text)
            | Self::Canceled(text)
            | Self::Unavailable(text)
            | Self::Disabled(text)
            | Self::Internal(text) => text,
        }
    }
}

/// Prometheus's error envelope.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (kind, text) = (self.error_type(), serde_json::Value::from(self.message()));
        let body = format!("{{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":{text}}}");
        json_response(self.status(), body)
    }
}

impl From<wire::DecodeError> for ApiError {
    fn from(error: wire::DecodeError) -> Self {
        let text = error.to_string();
        match error {
            wire::DecodeError::TooLarge { .. } => Self::TooLarge(text),
            wire::DecodeError::Malformed { .. } => Self::BadData(text),
            wire::DecodeError::Unsupported { .. } => Self::UnsupportedMedia(text),
        }
    }
}

impl From<model::SinkError> for ApiError {
    fn from(error: model::SinkError) -> Self {
        // Paths are for the operator's log, not for clients.
        tracing::error!(error = &error as &dyn std::error::Error, "a batch was not stored");
        match error {
            model::SinkError::Io { op, .. } => {
                Self::Unavailable(format!("cannot {op}: the batch was not stored, try again"))
            }
            model::SinkError::Closed(why) => Self::Unavailable(format!("not accepting writes: {why}")),
        }
    }
}

impl From<model::SourceError> for ApiError {
    fn from(error: model::SourceError) -> Self {
        match error {
            model::SourceError::LimitExceeded(text) => Self::Execution(text),
            other => {
                tracing::error!(error = &other as &dyn std::error::Error, "a question was not answered");
                Self::Internal("the store failed to answer; see the server's log".to_owned())
            }
        }
    }
}

/// A JSON answer.
pub(crate) fn json_response(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}
