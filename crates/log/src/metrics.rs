//! The log's own metrics.

use std::time::Duration;

use eino_metrics_core::{Counter, Histogram, Registry};

const SYNC_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Shared by all logs of one registry: their sums count.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) append_bytes: Counter,
    pub(crate) appends: Counter,
    pub(crate) append_failures: Counter,
    pub(crate) syncs: Counter,
    pub(crate) sync_failures: Counter,
    sync_seconds: Histogram,
    pub(crate) torn_bytes: Counter,
    pub(crate) segments_quarantined: Counter,
    pub(crate) records_refused: Counter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            append_bytes: registry
                .counter("eino_log_append_bytes_total", "Bytes appended to logs, framing included."),
            appends: registry.counter("eino_log_appends_total", "Records appended to logs."),
            append_failures: registry
                .counter("eino_log_append_failures_total", "Records that could not be written."),
            syncs: registry.counter("eino_log_syncs_total", "Calls of fsync on segments."),
            sync_failures: registry.counter("eino_log_sync_failures_total", "Calls of fsync that failed."),
            sync_seconds: registry.histogram("eino_log_sync_seconds", "Time of one fsync.", SYNC_SECONDS),
            torn_bytes: registry
                .counter("eino_log_torn_bytes_total", "Bytes of incomplete records cut off on open."),
            segments_quarantined: registry.counter(
                "eino_log_segments_quarantined_total",
                "Segments put aside because of a bad record.",
            ),
            records_refused: registry.counter(
                "eino_log_records_refused_total",
                "Intact records that the store could not read on replay.",
            ),
        }
    }

    pub(crate) fn synced(&self, took: Duration) {
        self.syncs.inc();
        self.sync_seconds.observe(took.as_secs_f64());
    }
}
