//! What `observe()` does with each request: a SERVER span, two metrics, context for the handler.
//!
//! Every request ends in exactly one of four ways, and all are counted: answered, panicked (500), client gone
//! before the answer (499), no route (its own status under `<unmatched>`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use eino_context::extract;
use eino_trace::{Kind, Span, Tracer};
use futures_util::FutureExt;
use http::{HeaderValue, StatusCode, Version, header};
use tokio::time::Instant;
use tracing::error;

use crate::http_metrics::{CLIENT_GONE, HttpMetrics, OTHER_METHOD, UNMATCHED, method_label};

pub(crate) struct Observer {
    pub(crate) tracer: Tracer,
    pub(crate) metrics: HttpMetrics,
}

/// The middleware.
pub(crate) async fn observe(State(observer): State<Arc<Observer>>, request: Request, next: Next) -> Response {
    let mut exchange = Exchange::begin(observer, &request);
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match exchange.span.scope(handler).await {
        Ok(response) => response,
        Err(_) => {
            // The panic hook has said where; here only that the request has an answer all the same.
            error!(route = exchange.route(), "handler panicked");
            exchange.span.set_attr("error.type", "panic");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    if let Some(ctx) = exchange.span.ctx()
        && let Ok(trace_id) = HeaderValue::try_from(ctx.trace_id().to_string())
    {
        response.headers_mut().insert("x-trace-id", trace_id);
    }
    exchange.answered(response.status());
    response
}

/// One request from its head to its answer. Dropped without an answer, the client has gone.
struct Exchange {
    observer: Arc<Observer>,
    method: &'static str,
    route: Option<MatchedPath>,
    started: Instant,
    span: Span,
    status: u16,
}

impl Exchange {
    fn begin(observer: Arc<Observer>, request: &Request) -> Self {
        let method = method_label(request.method());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let span = match extract(request.headers()) {
            Some(remote) => observer.tracer.continued(remote, "HTTP"),
            None => observer.tracer.root("HTTP"),
        };
        let span = if span.is_recording() { describe(span, request, method, route.as_ref()) } else { span };
        Self { observer, method, route, started: Instant::now(), span, status: CLIENT_GONE }
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        self.span.set_attr("http.response.status_code", self.status);
        if status.is_server_error() {
            self.span.set_attr("error.type", status.as_str());
            self.span.set_error("");
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.status == CLIENT_GONE {
            self.span.set_attr("error.type", "client_gone");
        }
        let route = self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
        self.observer.metrics.observe(self.method, route, self.status, self.started.elapsed());
    }
}

/// Name and attributes as OpenTelemetry's HTTP conventions want them.
fn describe(span: Span, request: &Request, method: &'static str, route: Option<&MatchedPath>) -> Span {
    let verb = if method == OTHER_METHOD { "HTTP" } else { method };
    let name = match route {
        Some(route) => format!("{verb} {}", route.as_str()),
        None => verb.to_owned(),
    };
    let mut span = span.named(name).kind(Kind::Server).attr("http.request.method", method);
    if method == OTHER_METHOD {
        span.set_attr("http.request.method_original", request.method().as_str());
    }
    span.set_attr("url.scheme", "http");
    span.set_attr("url.path", request.uri().path());
    if let Some(route) = route {
        span.set_attr("http.route", route.as_str());
    }
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(host) = text(header::HOST) {
        let (host, port) = match host.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
            Some((host, Ok(port))) => (host, port),
            _ => (host, 80),
        };
        span.set_attr("server.address", host);
        span.set_attr("server.port", port);
    }
    if let Some(agent) = text(header::USER_AGENT) {
        span.set_attr("user_agent.original", agent);
    }
    let version = if request.version() == Version::HTTP_2 { "2" } else { "1.1" };
    span.attr("network.protocol.version", version)
}
