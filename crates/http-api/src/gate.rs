//! The main port from the first moment on: until the stores are open it answers 503, then the APIs answer.
//!
//! ```text
//! starting ──open(router)──▶ serving ──close()──▶ stopping
//! 503, health, replay,        everything          503 with X-Prometheus-Stopping: true;
//! notifications, /metrics                         requests under way go on
//! ```

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use eino_metrics_core::Registry;
use http::{HeaderName, StatusCode};
use tower::ServiceExt;

use crate::live::Live;
use crate::{own, prometheus};

const STOPPING: HeaderName = HeaderName::from_static("x-prometheus-stopping");

/// A cheap handle.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    router: OnceLock<Router>,
    is_stopping: AtomicBool,
    closed: Router,
}

impl Gate {
    /// A closed gate.
    pub fn new(live: Live, registry: Registry) -> Self {
        let closed = Router::new()
            .merge(prometheus::routes_before_ready().with_state(live))
            .merge(own::routes_before_ready().with_state(registry));
        Self(Arc::new(Inner { router: OnceLock::new(), is_stopping: AtomicBool::new(false), closed }))
    }

    /// From now on `router` answers. A second call changes nothing.
    pub fn open(&self, router: Router) {
        let _first_stays = self.0.router.set(router).is_err();
    }

    /// From now on new requests are answered with 503.
    pub fn close(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
    }

    /// What the listener serves.
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }
}

async fn answer(State(gate): State<Gate>, request: Request) -> Response {
    let is_stopping = gate.0.is_stopping.load(Ordering::Acquire);
    let router = match gate.0.router.get() {
        Some(router) if !is_stopping => router.clone(),
        _ => gate.0.closed.clone().fallback(move || unavailable(is_stopping)),
    };
    let Ok(response) = router.oneshot(request).await;
    response
}

/// Prometheus's words.
async fn unavailable(is_stopping: bool) -> Response {
    let stopping = if is_stopping { "true" } else { "false" };
    (StatusCode::SERVICE_UNAVAILABLE, [(STOPPING, stopping)], "Service Unavailable").into_response()
}
