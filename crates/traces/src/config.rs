//! Settings of the span store.

use std::path::PathBuf;
use std::time::Duration;

use log::SyncPolicy;

/// Settings of the span store. Defaults suit one node that takes some ten thousand spans a second.
#[derive(Clone, Debug)]
pub struct TraceStoreConfig {
    /// Directory of the store; made when missing.
    pub dir: PathBuf,
    /// Spans that started longer ago are refused, blocks whose spans all did are deleted.
    pub retention: Duration,
    /// When the log is brought to the disk.
    pub sync: SyncPolicy,
    /// The memtable becomes a block at this many spans.
    pub memtable_spans: usize,
    /// … or at about this many bytes.
    pub memtable_bytes: usize,
    /// … or when its oldest span came in this long ago.
    pub memtable_age: Duration,
    /// Most spans of one trace in the memtable; further ones are refused as `TooLarge` until the next block.
    pub spans_per_trace_max: usize,
    /// Most bytes of one span (names, attributes, events, links, its resource); larger ones are refused as `TooLarge`.
    pub span_bytes_max: usize,
    /// Most attributes of a span, an event or a link; further ones are cut off and counted in `dropped_attributes`.
    pub attributes_max: usize,
    /// Most events of a span; further ones are cut off and counted in `dropped_events`.
    pub events_max: usize,
    /// Most links of a span; further ones are cut off and counted in `dropped_links`.
    pub links_max: usize,
    /// Neighbouring blocks are merged up to this many spans.
    pub block_spans_max: u64,
    /// Most spans a scan holds at once.
    pub scan_spans_max: usize,
}

impl TraceStoreConfig {
    /// Defaults for a store in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            retention: Duration::from_secs(7 * 24 * 3600),
            sync: SyncPolicy::Every(Duration::from_millis(100)),
            memtable_spans: 200_000,
            memtable_bytes: 64 << 20,
            memtable_age: Duration::from_secs(60),
            spans_per_trace_max: 100_000,
            span_bytes_max: 1 << 20,
            attributes_max: 256,
            events_max: 1024,
            links_max: 1024,
            block_spans_max: 2_000_000,
            scan_spans_max: 100_000,
        }
    }
}
