//! Settings of the store.

use std::path::PathBuf;
use std::time::Duration;

use log::SyncPolicy;

/// Settings of the store. The defaults suit one node with 1 M live series.
#[derive(Clone, Debug)]
pub struct TsdbConfig {
    /// Holds nothing but this store. Made if absent.
    pub dir: PathBuf,
    /// Blocks whose newest sample is older are deleted; older samples are refused (`TooOld`).
    pub retention: Duration,
    /// When acknowledged samples reach the disk itself.
    pub sync: SyncPolicy,
    /// How far behind the newest sample of its series a sample may be (`OutOfOrder`).
    pub out_of_order_window: Duration,
    /// How far ahead of the clock a sample may be (`TooFarInFuture`).
    pub future_max: Duration,
    /// Most series in the head (`TooManySeries`).
    pub series_max: usize,
    /// Most labels of a series, the metric name included (`TooManyLabels`).
    pub labels_max: usize,
    /// Longest label name (`LabelTooLong`).
    pub label_name_bytes_max: usize,
    /// Longest label value (`LabelTooLong`).
    pub label_value_bytes_max: usize,
    /// The head becomes a block when it spans 1.5 times this.
    pub block_span: Duration,
    /// The head becomes a block when its log is longer than this, whatever it spans: it bounds the time of a restart.
    pub log_bytes_max: u64,
    /// Blocks are merged up to this span.
    pub merged_span_max: Duration,
}

impl TsdbConfig {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self {
            dir: dir.into(),
            retention: hours(15 * 24),
            sync: SyncPolicy::default(),
            out_of_order_window: hours(1),
            future_max: hours(24),
            series_max: 5_000_000,
            labels_max: 64,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 4096,
            block_span: hours(2),
            log_bytes_max: 2 << 30,
            merged_span_max: hours(24),
        }
    }
}

/// Milliseconds of a duration of settings.
pub(crate) fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
