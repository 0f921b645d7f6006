//! Paths of many traces, with operations as small numbers.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use model::{Span, SpanKind};

use super::ReportOptions;
use crate::entries::{Callers, entry_spans};
use crate::operation::operation;
use crate::path::critical_path_of;
use crate::{Lang, Overflow, Section, Trace};

/// Number of a (service, operation).
pub(super) type OpId = usize;

pub(super) struct Study<'t> {
    /// Of what is said in words.
    pub(super) lang: Lang,
    pub(super) overflow: Overflow,
    pub(super) traces: Vec<Studied<'t>>,
    pub(super) traces_incomplete: u64,
    /// Whether no trace was left out, so that what runs at the same time can be counted.
    pub(super) is_complete: bool,
    pub(super) profiles: Vec<Profile>,
    operations: Vec<(Arc<str>, Arc<str>)>,
    by_name: HashMap<(Arc<str>, Arc<str>), OpId>,
    /// Per service: starts and ends of its server spans, each ascending.
    in_flight: HashMap<Arc<str>, (Vec<u64>, Vec<u64>)>,
}

/// A trace and the operation of each of its spans.
pub(super) struct Studied<'t> {
    pub(super) trace: &'t Trace,
    pub(super) operations: Vec<OpId>,
}

/// The path of one entry of a trace.
pub(super) struct Profile {
    /// Index of the trace in the study.
    pub(super) studied: usize,
    pub(super) root: usize,
    pub(super) duration_ns: u64,
    pub(super) sections: Vec<(OpId, Section)>,
}

/// Traces that begin with one operation.
pub(super) struct Entry {
    pub(super) operation: OpId,
    /// Indices of profiles, ascending by duration.
    pub(super) members: Vec<usize>,
}

impl<'t> Study<'t> {
    /// Walks at most `traces_max` of the traces, evenly chosen.
    pub(super) fn new(traces: &'t [Trace], options: &ReportOptions) -> Self {
        let traces_max = options.traces_max;
        // If they are a sample already, others happened at the same time.
        let are_all = options.sample_one_in <= 1;
        let mut study = Self {
            lang: options.lang,
            overflow: options.overflow,
            traces: Vec::new(),
            profiles: Vec::new(),
            traces_incomplete: 0,
            is_complete: are_all && traces.len() <= traces_max,
            operations: Vec::new(),
            by_name: HashMap::new(),
            in_flight: HashMap::new(),
        };
        let step = traces.len().div_ceil(traces_max.max(1)).max(1);
        let callers = Callers::of(traces);
        for trace in traces.iter().step_by(step) {
            if callers.lacks_beginning(trace) {
                study.traces_incomplete += 1;
            } else {
                study.add(trace);
            }
        }
        for (starts, ends) in study.in_flight.values_mut() {
            starts.sort_unstable();
            ends.sort_unstable();
        }
        study
    }

    fn add(&mut self, trace: &'t Trace) {
        for span in trace.spans().iter().filter(|span| span.kind == SpanKind::Server) {
            let (starts, ends) = self.in_flight.entry(span.service().clone()).or_default();
            starts.push(span.start_ns);
            ends.push(span.end_ns);
        }
        let operations: Vec<_> = trace.spans().iter().map(|span| self.number_of(span)).collect();
        let studied = self.traces.len();
        for root in entry_spans(trace) {
            let path = critical_path_of(trace, root, self.overflow);
            let sections = path.sections.into_iter();
            let sections = sections.map(|section| (operations[section.span], section)).collect();
            let duration_ns = trace.span(root).duration_ns();
            self.profiles.push(Profile { studied, root, duration_ns, sections });
        }
        self.traces.push(Studied { trace, operations });
    }

    /// The number of a span's operation, new if need be.
    fn number_of(&mut self, span: &Span) -> OpId {
        *self.by_name.entry((span.service().clone(), operation(span))).or_insert_with_key(|name| {
            self.operations.push(name.clone());
            self.operations.len() - 1
        })
    }

    /// Service and operation.
    pub(super) fn name(&self, operation: OpId) -> (&str, &str) {
        let (service, operation) = &self.operations[operation];
        (service, operation)
    }

    /// The trace of a profile.
    pub(super) fn of(&self, profile: &Profile) -> &Studied<'t> {
        &self.traces[profile.studied]
    }

    /// Entry points, the one with most traces first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut members: HashMap<OpId, Vec<usize>> = HashMap::new();
        for (index, profile) in self.profiles.iter().enumerate() {
            let entry = self.of(profile).operations[profile.root];
            members.entry(entry).or_default().push(index);
        }
        let mut entries: Vec<_> =
            members.into_iter().map(|(operation, members)| Entry { operation, members }).collect();
        for entry in &mut entries {
            entry.members.sort_by_key(|index| {
                let profile = &self.profiles[*index];
                (profile.duration_ns, self.of(profile).trace.trace_id(), profile.root)
            });
        }
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.members.len()), self.name(entry.operation)));
        entries
    }

    /// Server spans of `service` under way at `at_ns`.
    pub(super) fn in_flight(&self, service: &str, at_ns: u64) -> usize {
        let Some((starts, ends)) = self.in_flight.get(service) else { return 0 };
        let begun = starts.partition_point(|start| *start <= at_ns);
        begun - ends.partition_point(|end| *end <= at_ns).min(begun)
    }
}
