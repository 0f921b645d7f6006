//! Reading bodies within their limits.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::Api;
use crate::error::ApiError;

/// The whole body, at most `limit` bytes of it.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let collected = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            ApiError::TooLarge(format!(
                "body is larger than the limit of {limit} bytes (limits.request_body)"
            ))
        } else {
            ApiError::BadData(format!("the body ended early: {error}"))
        }
    })?;
    Ok(collected.to_bytes())
}

/// Value of `Content-Encoding`, if it names one.
pub(crate) fn content_encoding(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let not_text = |_| ApiError::UnsupportedMedia("the Content-Encoding header is not text".into());
    headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().map_err(not_text)).transpose()
}

/// Seconds after which a sender should try again when nothing was stored: a full disk or a stop takes at least that.
const RETRY_AFTER_S: u16 = 5;

/// Counts and answers a refusal in Prometheus's envelope.
pub(crate) fn refuse(api: &Api, receiver: &'static str, error: ApiError) -> Response {
    api.receive().refused(receiver, &error);
    with_retry_after(error.into_response())
}

/// Says when to come back, where the status says to.
pub(crate) fn with_retry_after(mut response: Response) -> Response {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_says_when_to_come_back() {
        let full = model::SinkError::Io {
            op: "append",
            path: "log".into(),
            source: std::io::Error::from(std::io::ErrorKind::StorageFull),
        };
        let refused = with_retry_after(ApiError::from(full).into_response());
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "5");
        let refused = with_retry_after(ApiError::BadData("x".into()).into_response());
        assert!(refused.headers().get(header::RETRY_AFTER).is_none());
    }
}
