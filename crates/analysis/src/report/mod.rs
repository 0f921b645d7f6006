//! A window of traces, read as a whole: services, entry points and what makes them slow.
//!
//! ```text
//!  traces ─▶ Study: the path of every entry of a trace, per entry point its traces ascending by duration
//!              body = P40..P60 ┐                         tail = the slowest 5 %
//!                              ▼                         ▼
//!            rank: excess(v, t) = time of v on the path of t − its median in the body
//!                  saving(v)    = P99 − P99 of the traces replayed without v's excess
//!            cause: what the excess is made of, and the evidence
//! ```

mod cause;
mod graph;
mod mermaid;
mod pool;
mod rank;
mod rows;
mod sentences;
mod stats;
mod study;
mod types;

pub use types::{
    Bottleneck, Cause, CauseKind, EntryPoint, GraphEdge, GraphNode, NodeKind, Report, SavingReference,
    ServiceGraph, ServiceRow, Services, Vote, Window,
};

use crate::{Lang, Overflow, Trace};
use study::Study;

/// How to read a window.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    pub window: Window,
    pub overflow: Overflow,
    /// Language of evidence and of the votes' details.
    pub lang: Lang,
    /// The traces given are one in this many of the window's: counts and rates are multiplied by it.
    pub sample_one_in: u64,
    /// Traces whose critical path is looked at; of more, every n-th. RED and calls count all.
    pub traces_max: usize,
    /// Entry points reported, the busiest.
    pub entry_points_max: usize,
    /// Bottlenecks reported of each entry point.
    pub bottlenecks_max: usize,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            window: Window::default(),
            overflow: Overflow::Auto,
            lang: Lang::En,
            sample_one_in: 1,
            traces_max: 20_000,
            entry_points_max: 20,
            bottlenecks_max: 5,
        }
    }
}

/// Reads a window. The caller has chosen the traces; `options.window` is what rates are taken over.
pub fn report(traces: &[Trace], options: &ReportOptions) -> Report {
    let one_in = options.sample_one_in.max(1);
    let study = Study::new(traces, options);
    let entries = study.entries().into_iter().take(options.entry_points_max);
    let entry_points: Vec<_> =
        entries.map(|entry| rank::entry_point(&study, &entry, options.bottlenecks_max)).collect();
    let mut service_graph = graph::service_graph(traces, options.window, &entry_points);
    service_graph.scale(one_in);
    let services = services(traces, options.window).scaled(one_in).services;
    Report {
        window: options.window,
        traces: (traces.len() as u64).saturating_mul(one_in),
        traces_analysed: study.traces.len() as u64,
        traces_incomplete: study.traces_incomplete,
        services,
        mermaid: mermaid::mermaid(&service_graph),
        entry_points,
        service_graph,
        compare: None,
    }
}

/// RED of every service.
pub fn services(traces: &[Trace], window: Window) -> Services {
    Services { window, services: rows::rows(traces, window) }
}

/// Who calls whom; with a report of the same traces, the bottleneck is marked.
pub fn service_graph(traces: &[Trace], window: Window, report: Option<&Report>) -> ServiceGraph {
    graph::service_graph(traces, window, report.map_or(&[], |report| report.entry_points.as_slice()))
}

#[cfg(test)]
mod tests;
