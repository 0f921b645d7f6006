//! Outgoing HTTP as Prometheus's settings describe it: credentials, extra headers, TLS, redirects.
//!
//! ```text
//! HttpClientConfig ─ new ─▶ HttpClient ─ send(request) ─▶ + headers, Authorization ─▶ TCP or TLS ─▶ answer
//!                                              ▲──────────────── Location ────────────────┘
//! ```
//! - Certificates are read once, when the client is made; secrets in files are read for every request.
//! - Bodies are bounded by the caller ([`read_body`]), time too ([`HttpClient::send`] has no timeout of its own).
//! - Messages of errors never hold a secret or a URL's query.

mod tls;

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

/// The body of an answer.
pub use hyper::body::Incoming as Body;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use settings::HttpClientConfig;

const REDIRECTS_MAX: usize = 10;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// A pool of connections with the settings that all its requests share. Clones are cheap.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    config: HttpClientConfig,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// A certificate or key cannot be used.
    #[error("{0}")]
    Tls(String),
    /// A secret cannot be read or sent.
    #[error("{0}")]
    Secret(String),
    /// A configured header cannot be sent.
    #[error("{0}")]
    Header(String),
    /// The peer cannot be reached, or the connection broke.
    #[error("{0}")]
    Connect(String),
    #[error("stopped after {REDIRECTS_MAX} redirects")]
    Redirects,
    #[error("body size limit exceeded: more than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
}

impl ClientError {
    /// Value of the label `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Tls(_) => "tls",
            Self::Secret(_) => "secret",
            Self::Header(_) => "header",
            Self::Connect(_) => "connect",
            Self::Redirects => "redirect",
            Self::TooLarge { .. } => "body_size_limit",
        }
    }
}

impl HttpClient {
    /// A client with these settings. Reads certificate files.
    ///
    /// # Errors
    /// [`ClientError::Tls`].
    pub fn new(config: &HttpClientConfig) -> Result<Self, ClientError> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(tls::connector(tcp, config.tls.as_ref())?);
        Ok(Self { client, config: config.clone() })
    }

    /// Sends a request with the configured headers and credentials added, and follows redirections if the settings say
    /// so: any of a GET, those that keep the method (307, 308) of others.
    ///
    /// # Errors
    /// [`ClientError`]; an answer of any status is none.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Incoming>, ClientError> {
        let (mut parts, body) = request.into_parts();
        self.add_headers(&mut parts.headers)?;
        for _ in 0..=REDIRECTS_MAX {
            let mut next = Request::new(Full::new(body.clone()));
            *next.method_mut() = parts.method.clone();
            *next.uri_mut() = parts.uri.clone();
            *next.headers_mut() = parts.headers.clone();
            let response =
                self.client.request(next).await.map_err(|error| ClientError::Connect(chain(&error)))?;
            match redirection(&parts.method, &parts.uri, &response) {
                Some(next) if self.config.follow_redirects => {
                    // Credentials are for the host they were configured for.
                    if next.authority() != parts.uri.authority() {
                        parts.headers.remove(AUTHORIZATION);
                    }
                    parts.uri = next;
                }
                _ => return Ok(response),
            }
        }
        Err(ClientError::Redirects)
    }

    fn add_headers(&self, headers: &mut HeaderMap) -> Result<(), ClientError> {
        let user_agent = HeaderValue::from_static(concat!("Eino/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(user_agent);
        for (name, given) in &self.config.headers {
            let name: HeaderName = name
                .parse()
                .map_err(|_| ClientError::Header(format!("{name:?} is not a valid header name")))?;
            let plain = given.values.iter().flatten().map(String::as_str);
            let secret = given.secrets.iter().flatten().map(settings::Secret::expose);
            for value in plain.chain(secret) {
                headers.append(name.clone(), header_value(&name, value)?);
            }
            for file in given.files.iter().flatten() {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    ClientError::Secret(format!("cannot read the secret in {}: {error}", file.display()))
                })?;
                headers.append(name.clone(), header_value(&name, text.trim())?);
            }
        }
        if let Some(secret) = self.config.authorization_header(base64_of).map_err(ClientError::Secret)? {
            let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| {
                ClientError::Secret("the credentials have bytes that HTTP forbids".to_owned())
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(())
    }
}

fn header_value(name: &HeaderName, value: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_str(value)
        .map_err(|_| ClientError::Header(format!("the value of header {name} has bytes that HTTP forbids")))
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Where the answer sends us, if it does.
fn redirection(method: &Method, uri: &Uri, response: &Response<Incoming>) -> Option<Uri> {
    let keeps_method = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
    let to_get = [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::SEE_OTHER];
    let status = response.status();
    let is_followed = keeps_method.contains(&status) || (method == Method::GET && to_get.contains(&status));
    if !is_followed {
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

/// The whole body, at most `limit_bytes` of it.
///
/// # Errors
/// [`ClientError::TooLarge`], or [`ClientError::Connect`] when it ends early.
pub async fn read_body(mut body: Incoming, limit_bytes: usize) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ClientError::Connect(chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit_bytes {
            return Err(ClientError::TooLarge { limit_bytes });
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

#[cfg(test)]
mod tests;
