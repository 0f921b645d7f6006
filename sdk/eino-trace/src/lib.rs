//! Spans: decided first, recorded second, exported in the background.
//!
//! ```text
//! request ─▶ Tracer::server ─sampled?─▶ Span ──drop──▶ bounded queue ──batch──▶ POST /v1/traces (OTLP protobuf)
//!                              │ no                        │ full
//!                              └▶ ids only, no allocation   └▶ dropped and counted
//! ```
//! - A span never waits: not for the queue, not for the collector.
//! - Every recorded span ends as exported or as dropped with a reason; the counters add up after shutdown.
//! - [`span`] makes a child of the ambient context. Which tracer it reports to travels in the context, so
//!   two services in one process do not mix.
//! - Times of one process come from one monotonic clock with an offset to wall-clock time, so that a child
//!   never seems to start before its parent.

mod clock;
mod exporter;
mod metrics;
mod otlp;
mod span;
mod tracer;
mod value;

pub use span::{Kind, Span, span};
pub use tracer::{Error, ShutdownReport, TraceConfig, Tracer};
pub use value::Value;
