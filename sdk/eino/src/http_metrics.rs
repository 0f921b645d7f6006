//! `http_requests_total` and `http_request_duration_seconds`.
//!
//! Their labels come from closed sets only: ten methods, the routes of the program and one value for all that
//! match none, statuses of three digits. What a client sends can't make a series of its own.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use eino_metrics_core::{Counter, Histogram, Registry};
use http::Method;

use crate::metrics::SECONDS;

/// The route of requests that no route matches.
pub(crate) const UNMATCHED: &str = "<unmatched>";
/// The method of requests with a method that HTTP does not define.
pub(crate) const OTHER_METHOD: &str = "_OTHER";
/// The status of requests whose client went away before the answer.
pub(crate) const CLIENT_GONE: u16 = 499;

#[derive(Debug)]
pub(crate) struct HttpMetrics {
    registry: Registry,
    /// By route; read on every request, written once per new label set. Held for a lookup only.
    cells: RwLock<HashMap<String, ByMethodAndStatus>>,
}

type ByMethodAndStatus = HashMap<(&'static str, u16), Cells>;

#[derive(Clone, Debug)]
struct Cells {
    requests: Counter,
    duration: Histogram,
}

impl HttpMetrics {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry, cells: RwLock::default() }
    }

    pub(crate) fn observe(&self, method: &'static str, route: &str, status: u16, time: Duration) {
        let cells = self.known(method, route, status).unwrap_or_else(|| self.add(method, route, status));
        cells.requests.inc();
        cells.duration.observe(time.as_secs_f64());
    }

    fn known(&self, method: &'static str, route: &str, status: u16) -> Option<Cells> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        cells.get(route)?.get(&(method, status)).cloned()
    }

    fn add(&self, method: &'static str, route: &str, status: u16) -> Cells {
        let text = status.to_string();
        let labels = [("method", method), ("route", route), ("status", text.as_str())];
        let cells = Cells {
            requests: self.registry.counter_with("http_requests_total", "Requests answered.", &labels),
            duration: self.registry.histogram_with(
                "http_request_duration_seconds",
                "Time from a request's head to its answer's head.",
                SECONDS,
                &labels,
            ),
        };
        let mut known = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(route.to_owned()).or_default().insert((method, status), cells.clone());
        cells
    }
}

/// The method as a label: one of nine, or `_OTHER`.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => OTHER_METHOD,
    }
}
