//! What the span pipeline says about itself.

use eino_metrics_core::{Counter, Gauge, Registry};

#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) recorded: Counter,
    pub(crate) exported: Counter,
    pub(crate) dropped: Dropped,
    pub(crate) queued: Gauge,
    pub(crate) exports_failed: Counter,
    pub(crate) last_success: Gauge,
}

/// One counter per reason.
#[derive(Debug)]
pub(crate) struct Dropped {
    pub(crate) queue_full: Counter,
    pub(crate) rejected: Counter,
    pub(crate) unreachable: Counter,
    pub(crate) shutdown: Counter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let dropped = |reason| {
            let help = "Recorded spans that no collector got, by reason.";
            registry.counter_with("eino_trace_spans_dropped_total", help, &[("reason", reason)])
        };
        Self {
            recorded: registry.counter("eino_trace_spans_recorded_total", "Sampled spans that ended."),
            exported: registry
                .counter("eino_trace_spans_exported_total", "Spans that the collector accepted."),
            dropped: Dropped {
                queue_full: dropped("queue_full"),
                rejected: dropped("rejected"),
                unreachable: dropped("unreachable"),
                shutdown: dropped("shutdown"),
            },
            queued: registry.gauge("eino_trace_queue_spans", "Spans that wait for export."),
            exports_failed: registry.counter("eino_trace_export_failures_total", "Failed tries to export."),
            last_success: registry.gauge(
                "eino_trace_export_last_success_timestamp_seconds",
                "Unix time of the last successful export; 0 before the first.",
            ),
        }
    }
}

impl Dropped {
    pub(crate) fn total(&self) -> u64 {
        let counters = [&self.queue_full, &self.rejected, &self.unreachable, &self.shutdown];
        counters.map(Counter::get).iter().sum()
    }
}
