//! What spans say as they arrive, kept as cumulative series and written back into the metrics store.
//!
//! ```text
//!  span ──┬─▶ RED per (service, operation, kind, status)            at once, complete trace or not
//!         └─▶ Assembler ──▶ closed trace ──┬─▶ calls between services
//!                                          └─▶ seconds on the critical path per (service, operation, entry, class)
//! ```
//! - Cardinality is bounded: an operation beyond the limit of its service is counted as `__other__`, and likewise
//!   services, edges and paths beyond theirs.
//! - Values only grow; they start from zero with the process, which rate() takes as a counter reset.

mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eino_metrics_core::{Counter, Registry};
use model::{MetricBatch, Span, SpanKind, StatusCode};

use crate::entries::entry_spans;
use crate::operation::operation;
use crate::path::critical_path_of;
use crate::{Assembler, AssemblerConfig, CallKind, Class, ExpHistogram, Overflow, Section, Trace, calls};

/// Stands for what is beyond a limit.
const OTHER: &str = "__other__";

/// Limits of the stream.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    pub assembler: AssemblerConfig,
    pub overflow: Overflow,
    pub services_max: usize,
    /// Upper bound of operations of one service.
    pub operations_max: usize,
    /// Upper bound of pairs of services.
    pub edges_max: usize,
    /// Upper bound of (service, operation, entry, class).
    pub paths_max: usize,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            assembler: AssemblerConfig::default(),
            overflow: Overflow::Auto,
            services_max: 1_000,
            operations_max: 2_000,
            edges_max: 10_000,
            paths_max: 50_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RedKey {
    service: Arc<str>,
    operation: Arc<str>,
    kind: SpanKind,
    status: StatusCode,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EdgeKey {
    client: Arc<str>,
    server: Arc<str>,
    kind: CallKind,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PathKey {
    service: Arc<str>,
    operation: Arc<str>,
    entry: Arc<str>,
    class: Class,
}

#[derive(Debug, Default)]
struct Edge {
    calls: u64,
    failed: u64,
    client: ExpHistogram,
    server: ExpHistogram,
}

/// Analysis of spans as they arrive. One owner, who calls `tick` about once a second.
pub struct StreamAnalysis {
    config: StreamConfig,
    assembler: Assembler,
    operations: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    red: BTreeMap<RedKey, ExpHistogram>,
    edges: BTreeMap<EdgeKey, Edge>,
    paths: BTreeMap<PathKey, u128>,
    other: Arc<str>,
    spans_total: Counter,
    limited: Counter,
}

impl StreamAnalysis {
    /// An analysis that has seen nothing.
    pub fn new(config: StreamConfig, registry: &Registry) -> Self {
        Self {
            assembler: Assembler::new(config.assembler.clone(), registry),
            config,
            operations: BTreeMap::new(),
            red: BTreeMap::new(),
            edges: BTreeMap::new(),
            paths: BTreeMap::new(),
            other: OTHER.into(),
            spans_total: registry.counter("eino_analysis_spans_total", "Spans taken by the analysis."),
            limited: registry.counter(
                "eino_analysis_limited_total",
                "Spans, calls and path sections counted as __other__ because a limit of distinct names was reached.",
            ),
        }
    }

    /// Takes spans that arrived at `now_ns`.
    pub fn observe(&mut self, spans: &[Arc<Span>], now_ns: u64) {
        self.spans_total.add(spans.len() as u64);
        for span in spans {
            self.count_span(span);
            self.assembler.observe(span, now_ns);
        }
        self.take_closed();
    }

    /// Closes and analyses traces that are done at `now_ns`.
    pub fn tick(&mut self, now_ns: u64) {
        self.assembler.tick(now_ns);
        self.take_closed();
    }

    /// Analyses all open traces as they are, as at a shutdown.
    pub fn close_all(&mut self) {
        self.assembler.close_all();
        self.take_closed();
    }

    /// Adds every series with its value at `now_ms` to `out`.
    pub fn collect(&mut self, now_ms: i64, out: &mut MetricBatch) {
        series::metadata(out);
        for (key, histogram) in &self.red {
            series::red(out, now_ms, key, histogram);
        }
        for (key, edge) in &self.edges {
            series::edge(out, now_ms, key, edge);
        }
        for (key, ns) in &self.paths {
            series::path(out, now_ms, key, *ns);
        }
    }

    fn count_span(&mut self, span: &Span) {
        let (service, operation) = self.limited(span.service(), span.name.clone());
        let key = RedKey { service, operation, kind: span.kind, status: span.status.code };
        self.red.entry(key).or_default().observe(span.duration_ns());
    }

    /// Service and operation, or `__other__` beyond the limits.
    fn limited(&mut self, service: &Arc<str>, operation: Arc<str>) -> (Arc<str>, Arc<str>) {
        if !self.operations.contains_key(service) {
            if self.operations.len() >= self.config.services_max {
                self.limited.inc();
                return (self.other.clone(), self.other.clone());
            }
            self.operations.insert(service.clone(), BTreeSet::new());
        }
        let Some(operations) = self.operations.get_mut(service) else {
            return (self.other.clone(), self.other.clone());
        };
        if !operations.contains(&operation) {
            if operations.len() >= self.config.operations_max {
                self.limited.inc();
                return (service.clone(), self.other.clone());
            }
            operations.insert(operation.clone());
        }
        (service.clone(), operation)
    }

    fn take_closed(&mut self) {
        for closed in self.assembler.drain() {
            let trace = Trace::assemble(&closed.spans);
            self.count_calls(&trace);
            self.count_paths(&trace);
        }
    }

    fn count_calls(&mut self, trace: &Trace) {
        for call in calls(trace) {
            let mut key = EdgeKey { client: call.client, server: call.server, kind: call.kind };
            if self.edges.len() >= self.config.edges_max && !self.edges.contains_key(&key) {
                self.limited.inc();
                key = EdgeKey {
                    client: self.other.clone(),
                    server: self.other.clone(),
                    kind: CallKind::Direct,
                };
            }
            let edge = self.edges.entry(key).or_default();
            edge.calls += 1;
            edge.failed += u64::from(call.failed);
            call.client_ns.into_iter().for_each(|ns| edge.client.observe(ns));
            call.server_ns.into_iter().for_each(|ns| edge.server.observe(ns));
        }
    }

    fn count_paths(&mut self, trace: &Trace) {
        for root in entry_spans(trace) {
            let span = trace.span(root);
            let (service, operation) = self.limited(span.service(), operation(span));
            let entry: Arc<str> = format!("{service} {operation}").into();
            for section in critical_path_of(trace, root, self.config.overflow).sections {
                self.count_section(trace, &section, &entry);
            }
        }
    }

    fn count_section(&mut self, trace: &Trace, section: &Section, entry: &Arc<str>) {
        let span = trace.span(section.span);
        let (service, operation) = self.limited(span.service(), operation(span));
        let mut key = PathKey { service, operation, entry: entry.clone(), class: section.class };
        if self.paths.len() >= self.config.paths_max && !self.paths.contains_key(&key) {
            self.limited.inc();
            key.operation = self.other.clone();
            key.service = self.other.clone();
            key.entry = self.other.clone();
        }
        *self.paths.entry(key).or_default() += u128::from(section.duration_ns());
    }
}

#[cfg(test)]
mod tests;
