//! What the handlers need of the stores and of the process beyond the seams.

use std::future::Future;
use std::pin::Pin;

use model::{Matcher, TimeRange};
use serde::Serialize;

/// The stores, for operators. All methods block. Errors are sentences for the operator.
pub trait StoreAdmin: Send + Sync {
    /// Returns when everything accepted so far is at rest on disk.
    ///
    /// # Errors
    /// The disk said no.
    fn flush(&self) -> Result<(), String>;

    /// The stores' figures, for the status page.
    fn status(&self) -> serde_json::Value;

    /// Damaged files that were put aside since the start.
    fn corruptions(&self) -> u64;

    /// Figures of the metrics store; the lists hold at most `limit` entries, the largest first.
    ///
    /// # Errors
    /// The store failed to answer.
    fn metric_stats(&self, limit: usize) -> Result<MetricStats, String>;

    /// The metrics store's blocks, oldest first.
    fn metric_blocks(&self) -> Vec<BlockStatus>;

    /// Deletes the samples in `range_ms` of metric series that pass any of `selectors`. When it returns, no answer
    /// shows them any more, after a restart neither; the space is freed later, see [`clean_tombstones`].
    /// Samples that arrive while it runs may or may not be deleted, later ones are not.
    ///
    /// # Errors
    /// A sentence for the operator; nothing is deleted then.
    ///
    /// [`clean_tombstones`]: Self::clean_tombstones
    fn delete_series(&self, _selectors: &[Vec<Matcher>], _range_ms: TimeRange) -> Result<(), String> {
        Err("this store does not delete series".into())
    }

    /// Rewrites the blocks that hold deleted samples, so that their space is freed.
    ///
    /// # Errors
    /// A sentence for the operator; what was rewritten until then stays so.
    fn clean_tombstones(&self) -> Result<(), String> {
        Err("this store does not delete series".into())
    }

    /// Makes a consistent copy of the metrics under `<data>/snapshots` and answers its name. The copy shares its
    /// blocks with the store (hard links), and a server starts on it as on any data directory. With `skip_head` the
    /// samples that are not yet in blocks are left out.
    ///
    /// # Errors
    /// A sentence for the operator; nothing is left behind then.
    fn snapshot(&self, _skip_head: bool) -> Result<String, String> {
        Err("this store makes no snapshots".into())
    }
}

/// Answer of [`StoreAdmin::metric_stats`], in the shape of `/api/v1/status/tsdb`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricStats {
    pub head_stats: HeadStats,
    pub series_count_by_metric_name: Vec<NamedCount>,
    pub label_value_count_by_label_name: Vec<NamedCount>,
    /// Bytes of the values of each label, each value as often as series have it.
    pub memory_in_bytes_by_label_name: Vec<NamedCount>,
    /// Names are `label=value`.
    pub series_count_by_label_value_pair: Vec<NamedCount>,
}

/// The part of the metrics store that is not in blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadStats {
    pub num_series: u64,
    pub num_label_pairs: u64,
    pub chunk_count: u64,
    /// Unix milliseconds.
    pub min_time: i64,
    pub max_time: i64,
}

/// A name and how often it occurs, or how large it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedCount {
    pub name: String,
    pub value: u64,
}

/// A block, in the shape of Prometheus's `meta.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStatus {
    /// Unique; ours is the block's file name.
    pub ulid: String,
    /// Unix milliseconds, `[min_time, max_time)`.
    pub min_time: i64,
    pub max_time: i64,
    pub stats: BlockStats,
    pub compaction: BlockCompaction,
    pub version: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStats {
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlockCompaction {
    /// 1 = cut from the head.
    pub level: u32,
}

/// A future that a handler waits for.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The process, for `/-/reload` and `/-/quit`.
pub trait ProcessControl: Send + Sync {
    /// Loads the configuration again and applies it; a bad one changes nothing.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    fn reload(&self) -> Pending<Result<(), String>>;

    /// Begins an orderly stop; `false` when one is under way.
    fn quit(&self) -> bool;
}
