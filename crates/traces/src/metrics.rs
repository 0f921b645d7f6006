//! The store's own metrics.

use eino_metrics_core::{Counter, Gauge, Registry};
use model::{Appended, RejectReason};

pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) spans_appended: Counter,
    pub(crate) parts_cut: Counter,
    pub(crate) memtable_spans: Gauge,
    pub(crate) memtable_bytes: Gauge,
    pub(crate) blocks: Gauge,
    pub(crate) bytes: Gauge,
    pub(crate) blocks_written: Counter,
    pub(crate) blocks_merged: Counter,
    pub(crate) blocks_expired: Counter,
    pub(crate) blocks_quarantined: Counter,
    pub(crate) pages_corrupt: Counter,
    pub(crate) records_corrupt: Counter,
    pub(crate) flush_failures: Counter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            spans_appended: registry.counter("eino_traces_spans_appended_total", "Spans accepted."),
            parts_cut: registry.counter(
                "eino_traces_span_parts_cut_total",
                "Attributes, events and links cut off spans by attributes_max, events_max, links_max.",
            ),
            memtable_spans: registry.gauge("eino_traces_memtable_spans", "Spans not yet in a block."),
            memtable_bytes: registry
                .gauge("eino_traces_memtable_bytes", "About the bytes of spans not yet in a block."),
            blocks: registry.gauge("eino_traces_blocks", "Blocks on disk."),
            bytes: registry.gauge("eino_traces_bytes", "Bytes of blocks on disk."),
            blocks_written: registry
                .counter("eino_traces_blocks_written_total", "Blocks cut from the memtable."),
            blocks_merged: registry
                .counter("eino_traces_blocks_merged_total", "Blocks that went into a larger one."),
            blocks_expired: registry
                .counter("eino_traces_blocks_expired_total", "Blocks deleted by retention."),
            blocks_quarantined: registry
                .counter("eino_traces_blocks_quarantined_total", "Damaged blocks set aside as .bad files."),
            pages_corrupt: registry
                .counter("eino_traces_pages_corrupt_total", "Damaged pages of blocks left out of answers."),
            records_corrupt: registry.counter(
                "eino_traces_records_corrupt_total",
                "Records of the log that passed their checksum but hold no spans.",
            ),
            flush_failures: registry.counter(
                "eino_traces_flush_failures_total",
                "Blocks that could not be written; tried again later.",
            ),
        }
    }

    pub(crate) fn count(&self, appended: &Appended) {
        self.spans_appended.add(appended.accepted);
        for rejection in &appended.rejected {
            self.rejected(rejection.reason).add(rejection.count);
        }
    }

    fn rejected(&self, reason: RejectReason) -> Counter {
        self.registry.counter_with(
            "eino_traces_spans_rejected_total",
            "Spans refused, by reason.",
            &[("reason", reason.as_str())],
        )
    }
}
