//! One call, from builder to answer.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use eino_context::inject;
use eino_trace::{Kind, Span, span};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::url::Url;
use crate::{Client, Error, Response};

/// A call that is being put together; [`RequestBuilder::send`] makes it.
#[derive(Debug)]
#[must_use = "a request is made by `send`"]
pub struct RequestBuilder {
    client: Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    timeout: Option<Duration>,
    peer: Option<&'static str>,
    defect: Option<String>,
}

/// Where one try goes.
struct Destination {
    authority: String,
    peer: Option<SocketAddr>,
}

impl RequestBuilder {
    pub(crate) fn new(client: Client, method: Method, url: Url) -> Self {
        let defect = None;
        Self {
            client,
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: None,
            peer: None,
            defect,
        }
    }

    /// Fills `{name}` of the URL; the value is percent-encoded.
    pub fn path(mut self, name: &str, value: impl ToString) -> Self {
        self.url.fill(name, &value.to_string());
        self
    }

    /// Appends a query parameter; name and value are percent-encoded.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.url.query(name, &value.to_string());
        self
    }

    /// Sets a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => drop(self.headers.insert(name, value)),
            _ => self.defect = Some(format!("invalid header {name:?}")),
        }
        self
    }

    /// Sets the body, as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(json) => self.body = json.into(),
            Err(error) => self.defect = Some(format!("the body can't be written as JSON: {error}")),
        }
        self.header("content-type", "application/json")
    }

    /// Waits at most this long instead of the client's setting.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Names the other side for maps and reports, when it is not the host (attribute `peer.service`).
    pub fn peer_service(mut self, name: &'static str) -> Self {
        self.peer = Some(name);
        self
    }

    /// Makes the call. Answers of every status are `Ok`; see [`Response::ok`] and [`Response::json`].
    ///
    /// # Errors
    /// When the request can't be made, or there is no whole answer in time.
    pub async fn send(self) -> Result<Response, Error> {
        let mut span = self.span();
        let result = self.call(&mut span).await;
        match &result {
            Ok(response) => {
                let status = response.status;
                span.set_attr("http.response.status_code", status.as_u16());
                if status.is_client_error() || status.is_server_error() {
                    span.set_attr("error.type", status.as_str());
                    span.set_error("");
                }
            }
            Err(error) => {
                span.set_attr("error.type", error.kind());
                if span.is_recording() {
                    span.set_error(error.to_string());
                }
            }
        }
        result
    }

    /// The CLIENT span, as OpenTelemetry's HTTP conventions want it.
    fn span(&self) -> Span {
        let span = span("HTTP").kind(Kind::Client);
        if !span.is_recording() {
            return span;
        }
        let (host, port) = self.url.host_port();
        let mut span = match self.url.template {
            Some(template) => {
                span.named(format!("{} {template}", self.method)).attr("url.template", template)
            }
            None => span.named(self.method.to_string()),
        };
        span.set_attr("http.request.method", self.method.as_str());
        span.set_attr("url.full", format!("http://{}{}", self.url.authority, self.url.path));
        span.set_attr("server.address", host);
        span.set_attr("server.port", port.unwrap_or(80));
        if let Some(name) = self.peer.or_else(|| self.url.is_service().then_some(host)) {
            span.set_attr("peer.service", name);
        }
        span
    }

    async fn call(mut self, span: &mut Span) -> Result<Response, Error> {
        let defect = self.defect.take().or_else(|| self.url.defect().map(str::to_owned));
        if let Some(detail) = defect {
            return Err(Error::Request { url: self.url.given, detail });
        }
        let own = self.timeout.unwrap_or(self.client.0.config.timeout);
        let left = span.ctx().and_then(|ctx| ctx.remaining()).unwrap_or(own);
        let after = own.min(left);
        let deadline = Instant::now() + after;
        if let Some(ctx) = span.ctx() {
            inject(&ctx.with_deadline(deadline), &mut self.headers);
        }
        let host = self.url.authority.clone();
        match timeout_at(deadline, self.exchange(span)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout { host, after }),
        }
    }

    async fn exchange(self, span: &mut Span) -> Result<Response, Error> {
        let mut destinations = self.destinations().await?.into_iter().peekable();
        loop {
            let Some(destination) = destinations.next() else {
                return Err(Error::Request { url: self.url.given, detail: "it leads nowhere".to_owned() });
            };
            let request = self.request(&destination.authority)?;
            match self.client.0.http.request(request).await {
                Ok(response) => {
                    note_peer(span, &destination);
                    return self.read(response).await;
                }
                // Not connected means not sent, so another instance may have it.
                Err(error) if error.is_connect() && destinations.peek().is_some() => {}
                Err(error) => {
                    note_peer(span, &destination);
                    return Err(Error::Transport { host: self.url.authority, source: error.into() });
                }
            }
        }
    }

    /// Addresses in the order of preference, at most two.
    async fn destinations(&self) -> Result<Vec<Destination>, Error> {
        let direct = || vec![Destination { authority: self.url.authority.clone(), peer: None }];
        let Some(registry) = &self.client.0.registry else { return Ok(direct()) };
        if !self.url.is_service() {
            return Ok(direct());
        }
        let host = &self.url.authority;
        let addrs = registry.resolve(host).await;
        let addrs = addrs.map_err(|source| Error::Resolve { host: host.clone(), source })?;
        let first = self.client.0.round_robin.fetch_add(1, Ordering::Relaxed);
        let turn = addrs.iter().cycle().skip(first % addrs.len().max(1)).take(addrs.len().min(2));
        Ok(turn.map(|addr| Destination { authority: addr.to_string(), peer: Some(*addr) }).collect())
    }

    fn request(&self, authority: &str) -> Result<Request<Full<Bytes>>, Error> {
        let error =
            |error: http::Error| Error::Request { url: self.url.given.clone(), detail: error.to_string() };
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("http://{authority}{}", self.url.path))
            .header(header::HOST, &self.url.authority)
            .body(Full::new(self.body.clone()))
            .map_err(error)?;
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }

    async fn read(self, response: http::Response<hyper::body::Incoming>) -> Result<Response, Error> {
        let limit = self.client.0.config.body_bytes_max;
        let host = self.url.authority;
        let (head, body) = response.into_parts();
        match Limited::new(body, limit).collect().await {
            Ok(body) => {
                Ok(Response { host, status: head.status, headers: head.headers, body: body.to_bytes() })
            }
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Error::TooLarge { host, limit })
            }
            Err(source) => Err(Error::Transport { host, source }),
        }
    }
}

fn note_peer(span: &mut Span, destination: &Destination) {
    if let (Some(peer), true) = (destination.peer, span.is_recording()) {
        span.set_attr("network.peer.address", peer.ip().to_string());
        span.set_attr("network.peer.port", peer.port());
    }
}
