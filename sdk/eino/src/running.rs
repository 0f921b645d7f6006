//! A service that runs, and how it stops.
//!
//! ```text
//! start:  bind ─▶ serve ─▶ register ─▶ ready
//! stop:   not ready ─▶ deregister ─▶ drain (bounded) ─▶ flush spans (bounded)
//! ```

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::serve::ListenerExt;
use eino_metrics_core::Registry;
use eino_registry::{Instance, Registration};
use eino_trace::Tracer;
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::app::App;
use crate::http_metrics::HttpMetrics;
use crate::observe::{Observer, observe};
use crate::settings::Error;

/// A service that listens. Stop it with [`Running::shutdown`]; dropped, it is cut off.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    metrics: Registry,
    tracer: Tracer,
    ready: Arc<AtomicBool>,
    registration: Option<Registration>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    drain: Duration,
    flush: Duration,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Whether all requests in flight were answered in time.
    pub drained: bool,
    /// Spans that the collector accepted during the service's life.
    pub spans_exported: u64,
    /// Spans that were lost during the service's life.
    pub spans_dropped: u64,
}

pub(crate) async fn start<S: Clone + Send + Sync + 'static>(app: App<S>) -> Result<Running, Error> {
    let listen = app.settings.listen.clone();
    let listener = TcpListener::bind(&listen).await;
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (addr, listener) = bound.map_err(|source| Error::Listen { listen, source })?;

    let trace_config = app.trace_config();
    let instance_id = trace_config.instance_id.clone();
    let tracer = Tracer::start(trace_config, &app.metrics)?;
    let registry = app.file_registry()?;
    let ready = Arc::new(AtomicBool::new(false));
    let mut router = app.router.with_state(app.state);
    if app.observed {
        let observer = Observer { tracer: tracer.clone(), metrics: HttpMetrics::new(app.metrics.clone()) };
        router = router.layer(from_fn_with_state(Arc::new(observer), observe));
        router = add_own_routes(router, app.metrics.clone(), Arc::clone(&ready));
    }

    let (stop, stopped) = oneshot::channel::<()>();
    let listener = listener.tap_io(|stream| {
        // Small answers must not wait for the client's delayed ack; without it they are only slower.
        let _set = stream.set_nodelay(true);
    });
    let serve = axum::serve(listener, router).with_graceful_shutdown(async move { drop(stopped.await) });
    let server = tokio::spawn(async move { serve.await });

    let registration = match registry {
        Some(registry) => {
            let (service, addr) = (app.name.clone(), reachable(addr));
            let pid = std::process::id();
            let instance = Instance { service, instance_id, addr, pid, exposes_metrics: app.observed };
            Some(registry.register(instance).await?)
        }
        None => None,
    };
    ready.store(true, Ordering::Release);
    info!(service = app.name, %addr, "service started");
    let (drain, flush) = (app.settings.drain, app.settings.flush);
    Ok(Running { addr, metrics: app.metrics, tracer, ready, registration, stop, server, drain, flush })
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The registry of its metrics.
    pub fn metrics(&self) -> &Registry {
        &self.metrics
    }

    /// The tracer, for spans of work that no request began.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Serves until `stop` completes, then shuts down.
    ///
    /// # Errors
    /// When the listening socket fails before.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> Result<ShutdownReport, Error> {
        tokio::select! {
            () = stop => Ok(self.shutdown().await),
            ended = &mut self.server => {
                let source = match ended {
                    Ok(Err(source)) => source,
                    Ok(Ok(())) => std::io::Error::other("the server ended by itself"),
                    Err(join) => std::io::Error::other(join),
                };
                let addr = self.addr;
                self.shutdown().await;
                Err(Error::Serve { addr, source })
            }
        }
    }

    /// Stops in good order; each step has its own budget, so this returns in bounded time.
    pub async fn shutdown(mut self) -> ShutdownReport {
        self.ready.store(false, Ordering::Release);
        if let Some(registration) = self.registration.take()
            && let Err(error) = registration.deregister().await
        {
            warn!(%error, "deregistration fails");
        }
        let _told = self.stop.send(());
        let drained =
            self.server.is_finished() || tokio::time::timeout(self.drain, &mut self.server).await.is_ok();
        if !drained {
            self.server.abort();
            warn!(budget = ?self.drain, "requests in flight were cut off");
        }
        let spans = self.tracer.shutdown(self.flush).await;
        if spans.dropped > 0 {
            warn!(dropped = spans.dropped, exported = spans.exported, "spans were lost");
        }
        info!(addr = %self.addr, "service stopped");
        ShutdownReport { drained, spans_exported: spans.exported, spans_dropped: spans.dropped }
    }
}

/// `/metrics`, `/healthz` and `/readyz`. They are added outside of the observing layer: who watches makes no
/// spans and no series.
fn add_own_routes(router: Router, metrics: Registry, ready: Arc<AtomicBool>) -> Router {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let is_ready = move || {
        let ready = ready.load(Ordering::Acquire);
        async move {
            if ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
        }
    };
    router
        .route("/metrics", get(move || async move { (content_type, metrics.encode_text()) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(is_ready))
}

/// An address that others can call: a wildcard is reached by loopback on this machine.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, addr.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, addr.port()))
        }
        _ => addr,
    }
}
