//! HTTP client for calls between services.
//!
//! ```text
//! client.post("http://payment-service/charges/{id}") ─ CLIENT span ─ registry: service → address
//!        └ context headers ─ timeout = min(own, time the caller still waits) ─ whole answer in memory, bounded
//! ```
//! - A URL is a literal with `{names}` in it, and values are filled in by [`RequestBuilder::path`]. So the span's
//!   name is a template and never an id; a URL made at run time does not compile here and goes through
//!   [`Client::request_dynamic`].
//! - A host without dot and port is a service of the registry, balanced round robin. Others are called directly.
//! - A call that could not connect is tried once more at the next instance; nothing else is ever sent twice.

mod error;
mod request;
mod response;
mod url;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use eino_registry::FileRegistry;
use http::Method;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub use error::Error;
pub use request::RequestBuilder;
pub use response::Response;

use crate::url::Url;

/// Settings of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Longest time of one call, from asking the registry to the end of the answer's body.
    pub timeout: Duration,
    /// Largest answer that is taken.
    pub body_bytes_max: usize,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Most unused connections per address.
    pub idle_connections_max: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            body_bytes_max: 8 * 1024 * 1024,
            idle_timeout: Duration::from_secs(30),
            idle_connections_max: 64,
        }
    }
}

/// Calls services. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    registry: Option<FileRegistry>,
    config: ClientConfig,
    round_robin: AtomicUsize,
}

impl Client {
    /// A client that finds services in `registry`; without one every host is asked of the system.
    pub fn new(config: ClientConfig, registry: Option<FileRegistry>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.timeout));
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(config.idle_connections_max)
            .build(connector);
        Self(Arc::new(Inner { http, registry, config, round_robin: AtomicUsize::new(0) }))
    }

    /// Begins a GET of a URL template, `http://service/path/{name}`.
    pub fn get(&self, url: &'static str) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a POST to a URL template, `http://service/path/{name}`.
    pub fn post(&self, url: &'static str) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Begins a call of a URL template, `http://service/path/{name}`.
    pub fn request(&self, method: Method, url: &'static str) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, Url::template(url))
    }

    /// Begins a call of a URL that is known only at run time. Its span is named by the method alone.
    pub fn request_dynamic(&self, method: Method, url: &str) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, Url::dynamic(url))
    }
}
