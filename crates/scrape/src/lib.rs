//! Scrapes targets into a metric sink.
//!
//! ```text
//! ScrapeManager ─ job ─▶ pool ─ target ─▶ worker ─ each interval ─▶ GET ─▶ page ─▶ cache ─▶ MetricBatch ─▶ MetricSink
//! ```
//! - One scrape is one batch: samples, stale markers of vanished series, and the report (`up` and four more).
//! - A scrape that fails in any way (network, status, content type, syntax, a limit) stores none of its samples; every
//!   live series gets a stale marker, and `up` is 0.
//! - In the steady state a sample costs one lookup of its raw text; labels are worked out once per series.
//! - The clock and the seed are handed in; the network is real.

mod cache;
mod client;
mod config;
mod created;
mod effective;
mod histograms;
mod manager;
mod page;
mod pool;
mod protocol;
mod status;
mod target;
mod worker;

pub use config::{
    HistogramSettings, RawScrapeConfig, ScrapeConfig, ScrapeDefaults, ScrapeLimits, check_name_schemes,
};
pub use manager::ScrapeManager;
pub use protocol::ScrapeProtocol;
pub use status::{DroppedTarget, Health, TargetStatus, Targets, TargetsView};
