//! Measures the store on synthetic traces: CPU per appended span, bytes per span at rest, latency of questions.
//!
//! ```text
//! cargo run --release -p traces --example trace_store_speed -- [SPANS] [DIRECTORY]
//! ```
#![expect(clippy::print_stdout, reason = "a program that prints its findings")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clock::Clock;
use eino_metrics_core::Registry;
use model::{
    AttributeValue, Resource, Scope, Span, SpanBatch, SpanId, SpanKind, SpanSink, SpanSource, SpanStatus,
    StatusCode, TimeRange, TraceId, TraceQuery,
};
use traces::{TraceStore, TraceStoreConfig};

const BATCH_SPANS: usize = 512;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let spans: usize =
        arguments.next().as_deref().unwrap_or("300000").parse().context("SPANS is a number")?;
    let dir = arguments.next().unwrap_or_else(|| "target/trace_store_speed".to_owned());
    drop(std::fs::remove_dir_all(&dir));
    let clock = Clock::system();
    let config = TraceStoreConfig {
        memtable_spans: usize::MAX,
        memtable_bytes: usize::MAX,
        ..TraceStoreConfig::new(&dir)
    };
    let store = TraceStore::open(config.clone(), clock.clone(), &Registry::new())?;
    let batches = generate(spans, clock.unix_ns());
    let ids: Vec<TraceId> =
        batches.iter().flat_map(|batch| batch.spans.first()).map(|span| span.trace_id).collect();

    let before = (cpu(), clock.monotonic());
    for batch in &batches {
        let appended = store.append(batch)?;
        anyhow::ensure!(appended.rejected.is_empty(), "{:?}", appended.rejected);
    }
    report("append, with log", &clock, before, spans);
    ask("in memory", &store, &clock, &ids)?;

    let log_bytes = store.status().bytes;
    println!("{:<34} {:.1} B/span", "log", log_bytes as f64 / spans as f64);
    let before = (cpu(), clock.monotonic());
    drop(store);
    let store = TraceStore::open(config.clone(), clock.clone(), &Registry::new())?;
    report("open, replaying the log", &clock, before, spans);

    let before = (cpu(), clock.monotonic());
    store.flush()?;
    report("flush to a block", &clock, before, spans);
    let block_bytes: u64 = walk(&std::path::Path::new(&dir).join("blocks"))?;
    println!("{:<34} {:.1} B/span", "block", block_bytes as f64 / spans as f64);
    ask("in a block", &store, &clock, &ids)?;

    let before = (cpu(), clock.monotonic());
    let mut visited = 0;
    store.scan(TimeRange::ALL, &mut |trace| {
        visited += trace.len();
        ControlFlow::Continue(())
    })?;
    anyhow::ensure!(visited == spans, "the scan gave {visited} of {spans} spans");
    report("scan of all traces", &clock, before, spans);
    Ok(())
}

fn ask(place: &str, store: &TraceStore, clock: &Clock, ids: &[TraceId]) -> anyhow::Result<()> {
    let mut latencies: Vec<Duration> = Vec::new();
    for id in ids.iter().step_by(ids.len().div_ceil(200)) {
        let start = clock.monotonic();
        anyhow::ensure!(!store.trace(*id)?.is_empty(), "trace {id} is not found");
        latencies.push(clock.monotonic() - start);
    }
    latencies.sort();
    let quantile =
        |part: usize| latencies.get((latencies.len() - 1) * part / 100).copied().unwrap_or_default();
    println!("{:<34} p50 {:?}, p99 {:?}", format!("trace by id {place}"), quantile(50), quantile(99));
    let query = |service: Option<&str>, attributes: &[(&str, &str)], duration_min_ns| TraceQuery {
        service: service.map(str::to_owned),
        operation: None,
        attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        duration_min_ns,
        duration_max_ns: None,
        range_ns: TimeRange::ALL,
        limit: 20,
    };
    let queries = [
        ("service", query(Some("service-3"), &[], None)),
        ("service and duration", query(Some("service-3"), &[], Some(49_900_000))),
        ("common attribute", query(None, &[("http.request.method", "GET")], None)),
        ("rare attribute", query(None, &[("user.id", "user-17")], None)),
        ("service and error", query(Some("service-3"), &[("error", "true")], None)),
        ("attribute that nobody has", query(None, &[("nothing", "x")], None)),
    ];
    for (name, query) in queries {
        let start = clock.monotonic();
        let found = store.search(&query)?.len();
        let label = format!("search {place}: {name}");
        println!("{label:<44} {:?} ({found} traces)", clock.monotonic() - start);
    }
    Ok(())
}

fn report(what: &str, clock: &Clock, before: (Duration, Duration), spans: usize) {
    let (cpu, wall) = (cpu() - before.0, clock.monotonic() - before.1);
    let us = cpu.as_secs_f64() * 1e6 / spans as f64;
    println!("{what:<34} {us:.2} us CPU/span, {wall:?}");
}

/// CPU time of this process, in clock ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn walk(dir: &std::path::Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// Traces of 10 to 30 spans over ten services, seven typed attributes a span, in batches of one service each as SDKs
/// send them.
fn generate(spans: usize, now_ns: u64) -> Vec<SpanBatch> {
    let mut random = fastrand::Rng::with_seed(7);
    let resources: Vec<Arc<Resource>> = (0..10).map(|index| Arc::new(resource(index))).collect();
    let scope = Arc::new(Scope { name: "http".into(), version: "1.2.0".into(), attributes: Vec::new() });
    let mut waiting: Vec<Vec<Arc<Span>>> = vec![Vec::new(); resources.len()];
    let mut batches = Vec::new();
    let mut made = 0;
    while made < spans {
        let trace_id = TraceId(random.u128(1..).to_be_bytes());
        let trace_start = now_ns - 600_000_000_000 + made as u64 * 1_000_000;
        let mut parents: Vec<(SpanId, u64)> = Vec::new();
        for _ in 0..random.usize(10..30).min(spans - made) {
            let span_id = SpanId(random.u64(1..).to_be_bytes());
            let parent = parents.get(random.usize(0..parents.len().max(1))).copied();
            let start_ns = parent.map_or(trace_start, |(_, start)| start) + random.u64(1_000..2_000_000);
            parents.push((span_id, start_ns));
            let service = random.usize(0..resources.len());
            let (Some(resource), Some(queue)) = (resources.get(service), waiting.get_mut(service)) else {
                continue;
            };
            let resource = Arc::clone(resource);
            queue.push(Arc::new(make_span(
                &mut random,
                trace_id,
                span_id,
                parent,
                start_ns,
                resource,
                &scope,
            )));
            made += 1;
            if queue.len() == BATCH_SPANS {
                batches.push(SpanBatch { spans: std::mem::take(queue) });
            }
        }
    }
    batches.extend(waiting.into_iter().filter(|spans| !spans.is_empty()).map(|spans| SpanBatch { spans }));
    batches
}

fn resource(index: usize) -> Resource {
    let text = |text: String| AttributeValue::String(text.into());
    Resource::new(vec![
        ("service.name".into(), text(format!("service-{index}"))),
        ("service.version".into(), text("1.4.2".into())),
        ("host.name".into(), text(format!("host-{index}"))),
        ("process.pid".into(), AttributeValue::Int(4000 + index as i64)),
    ])
}

fn make_span(
    random: &mut fastrand::Rng,
    trace_id: TraceId,
    span_id: SpanId,
    parent: Option<(SpanId, u64)>,
    start_ns: u64,
    resource: Arc<Resource>,
    scope: &Arc<Scope>,
) -> Span {
    let route = random.usize(0..20);
    let method = if random.u8(0..4) == 0 { "POST" } else { "GET" };
    let is_error = random.u8(0..50) == 0;
    let text = |text: &str| AttributeValue::String(text.into());
    Span {
        trace_id,
        span_id,
        parent_span_id: parent.map(|(id, _)| id),
        trace_state: "".into(),
        flags: 1,
        name: format!("{method} /api/v1/resource-{route}").into(),
        kind: if random.bool() { SpanKind::Server } else { SpanKind::Client },
        start_ns,
        end_ns: start_ns + random.u64(10_000..50_000_000),
        status: SpanStatus {
            code: if is_error { StatusCode::Error } else { StatusCode::Unset },
            message: "".into(),
        },
        attributes: vec![
            ("http.request.method".into(), text(method)),
            ("http.route".into(), text(&format!("/api/v1/resource-{route}"))),
            ("http.response.status_code".into(), AttributeValue::Int(if is_error { 500 } else { 200 })),
            ("server.address".into(), text(&format!("10.0.0.{}", random.u8(0..20)))),
            ("server.port".into(), AttributeValue::Int(8080)),
            ("user.id".into(), text(&format!("user-{}", random.u32(0..5000)))),
            ("cache.hit".into(), AttributeValue::Bool(random.bool())),
        ],
        events: Vec::new(),
        links: Vec::new(),
        dropped_attributes: 0,
        dropped_events: 0,
        dropped_links: 0,
        resource,
        scope: Arc::clone(scope),
    }
}
