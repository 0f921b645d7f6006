//! The listeners, from the moment their ports are bound to the last request.
//!
//! ```text
//! bind ──▶ main port answers 503 ──open(api)──▶ all ports answer ──close()──▶ 503, requests under way end
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use clock::Clock;
use eino_metrics_core::Registry;
use http_api::{Api, Gate, Live};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::{self, BindError, Bound};
use crate::options::{Listen, ServerOptions};

/// How long running requests may go on after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(4);
const STARTING: &str = "Eino is starting and replaying the write-ahead log (WAL).";
const STOPPING: &str = "Eino is shutting down and gracefully stopping all operations.";
const MAIN: &str = "http";

/// Bound listeners and the tasks that serve them.
pub(crate) struct Front {
    pub(crate) live: Live,
    clock: Clock,
    gate: Gate,
    /// Bound and not served yet: clients wait in the kernel's queue.
    waiting: Vec<Bound>,
    listeners: Vec<(&'static str, SocketAddr)>,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
}

impl Front {
    /// Binds all ports and lets the main one answer that the server is starting.
    ///
    /// # Errors
    /// A port can't be had.
    pub(crate) async fn bind(
        options: &ServerOptions,
        clock: &Clock,
        registry: &Registry,
    ) -> Result<Self, BindError> {
        let wanted = [
            (MAIN, Listen::At(options.listen)),
            ("otlp_grpc", options.otlp_grpc),
            ("otlp_http", options.otlp_http),
        ];
        let mut bound = Vec::new();
        for (name, listen) in wanted {
            bound.extend(http::bind(name, listen).await?);
        }
        let listeners = bound.iter().map(|bound| (bound.name, bound.address)).collect();
        let live = Live::new(registry);
        live.raise(STARTING, clock.unix_ms());
        let gate = Gate::new(live.clone(), registry.clone());
        let (stop, stopped) = watch::channel(false);
        let (main, waiting): (Vec<_>, Vec<_>) = bound.into_iter().partition(|bound| bound.name == MAIN);
        let serving =
            main.into_iter().map(|bound| http::serve(bound, gate.router(), stopped.clone())).collect();
        Ok(Self { live, clock: clock.clone(), gate, waiting, listeners, stop, serving })
    }

    /// Name and bound address of every listener.
    pub(crate) fn listeners(&self) -> &[(&'static str, SocketAddr)] {
        &self.listeners
    }

    /// From now on requests are answered.
    pub(crate) fn open(&mut self, api: &Api) {
        self.live.clear(STARTING);
        self.gate.open(http_api::main_router(api.clone()));
        for bound in self.waiting.drain(..) {
            let router = match bound.name {
                "otlp_grpc" => http_api::otlp_grpc_router(api.clone()),
                _ => http_api::otlp_http_router(api.clone()),
            };
            self.serving.push(http::serve(bound, router, self.stop.subscribe()));
        }
    }

    /// No new requests; those under way may take a while and are then cut off.
    pub(crate) async fn close(self) {
        self.live.raise(STOPPING, self.clock.unix_ms());
        self.gate.close();
        self.stop.send_replace(true);
        for mut task in self.serving {
            if tokio::time::timeout(DRAIN, &mut task).await.is_err() {
                tracing::warn!("requests still run after {} s and are cut off", DRAIN.as_secs());
                task.abort();
                // Its end frees the sinks that the analysis waits for.
                let _aborted = task.await.is_err();
            }
        }
    }
}
