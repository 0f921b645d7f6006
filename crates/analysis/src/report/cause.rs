//! Why an operation is slow: what its excess is made of.
//!
//! ```text
//!  class of most of the excess:   pool_wait │ lock_wait │ queue_wait → saturation │ network │ retry │ self
//!  self or network, and …          many like siblings one after the other          → n_plus_one
//!  self, and …                      its spans fail in the tail, not in the middle   → error
//!                                   a CLIENT that no span of ours answers           → downstream
//!                                   its time grows with the requests in flight      → saturation
//!                                   none of these                                   → self_time
//! ```
//! "Excess" compares the slowest 5 % with the middle traces; for what is slow always, and for what is no slower in
//! slow traces, all of its time counts.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use model::SpanKind;

use super::pool;
use super::rank::{OpTimes, Range};
use super::sentences;
use super::stats::spearman;
use super::study::{Entry, Study};
use super::types::{Cause, CauseKind, SavingReference};
use crate::calls::outside_peer;
use crate::quantile::{ms, of_unsorted};
use crate::{Class, Lang, Section, Trace};

/// An operation to explain.
pub(super) struct Suspect<'a, 't> {
    pub(super) study: &'a Study<'t>,
    pub(super) entry: &'a Entry,
    pub(super) range: &'a Range,
    pub(super) op: &'a OpTimes,
    pub(super) reference: SavingReference,
}

/// A span of the operation on the path of a trace.
struct Visit<'t> {
    /// Position in the entry's members.
    position: usize,
    trace: &'t Trace,
    section: Section,
}

/// Visits of one operation, and which of them are compared.
struct Visits<'t> {
    all: Vec<Visit<'t>>,
    tail: std::ops::Range<usize>,
    body: std::ops::Range<usize>,
}

/// The cause, and how the operation's time goes with the requests in flight in its service, if that can be said.
pub(super) fn cause(suspect: &Suspect<'_, '_>) -> (Cause, Option<f64>) {
    let visits = visits(suspect);
    let class = excess_class(&visits);
    let load = load_correlation(suspect, &visits);
    let mut evidence = vec![share_sentence(suspect), visit_sentence(suspect, &visits)];
    let kind = kind(suspect, &visits, class, load, &mut evidence);
    if let Some(rho) = load.filter(|rho| *rho >= 0.5) {
        let service = suspect.study.name(suspect.op.operation).0;
        evidence.push(sentences::grows_with_load(suspect.study.lang, service, rho));
    }
    (Cause { kind, evidence }, load)
}

fn visits<'t>(suspect: &Suspect<'_, 't>) -> Visits<'t> {
    let mut all = Vec::new();
    for (position, member) in suspect.entry.members.iter().enumerate() {
        let profile = &suspect.study.profiles[*member];
        let of_op = profile.sections.iter().filter(|(operation, _)| *operation == suspect.op.operation);
        let trace = suspect.study.of(profile).trace;
        all.extend(of_op.map(|(_, section)| Visit { position, trace, section: *section }));
    }
    let steady = suspect.reference == SavingReference::WhatIf;
    let everything = 0..suspect.entry.members.len();
    let tail = if steady { everything } else { suspect.range.tail.clone() };
    let body = if steady { 0..0 } else { suspect.range.body.clone() };
    Visits { all, tail, body }
}

impl<'t> Visits<'t> {
    fn in_part<'v>(&'v self, part: &'v std::ops::Range<usize>) -> impl Iterator<Item = &'v Visit<'t>> {
        self.all.iter().filter(|visit| part.contains(&visit.position))
    }

    /// Mean nanoseconds per trace of a part that pass `keep`.
    fn mean_ns(&self, part: &std::ops::Range<usize>, keep: impl Fn(&Visit<'t>) -> bool) -> f64 {
        let kept = self.in_part(part).filter(|visit| keep(visit));
        kept.map(|visit| visit.section.duration_ns() as f64).sum::<f64>() / part.len().max(1) as f64
    }

    /// Share of the time in a part that passes `keep`.
    fn share(&self, part: &std::ops::Range<usize>, keep: impl Fn(&Visit<'t>) -> bool) -> f64 {
        self.mean_ns(part, keep) / self.mean_ns(part, |_| true).max(1.0)
    }
}

/// The class of most of the excess; where no class has one, the class of most of the time.
fn excess_class(visits: &Visits<'_>) -> Class {
    let in_part = |part: &std::ops::Range<usize>, class: Class| {
        visits.mean_ns(part, |visit: &Visit<'_>| visit.section.class == class)
    };
    let excess = |class| in_part(&visits.tail, class) - in_part(&visits.body, class);
    let total = |class| in_part(&(0..usize::MAX), class);
    let largest = |measure: &dyn Fn(Class) -> f64| {
        Class::ALL.into_iter().max_by(|a, b| measure(*a).total_cmp(&measure(*b))).unwrap_or(Class::SelfTime)
    };
    let candidate = largest(&excess);
    if excess(candidate) > 0.0 { candidate } else { largest(&total) }
}

fn kind(
    suspect: &Suspect<'_, '_>,
    visits: &Visits<'_>,
    class: Class,
    load: Option<f64>,
    evidence: &mut Vec<String>,
) -> CauseKind {
    let lang = suspect.study.lang;
    match class {
        Class::PoolWait => {
            evidence.extend(pool::evidence(suspect.study, suspect.op.operation));
            return CauseKind::PoolWait;
        }
        Class::LockWait => return CauseKind::LockWait,
        Class::QueueWait => return CauseKind::Saturation,
        Class::Retry => {
            evidence.push(sentences::retried(lang));
            return CauseKind::Retry;
        }
        Class::SelfTime | Class::Network => {}
    }
    if let Some(sentence) = many_siblings(visits, lang) {
        evidence.push(sentence);
        return CauseKind::NPlusOne;
    }
    if class == Class::Network {
        evidence.push(sentences::between_spans(lang));
        return CauseKind::Network;
    }
    let failed = |visit: &Visit<'_>| visit.trace.span(visit.section.span).is_error();
    let (tail_failed, body_failed) = (visits.share(&visits.tail, failed), visits.share(&visits.body, failed));
    if tail_failed >= 0.5 && body_failed < 0.1 {
        evidence.push(sentences::failed_visits(lang, tail_failed));
        return CauseKind::Error;
    }
    if let Some(sentence) = downstream(visits, lang) {
        evidence.push(sentence);
        return CauseKind::Downstream;
    }
    let grows = load.is_some_and(|rho| rho >= 0.6) && suspect.reference == SavingReference::BodyMedian;
    if grows { CauseKind::Saturation } else { CauseKind::SelfTime }
}

fn share_sentence(suspect: &Suspect<'_, '_>) -> String {
    let op = suspect.op;
    sentences::path_share(suspect.study.lang, op.tail_share, op.body_share, op.share)
}

fn visit_sentence(suspect: &Suspect<'_, '_>, visits: &Visits<'_>) -> String {
    let mut per_trace = vec![0; suspect.entry.members.len()];
    for visit in &visits.all {
        per_trace[visit.position] += visit.section.duration_ns();
    }
    let count = per_trace.len();
    let passing = per_trace.iter().filter(|ns| **ns > 0).count();
    let long = per_trace.iter().filter(|ns| **ns >= 1_000_000).count();
    let p50 = of_unsorted(0.5, &mut per_trace);
    let p99 = of_unsorted(0.99, &mut per_trace);
    sentences::visits(suspect.study.lang, passing, count, long, (ms(p50), ms(p99)))
}

/// Correlation of a span's time on the path with the server spans of its service under way when it began.
fn load_correlation(suspect: &Suspect<'_, '_>, visits: &Visits<'_>) -> Option<f64> {
    let service = suspect.study.name(suspect.op.operation).0;
    let mut pairs = Vec::new();
    for of_trace in visits.all.chunk_by(|a, b| a.position == b.position) {
        let mut by_span: BTreeMap<usize, u64> = BTreeMap::new();
        for visit in of_trace {
            *by_span.entry(visit.section.span).or_default() += visit.section.duration_ns();
        }
        for (span, ns) in by_span {
            let start_ns = of_trace[0].trace.span(span).start_ns;
            pairs.push((ns, suspect.study.in_flight(service, start_ns) as u64));
        }
    }
    spearman(&pairs)
}

/// Whether most of the time is in clients that nobody of ours answers.
fn downstream(visits: &Visits<'_>, lang: Lang) -> Option<String> {
    let is_outside = |visit: &Visit<'_>| {
        let (trace, index) = (visit.trace, visit.section.span);
        let answered = trace.children(index).iter().any(|child| trace.is_remote(index, *child));
        matches!(trace.span(index).kind, SpanKind::Client | SpanKind::Producer) && !answered
    };
    let outside = visits.share(&visits.tail, is_outside);
    if outside < 0.5 {
        return None;
    }
    let peer = visits.in_part(&visits.tail).find_map(|visit| outside_peer(visit.trace, visit.section.span));
    Some(sentences::downstream(lang, peer.as_ref().map(|(peer, _)| &**peer)))
}

const SIBLINGS_MIN: usize = 5;
const SIBLINGS_SHARE: f64 = 0.20;

/// Many like calls of one parent, one after the other: at least 5 that take 20 % of it, in half of the slow traces.
fn many_siblings(visits: &Visits<'_>, lang: Lang) -> Option<String> {
    let mut groups: HashMap<(usize, usize), Vec<(u64, u64)>> = HashMap::new();
    let mut parents = HashMap::new();
    let mut traces = 0;
    let mut previous = None;
    for visit in visits.in_part(&visits.tail) {
        traces += usize::from(previous.replace(visit.position) != Some(visit.position));
        let Some((parent, caller)) = caller(visit.trace, visit.section.span) else { continue };
        let span = visit.trace.span(caller);
        let group = groups.entry((visit.position, parent)).or_default();
        let range = (span.start_ns, span.start_ns + span.duration_ns());
        if group.last() != Some(&range) {
            group.push(range);
        }
        parents.insert((visit.position, parent), (visit.trace, parent));
    }
    let mut found = HashMap::new();
    for (key, calls) in &groups {
        let sequential = calls.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        let sum: u128 = calls.iter().map(|(start, end)| u128::from(end - start)).sum();
        let (trace, parent) = parents[key];
        let share = sum as f64 / trace.span(parent).duration_ns().max(1) as f64;
        if calls.len() >= SIBLINGS_MIN && sequential && share > SIBLINGS_SHARE {
            let most: &mut (usize, &str) = found.entry(key.0).or_insert((0, ""));
            *most = (*most).max((calls.len(), &*trace.span(parent).name));
        }
    }
    let (calls, parent) = found.values().max()?;
    (found.len() * 2 >= traces).then(|| sentences::many_siblings(lang, parent, *calls))
}

/// The span that stands among its parent's children for this one (a server's client span), and that parent.
fn caller(trace: &Trace, span: usize) -> Option<(usize, usize)> {
    let parent = trace.parent(span)?;
    let called_by_client = trace.span(parent).kind == SpanKind::Client && trace.is_remote(parent, span);
    if called_by_client { Some((trace.parent(parent)?, parent)) } else { Some((parent, span)) }
}
