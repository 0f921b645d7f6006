//! Collects spans into traces as they arrive and decides when a trace is done.
//!
//! ```text
//!            span                    ┌ root seen, no parent missing, nothing new for 2 s   → complete
//!  (none) ─────────▶ open ───────────┤ nothing new for 10 s                               → idle
//!                     │  ▲           │ open for 5 min                                     → aged
//!                     └──┘ span      └ too many spans in memory, longest untouched first  → evicted
//!                                                   │
//!                    closed, remembered for a while ◀┘      a span that comes now is late: counted, not analysed
//! ```
//! - Storage never waits for this: spans are searchable long before.
//! - A CLIENT span usually has an answer from elsewhere, whose spans may come later than the rest. A client operation
//!   that was answered before, or that is still new, keeps its trace open until the answer comes or 10 s pass.
//! - Times are times of arrival, handed in; they never run backwards here.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use eino_metrics_core::{Counter, Gauge, Registry};
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use model::{Span, SpanId, SpanKind, TraceId};

use crate::operation::operation;

/// Limits of the assembler. Times in nanoseconds.
#[derive(Clone, Debug)]
pub struct AssemblerConfig {
    /// A trace with its root and without missing parents is complete after this long without a new span.
    pub complete_idle_ns: u64,
    /// Any trace is closed after this long without a new span.
    pub idle_ns: u64,
    /// Any trace is closed after this long.
    pub age_ns: u64,
    /// Upper bound of spans held in open traces.
    pub spans_max: usize,
    /// Upper bound of spans of one trace; more are not analysed.
    pub trace_spans_max: usize,
    /// Closed traces remembered, to tell late spans from new traces.
    pub closed_max: usize,
}

impl Default for AssemblerConfig {
    fn default() -> Self {
        Self {
            complete_idle_ns: 2_000_000_000,
            idle_ns: 10_000_000_000,
            age_ns: 300_000_000_000,
            spans_max: 500_000,
            trace_spans_max: 100_000,
            closed_max: 200_000,
        }
    }
}

/// Why a trace was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    Complete,
    Idle,
    Aged,
    Evicted,
}

/// All that came of a trace before it was closed.
#[derive(Clone, Debug)]
pub struct ClosedTrace {
    pub trace_id: TraceId,
    pub spans: Vec<Arc<Span>>,
    pub reason: CloseReason,
}

/// See the module's picture.
pub struct Assembler {
    config: AssemblerConfig,
    open: HashMap<TraceId, OpenTrace>,
    /// Open traces, longest untouched first.
    by_touch: BTreeSet<(u64, TraceId)>,
    spans: usize,
    closed: Vec<ClosedTrace>,
    remembered: HashSet<TraceId>,
    remembered_order: VecDeque<TraceId>,
    answers: HashMap<(Arc<str>, Arc<str>), Answers>,
    now_ns: u64,
    next_look_ns: u64,
    metrics: Metrics,
}

struct OpenTrace {
    spans: Vec<Arc<Span>>,
    ids: HashSet<SpanId>,
    /// Parents named by spans but not seen.
    missing: HashSet<SpanId>,
    /// CLIENT spans without a child so far.
    unanswered: HashMap<SpanId, (Arc<str>, Arc<str>)>,
    has_root: bool,
    first_ns: u64,
    touched_ns: u64,
}

/// How often a client operation had a child.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    answered: u32,
    unanswered: u32,
}

/// A client operation never answered in this many traces is taken to call something that sends no spans.
const UNANSWERED_PROVES: u32 = 5;
const CLIENT_OPERATIONS_MAX: usize = 20_000;

struct Metrics {
    open: Gauge,
    spans: Gauge,
    complete: Counter,
    idle: Counter,
    aged: Counter,
    evicted: Counter,
    late_spans: Counter,
    oversize_spans: Counter,
}

impl Metrics {
    fn new(registry: &Registry) -> Self {
        let closed = |reason| {
            let help = "Traces handed to the analysis, by the reason for it.";
            registry.counter_with("eino_analysis_traces_closed_total", help, &[("reason", reason)])
        };
        let skipped = |reason| {
            let help = "Spans stored but left out of the analysis of traces, by reason.";
            registry.counter_with("eino_analysis_spans_skipped_total", help, &[("reason", reason)])
        };
        Self {
            open: registry.gauge("eino_analysis_open_traces", "Traces being assembled."),
            spans: registry.gauge("eino_analysis_open_spans", "Spans of traces being assembled."),
            complete: closed("complete"),
            idle: closed("idle"),
            aged: closed("aged"),
            evicted: closed("evicted"),
            late_spans: skipped("late"),
            oversize_spans: skipped("trace_spans_max"),
        }
    }
}

impl Assembler {
    /// An assembler without traces.
    pub fn new(config: AssemblerConfig, registry: &Registry) -> Self {
        Self {
            config,
            open: HashMap::new(),
            by_touch: BTreeSet::new(),
            spans: 0,
            closed: Vec::new(),
            remembered: HashSet::new(),
            remembered_order: VecDeque::new(),
            answers: HashMap::new(),
            now_ns: 0,
            next_look_ns: 0,
            metrics: Metrics::new(registry),
        }
    }

    /// Takes a span that arrived at `now_ns`.
    pub fn observe(&mut self, span: &Arc<Span>, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        let id = span.trace_id;
        if self.remembered.contains(&id) {
            self.metrics.late_spans.inc();
            return;
        }
        let now_ns = self.now_ns;
        let trace = self.open.entry(id).or_insert_with(|| OpenTrace::new(now_ns));
        if trace.spans.len() >= self.config.trace_spans_max {
            self.metrics.oversize_spans.inc();
            return;
        }
        self.by_touch.remove(&(trace.touched_ns, id));
        trace.touched_ns = now_ns;
        self.by_touch.insert((now_ns, id));
        self.spans += usize::from(trace.add(span, &mut self.answers));
        if now_ns.saturating_sub(trace.first_ns) >= self.config.age_ns {
            self.close(id, CloseReason::Aged);
        }
        while self.spans > self.config.spans_max
            && let Some((_, untouched)) = self.by_touch.first().copied()
        {
            self.close(untouched, CloseReason::Evicted);
        }
        self.update_gauges();
    }

    /// Closes what is due at `now_ns`. Costs a look at every trace that is idle but not complete, so it looks at most
    /// four times in `complete_idle_ns`, however often it is called.
    pub fn tick(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        if self.now_ns < self.next_look_ns {
            return;
        }
        self.next_look_ns = self.now_ns.saturating_add(self.config.complete_idle_ns / 4);
        let mut due = Vec::new();
        for (touched_ns, id) in &self.by_touch {
            let idle_ns = self.now_ns.saturating_sub(*touched_ns);
            if idle_ns < self.config.complete_idle_ns.min(self.config.idle_ns) {
                break;
            }
            if idle_ns >= self.config.idle_ns {
                due.push((*id, CloseReason::Idle));
            } else if self.open.get(id).is_some_and(|trace| self.is_complete(trace)) {
                due.push((*id, CloseReason::Complete));
            }
        }
        for (id, reason) in due {
            self.close(id, reason);
        }
        self.update_gauges();
    }

    /// Traces closed since the last call.
    pub fn drain(&mut self) -> Vec<ClosedTrace> {
        std::mem::take(&mut self.closed)
    }

    /// Closes all traces, as at a shutdown.
    pub fn close_all(&mut self) {
        while let Some((_, id)) = self.by_touch.first().copied() {
            self.close(id, CloseReason::Idle);
        }
        self.update_gauges();
    }

    fn is_complete(&self, trace: &OpenTrace) -> bool {
        let awaits_answer = |operation| {
            let known = self.answers.get(operation).copied().unwrap_or_default();
            known.answered > 0 || known.unanswered < UNANSWERED_PROVES
        };
        trace.has_root && trace.missing.is_empty() && !trace.unanswered.values().any(awaits_answer)
    }

    fn close(&mut self, id: TraceId, mut reason: CloseReason) {
        let Some(trace) = self.open.remove(&id) else { return };
        self.by_touch.remove(&(trace.touched_ns, id));
        self.spans -= trace.spans.len();
        if reason == CloseReason::Idle && self.is_complete(&trace) {
            reason = CloseReason::Complete;
        }
        if trace.missing.is_empty() {
            for operation in trace.unanswered.values() {
                count_answer(&mut self.answers, operation, false);
            }
        }
        match reason {
            CloseReason::Complete => self.metrics.complete.inc(),
            CloseReason::Idle => self.metrics.idle.inc(),
            CloseReason::Aged => self.metrics.aged.inc(),
            CloseReason::Evicted => self.metrics.evicted.inc(),
        }
        self.closed.push(ClosedTrace { trace_id: id, spans: trace.spans, reason });
        self.remember(id);
    }

    fn remember(&mut self, id: TraceId) {
        if self.remembered.insert(id) {
            self.remembered_order.push_back(id);
        }
        while self.remembered_order.len() > self.config.closed_max
            && let Some(oldest) = self.remembered_order.pop_front()
        {
            self.remembered.remove(&oldest);
        }
    }

    fn update_gauges(&self) {
        self.metrics.open.set(self.open.len() as f64);
        self.metrics.spans.set(self.spans as f64);
    }
}

impl OpenTrace {
    fn new(now_ns: u64) -> Self {
        Self {
            spans: Vec::new(),
            ids: HashSet::new(),
            missing: HashSet::new(),
            unanswered: HashMap::new(),
            has_root: false,
            first_ns: now_ns,
            touched_ns: now_ns,
        }
    }

    /// Whether the span is new.
    fn add(&mut self, span: &Arc<Span>, answers: &mut HashMap<(Arc<str>, Arc<str>), Answers>) -> bool {
        if !self.ids.insert(span.span_id) {
            return false;
        }
        let had_child = self.missing.remove(&span.span_id);
        if span.kind == SpanKind::Client {
            let operation = (span.service().clone(), operation(span));
            if had_child {
                count_answer(answers, &operation, true);
            } else {
                self.unanswered.insert(span.span_id, operation);
            }
        }
        match span.parent_span_id {
            None => self.has_root = true,
            Some(parent) if !self.ids.contains(&parent) => {
                self.missing.insert(parent);
            }
            Some(parent) => {
                if let Some(operation) = self.unanswered.remove(&parent) {
                    count_answer(answers, &operation, true);
                }
            }
        }
        self.spans.push(span.clone());
        true
    }
}

fn count_answer(
    answers: &mut HashMap<(Arc<str>, Arc<str>), Answers>,
    operation: &(Arc<str>, Arc<str>),
    answered: bool,
) {
    if answers.len() >= CLIENT_OPERATIONS_MAX && !answers.contains_key(operation) {
        return;
    }
    let known = answers.entry(operation.clone()).or_default();
    let count = if answered { &mut known.answered } else { &mut known.unanswered };
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests;
