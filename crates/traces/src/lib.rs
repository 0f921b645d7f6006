//! The span store.
//!
//! ```text
//!  append ──▶ admit (limits) ──▶ log: one record ──▶ memtable ──▶ block, block, … ──▶ merged blocks ──▶ retention
//!                                   write(2)         │ full, old                │
//!  trace · search · scan  ◀─────────────────────────┴──────────────────────────┘
//! ```
//! - When `append` returns, the accepted spans are in the log and can be found.
//! - Spans rest in **pages** (columns, [`page`]); a record of the log is a page, a **block** is a file of pages
//!   sorted by (trace id, start) with a footer that says which pages a question can skip ([`block`]).
//! - The memtable is cut into a block by size or age. Small neighbouring blocks are merged, which also brings late
//!   spans back to their trace. Retention deletes whole blocks.
//! - A span with the same trace id, span id and start as an older one is dropped when read and when merged.
//! - A damaged block is renamed to `.bad`, counted and left out; it never stops the start.
//! - The store reads no clock, environment or network; time and registry are handed in.
//!
//! What it does not do: assemble traces, sample, answer TraceQL.

mod admit;
mod block;
mod config;
mod error;
mod memtable;
mod metrics;
mod page;
mod scan;
mod search;
mod source;
mod span_match;
mod store;
mod wal;

pub use config::TraceStoreConfig;
pub use error::Error;
pub use store::{TraceStore, TraceStoreStatus};
