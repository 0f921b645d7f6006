//! The store's own metrics.

use eino_metrics_core::{Counter, Gauge, Registry};
use model::{Appended, RejectReason};

pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) head_series: Gauge,
    pub(crate) series_created: Counter,
    pub(crate) series_removed: Counter,
    pub(crate) series_evicted: Counter,
    pub(crate) samples_appended: Counter,
    pub(crate) samples_duplicate: Counter,
    pub(crate) metadata_rejected: Counter,
    pub(crate) records_refused: Counter,
    pub(crate) snapshots: Counter,
    pub(crate) snapshot_failures: Counter,
    pub(crate) snapshot_bytes: Gauge,
    pub(crate) snapshots_damaged: Counter,
    pub(crate) exemplars: Gauge,
    pub(crate) exemplars_appended: Counter,
    pub(crate) exemplars_out_of_order: Counter,
    pub(crate) exemplars_too_long: Counter,
    pub(crate) exemplars_unknown_series: Counter,
    pub(crate) blocks: Gauge,
    pub(crate) blocks_bytes: Gauge,
    pub(crate) cuts: Counter,
    pub(crate) cut_failures: Counter,
    pub(crate) merges: Counter,
    pub(crate) blocks_expired: Counter,
    pub(crate) blocks_quarantined: Counter,
    pub(crate) rewrite_failures: Counter,
    pub(crate) blocks_repaired: Counter,
    pub(crate) blocks_downsampled: Counter,
    pub(crate) blocks_imported: Counter,
    pub(crate) tombstones: Gauge,
    pub(crate) tombstones_quarantined: Counter,
    pub(crate) index_cache_bytes: Gauge,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help);
        let gauge = |name, help| registry.gauge(name, help);
        let exemplars_rejected = |reason| {
            let help = "Exemplars left out, by reason.";
            registry.counter_with("eino_tsdb_exemplars_rejected_total", help, &[("reason", reason)])
        };
        Self {
            head_series: gauge("eino_tsdb_head_series", "Series in the head."),
            series_created: counter("eino_tsdb_series_created_total", "Series added to the head."),
            series_removed: counter("eino_tsdb_series_removed_total", "Idle series taken out of the head."),
            series_evicted: counter(
                "eino_tsdb_series_evicted_total",
                "Of the series taken out of the head, those that left before a cut of everything.",
            ),
            samples_appended: counter("eino_tsdb_samples_appended_total", "Samples accepted."),
            samples_duplicate: counter(
                "eino_tsdb_samples_duplicate_total",
                "Accepted samples that were there already, with the same value.",
            ),
            metadata_rejected: counter(
                "eino_tsdb_metadata_rejected_total",
                "Metadata of metric families left out: over 100000 families, or over 16 KiB.",
            ),
            records_refused: counter(
                "eino_tsdb_log_records_refused_total",
                "Intact log records that could not be read on replay; their segments are put aside.",
            ),
            snapshots: counter("eino_tsdb_snapshots_total", "Snapshots of the head written."),
            snapshot_failures: counter("eino_tsdb_snapshot_failures_total", "Failed tries to write one."),
            snapshot_bytes: gauge("eino_tsdb_snapshot_bytes", "Length of the newest snapshot of the head."),
            snapshots_damaged: counter(
                "eino_tsdb_snapshots_damaged_total",
                "Damaged snapshots put aside on open; the log was replayed instead.",
            ),
            exemplars: gauge("eino_tsdb_exemplars", "Exemplars in memory."),
            exemplars_appended: counter("eino_tsdb_exemplars_appended_total", "Exemplars accepted."),
            exemplars_out_of_order: exemplars_rejected("out_of_order"),
            exemplars_too_long: exemplars_rejected("too_long"),
            exemplars_unknown_series: exemplars_rejected("unknown_series"),
            blocks: gauge("eino_tsdb_blocks", "Blocks on disk."),
            blocks_bytes: gauge("eino_tsdb_blocks_bytes", "Bytes of blocks on disk."),
            cuts: counter("eino_tsdb_cuts_total", "Blocks made of the head."),
            cut_failures: counter(
                "eino_tsdb_cut_failures_total",
                "Failed tries to make a block of the head.",
            ),
            merges: counter("eino_tsdb_merges_total", "Blocks made of several blocks."),
            blocks_expired: counter("eino_tsdb_blocks_expired_total", "Blocks deleted by retention."),
            blocks_quarantined: counter("eino_tsdb_blocks_quarantined_total", "Damaged blocks put aside."),
            rewrite_failures: counter(
                "eino_tsdb_rewrite_failures_total",
                "Failed tries to merge, downsample, repair or clean blocks.",
            ),
            blocks_repaired: counter(
                "eino_tsdb_blocks_repaired_total",
                "Blocks that a read found damaged, rewritten without what can't be read.",
            ),
            blocks_downsampled: counter(
                "eino_tsdb_blocks_downsampled_total",
                "Expired blocks replaced by downsampled ones.",
            ),
            blocks_imported: counter("eino_tsdb_blocks_imported_total", "Blocks made of imported samples."),
            tombstones: gauge("eino_tsdb_tombstones", "Deletions whose samples are still on disk."),
            tombstones_quarantined: counter(
                "eino_tsdb_tombstones_quarantined_total",
                "Damaged copies of the tombstones put aside.",
            ),
            index_cache_bytes: gauge(
                "eino_tsdb_index_cache_bytes",
                "Decoded parts of block indexes in memory.",
            ),
            registry: registry.clone(),
        }
    }

    /// Counts what became of a batch.
    pub(crate) fn count(&self, appended: &Appended) {
        self.samples_appended.add(appended.accepted);
        for rejection in &appended.rejected {
            self.rejected(rejection.reason).add(rejection.count);
        }
    }

    /// Refusals are rare, so that the cell is looked up each time.
    fn rejected(&self, reason: RejectReason) -> Counter {
        self.registry.counter_with(
            "eino_tsdb_samples_rejected_total",
            "Samples refused, by reason.",
            &[("reason", reason.as_str())],
        )
    }
}
