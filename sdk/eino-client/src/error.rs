//! What a call can end with instead of an answer.

use std::time::Duration;

use http::StatusCode;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request can't be made of what was given.
    #[error("invalid request to {url:?}: {detail}")]
    Request { url: String, detail: String },
    /// The registry knows no live instance.
    #[error("cannot find {host}")]
    Resolve { host: String, source: eino_registry::Error },
    /// Nobody answered in time.
    #[error("no answer from {host} within {after:?}")]
    Timeout { host: String, after: Duration },
    /// The connection could not be made or broke.
    #[error("cannot call {host}")]
    Transport { host: String, source: Source },
    /// The answer is larger than the limit.
    #[error("answer of {host} is larger than {limit} bytes")]
    TooLarge { host: String, limit: usize },
    /// The answer has a status that says failure.
    #[error("{host} answered {status}")]
    Status { host: String, status: StatusCode },
    /// The answer is not the JSON that was expected.
    #[error("answer of {host} is not the expected JSON")]
    Json { host: String, source: serde_json::Error },
}

impl Error {
    /// The status that the other side answered, if it did.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// A short word of a closed set, for the attribute `error.type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request { .. } => "invalid_request",
            Self::Resolve { .. } => "no_instance",
            Self::Timeout { .. } => "timeout",
            Self::Transport { .. } => "connection",
            Self::TooLarge { .. } => "too_large",
            Self::Status { .. } => "status",
            Self::Json { .. } => "invalid_json",
        }
    }
}
