//! RED of services, exact.

use std::collections::BTreeMap;

use model::SpanKind;

use super::types::{ServiceRow, Window};
use crate::Trace;
use crate::quantile::{ms, of_sorted};

#[derive(Default)]
struct Requests {
    durations_ns: Vec<u64>,
    errors: u64,
}

impl Requests {
    fn add(&mut self, duration_ns: u64, failed: bool) {
        self.durations_ns.push(duration_ns);
        self.errors += u64::from(failed);
    }
}

/// A row per service: over its SERVER and CONSUMER spans; for a service without any, over its spans whose parent is
/// not its own.
pub(super) fn rows(traces: &[Trace], window: Window) -> Vec<ServiceRow> {
    let mut served: BTreeMap<&str, Requests> = BTreeMap::new();
    let mut begun: BTreeMap<&str, Requests> = BTreeMap::new();
    for trace in traces {
        for (index, span) in trace.spans().iter().enumerate() {
            let serves = matches!(span.kind, SpanKind::Server | SpanKind::Consumer);
            let begins =
                trace.parent(index).is_none_or(|parent| trace.span(parent).service() != span.service());
            if serves {
                served.entry(span.service()).or_default().add(span.duration_ns(), span.is_error());
            } else if begins {
                begun.entry(span.service()).or_default().add(span.duration_ns(), span.is_error());
            }
        }
    }
    for (service, requests) in begun {
        served.entry(service).or_insert(requests);
    }
    served.into_iter().map(|(service, requests)| row(service, requests, window)).collect()
}

fn row(service: &str, mut requests: Requests, window: Window) -> ServiceRow {
    let durations = &mut requests.durations_ns;
    durations.sort_unstable();
    let count = durations.len() as u64;
    let sum: u128 = durations.iter().map(|ns| u128::from(*ns)).sum();
    ServiceRow {
        service: service.to_owned(),
        requests: count,
        rate_per_s: window.rate(count),
        avg_ms: sum as f64 / count.max(1) as f64 / 1e6,
        p50_ms: ms(of_sorted(0.50, durations)),
        p95_ms: ms(of_sorted(0.95, durations)),
        p99_ms: ms(of_sorted(0.99, durations)),
        error_ratio: requests.errors as f64 / count.max(1) as f64,
    }
}
