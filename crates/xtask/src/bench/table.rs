//! The figures of one run, ours beside the peers'.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

/// One comparison. `ratio` is ours / peer's; `goal` is the ratio we want to be at or below.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    row: String,
    ours: Option<f64>,
    peer: Option<f64>,
    ratio: Option<f64>,
    goal: Option<f64>,
    met: Option<bool>,
}

/// Result file, JSON pointer, name, factor to the unit of the name, goal against the better peer.
struct Figure {
    phase: &'static str,
    pointer: &'static str,
    name: &'static str,
    factor: f64,
    goal: f64,
}

const FIGURES: &[Figure] = &[
    Figure {
        phase: "ingest",
        pointer: "/server_cpu_us_per_sample",
        name: "remote write, CPU us/sample",
        factor: 1.0,
        goal: 0.3,
    },
    Figure {
        phase: "ingest",
        pointer: "/mem_at_end/peak_mb",
        name: "remote write, peak RSS MB",
        factor: 1.0,
        goal: 0.5,
    },
    Figure {
        phase: "ingest",
        pointer: "/disk/bytes_per_sample_final",
        name: "at rest, bytes/sample",
        factor: 1.0,
        goal: 0.8,
    },
    Figure {
        phase: "crash",
        pointer: "/ready_s_after_kill9_full",
        name: "ready after kill -9, s",
        factor: 1.0,
        goal: 1.0,
    },
    Figure { phase: "crash", pointer: "/b_lost_acked", name: "acked samples lost", factor: 1.0, goal: 0.0 },
    Figure {
        phase: "scrape_1s",
        pointer: "/server_cpu_s_per_million_samples",
        name: "scrape, CPU s/M samples",
        factor: 1.0,
        goal: 0.3,
    },
    Figure {
        phase: "scrape_1s",
        pointer: "/mem/peak_mb",
        name: "scrape, peak RSS MB",
        factor: 1.0,
        goal: 0.5,
    },
];
/// Goal of every query's CPU against the better peer.
const QUERY_GOAL: f64 = 0.2;
const PEERS: [&str; 2] = ["prometheus", "victoriametrics"];

/// All figures for which there is a result.
///
/// # Errors
/// When a result file is not JSON.
pub(super) fn rows(results: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for figure in FIGURES {
        let Some(ours) = load(results, "eino", figure.phase)? else { continue };
        let ours = number(&ours, figure);
        for peer in PEERS {
            let theirs = load(results, peer, figure.phase)?.and_then(|result| number(&result, figure));
            rows.push(row(format!("{} vs {peer}", figure.name), ours, theirs, Some(figure.goal)));
        }
    }
    rows.extend(query_rows(results)?);
    if let Some(traces) = load(results, "eino", "traces")? {
        let spans = traces["acked_spans"]
            .as_f64()
            .zip(traces["server_cpu_s"].as_f64())
            .map(|(spans, cpu_s)| spans / cpu_s);
        rows.push(row("spans per CPU second".into(), spans, None, None));
        rows.push(row("bytes/span on disk".into(), traces["bytes_per_span_on_disk"].as_f64(), None, None));
        rows.push(row("traces, peak RSS MB".into(), traces["mem_settled"]["peak_mb"].as_f64(), None, None));
    }
    Ok(rows)
}

fn number(result: &Value, figure: &Figure) -> Option<f64> {
    let direct = result.pointer(figure.pointer).and_then(Value::as_f64);
    // The kit says CPU seconds and samples; the quotient is ours to take.
    let derived = || {
        let per_sample = figure.pointer == "/server_cpu_us_per_sample";
        let samples = result["acked_samples"].as_f64().filter(|_| per_sample)?;
        Some(result["server_cpu_s"].as_f64()? / samples * 1e6)
    };
    direct.or_else(derived).map(|value| value * figure.factor)
}

/// CPU per query: each against the better peer, and the geometric mean.
fn query_rows(results: &Path) -> anyhow::Result<Vec<Row>> {
    let Some(ours) = load(results, "eino", "queries")? else { return Ok(Vec::new()) };
    let peers: Vec<Value> = PEERS
        .iter()
        .filter_map(|peer| load(results, peer, "queries").transpose())
        .collect::<Result<_, _>>()?;
    let mut rows = Vec::new();
    let mut logs = Vec::new();
    for query in queries(&ours) {
        let name = query["name"].as_str().unwrap_or_default();
        let cpu = |query: &Value| query["cpu_ms_per_query"].as_f64();
        let theirs =
            peers.iter().flat_map(queries).filter(|peer| peer["name"] == query["name"]).filter_map(cpu);
        let best = theirs.min_by(f64::total_cmp);
        let row = row(format!("query {name}, CPU ms vs better peer"), cpu(query), best, Some(QUERY_GOAL));
        logs.extend(row.ratio.filter(|ratio| *ratio > 0.0).map(f64::ln));
        rows.push(row);
    }
    if !logs.is_empty() {
        let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
        let name = format!("{} queries, CPU, geometric mean vs better peer", logs.len());
        rows.push(row(name, Some(mean), Some(1.0), Some(QUERY_GOAL)));
    }
    Ok(rows)
}

fn queries(result: &Value) -> impl Iterator<Item = &Value> {
    result["queries"].as_array().into_iter().flatten()
}

fn row(name: String, ours: Option<f64>, peer: Option<f64>, goal: Option<f64>) -> Row {
    let ratio = ours.zip(peer).filter(|(_, peer)| *peer > 0.0).map(|(ours, peer)| ours / peer);
    // Against a peer that lost nothing or cost nothing, only nothing is as good.
    let value = ratio.or_else(|| ours.zip(peer).map(|(ours, _)| ours));
    Row { row: name, ours, peer, ratio, goal, met: value.zip(goal).map(|(value, goal)| value <= goal) }
}

fn load(results: &Path, peer: &str, phase: &str) -> anyhow::Result<Option<Value>> {
    let path = results.join(format!("{peer}.{phase}.json"));
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    serde_json::from_str(&text).map(Some).with_context(|| format!("{} is not JSON", path.display()))
}

/// A table for people, also valid Markdown.
pub(super) fn render(rows: &[Row]) -> String {
    let number = |value: Option<f64>| match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
    };
    let mut out = String::from("| row | ours | peer | ratio | goal | met |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let met = row.met.map_or("-", |met| if met { "yes" } else { "no" });
        let cells =
            [&row.row, &number(row.ours), &number(row.peer), &number(row.ratio), &number(row.goal), met];
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}
