//! The figures of one run, ours beside the peers'.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

/// One comparison. `ratio` is ours / peer's; `goal` bounds the ratio, or `ours` itself where there is no peer.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) row: String,
    pub(super) ours: Option<f64>,
    pub(super) peer: Option<f64>,
    pub(super) ratio: Option<f64>,
    pub(super) goal: Option<f64>,
    pub(super) met: Option<bool>,
}

/// Whom a figure is held against.
#[derive(Clone, Copy)]
enum Against {
    Prometheus,
    VictoriaMetrics,
    /// Each peer, a row for each.
    Each,
    /// A bound by itself.
    Nobody,
}

/// Result file, what to read from it, name and goal.
struct Figure {
    phase: &'static str,
    of: Of,
    name: &'static str,
    against: Against,
    goal: Option<f64>,
}

/// How a number is read from a result.
#[derive(Clone, Copy)]
enum Of {
    /// What stands at a JSON pointer.
    At(&'static str),
    /// Microseconds of server CPU per acknowledged sample.
    CpuPerSample,
    /// Spans per second of server CPU.
    SpansPerCpuSecond,
}

const fn figure(
    phase: &'static str,
    of: Of,
    name: &'static str,
    against: Against,
    goal: Option<f64>,
) -> Figure {
    Figure { phase, of, name, against, goal }
}

const FIGURES: &[Figure] = &[
    figure(
        "ingest",
        Of::CpuPerSample,
        "remote write 100k x 240, CPU us/sample",
        Against::Prometheus,
        Some(0.25),
    ),
    figure(
        "ingest",
        Of::CpuPerSample,
        "remote write 100k x 240, CPU us/sample",
        Against::VictoriaMetrics,
        Some(0.25),
    ),
    figure(
        "ingest",
        Of::At("/mem_at_end/peak_mb"),
        "remote write 100k x 240, peak RSS MB",
        Against::Each,
        Some(0.5),
    ),
    figure("big", Of::CpuPerSample, "new series, 1M x 20, CPU us/sample", Against::Each, Some(0.4)),
    figure(
        "big",
        Of::At("/mem_at_end/peak_mb"),
        "new series, 1M x 20, peak RSS MB",
        Against::Each,
        Some(0.5),
    ),
    figure(
        "ingest",
        Of::At("/disk/bytes_per_sample_final"),
        "at rest, 1 h, bytes/sample",
        Against::Each,
        Some(0.8),
    ),
    figure(
        "long",
        Of::At("/disk/bytes_per_sample_final"),
        "at rest, 6 h, bytes/sample",
        Against::Each,
        Some(1.0),
    ),
    figure("crash2", Of::At("/ready_s"), "kill -9 with 24M just in, ready s", Against::Nobody, Some(0.5)),
    figure("crash2", Of::At("/ready_s"), "kill -9 with 24M just in, ready s", Against::Each, None),
    figure(
        "crash2",
        Of::At("/lost_acked"),
        "kill -9 with 24M just in, acked samples lost",
        Against::Each,
        Some(0.0),
    ),
    figure(
        "crash",
        Of::At("/ready_s_after_kill9_full"),
        "kill -9 with 24M at rest, ready s",
        Against::Each,
        Some(1.0),
    ),
    figure(
        "crash",
        Of::At("/b_lost_acked"),
        "kill -9 with 6M just in, acked samples lost",
        Against::Each,
        Some(0.0),
    ),
    figure(
        "scrape_1s",
        Of::At("/server_cpu_s_per_million_samples"),
        "scrape, CPU s/M samples",
        Against::Each,
        Some(0.3),
    ),
    figure("scrape_1s", Of::At("/mem/peak_mb"), "scrape, peak RSS MB", Against::Each, Some(0.5)),
    figure("queries", Of::At("/mem_after/peak_mb"), "queries, peak RSS MB", Against::Prometheus, Some(0.5)),
    figure(
        "mixed",
        Of::At("/busy_over_idle"),
        "1-series query beside a 100k-series one, latency / idle",
        Against::Nobody,
        Some(5.0),
    ),
    figure("traces", Of::SpansPerCpuSecond, "spans per CPU second", Against::Nobody, None),
    figure("traces", Of::At("/bytes_per_span_on_disk"), "bytes/span on disk", Against::Nobody, None),
    figure("traces", Of::At("/mem_settled/peak_mb"), "traces, peak RSS MB", Against::Nobody, None),
];
/// Goals of a query's CPU against the better peer, of the mean of all, and of those where the peer takes under 1 ms.
const QUERY_GOAL: f64 = 0.6;
const QUERY_MEAN_GOAL: f64 = 0.2;
const QUERY_SMALL_GOAL: f64 = 1.0;
const QUERY_SMALL_MS: f64 = 1.0;
/// Goal of the instant query that touches all series.
const TOUCH_ALL: (&str, f64) = ("i_sum_all_100k", 0.05);
/// Goal of the cost per sample at 1M series against 100k.
const WIDE_GOAL: f64 = 1.3;
/// Goal of the rate of small queries over 8 connections: at least this many times VictoriaMetrics's.
const SMALL_QUERY_RATE_GOAL: f64 = 1.5;
const PEERS: [&str; 2] = ["prometheus", "victoriametrics"];

/// All figures for which there is a result.
///
/// # Errors
/// When a result file is not JSON.
pub(super) fn rows(results: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for figure in FIGURES {
        let Some(ours) = load(results, "eino", figure.phase)? else { continue };
        let ours = figure.of.read(&ours);
        let peers: &[&str] = match figure.against {
            Against::Prometheus => &PEERS[..1],
            Against::VictoriaMetrics => &PEERS[1..],
            Against::Each => &PEERS,
            Against::Nobody => {
                let met = ours.zip(figure.goal).map(|(ours, goal)| ours <= goal);
                let row = figure.name.to_owned();
                rows.push(Row { row, ours, peer: None, ratio: None, goal: figure.goal, met });
                &[]
            }
        };
        for peer in peers {
            let theirs = load(results, peer, figure.phase)?.and_then(|result| figure.of.read(&result));
            rows.push(row(format!("{} vs {peer}", figure.name), ours, theirs, figure.goal));
        }
    }
    rows.extend(wide_row(results)?);
    rows.extend(query_rows(results)?);
    rows.extend(small_query_rows(results)?);
    Ok(rows)
}

impl Of {
    fn read(self, result: &Value) -> Option<f64> {
        let number = |pointer| result.pointer(pointer).and_then(Value::as_f64);
        let quotient = |over, under| Some(number(over)? / number(under)?);
        match self {
            Self::At(pointer) => number(pointer),
            Self::CpuPerSample => quotient("/server_cpu_s", "/acked_samples").map(|seconds| seconds * 1e6),
            Self::SpansPerCpuSecond => quotient("/acked_spans", "/server_cpu_s"),
        }
    }
}

/// Our own cost per sample of series that exist: a million of them against a hundred thousand.
fn wide_row(results: &Path) -> anyhow::Result<Option<Row>> {
    let cost = |phase| Ok(load(results, "eino", phase)?.and_then(|result| Of::CpuPerSample.read(&result)));
    let (wide, narrow): (anyhow::Result<_>, anyhow::Result<_>) = (cost("wide"), cost("ingest"));
    let (wide, narrow) = (wide?, narrow?);
    let name = "CPU us/sample at 1M series vs our own at 100k".to_owned();
    Ok(wide.is_some().then(|| row(name, wide, narrow, Some(WIDE_GOAL))))
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
        let goal = match best {
            _ if name == TOUCH_ALL.0 => TOUCH_ALL.1,
            Some(best) if best < QUERY_SMALL_MS => QUERY_SMALL_GOAL,
            _ => QUERY_GOAL,
        };
        let row = row(format!("query {name}, CPU ms vs better peer"), cpu(query), best, Some(goal));
        logs.extend(row.ratio.filter(|ratio| *ratio > 0.0).map(f64::ln));
        rows.push(row);
    }
    if !logs.is_empty() {
        let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
        let name = format!("{} queries, CPU, geometric mean vs better peer", logs.len());
        rows.push(row(name, Some(mean), Some(1.0), Some(QUERY_MEAN_GOAL)));
    }
    Ok(rows)
}

/// Small queries a second over 8 connections, where `wrk` is installed. The ratio is the peer's rate over ours, so
/// that below 1 is better here too.
fn small_query_rows(results: &Path) -> anyhow::Result<Vec<Row>> {
    let rates = |peer| anyhow::Ok(load(results, peer, "long")?.map(|mut result| result["qps"].take()));
    let (Some(ours), Some(theirs)) = (rates("eino")?, rates("victoriametrics")?) else {
        return Ok(Vec::new());
    };
    let queries = ours.as_object().into_iter().flatten();
    let rows = queries.map(|(name, figures)| {
        let (ours, peer) = (figures["per_s"].as_f64(), theirs[name]["per_s"].as_f64());
        let ratio = ours.zip(peer).filter(|(ours, _)| *ours > 0.0).map(|(ours, peer)| peer / ours);
        let goal = 1.0 / SMALL_QUERY_RATE_GOAL;
        let met = ratio.map(|ratio| ratio <= goal);
        let row = format!("{name}, 8 connections, queries/s vs victoriametrics");
        Row { row, ours, peer, ratio, goal: Some(goal), met }
    });
    Ok(rows.collect())
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
