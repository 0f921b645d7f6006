//! The metrics store: write-ahead log, head, label index, blocks.
//!
//! ```text
//!  append ──▶ log (acknowledged) ──▶ head: series in memory ──cut──▶ block ──merge──▶ longer block ──▶ retention
//!                                      │                              │
//!  select ◀── series by labels ◀───────┴───────── label index ◀───────┘
//! ```
//! - An acknowledged sample is in the log: `kill -9` loses nothing. The log is dropped up to a cut once its block is
//!   on disk and synced.
//! - Of two samples of one series at one time the first accepted stays. The second is `DuplicateTimestamp`, or is
//!   accepted silently when the values are the same bits. Only for times that are in blocks and no longer in the head
//!   is the difference not noticed: the later sample is accepted, and the earlier one is read.
//! - Damaged segments and blocks are put aside and counted; they do not stop the start.
//! - It never reads the clock: see [`clock::Clock`]. It knows neither HTTP nor PromQL.
//!
//! Bytes on disk: `docs/format/metrics.md`.

mod analyze;
mod block;
mod chunk;
mod columns;
mod config;
mod downsample;
mod error;
mod head;
mod index;
mod label_order;
mod metrics;
mod plan;
mod rewrite;
mod sample;
mod select;
mod sink;
mod source;
mod tombstones;
mod tsdb;
mod upkeep;

pub use analyze::{Analysis, LabelUse, MetricUse, PairUse};
pub use config::TsdbConfig;
pub use error::Error;
pub use index::LabelStats;
pub use tsdb::{BlockInfo, Tsdb, TsdbStatus};
pub use upkeep::Import;

#[cfg(test)]
mod tests;
