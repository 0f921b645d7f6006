//! One HTTP GET of a target, bounded in time and size.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;

use crate::ScrapeConfig;
use crate::protocol::accept_header;
use crate::target::Target;

const REDIRECTS_MAX: usize = 10;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Bound of a body when the job sets none.
pub(crate) const BODY_BYTES_DEFAULT: u64 = 256 << 20;

/// A pool of connections shared by all targets.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient(Client<HttpConnector, Empty<Bytes>>);

/// The body of an answer, decompressed, with its `Content-Type`.
pub(crate) struct Page {
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no page.
#[derive(Debug)]
pub(crate) struct FetchError {
    /// Value of the label `reason`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl FetchError {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl HttpClient {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self(client)
    }

    /// Fetches the target's page within its timeout.
    pub(crate) async fn fetch(&self, config: &ScrapeConfig, target: &Target) -> Result<Page, FetchError> {
        match tokio::time::timeout(target.timeout, self.fetch_unbounded(config, target)).await {
            Ok(page) => page,
            Err(_) => Err(FetchError::new(
                "timeout",
                format!(
                    "context deadline exceeded: no answer within {}",
                    stdx::format_duration(target.timeout)
                ),
            )),
        }
    }

    async fn fetch_unbounded(&self, config: &ScrapeConfig, target: &Target) -> Result<Page, FetchError> {
        let headers = request_headers(config, target)?;
        let mut uri: Uri = target
            .url
            .parse()
            .map_err(|error| FetchError::new("url", format!("bad URL {:?}: {error}", target.url)))?;
        for _ in 0..=REDIRECTS_MAX {
            if uri.scheme_str() == Some("https") {
                return Err(FetchError::new("tls", format!("cannot scrape {uri}: TLS is not built yet")));
            }
            let response = self.get(&uri, &headers).await?;
            match redirection(&uri, &response) {
                Some(next) if config.http.follow_redirects => uri = next,
                _ => return read_page(response, config).await,
            }
        }
        Err(FetchError::new("redirect", format!("stopped after {REDIRECTS_MAX} redirects")))
    }

    async fn get(&self, uri: &Uri, headers: &HeaderMap) -> Result<Response<Incoming>, FetchError> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        self.0.request(request).await.map_err(|error| FetchError::new("connect", chain(&error)))
    }
}

fn request_headers(config: &ScrapeConfig, target: &Target) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    let mut insert = |name: HeaderName, value: &str| match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.append(name, value);
            Ok(())
        }
        Err(_) => {
            Err(FetchError::new("header", format!("the value of header {name} has bytes that HTTP forbids")))
        }
    };
    insert(ACCEPT, &accept_header(&config.protocols))?;
    insert(ACCEPT_ENCODING, if config.enable_compression { "gzip" } else { "identity" })?;
    insert(USER_AGENT, concat!("Eino/", env!("CARGO_PKG_VERSION")))?;
    let timeout = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
    insert(timeout, &target.timeout.as_secs_f64().to_string())?;
    for (name, given) in &config.http.headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| FetchError::new("header", format!("{name:?} is not a valid header name")))?;
        for value in given.values.iter().flatten() {
            insert(name.clone(), value)?;
        }
        for secret in given.secrets.iter().flatten() {
            insert(name.clone(), secret.expose())?;
        }
    }
    let authorization = config.http.authorization_header(base64_of);
    if let Some(secret) = authorization.map_err(|message| FetchError::new("secret", message))? {
        let mut value = HeaderValue::from_str(secret.expose())
            .map_err(|_| FetchError::new("secret", "the credentials have bytes that HTTP forbids"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Where the answer sends us, if it does.
fn redirection(uri: &Uri, response: &Response<Incoming>) -> Option<Uri> {
    let moved = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !moved.contains(&response.status()) {
        return None;
    }
    let location: Uri = response.headers().get(LOCATION)?.to_str().ok()?.parse().ok()?;
    if location.authority().is_some() {
        return Some(location);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = location.into_parts().path_and_query;
    Uri::from_parts(parts).ok()
}

async fn read_page(response: Response<Incoming>, config: &ScrapeConfig) -> Result<Page, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::new("status", format!("server returned HTTP status {}", response.status())));
    }
    let limit = match config.limits.body_bytes {
        0 => BODY_BYTES_DEFAULT,
        bytes => bytes,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let content_type = header(CONTENT_TYPE).map(str::to_owned);
    let encoding = header(CONTENT_ENCODING).map(str::to_owned);
    let raw = read_body(response.into_body(), limit).await?;
    let body = match wire::compress::decompress(encoding.as_deref(), &raw, limit) {
        Ok(std::borrow::Cow::Borrowed(_)) => raw,
        Ok(std::borrow::Cow::Owned(body)) => body,
        Err(error @ wire::DecodeError::TooLarge { .. }) => {
            return Err(FetchError::new("body_size_limit", format!("body size limit exceeded: {error}")));
        }
        Err(error) => return Err(FetchError::new("body", error.to_string())),
    };
    Ok(Page { content_type, body })
}

async fn read_body(mut body: Incoming, limit: usize) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| FetchError::new("body", chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            return Err(FetchError::new(
                "body_size_limit",
                format!("body size limit exceeded: more than {limit} bytes"),
            ));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// The message of an error and of all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
