//! A small HTTP client for the commands that ask a server.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 << 20;
const TIMEOUT: Duration = Duration::from_secs(130);

/// Where the server is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerUrl {
    /// Base URL of the server
    #[arg(
        long = "server",
        value_name = "URL",
        default_value = "http://127.0.0.1:9090",
        env = "EINO_SERVER",
        hide_env = true
    )]
    pub(crate) url: String,
}

/// Asks one server.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    http: HyperClient<HttpConnector, Full<Bytes>>,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        let http = HyperClient::builder(TokioExecutor::new()).build_http();
        Self { base: base.trim_end_matches('/').to_owned(), http }
    }

    /// `GET path?pairs`, answered with JSON.
    ///
    /// # Errors
    /// When the server is not there, answers with an error status, or with something else than JSON.
    pub(crate) async fn get(&self, path: &str, pairs: &[(&str, &str)]) -> anyhow::Result<Value> {
        let (status, body) = self.send(Method::GET, path, pairs).await?;
        let parsed: Option<Value> = serde_json::from_slice(&body).ok();
        if !status.is_success() {
            bail!("the server answered {status}: {}", error_text(parsed.as_ref(), &body));
        }
        parsed.with_context(|| {
            format!("the server's answer to {path} is not JSON; is {} an eino server?", self.base)
        })
    }

    /// Status and body of a request.
    ///
    /// # Errors
    /// When the server is not there or stops answering.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let uri = format!("{}{path}{}", self.base, query_string(pairs));
        let request = Request::builder().method(method).uri(&uri).body(Full::default());
        let request = request.with_context(|| {
            format!("{} is not a URL of a server (write it like http://127.0.0.1:9090)", self.base)
        })?;
        let exchange = async {
            let response = self.http.request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            anyhow::Ok((status, body))
        };
        let answered = tokio::time::timeout(TIMEOUT, exchange).await;
        let answered = answered
            .with_context(|| format!("{} did not answer within {} s", self.base, TIMEOUT.as_secs()))?;
        answered.with_context(|| format!("cannot reach {}: is the server running? start it with `eino server` or name it with --server URL", self.base))
    }
}

fn error_text(parsed: Option<&Value>, body: &Bytes) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let envelope =
        parsed.and_then(|value| text(&value["error"]).or_else(|| text(&value["errors"][0]["msg"])));
    envelope.unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(300).collect())
}

fn query_string(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        percent_encode(value, &mut out);
    }
    out
}

/// Encodes everything but unreserved characters.
pub(crate) fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::query_string;

    #[test]
    fn values_are_encoded() {
        assert_eq!(query_string(&[]), "");
        assert_eq!(
            query_string(&[("query", "up{a=\"b\"}"), ("time", "1")]),
            "?query=up%7Ba%3D%22b%22%7D&time=1"
        );
    }
}
