//! Which targets exist, and what their labels become.
//!
//! ```text
//! static_configs ─┐
//! file_sd_configs ┴▶ Vec<TargetGroup> ──▶ label sets ──▶ relabel ──▶ kept, or dropped
//! ```
//! - [`relabel`] is pure: a label set goes in, a label set or nothing comes out. Scraping, remote write and alerts use it.
//! - [`FileDiscovery`] is polled. A file that became unreadable keeps its last good groups and is counted.
//! - It does not know what a scrape is.

mod config;
mod file;
mod glob;
mod group;
pub mod relabel;

pub use config::{NotBuilt, TargetSources};
pub use file::{FileDiscovery, FileSdConfig, Refresh};
pub use glob::glob;
pub use group::{ADDRESS, TargetGroup, TargetGroupConfig, check_address};
pub use relabel::{RelabelConfig, RelabelRule, RelabelStep, relabel_steps};
