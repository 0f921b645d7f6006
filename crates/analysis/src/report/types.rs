//! The report as JSON: `GET /eino/v1/{bottlenecks,services,service-graph}`. Field names are a contract.

use serde::{Deserialize, Serialize};

use crate::Compare;

/// `[start_ms, end_ms)`, Unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub start_ms: i64,
    pub end_ms: i64,
}

impl Window {
    /// Length in seconds.
    pub fn seconds(self) -> f64 {
        self.end_ms.saturating_sub(self.start_ms).max(0) as f64 / 1e3
    }

    pub(crate) fn rate(self, count: u64) -> f64 {
        if self.seconds() > 0.0 { count as f64 / self.seconds() } else { 0.0 }
    }
}

/// What a window of traces says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub window: Window,
    pub traces: u64,
    /// Traces whose critical path was looked at: fewer than `traces` when there are too many.
    #[serde(default)]
    pub traces_analysed: u64,
    /// Traces left out because they lack their beginning, which has not arrived or never will.
    #[serde(default)]
    pub traces_incomplete: u64,
    pub services: Vec<ServiceRow>,
    /// Busiest first.
    pub entry_points: Vec<EntryPoint>,
    pub mermaid: String,
    #[serde(default)]
    pub service_graph: ServiceGraph,
    /// Filled in by who compares two phases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Compare>,
}

/// RED of one service, over its server spans.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    pub service: String,
    pub requests: u64,
    pub rate_per_s: f64,
    pub avg_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub error_ratio: f64,
}

/// Rows of all services of a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Services {
    pub window: Window,
    pub services: Vec<ServiceRow>,
}

impl Services {
    /// Counts and rates of all, when the traces were one in `one_in`.
    #[must_use]
    pub fn scaled(mut self, one_in: u64) -> Self {
        for row in &mut self.services {
            row.requests = row.requests.saturating_mul(one_in);
            row.rate_per_s *= one_in as f64;
        }
        self
    }
}

impl ServiceGraph {
    /// Counts and rates of all, when the traces were one in `one_in`.
    pub(crate) fn scale(&mut self, one_in: u64) {
        for node in &mut self.nodes {
            node.rate_per_s *= one_in as f64;
        }
        for edge in &mut self.edges {
            edge.calls = edge.calls.saturating_mul(one_in);
            edge.errors = edge.errors.saturating_mul(one_in);
            edge.rate_per_s *= one_in as f64;
        }
    }
}

/// An operation at which traces begin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntryPoint {
    pub service: String,
    pub operation: String,
    pub p99_ms: f64,
    #[serde(default)]
    pub p50_ms: f64,
    #[serde(default)]
    pub mean_ms: f64,
    #[serde(default)]
    pub traces: u64,
    /// Largest saving first.
    pub bottlenecks: Vec<Bottleneck>,
}

/// An operation that, behaving better, would make the entry point faster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// From 1.
    pub rank: u32,
    pub service: String,
    pub operation: String,
    /// Share of the critical path of all traces.
    pub critical_path_share: f64,
    /// Its share of the slowest 5 % over its share of the middle 20 %; at most 1000.
    pub tail_lift: f64,
    /// How much lower P99 would be.
    pub saving_p99_ms: f64,
    pub saving_reference: SavingReference,
    pub cause: Cause,
    /// Votes that agree over votes there are.
    pub confidence: f64,
    #[serde(default)]
    pub votes: Vec<Vote>,
}

/// What a saving is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SavingReference {
    /// The operation as it is in the middle traces of the same window.
    BodyMedian,
    /// The operation as it was in a window known to be healthy.
    HealthyWindow,
    /// The operation in half its time: it is slow always, so there is no better example of it.
    WhatIf,
}

/// Why an operation is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    PoolWait,
    LockWait,
    SelfTime,
    Downstream,
    Network,
    Retry,
    NPlusOne,
    Error,
    Saturation,
}

/// Why an operation is slow, and how we know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    pub kind: CauseKind,
    /// Sentences with figures.
    pub evidence: Vec<String>,
}

/// One independent look at whether an operation is the bottleneck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    pub name: String,
    pub agrees: bool,
    pub detail: String,
}

/// Who calls whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceGraph {
    pub window: Window,
    pub nodes: Vec<GraphNode>,
    pub edges: Vec<GraphEdge>,
}

/// A service, something outside, or the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphNode {
    pub id: String,
    pub kind: NodeKind,
    pub rate_per_s: f64,
    pub error_ratio: f64,
    pub p95_ms: f64,
    /// Whether it is the bottleneck.
    pub hot: bool,
    /// Of its worst operation.
    pub saving_p99_ms: f64,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    Service,
    /// Called, but sends no spans.
    External,
    User,
}

/// Calls from one node to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphEdge {
    pub source: String,
    pub target: String,
    pub calls: u64,
    pub rate_per_s: f64,
    pub errors: u64,
    pub p95_ms: f64,
    pub connection_type: String,
}
