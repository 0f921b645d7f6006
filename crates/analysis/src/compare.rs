//! Two phases side by side: which operation gained or lost how much of the mean.
//!
//! A critical path partitions its root, so the mean duration is the sum over operations of their mean time on the
//! path, and the change of the mean is the sum of their changes. Sums are integers; each difference is divided once:
//! ```text
//!  delta(v) = after(v)/n_after − before(v)/n_before = (after(v)·n_before − before(v)·n_after) / (n_before·n_after)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::entries::{Callers, entry_spans};
use crate::operation::operation;
use crate::path::critical_path_of;
use crate::quantile::{ms, of_unsorted};
use crate::{Overflow, Trace};

/// Changes of every entry point that both phases have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    pub entry_points: Vec<EntryChange>,
}

/// Change of one entry point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryChange {
    pub service: String,
    pub operation: String,
    pub before: PhaseSummary,
    pub after: PhaseSummary,
    /// Every operation of either phase, largest change first; they add up to the change of the mean.
    pub contributions: Vec<Contribution>,
}

/// Durations of an entry point's traces in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    pub mean_ms: f64,
    pub p99_ms: f64,
    #[serde(default)]
    pub p50_ms: f64,
    #[serde(default)]
    pub traces: u64,
}

/// What one operation adds to the change of the mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    pub service: String,
    pub operation: String,
    pub delta_ms: f64,
}

type Operation = (Arc<str>, Arc<str>);

#[derive(Default)]
struct Phase {
    durations_ns: Vec<u64>,
    path_ns: BTreeMap<Operation, i128>,
}

/// Compares traces of two phases, entry point by entry point, busiest first.
pub fn compare(before: &[Trace], after: &[Trace]) -> Compare {
    let (before, mut after) = (phases(before), phases(after));
    let mut entry_points: Vec<_> = before
        .into_iter()
        .filter_map(|(entry, before)| Some(entry_change(&entry, before, after.remove(&entry)?)))
        .collect();
    entry_points.sort_by_key(|entry| std::cmp::Reverse(entry.before.traces));
    Compare { entry_points }
}

fn phases(traces: &[Trace]) -> BTreeMap<Operation, Phase> {
    let mut phases: BTreeMap<Operation, Phase> = BTreeMap::new();
    let name = |trace: &Trace, span| (trace.span(span).service().clone(), operation(trace.span(span)));
    let callers = Callers::of(traces);
    let whole = traces.iter().filter(|trace| !callers.lacks_beginning(trace));
    for (trace, root) in whole.flat_map(|trace| entry_spans(trace).into_iter().map(move |root| (trace, root)))
    {
        let phase = phases.entry(name(trace, root)).or_default();
        phase.durations_ns.push(trace.span(root).duration_ns());
        for section in critical_path_of(trace, root, Overflow::Auto).sections {
            *phase.path_ns.entry(name(trace, section.span)).or_default() += i128::from(section.duration_ns());
        }
    }
    phases
}

fn entry_change(entry: &Operation, mut before: Phase, mut after: Phase) -> EntryChange {
    let (n_before, n_after) = (before.durations_ns.len() as i128, after.durations_ns.len() as i128);
    let operations: BTreeSet<_> = before.path_ns.keys().chain(after.path_ns.keys()).collect();
    let mut contributions: Vec<_> = operations
        .into_iter()
        .map(|operation| {
            let sum = |phase: &Phase| phase.path_ns.get(operation).copied().unwrap_or(0);
            let difference = sum(&after) * n_before - sum(&before) * n_after;
            Contribution {
                service: operation.0.to_string(),
                operation: operation.1.to_string(),
                delta_ms: difference as f64 / (n_before * n_after) as f64 / 1e6,
            }
        })
        .collect();
    contributions.sort_by(|a, b| b.delta_ms.abs().total_cmp(&a.delta_ms.abs()));
    EntryChange {
        service: entry.0.to_string(),
        operation: entry.1.to_string(),
        before: summary(&mut before.durations_ns),
        after: summary(&mut after.durations_ns),
        contributions,
    }
}

fn summary(durations_ns: &mut [u64]) -> PhaseSummary {
    let sum: u128 = durations_ns.iter().map(|ns| u128::from(*ns)).sum();
    PhaseSummary {
        mean_ms: sum as f64 / durations_ns.len().max(1) as f64 / 1e6,
        p99_ms: ms(of_unsorted(0.99, durations_ns)),
        p50_ms: ms(of_unsorted(0.50, durations_ns)),
        traces: durations_ns.len() as u64,
    }
}

#[cfg(test)]
mod tests;
