//! Ranks the operations of an entry point by the milliseconds of P99 they cost.
//!
//! Each candidate's excess over its usual time is taken out of every trace by a replay, in which parallel work takes
//! over where it does. An operation that is slow always has no excess over itself: it is replayed at half its time.

use std::collections::BTreeMap;

use super::cause::{self, Suspect};
use super::sentences;
use super::study::{Entry, OpId, Study};
use super::types::{Bottleneck, EntryPoint, SavingReference, Vote};
use crate::Lang;
use crate::quantile::{ms, of_unsorted, rank};
use crate::replay::{Scale, replay};

/// Most operations looked at per entry point.
const OPERATIONS_MAX: usize = 500;
/// Most operations replayed per entry point.
const CANDIDATES_MAX: usize = 12;
/// An operation with this share of the path, no larger in the tail, is "always slow".
const STEADY_SHARE: f64 = 0.25;
const STEADY_LIFT: f64 = 1.5;
const TAIL_LIFT: f64 = 2.0;
/// What saves less of P99 is not shown, unless nothing saves more.
const SAVING_SHARE_MIN: f64 = 0.005;

/// Durations of an entry point and the parts compared: positions in `members`, ascending by duration.
pub(super) struct Range {
    pub(super) durations_ns: Vec<u64>,
    pub(super) p99_ns: u64,
    pub(super) body: std::ops::Range<usize>,
    pub(super) tail: std::ops::Range<usize>,
}

impl Range {
    fn of(study: &Study<'_>, entry: &Entry) -> Self {
        let durations_ns: Vec<_> = entry.members.iter().map(|m| study.profiles[*m].duration_ns).collect();
        let count = durations_ns.len();
        let body = rank(0.40, count)..(rank(0.60, count) + 1);
        Self { p99_ns: durations_ns[rank(0.99, count)], body, tail: rank(0.95, count)..count, durations_ns }
    }
}

/// Time of one operation on the paths of an entry point.
pub(super) struct OpTimes {
    pub(super) operation: OpId,
    /// By position in the entry's members.
    ns: Vec<u64>,
    pub(super) share: f64,
    pub(super) tail_share: f64,
    pub(super) body_share: f64,
    median_body_ns: u64,
}

impl OpTimes {
    fn lift(&self) -> f64 {
        (self.tail_share / self.body_share.max(1e-3)).min(1_000.0)
    }

    fn is_steady(&self) -> bool {
        self.share >= STEADY_SHARE && self.lift() < STEADY_LIFT
    }

    /// What remains of the time at `position` if the operation behaved.
    fn usual_ns(&self, position: usize, reference: SavingReference) -> u64 {
        match reference {
            SavingReference::WhatIf => self.ns[position] / 2,
            _ => self.ns[position].min(self.median_body_ns),
        }
    }
}

pub(super) fn entry_point(study: &Study<'_>, entry: &Entry, bottlenecks_max: usize) -> EntryPoint {
    let range = Range::of(study, entry);
    let mut bottlenecks: Vec<_> = candidates(op_times(study, entry, &range), &range)
        .iter()
        .map(|op| judge(study, entry, &range, op))
        .collect();
    bottlenecks.sort_by(|a, b| {
        let by_saving = b.saving_p99_ms.total_cmp(&a.saving_p99_ms);
        by_saving.then_with(|| b.critical_path_share.total_cmp(&a.critical_path_share))
    });
    let saving_min_ms = ms(range.p99_ns) * SAVING_SHARE_MIN;
    let worth_showing = bottlenecks.iter().filter(|b| b.saving_p99_ms > saving_min_ms).count().max(1);
    bottlenecks.truncate(worth_showing.min(bottlenecks_max));
    for (rank, bottleneck) in (1..).zip(&mut bottlenecks) {
        bottleneck.rank = rank;
    }
    let (service, operation) = study.name(entry.operation);
    let sum: u128 = range.durations_ns.iter().map(|ns| u128::from(*ns)).sum();
    EntryPoint {
        service: service.to_owned(),
        operation: operation.to_owned(),
        p99_ms: ms(range.p99_ns),
        p50_ms: ms(range.durations_ns[rank(0.50, range.durations_ns.len())]),
        mean_ms: sum as f64 / range.durations_ns.len() as f64 / 1e6,
        traces: entry.members.len() as u64,
        bottlenecks,
    }
}

fn op_times(study: &Study<'_>, entry: &Entry, range: &Range) -> Vec<OpTimes> {
    let count = entry.members.len();
    let mut by_op: BTreeMap<OpId, Vec<u64>> =
        largest_operations(study, entry).into_iter().map(|operation| (operation, vec![0; count])).collect();
    for (position, member) in entry.members.iter().enumerate() {
        for (operation, section) in &study.profiles[*member].sections {
            if let Some(ns) = by_op.get_mut(operation) {
                ns[position] += section.duration_ns();
            }
        }
    }
    let sum = |values: &[u64]| values.iter().map(|ns| u128::from(*ns)).sum::<u128>() as f64;
    let share = |ns: &[u64], part: std::ops::Range<usize>| {
        sum(&ns[part.clone()]) / sum(&range.durations_ns[part]).max(1.0)
    };
    by_op
        .into_iter()
        .map(|(operation, ns)| OpTimes {
            operation,
            share: share(&ns, 0..count),
            tail_share: share(&ns, range.tail.clone()),
            body_share: share(&ns, range.body.clone()),
            median_body_ns: of_unsorted(0.5, &mut ns[range.body.clone()].to_vec()),
            ns,
        })
        .collect()
}

/// The operations with most time on the paths: names come from outside and may be as many as spans.
fn largest_operations(study: &Study<'_>, entry: &Entry) -> Vec<OpId> {
    let mut sums: BTreeMap<OpId, u128> = BTreeMap::new();
    for (operation, section) in entry.members.iter().flat_map(|member| &study.profiles[*member].sections) {
        *sums.entry(*operation).or_default() += u128::from(section.duration_ns());
    }
    let mut operations: Vec<_> = sums.into_iter().collect();
    operations.sort_by_key(|(operation, sum)| (std::cmp::Reverse(*sum), *operation));
    operations.into_iter().take(OPERATIONS_MAX).map(|(operation, _)| operation).collect()
}

/// Those worth a replay: the simple formula is an upper bound of what a replay can save.
fn candidates(operations: Vec<OpTimes>, range: &Range) -> Vec<OpTimes> {
    let bound = |op: OpTimes| {
        let over_body = simple_saving_ns(&op, range, SavingReference::BodyMedian);
        let steady = if op.is_steady() { simple_saving_ns(&op, range, SavingReference::WhatIf) } else { 0 };
        (over_body.max(steady), op)
    };
    let mut bounded: Vec<_> = operations.into_iter().map(bound).collect();
    bounded.sort_by(|(a_ns, a), (b_ns, b)| b_ns.cmp(a_ns).then_with(|| b.share.total_cmp(&a.share)));
    let saving_min_ns = (range.p99_ns as f64 * SAVING_SHARE_MIN) as u64;
    let worth_it = bounded.iter().take_while(|(bound_ns, _)| *bound_ns > saving_min_ns).count();
    bounded.truncate(worth_it.clamp(1, CANDIDATES_MAX));
    bounded.into_iter().map(|(_, op)| op).collect()
}

/// P99 less P99 with the excess simply subtracted.
fn simple_saving_ns(op: &OpTimes, range: &Range, reference: SavingReference) -> u64 {
    let without = |(position, duration): (usize, &u64)| {
        duration - (op.ns[position] - op.usual_ns(position, reference)).min(*duration)
    };
    let mut durations: Vec<_> = range.durations_ns.iter().enumerate().map(without).collect();
    range.p99_ns - of_unsorted(0.99, &mut durations)
}

/// P99 less P99 of the traces replayed with every span of the operation at its usual part.
fn replayed_saving_ns(
    study: &Study<'_>,
    entry: &Entry,
    range: &Range,
    op: &OpTimes,
    reference: SavingReference,
) -> u64 {
    let mut durations = range.durations_ns.clone();
    for (position, member) in entry.members.iter().enumerate() {
        let (usual_ns, ns) = (op.usual_ns(position, reference), op.ns[position]);
        if usual_ns < ns {
            let profile = &study.profiles[*member];
            let studied = study.of(profile);
            durations[position] = replay(studied.trace, profile.root, study.overflow, |span| {
                (studied.operations[span] == op.operation).then_some(Scale { num: usual_ns, den: ns })
            });
        }
    }
    range.p99_ns - of_unsorted(0.99, &mut durations).min(range.p99_ns)
}

fn judge(study: &Study<'_>, entry: &Entry, range: &Range, op: &OpTimes) -> Bottleneck {
    let saving = |reference| (replayed_saving_ns(study, entry, range, op, reference), reference);
    let mut best = saving(SavingReference::BodyMedian);
    if op.is_steady() {
        let halved = saving(SavingReference::WhatIf);
        best = if halved.0 > best.0 { halved } else { best };
    }
    let (saving_ns, reference) = best;
    let suspect = Suspect { study, entry, range, op, reference };
    let (cause, load) = cause::cause(&suspect);
    let votes = votes(study.lang, range, op, best, load);
    let agreeing = votes.iter().filter(|vote| vote.agrees).count();
    let (service, operation) = study.name(op.operation);
    Bottleneck {
        rank: 0,
        service: service.to_owned(),
        operation: operation.to_owned(),
        critical_path_share: op.share,
        tail_lift: op.lift(),
        saving_p99_ms: ms(saving_ns),
        saving_reference: reference,
        cause,
        confidence: agreeing as f64 / votes.len().max(1) as f64,
        votes,
    }
}

/// Independent looks at the same question. `load` is the correlation of the operation's time with requests in flight.
fn votes(
    lang: Lang,
    range: &Range,
    op: &OpTimes,
    (saving_ns, reference): (u64, SavingReference),
    load: Option<f64>,
) -> Vec<Vote> {
    let vote = |name: &str, agrees, detail| Vote { name: name.to_owned(), agrees, detail };
    let part = saving_ns as f64 / range.p99_ns.max(1) as f64;
    let mut votes = vec![vote("critical_path", part >= 0.10, sentences::saves(lang, part))];
    let detail = sentences::tail_and_middle(lang, op.tail_share, op.body_share);
    votes.push(vote("tail_or_steady", op.lift() >= TAIL_LIFT || op.is_steady(), detail));
    if reference == SavingReference::BodyMedian {
        let ochiai = ochiai(range, op);
        votes.push(vote("spectrum", ochiai >= 0.5, sentences::spectrum(lang, ochiai)));
    }
    let simple_ns = simple_saving_ns(op, range, reference);
    let holds = saving_ns as f64 >= 0.8 * simple_ns as f64 && saving_ns > 0;
    let detail = sentences::replayed(lang, ms(saving_ns), ms(simple_ns));
    votes.push(vote("what_if", holds, detail));
    if let Some(rho) = load {
        votes.push(vote("saturation", rho >= 0.5, sentences::with_load(lang, rho)));
    }
    votes
}

/// How well "the operation took longer than its own P90" tells the slowest 5 % of traces from the others; at best
/// 0.71, since 10 % are compared with 5 %.
fn ochiai(range: &Range, op: &OpTimes) -> f64 {
    let p90 = of_unsorted(0.90, &mut op.ns.clone());
    let is_long = |position: &usize| op.ns[*position] > p90;
    let slow_and_long = range.tail.clone().filter(is_long).count() as f64;
    let long = (0..op.ns.len()).filter(is_long).count() as f64;
    let slow = range.tail.len() as f64;
    if slow_and_long == 0.0 { 0.0 } else { slow_and_long / (slow * long).sqrt() }
}
