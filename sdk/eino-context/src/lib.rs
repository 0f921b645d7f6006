//! Request context: which trace this work belongs to, until when it may take, and what travels with it.
//!
//! ```text
//! incoming headers ──extract──▶ Remote ──▶ Ctx ──child──▶ Ctx ──inject──▶ outgoing headers
//!                                           │
//!                                           └─ scope(future): ambient while the future is polled
//! ```
//! - A [`Ctx`] is an immutable value of a few words. Deriving a child copies ids and clones two pointers.
//! - It is ambient through one thread-local that [`Ctx::scope`] swaps around each poll, so it follows the
//!   future from thread to thread. [`spawn`] and [`spawn_blocking`] carry it over; a raw `tokio::spawn` does not.
//! - On the wire `traceparent` (W3C) is authoritative. `X-Trace-ID`, `X-Span-ID` and `X-Parent-ID` are always
//!   written and read only when `traceparent` is absent or invalid.
//! - It knows no tracer and no exporter; a tracer attaches itself with [`Ctx::with_local`].

mod ambient;
mod ctx;
mod headers;
mod ids;

pub use ambient::{spawn, spawn_blocking};
pub use ctx::{Ctx, Local, Metadata, MetadataError};
pub use headers::{Remote, extract, inject};
pub use ids::{IdSource, SpanId, TraceId};
