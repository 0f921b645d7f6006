//! The configuration file: text to checked, typed settings with every default filled.
//!
//! ```text
//! eino.yaml ─┬─ scrape_config_files ─┐
//!            ├─ rule_files ──────────┼─▶ raw (as written) ─▶ check ─▶ Config + warnings
//!            └─ alertmanager_config ─┘                         └────▶ ConfigError: file, line, column, suggestion
//! ```
//! - A prometheus.yml of Prometheus 3.14 is a valid configuration. What it asks for and is not built yet is a warning
//!   that names it; unknown keys are errors.
//! - Loading changes nothing: a bad file leaves the running settings as they are.

mod check;
mod error;
mod load;
mod raw;
mod redact;
mod remotes;

use std::time::Duration;

use alerts::AlertingSettings;
use remote::{ReadConfig, WriteConfig};
use rules::{GroupConfig, RuleSettings};
use scrape::ScrapeConfig;
use wire::otlp::MetricOptions;

pub use error::{ConfigError, Warning};
pub use load::load;

/// What [`load`] gives.
#[derive(Debug, Default)]
pub struct Loaded {
    pub config: Config,
    /// What was asked for and has no effect yet.
    pub warnings: Vec<Warning>,
}

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Config {
    pub scrape_configs: Vec<ScrapeConfig>,
    /// The groups of all rule files.
    pub rule_groups: Vec<GroupConfig>,
    pub rules: RuleSettings,
    /// Where samples are sent to.
    pub remote_write: Vec<WriteConfig>,
    /// Which other servers are asked.
    pub remote_read: Vec<ReadConfig>,
    pub alerting: AlertingSettings,
    /// How long samples are kept.
    pub metrics_retention: Duration,
    /// Most bytes of stored metrics; `None` = no limit.
    pub metrics_retention_bytes: Option<u64>,
    /// How long windows of 5 minutes and of 1 hour are kept after the samples they were made of.
    pub downsampling: Downsampling,
    /// What merging and downsampling may read and write of the disk.
    pub background_bytes_per_second: u64,
    /// Samples this much older than the newest are taken.
    pub out_of_order_window: Duration,
    /// How long spans are kept.
    pub traces_retention: Duration,
    /// Whether a write is answered only after `fsync`.
    pub sync_always: bool,
    /// How often the analysis writes its figures as metrics.
    pub analysis_write_interval: Duration,
    pub limits: Limits,
    /// The PromQL that rules are written in: what experimental parts are on is said where the server is started.
    pub syntax: promql::Syntax,
    /// How OTLP metrics become series.
    pub otlp: MetricOptions,
    /// Where users reach this server; `None`: the first listener.
    pub external_url: Option<String>,
    /// The file as it was read, without secrets.
    pub text: String,
}

/// How long downsampled samples are kept; zero = there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downsampling {
    pub five_minutes: Duration,
    pub one_hour: Duration,
}

impl Default for Downsampling {
    fn default() -> Self {
        Self { five_minutes: 90 * DAY, one_hour: 730 * DAY }
    }
}

/// Limits of the edges. `None` means the built-in default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body as it comes over the wire.
    pub request_body_bytes: Option<u64>,
    /// Bytes of a request's body after decompression.
    pub request_decoded_bytes: Option<u64>,
    pub ingest_concurrency: Option<u64>,
    /// Queries that run at the same time.
    pub query_concurrency: Option<u64>,
    /// Queries that wait for their turn.
    pub query_queue: Option<u64>,
    /// Large answers that are sent at the same time.
    pub answer_streams: Option<u64>,
    /// Bytes of the queue of remote write on disk.
    pub remote_write_queue_bytes: Option<u64>,
    /// Streams of OTLP deltas that are added up.
    pub delta_streams: Option<u64>,
    /// Samples one query may read.
    pub query_samples: Option<u64>,
    /// Series one query may select.
    pub query_series: Option<u64>,
    /// Bytes of intermediate results one query may hold.
    pub query_memory_bytes: Option<u64>,
    pub query_timeout: Option<Duration>,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Config {
    fn default() -> Self {
        Self {
            scrape_configs: Vec::new(),
            rule_groups: Vec::new(),
            rules: RuleSettings::default(),
            remote_write: Vec::new(),
            remote_read: Vec::new(),
            alerting: AlertingSettings::default(),
            metrics_retention: 15 * DAY,
            metrics_retention_bytes: None,
            downsampling: Downsampling::default(),
            background_bytes_per_second: 32 << 20,
            out_of_order_window: Duration::ZERO,
            traces_retention: 7 * DAY,
            sync_always: false,
            analysis_write_interval: Duration::from_secs(10),
            limits: Limits::default(),
            syntax: promql::Syntax::default(),
            otlp: MetricOptions::default(),
            external_url: None,
            text: String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
