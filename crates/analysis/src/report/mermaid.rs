//! The service graph as a mermaid diagram, the hot node marked.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::types::{GraphNode, NodeKind, ServiceGraph};

pub(super) fn mermaid(graph: &ServiceGraph) -> String {
    let mut out = String::from("graph TD\n");
    let mut ids = BTreeMap::new();
    for (number, node) in graph.nodes.iter().enumerate() {
        ids.insert(node.id.as_str(), number);
        line(&mut out, format_args!("  n{number}{}", shape(node)));
    }
    for edge in &graph.edges {
        let (Some(source), Some(target)) = (ids.get(edge.source.as_str()), ids.get(edge.target.as_str()))
        else {
            continue;
        };
        let label = format!("{:.1}/s P95 {:.1} ms", edge.rate_per_s, edge.p95_ms);
        line(&mut out, format_args!("  n{source} -->|\"{label}\"| n{target}"));
    }
    if graph.nodes.iter().any(|node| node.hot) {
        line(&mut out, format_args!("  classDef hot fill:#c92a2a,stroke:#7d1111,color:#fff"));
    }
    for (number, node) in graph.nodes.iter().enumerate() {
        if node.hot {
            line(&mut out, format_args!("  class n{number} hot"));
        }
    }
    out
}

fn shape(node: &GraphNode) -> String {
    let name = escape(&node.id);
    match node.kind {
        NodeKind::User => format!("([\"{name}\"])"),
        NodeKind::External => format!("[[\"{name}\"]]"),
        NodeKind::Service if node.hot => {
            format!("[\"{name}<br/>bottleneck: {:.1} ms of P99\"]", node.saving_p99_ms)
        }
        NodeKind::Service => format!("[\"{name}\"]"),
    }
}

/// Text for a quoted label: names come from outside.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(80) {
        match c {
            '"' => out.push_str("#quot;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '#' => out.push_str("#35;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = writeln!(out, "{text}");
    debug_assert!(written.is_ok(), "BUG: writing to a String does not fail");
}
