//! What remote write counts.

use eino_metrics_core::{Counter, Gauge, Registry};

/// Of the spool.
#[derive(Clone)]
pub(super) struct SpoolMetrics {
    registry: Registry,
    pub(super) bytes: Gauge,
    pub(super) segments_given_up: Counter,
}

impl SpoolMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            bytes: registry.gauge("eino_remote_write_queue_bytes", "Bytes of the queue on disk."),
            segments_given_up: registry.counter(
                "eino_remote_write_queue_segments_given_up_total",
                "Segments of the queue deleted before every target had them, because the queue was full.",
            ),
        }
    }

    /// Samples that did not get into the queue.
    pub(super) fn refused(&self, reason: &'static str) -> Counter {
        let help = "Samples that did not get into the queue of remote write, by reason.";
        self.registry.counter_with("eino_remote_write_samples_not_queued_total", help, &[("reason", reason)])
    }
}

/// Of one target.
#[derive(Clone)]
pub(super) struct TargetMetrics {
    registry: Registry,
    name: String,
    url: String,
    pub(super) samples: Counter,
    pub(super) histograms: Counter,
    pub(super) exemplars: Counter,
    pub(super) metadata: Counter,
    pub(super) bytes: Counter,
    pub(super) samples_failed: Counter,
    pub(super) requests_retried: Counter,
    pub(super) shards: Gauge,
    pub(super) sent_seconds: Gauge,
    pub(super) queued_seconds: Gauge,
}

impl TargetMetrics {
    pub(super) fn new(registry: &Registry, name: &str, url: &str) -> Self {
        let labels = [("remote_name", name), ("url", url)];
        let counter = |name: &str, help: &str| registry.counter_with(name, help, &labels);
        let gauge = |name: &str, help: &str| registry.gauge_with(name, help, &labels);
        Self {
            samples: counter("eino_remote_write_samples_total", "Samples sent, histograms left out."),
            histograms: counter("eino_remote_write_histograms_total", "Native histograms sent."),
            exemplars: counter("eino_remote_write_exemplars_total", "Exemplars sent."),
            metadata: counter("eino_remote_write_metadata_total", "Metadata of families sent."),
            bytes: counter("eino_remote_write_bytes_total", "Bytes of requests sent, compressed."),
            samples_failed: counter(
                "eino_remote_write_samples_failed_total",
                "Samples that the target refused for good.",
            ),
            requests_retried: counter("eino_remote_write_requests_retried_total", "Requests sent again."),
            shards: gauge("eino_remote_write_shards", "Requests under way at a time."),
            sent_seconds: gauge(
                "eino_remote_write_queue_highest_sent_timestamp_seconds",
                "Time of the newest sample that the target has.",
            ),
            queued_seconds: gauge(
                "eino_remote_write_highest_timestamp_in_seconds",
                "Time of the newest sample that was read from the queue.",
            ),
            registry: registry.clone(),
            name: name.to_owned(),
            url: url.to_owned(),
        }
    }

    /// Samples that are not sent.
    pub(super) fn dropped(&self, reason: &'static str) -> Counter {
        let labels = [("remote_name", self.name.as_str()), ("url", self.url.as_str()), ("reason", reason)];
        let help = "Samples that are not sent, by reason.";
        self.registry.counter_with("eino_remote_write_samples_dropped_total", help, &labels)
    }
}
