//! Settings of a service and what can be wrong with them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of an [`App`](crate::App). The environment gives the defaults, the builder's methods win.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes any free one. `EINO_LISTEN`.
    pub listen: String,
    /// OTLP/HTTP collector; `None` records no spans. `EINO_OTLP_ENDPOINT`, where empty means `None`.
    pub otlp_endpoint: Option<String>,
    /// Directory of the file registry; `None` registers nowhere. `EINO_REGISTRY_DIR`.
    pub registry_dir: Option<PathBuf>,
    /// Share of traces that begin here and are recorded, 0 to 1.
    pub sample_ratio: f64,
    /// Longest time that requests in flight may take at shutdown.
    pub drain: Duration,
    /// Longest time that the last spans may take at shutdown.
    pub flush: Duration,
}

impl Settings {
    /// The environment's settings.
    #[expect(clippy::disallowed_methods, reason = "a service's edge: this is where its environment is read")]
    pub fn from_env() -> Self {
        let text = |name| std::env::var(name).ok();
        let or = |name, default: &str| text(name).unwrap_or_else(|| default.to_owned());
        let endpoint = or("EINO_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        Self {
            listen: or("EINO_LISTEN", "127.0.0.1:8080"),
            otlp_endpoint: Some(endpoint).filter(|endpoint| !endpoint.is_empty()),
            registry_dir: text("EINO_REGISTRY_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from),
            sample_ratio: 1.0,
            drain: Duration::from_secs(5),
            flush: Duration::from_secs(2),
        }
    }
}

/// Why a service can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can't be listened on.
    #[error("cannot listen on {listen}")]
    Listen { listen: String, source: std::io::Error },
    /// The registry refused.
    #[error("cannot use the service registry")]
    Registry(#[from] eino_registry::Error),
    /// Spans can't be exported as configured.
    #[error("cannot export spans")]
    Trace(#[from] eino_trace::Error),
    /// The listening socket failed while serving.
    #[error("cannot serve on {addr}")]
    Serve { addr: SocketAddr, source: std::io::Error },
}
