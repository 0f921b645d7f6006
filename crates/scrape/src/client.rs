//! One HTTP GET of a target, bounded in time and size.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_client::{ClientError, HttpClient};

use crate::ScrapeConfig;
use crate::protocol::accept_header;
use crate::target::Target;

/// Bound of a body when the job sets none.
pub(crate) const BODY_BYTES_DEFAULT: u64 = 256 << 20;

/// The client of a job, or why it has none: then its targets are down.
#[derive(Clone)]
pub(crate) struct JobClient(Result<HttpClient, ClientError>);

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

impl From<ClientError> for FetchError {
    fn from(error: ClientError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

impl JobClient {
    /// Reads the certificates that the settings name.
    pub(crate) fn new(config: &ScrapeConfig) -> Self {
        Self(HttpClient::new(&config.http))
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
        let client = self.0.as_ref().map_err(|error| FetchError::from(error.clone()))?;
        let encoding = if config.enable_compression { "gzip" } else { "identity" };
        let request = Request::get(&target.url)
            .header(ACCEPT, accept_header(&config.protocols, &config.name_escaping))
            .header(ACCEPT_ENCODING, encoding)
            .header("x-prometheus-scrape-timeout-seconds", target.timeout.as_secs_f64().to_string())
            .body(Bytes::new())
            .map_err(|error| FetchError::new("url", format!("bad URL {:?}: {error}", target.url)))?;
        read_page(client.send(request).await?, config).await
    }
}

async fn read_page(response: Response<http_client::Body>, config: &ScrapeConfig) -> Result<Page, FetchError> {
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
    let raw = http_client::read_body(response.into_body(), limit).await?;
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
