//! The builder of a service.

use std::path::PathBuf;

use axum::Router;
use axum::routing::MethodRouter;
use eino_client::{Client, ClientConfig};
use eino_metrics_core::Registry;
use eino_registry::{FileRegistry, RegistryConfig};
use eino_trace::TraceConfig;

use crate::metrics::{Counter, Gauge, Histogram, LabelSet};
use crate::running::{Running, start};
use crate::settings::{Error, Settings};
use crate::signal::stop_signal;

/// A service: routes, settings and, with [`App::observe`], everything that makes it visible.
///
/// `S` is the state that handlers take with axum's `State`; see [`App::state`].
#[derive(Debug)]
pub struct App<S = ()> {
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) metrics: Registry,
    pub(crate) router: Router<S>,
    pub(crate) state: S,
    pub(crate) observed: bool,
}

impl App {
    /// A service of this name, which others find it by. Settings come from the environment.
    pub fn new(name: impl Into<String>) -> Self {
        Self::with_settings(name, Settings::from_env())
    }

    /// A service with these settings; the environment is not asked.
    pub fn with_settings(name: impl Into<String>, settings: Settings) -> Self {
        let metrics = Registry::new();
        Self { name: name.into(), settings, metrics, router: Router::new(), state: (), observed: false }
    }
}

impl<S: Clone + Send + Sync + 'static> App<S> {
    /// Makes the service visible: a span and metrics per request, `/metrics`, `/healthz` and `/readyz`.
    #[must_use]
    pub fn observe(mut self) -> Self {
        self.observed = true;
        self
    }

    /// Gives handlers of later routes this state.
    #[must_use]
    pub fn state<S2: Clone + Send + Sync + 'static>(self, state: S2) -> App<S2> {
        let router = self.router.with_state(self.state);
        App {
            name: self.name,
            settings: self.settings,
            metrics: self.metrics,
            router,
            state,
            observed: self.observed,
        }
    }

    /// Adds a route, `/orders/{id}`.
    ///
    /// # Panics
    /// When the path is not a route or already taken.
    #[must_use]
    pub fn route(mut self, path: &str, handlers: MethodRouter<S>) -> Self {
        self.router = self.router.route(path, handlers);
        self
    }

    /// Adds all routes of an axum router, with its layers.
    ///
    /// # Panics
    /// When a path is already taken.
    #[must_use]
    pub fn merge(mut self, router: Router<S>) -> Self {
        self.router = self.router.merge(router);
        self
    }

    /// Listens on `HOST:PORT`; port 0 takes any free one.
    #[must_use]
    pub fn listen(mut self, listen: impl Into<String>) -> Self {
        self.settings.listen = listen.into();
        self
    }

    /// Sends spans to the OTLP/HTTP collector at this base URL.
    #[must_use]
    pub fn otlp(mut self, endpoint: impl Into<String>) -> Self {
        self.settings.otlp_endpoint = Some(endpoint.into()).filter(|endpoint| !endpoint.is_empty());
        self
    }

    /// Registers in, and finds others through, the file registry in this directory.
    #[must_use]
    pub fn registry(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.registry_dir = Some(dir.into());
        self
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All settings, for those without a method of their own.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// The registry of this service's metrics.
    pub fn metrics(&self) -> &Registry {
        &self.metrics
    }

    /// A counter with a series per label set.
    ///
    /// # Panics
    /// When the name is taken by a metric of another kind.
    pub fn counter<L: LabelSet>(&self, name: &str, help: &str) -> Counter<L> {
        Counter::register(&self.metrics, name, help)
    }

    /// A gauge with a series per label set.
    ///
    /// # Panics
    /// When the name is taken by a metric of another kind.
    pub fn gauge<L: LabelSet>(&self, name: &str, help: &str) -> Gauge<L> {
        Gauge::register(&self.metrics, name, help)
    }

    /// A histogram with a series per label set and these bucket bounds.
    ///
    /// # Panics
    /// When the name is taken by a metric of another kind.
    pub fn histogram<L: LabelSet>(&self, name: &str, help: &str, bounds: &[f64]) -> Histogram<L> {
        Histogram::register(&self.metrics, name, help, bounds)
    }

    /// A client that finds services where this one registers. Call it after [`App::registry`].
    ///
    /// # Errors
    /// When the registry's directory can't be opened.
    pub fn client(&self) -> Result<Client, Error> {
        Ok(Client::new(ClientConfig::default(), self.file_registry()?))
    }

    /// Starts the service and returns when it listens and is registered.
    ///
    /// # Errors
    /// When the address, the registry or the collector's URL can't be used.
    pub async fn start(self) -> Result<Running, Error> {
        start(self).await
    }

    /// Runs the service until SIGTERM or Ctrl-C, then shuts it down in good order.
    ///
    /// # Errors
    /// When it can't start, or its listening socket fails.
    pub async fn run(self) -> Result<(), Error> {
        self.start().await?.run_until(stop_signal()).await.map(drop)
    }

    pub(crate) fn file_registry(&self) -> Result<Option<FileRegistry>, Error> {
        let dir = self.settings.registry_dir.as_ref();
        let open = |dir: &PathBuf| FileRegistry::open(dir, RegistryConfig::default());
        Ok(dir.map(open).transpose()?)
    }

    pub(crate) fn trace_config(&self) -> TraceConfig {
        let endpoint = self.settings.otlp_endpoint.clone().filter(|_| self.observed);
        TraceConfig {
            endpoint,
            sample_ratio: self.settings.sample_ratio,
            ..TraceConfig::new(self.name.as_str())
        }
    }
}
