//! The facade of the SDK: [`App`] and what a service needs beside it.
//!
//! ```text
//! eino ─┬▶ eino-client ─┬▶ eino-registry      where services are
//!       │               └▶ eino-trace ─┬▶ eino-context       ids, deadline, metadata; ambient
//!       └──────────────────────────────┴▶ eino-metrics-core  cells and text format
//! ```
//! - Only this crate reads the environment; the crates below take everything as arguments.
//! - It adds no wrapper around axum's handlers and extractors: they are axum's, re-exported as [`axum`].
//!
#![doc = include_str!("../README.md")]

mod app;
mod http_metrics;
pub mod metrics;
mod observe;
mod running;
mod settings;
mod signal;

pub use app::App;
pub use running::{Running, ShutdownReport};
pub use settings::{Error, Settings};
pub use signal::stop_signal;

pub use axum;
pub use eino_client::{self as client, Client};
pub use eino_context::{Ctx, spawn, spawn_blocking};
pub use eino_metrics_core::Registry;
pub use eino_registry::{FileRegistry, Instance, RegistryConfig};
pub use eino_trace::{Kind, Span, Tracer, Value, span};

/// What a service usually needs.
pub mod prelude {
    pub use axum::Json;
    pub use axum::extract::{Path, Query, State};
    pub use axum::http::StatusCode;
    pub use axum::response::{IntoResponse, Response};
    pub use axum::routing::{delete, get, patch, post, put};

    pub use crate::metrics::{Counter, Histogram};
    pub use crate::{App, Client, Ctx, Kind, labels, span};
}
