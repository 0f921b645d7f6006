//! The service graph of a window.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rows::rows;
use super::types::{EntryPoint, GraphEdge, GraphNode, NodeKind, ServiceGraph, Window};
use crate::calls::USER;
use crate::quantile::{ms, of_unsorted};
use crate::{CallKind, Trace, calls};

#[derive(Default)]
struct Calls {
    durations_ns: Vec<u64>,
    errors: u64,
}

type EdgeKey = (Arc<str>, Arc<str>, CallKind);

pub(super) fn service_graph(traces: &[Trace], window: Window, entries: &[EntryPoint]) -> ServiceGraph {
    let rows = rows(traces, window);
    let mut by_edge: BTreeMap<EdgeKey, Calls> = BTreeMap::new();
    for call in traces.iter().flat_map(calls) {
        // One call whose server span was lost looks like one to the outside; the name says that it is not.
        let is_ours = rows.iter().any(|row| *row.service == *call.server);
        let was_lost = call.kind == CallKind::Virtual && is_ours && &*call.client != USER;
        let kind = if was_lost { CallKind::Direct } else { call.kind };
        let calls = by_edge.entry((call.client, call.server, kind)).or_default();
        calls.durations_ns.push(call.client_ns.or(call.server_ns).unwrap_or(0));
        calls.errors += u64::from(call.failed);
    }
    let mut nodes: BTreeMap<String, GraphNode> = BTreeMap::new();
    for row in rows {
        let node = GraphNode {
            id: row.service.clone(),
            kind: NodeKind::Service,
            rate_per_s: row.rate_per_s,
            error_ratio: row.error_ratio,
            p95_ms: row.p95_ms,
            hot: false,
            saving_p99_ms: 0.0,
        };
        nodes.insert(row.service, node);
    }
    add_outside(&mut nodes, &by_edge, window);
    mark_hot(&mut nodes, entries);
    let edges = by_edge.into_iter().map(|((source, target, kind), mut calls)| GraphEdge {
        source: source.to_string(),
        target: target.to_string(),
        calls: calls.durations_ns.len() as u64,
        rate_per_s: window.rate(calls.durations_ns.len() as u64),
        errors: calls.errors,
        p95_ms: ms(of_unsorted(0.95, &mut calls.durations_ns)),
        connection_type: kind.as_str().to_owned(),
    });
    ServiceGraph { window, edges: edges.collect(), nodes: nodes.into_values().collect() }
}

/// Nodes that edges name and that send no spans: RED as their callers saw it.
fn add_outside(nodes: &mut BTreeMap<String, GraphNode>, edges: &BTreeMap<EdgeKey, Calls>, window: Window) {
    let mut outside: BTreeMap<&str, (NodeKind, Calls)> = BTreeMap::new();
    for ((client, server, kind), calls) in edges {
        let from_user = &**client == USER && *kind == CallKind::Virtual;
        let ends = [(client, from_user), (server, true)];
        for (name, counts) in ends.into_iter().filter(|(name, _)| !nodes.contains_key(&***name)) {
            let kind = if &**name == USER && from_user { NodeKind::User } else { NodeKind::External };
            let (_, sum) = outside.entry(name).or_insert_with(|| (kind, Calls::default()));
            if counts {
                sum.durations_ns.extend_from_slice(&calls.durations_ns);
                sum.errors += calls.errors;
            }
        }
    }
    for (name, (kind, mut calls)) in outside {
        let count = calls.durations_ns.len() as u64;
        let node = GraphNode {
            id: name.to_owned(),
            kind,
            rate_per_s: window.rate(count),
            error_ratio: calls.errors as f64 / count.max(1) as f64,
            p95_ms: ms(of_unsorted(0.95, &mut calls.durations_ns)),
            hot: false,
            saving_p99_ms: 0.0,
        };
        nodes.insert(name.to_owned(), node);
    }
}

/// The hot node is the service of the largest saving among all entry points.
fn mark_hot(nodes: &mut BTreeMap<String, GraphNode>, entries: &[EntryPoint]) {
    let mut hottest: Option<(&str, f64)> = None;
    for bottleneck in entries.iter().flat_map(|entry| &entry.bottlenecks) {
        let saving = bottleneck.saving_p99_ms;
        if let Some(node) = nodes.get_mut(&bottleneck.service) {
            node.saving_p99_ms = node.saving_p99_ms.max(saving);
        }
        if saving > hottest.map_or(0.0, |(_, most)| most) {
            hottest = Some((&bottleneck.service, saving));
        }
    }
    if let Some(node) = hottest.and_then(|(service, _)| nodes.get_mut(service)) {
        node.hot = true;
    }
}
