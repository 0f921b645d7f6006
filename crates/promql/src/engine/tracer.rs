//! Counts what a query takes, and, if asked, what each of its nodes takes.
//!
//! ```text
//! enter ─▶ frame on the stack ─▶ children enter and leave ─▶ leave: time, samples, series ─▶ child of the frame below
//! ```
//! Nodes are entered by one thread; only the series of a selection are read by several. A node that streams hands its
//! columns to the node above while it runs: the time of that is not its own.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::Histogram;

use super::column::{Grid, Steps, is_absent};
use crate::ast::{Expr, ExprKind};
use crate::printer::{AggregateHead, Operator, SubquerySuffix};
use crate::usage::Plan;

/// Longest words of a node.
const NODE_BYTES_MAX: usize = 200;

/// Samples that selectors see.
#[derive(Debug, Default)]
pub(crate) struct Queryable {
    total: AtomicU64,
    /// By step; empty when nobody asked.
    per_step: Vec<AtomicU64>,
    /// Above zero inside subqueries: their samples are counted where their values are used.
    muted: AtomicU32,
    /// Steps that one evaluation stands for; 0 outside of what does not depend on the time.
    repeat: AtomicU64,
}

impl Queryable {
    pub(crate) fn new(steps: usize, per_step: bool) -> Self {
        let steps = if per_step { steps } else { 0 };
        Self { per_step: (0..steps).map(|_| AtomicU64::new(0)).collect(), ..Self::default() }
    }

    /// Counts samples that one step sees.
    pub(crate) fn add(&self, step: usize, samples: u64) {
        if self.muted.load(Ordering::Relaxed) > 0 {
            return;
        }
        let repeat = self.repeat.load(Ordering::Relaxed);
        self.total.fetch_add(samples * repeat.max(1), Ordering::Relaxed);
        let steps =
            if repeat > 0 { &self.per_step[..] } else { self.per_step.get(step..=step).unwrap_or_default() };
        for step in steps {
            step.fetch_add(samples, Ordering::Relaxed);
        }
    }

    /// Counts the samples of a column of an instant selector.
    pub(crate) fn add_steps(&self, steps: &Steps) {
        if self.per_step.is_empty() && steps.histograms.is_empty() {
            let count = steps.values.iter().filter(|value| !is_absent(**value)).count();
            return self.add(0, count as u64);
        }
        for (step, value) in steps.values.iter().enumerate() {
            let histogram = steps.histograms.get(step).and_then(Option::as_ref);
            let samples = u64::from(!is_absent(*value)) + histogram.map_or(0, |h| histogram_samples(h));
            if samples > 0 {
                self.add(step, samples);
            }
        }
    }

    /// Whether each step is counted for itself.
    pub(crate) fn is_per_step(&self) -> bool {
        !self.per_step.is_empty()
    }

    /// Runs a part whose samples do not count.
    pub(crate) fn muted<T>(&self, run: impl FnOnce() -> T) -> T {
        self.muted.fetch_add(1, Ordering::Relaxed);
        let out = run();
        self.muted.fetch_sub(1, Ordering::Relaxed);
        out
    }

    /// Runs a part whose one evaluation stands for `count` steps.
    pub(crate) fn repeated<T>(&self, count: usize, run: impl FnOnce() -> T) -> T {
        let before = self.repeat.swap(count as u64, Ordering::Relaxed);
        let out = run();
        self.repeat.store(before, Ordering::Relaxed);
        out
    }

    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(crate) fn per_step(&self, grid: Grid) -> Vec<(i64, u64)> {
        let counts = self.per_step.iter().map(|count| count.load(Ordering::Relaxed));
        grid.times_ms().zip(counts).collect()
    }
}

/// How many floats with times a histogram weighs, as Prometheus counts: 16 bytes each.
pub(crate) fn histogram_samples(histogram: &Histogram) -> u64 {
    (histogram_bytes(histogram) + 8) / 16
}

/// Bytes of a histogram: 168 and 8 for each span, count and bound.
pub(crate) fn histogram_bytes(histogram: &Histogram) -> u64 {
    let lists = [&histogram.positive, &histogram.negative];
    let numbers: usize = lists.iter().map(|buckets| buckets.spans.len() + buckets.counts.len()).sum();
    168 + 8 * (numbers + histogram.custom_bounds.len()) as u64
}

/// The plan that grows.
#[derive(Debug, Default)]
pub(crate) struct Tracer(Mutex<Vec<Frame>>);

#[derive(Debug, Default)]
struct Frame {
    plan: Plan,
    started: Duration,
    samples_before: u64,
    /// Nanoseconds of children, and of those who took columns.
    elsewhere_ns: u64,
}

impl Tracer {
    /// With a frame for the query itself.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(vec![Frame::default()]))
    }

    pub(crate) fn enter(&self, expr: &Expr, grid: Grid, now: Duration, samples_read: u64) {
        let (kind, node) = describe(expr);
        let plan = Plan {
            kind,
            node,
            start: expr.span.start,
            end: expr.span.end,
            steps: grid.count as u64,
            ..Plan::default()
        };
        let frame = Frame { plan, started: now, samples_before: samples_read, elsewhere_ns: 0 };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
    }

    /// Ends the frame on top; `handed_on` is the time others took for its columns.
    pub(crate) fn leave(&self, series: usize, now: Duration, samples_read: u64, handed_on: Duration) {
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut frame) = frames.pop() else { return };
        let elapsed_ns = nanoseconds(now.saturating_sub(frame.started).saturating_sub(handed_on));
        frame.plan.series = series as u64;
        frame.plan.samples_read = samples_read.saturating_sub(frame.samples_before);
        frame.plan.time_ns = elapsed_ns;
        frame.plan.self_time_ns = elapsed_ns.saturating_sub(frame.elsewhere_ns);
        if let Some(parent) = frames.last_mut() {
            parent.elsewhere_ns = parent.elsewhere_ns.saturating_add(elapsed_ns);
            parent.plan.children.push(frame.plan);
        }
    }

    /// The plan of the query's top node; nothing when it is a literal.
    pub(crate) fn finish(self) -> Option<Plan> {
        let frames = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        frames.into_iter().next()?.plan.children.into_iter().next()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Whether a node has a frame: parentheses and literals do nothing.
pub(crate) fn is_traced(expr: &Expr) -> bool {
    !matches!(expr.kind, ExprKind::Paren(_) | ExprKind::Number { .. } | ExprKind::String(_))
}

fn describe(expr: &Expr) -> (&'static str, String) {
    let (kind, mut node) = match &expr.kind {
        ExprKind::Aggregate(aggregate) => ("aggregation", AggregateHead(aggregate).to_string()),
        ExprKind::Binary(binary) => ("binary", Operator(binary).to_string()),
        ExprKind::Unary { negative, .. } => ("unary", if *negative { "-" } else { "+" }.to_owned()),
        ExprKind::Subquery(subquery) => ("subquery", SubquerySuffix(subquery).to_string()),
        ExprKind::Selector(_) => ("selector", expr.to_string()),
        ExprKind::Call(call) => {
            let of_selector = call.arguments.iter().all(|argument| {
                matches!(argument.kind, ExprKind::Selector(_) | ExprKind::Number { .. } | ExprKind::String(_))
            });
            ("call", if of_selector { expr.to_string() } else { call.function.name.to_owned() })
        }
        ExprKind::Paren(_) => ("parentheses", String::new()),
        ExprKind::Number { .. } | ExprKind::String(_) => ("literal", expr.to_string()),
    };
    let end = node.char_indices().map(|(at, _)| at).find(|at| *at >= NODE_BYTES_MAX).unwrap_or(node.len());
    node.truncate(end);
    (kind, node.trim_end().to_owned())
}
