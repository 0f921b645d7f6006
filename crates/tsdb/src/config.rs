//! Settings of the store.

use std::path::PathBuf;
use std::time::Duration;

use disk::Disk;
use log::SyncPolicy;

use crate::block::Resolution;

/// Settings of the store. The defaults suit one node with 1 M live series.
#[derive(Clone, Debug)]
pub struct TsdbConfig {
    /// Holds nothing but this store. Made if absent.
    pub dir: PathBuf,
    /// Where `dir` is.
    pub disk: Disk,
    /// Blocks whose newest sample is older are downsampled or deleted; older samples are refused (`TooOld`).
    pub retention: Duration,
    /// Most bytes of blocks and log together. Beyond it the oldest blocks are downsampled or deleted, whatever their age.
    pub retention_bytes: Option<u64>,
    /// How long samples downsampled to 5 minutes are kept. No longer than `retention`: there are none.
    pub five_minutes_retention: Duration,
    /// How long samples downsampled to 1 hour are kept. No longer than the finer ones: there are none.
    pub one_hour_retention: Duration,
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
    /// Most exemplars, of all series together; the oldest go first.
    pub exemplars_max: usize,
    /// Threads that replay the log on open, at least 1.
    pub replay_threads: usize,
    /// A series that nobody has written to for so long may leave the head before the others.
    pub idle_after: Duration,
    /// The head becomes a block when it spans 1.5 times this.
    pub block_span: Duration,
    /// The head is written to its snapshot when the log has grown by so much since the last one (or by half of what
    /// that one took, if that is more): what a restart has to replay.
    pub snapshot_log_bytes: u64,
    /// The head becomes a block when its log is longer than this, whatever it spans: it bounds the time of a restart.
    pub log_bytes_max: u64,
    /// Bytes that one call of `Tsdb::maintain` reads and writes to merge and downsample blocks: with the pause between
    /// calls it bounds what upkeep takes of the disk.
    pub merge_bytes_per_call: u64,
    /// Most bytes of block indexes kept decoded in memory.
    pub index_cache_bytes_max: u64,
}

impl TsdbConfig {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self {
            dir: dir.into(),
            disk: Disk::real(),
            retention: hours(15 * 24),
            retention_bytes: None,
            five_minutes_retention: hours(90 * 24),
            one_hour_retention: hours(730 * 24),
            sync: SyncPolicy::default(),
            out_of_order_window: hours(1),
            future_max: hours(24),
            series_max: 5_000_000,
            labels_max: 64,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 4096,
            exemplars_max: 100_000,
            replay_threads: 4,
            idle_after: Duration::from_secs(600),
            block_span: hours(2),
            snapshot_log_bytes: 16 << 20,
            log_bytes_max: 2 << 30,
            merge_bytes_per_call: 64 << 20,
            index_cache_bytes_max: 256 << 20,
        }
    }

    /// How long samples of a resolution are kept.
    pub(crate) fn kept(&self, resolution: Resolution) -> Duration {
        match resolution {
            Resolution::Raw => self.retention,
            Resolution::FiveMinutes => self.five_minutes_retention,
            Resolution::OneHour => self.one_hour_retention,
        }
    }
}

/// Milliseconds of a duration of settings.
pub(crate) fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
