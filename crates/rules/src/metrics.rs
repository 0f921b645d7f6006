//! The rules' own metrics.

use eino_metrics_core::{Counter, Histogram, Registry};

/// Counters of all groups.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) evaluations: Counter,
    pub(crate) failures: Counter,
    pub(crate) missed: Counter,
    pub(crate) group_seconds: Histogram,
}

impl Metrics {
    /// Counters in `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            evaluations: registry.counter("eino_rules_evaluations_total", "Rules evaluated."),
            failures: registry
                .counter("eino_rules_evaluation_failures_total", "Rule evaluations that failed."),
            missed: registry.counter(
                "eino_rules_group_iterations_missed_total",
                "Evaluations of groups left out because the one before took longer than the interval.",
            ),
            group_seconds: registry.histogram(
                "eino_rules_group_duration_seconds",
                "Time to evaluate a group.",
                &[0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0],
            ),
        }
    }
}
