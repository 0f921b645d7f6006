//! What the receivers count.

use eino_metrics_core::{Counter, Registry};
use model::Appended;

use crate::error::ApiError;

/// Counters of all receivers. Label values come from closed sets.
pub(crate) struct ReceiveMetrics {
    registry: Registry,
}

impl ReceiveMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone() }
    }

    /// Counts a stored batch with what was rejected of it.
    pub(crate) fn stored(&self, receiver: &'static str, appended: &Appended) {
        self.count("eino_receive_accepted_total", "Samples and spans stored.", receiver, None)
            .add(appended.accepted);
        for rejection in &appended.rejected {
            let reason = Some(rejection.reason.as_str());
            self.count(
                "eino_receive_rejected_total",
                "Samples and spans refused, by reason.",
                receiver,
                reason,
            )
            .add(rejection.count);
        }
    }

    /// Counts exemplars whose labels cannot be used.
    pub(crate) fn exemplars_refused(&self, receiver: &'static str, count: u64) {
        if count > 0 {
            let help = "Exemplars left out because their labels cannot be used.";
            self.count("eino_receive_exemplars_refused_total", help, receiver, None).add(count);
        }
    }

    /// Notes how many streams of deltas are remembered and how many were evicted.
    pub(crate) fn delta_streams(&self, deltas: &wire::otlp::Deltas) {
        let help = "Streams of OTLP deltas whose running totals are remembered.";
        self.registry.gauge("eino_receive_delta_streams", help).set(deltas.stream_count() as f64);
        let help = "Streams of OTLP deltas forgotten because there were more than the limit.";
        let evicted = self.registry.counter("eino_receive_delta_streams_evicted_total", help);
        evicted.add(deltas.take_evicted());
    }

    /// Counts a body that was refused whole.
    pub(crate) fn refused(&self, receiver: &'static str, error: &ApiError) {
        let reason = Some(error.reason());
        self.count(
            "eino_receive_refused_requests_total",
            "Requests refused whole, by reason.",
            receiver,
            reason,
        )
        .inc();
    }

    fn count(&self, name: &str, help: &str, receiver: &'static str, reason: Option<&'static str>) -> Counter {
        match reason {
            Some(reason) => {
                self.registry.counter_with(name, help, &[("receiver", receiver), ("reason", reason)])
            }
            None => self.registry.counter_with(name, help, &[("receiver", receiver)]),
        }
    }
}
