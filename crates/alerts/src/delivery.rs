//! One message to one URL, with retries.
//!
//! ```text
//! attempt ─ 2xx ─▶ arrived
//!    ├─ 5xx, 408, 429, network, timeout ─▶ wait (full jitter, 0.5 s doubling up to 60 s) ─▶ attempt
//!    └─ other 4xx, bad URL ─▶ given up
//! ```

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use settings::HttpClientConfig;

const BACKOFF_BASE: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Tries after the first.
pub(crate) const RETRIES_MAX: u32 = 3;

/// A pool of connections shared by all channels.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient(Client<HttpConnector, Full<Bytes>>);

/// Why a message did not arrive.
#[derive(Debug)]
pub(crate) struct DeliveryError {
    /// Value of the label `reason`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    retry: bool,
}

impl DeliveryError {
    fn fatal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry: false }
    }

    /// A URL or credential that could not be read.
    pub(crate) fn secret(message: String) -> Self {
        Self::fatal("secret", message)
    }

    fn passing(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry: true }
    }
}

impl HttpClient {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build(HttpConnector::new()))
    }

    /// Posts JSON once. Messages never hold the URL: it may carry a key.
    pub(crate) async fn post(
        &self,
        url: &str,
        body: Vec<u8>,
        http: &HttpClientConfig,
        timeout: Duration,
    ) -> Result<(), DeliveryError> {
        let request = request(url, body, http)?;
        match tokio::time::timeout(timeout, self.send(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DeliveryError::passing(
                "timeout",
                format!("no answer within {}", stdx::format_duration(timeout)),
            )),
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(), DeliveryError> {
        let response = self.0.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
            DeliveryError::passing("connect", format!("{error}{cause}"))
        })?;
        let status = response.status();
        let said = first_bytes(response.into_body()).await;
        if status.is_success() {
            return Ok(());
        }
        let message = format!("answered {status}: {said}");
        let retry = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT;
        let reason = match status {
            StatusCode::TOO_MANY_REQUESTS => "rateLimited",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "authError",
            _ if status.is_server_error() => "serverError",
            _ => "clientError",
        };
        Err(DeliveryError { reason, message, retry })
    }

    /// Posts until it arrives, the retries are used up, or the deadline is over.
    pub(crate) async fn deliver(
        &self,
        url: &str,
        body: &[u8],
        http: &HttpClientConfig,
        timeout: Duration,
        deadline: Duration,
        random: &mut fastrand::Rng,
    ) -> Result<(), DeliveryError> {
        let mut waited = Duration::ZERO;
        let mut attempt = 0;
        loop {
            let error = match self.post(url, body.to_vec(), http, timeout).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let pause = backoff(attempt, random);
            waited += pause + timeout;
            if !error.retry || attempt >= RETRIES_MAX || waited > deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

/// Full jitter: anything up to the doubling bound.
fn backoff(attempt: u32, random: &mut fastrand::Rng) -> Duration {
    let bound = BACKOFF_BASE.saturating_mul(1 << attempt.min(16)).min(BACKOFF_MAX);
    bound.mul_f64(random.f64())
}

fn request(url: &str, body: Vec<u8>, http: &HttpClientConfig) -> Result<Request<Full<Bytes>>, DeliveryError> {
    if url.starts_with("https://") {
        return Err(DeliveryError::fatal("tls", "https is not built yet"));
    }
    let mut builder = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("Alertmanager/", env!("CARGO_PKG_VERSION"), " Eino"));
    for (name, values) in &http.headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| DeliveryError::fatal("header", format!("{name:?} is not a valid header name")))?;
        for value in values.values.iter().flatten() {
            builder = builder.header(name.clone(), value);
        }
        for secret in values.secrets.iter().flatten() {
            builder = builder.header(name.clone(), secret.expose());
        }
    }
    let authorization =
        http.authorization_header(base64_of).map_err(|error| DeliveryError::fatal("secret", error))?;
    if let Some(secret) = authorization {
        let mut value = HeaderValue::from_str(secret.expose())
            .map_err(|_| DeliveryError::fatal("secret", "the credentials have bytes that HTTP forbids"))?;
        value.set_sensitive(true);
        builder = builder.header(AUTHORIZATION, value);
    }
    builder
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| DeliveryError::fatal("url", "the URL or a header is not valid"))
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// The start of an answer, for the message of an error.
async fn first_bytes(mut body: hyper::body::Incoming) -> String {
    const SHOWN_BYTES_MAX: usize = 200;
    let mut bytes = Vec::new();
    while bytes.len() < SHOWN_BYTES_MAX {
        match body.frame().await {
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            _ => break,
        }
    }
    bytes.truncate(SHOWN_BYTES_MAX);
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_is_bounded_and_spread() {
        let mut random = fastrand::Rng::with_seed(7);
        for attempt in 0..40 {
            let bound = BACKOFF_BASE.saturating_mul(1 << attempt.min(16)).min(BACKOFF_MAX);
            assert!(backoff(attempt, &mut random) <= bound);
        }
        assert_ne!(backoff(5, &mut random), backoff(5, &mut random));
    }
}
