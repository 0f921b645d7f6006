use super::*;
use crate::testing::{span, spans, trace_id};

const S: u64 = 1_000_000_000;

fn series(stream: &mut StreamAnalysis) -> BTreeMap<String, f64> {
    let mut batch = MetricBatch::new();
    stream.collect(5_000, &mut batch);
    assert!(batch.series().all(|series| series.ts_ms == [5_000]));
    batch.series().map(|series| (series.labels.to_string(), series.values[0])).collect()
}

fn stream(config: StreamConfig) -> (StreamAnalysis, Registry) {
    let registry = Registry::new();
    (StreamAnalysis::new(config, &registry), registry)
}

const SHOP: &str = "A - 0 1000000000 server web/GET_/\n P A 100000000 400000000 internal web/db.pool.acquire
    C A 400000000 900000000 client web/call\n B C 500000000 800000000 server shop/GET_/item error";

#[test]
fn red_needs_no_complete_trace() {
    let (mut stream, _) = stream(StreamConfig::default());
    stream.observe(&spans(SHOP), S);
    let series = series(&mut stream);
    let labels = "service=\"shop\", span_kind=\"SPAN_KIND_SERVER\", span_name=\"GET /item\", status_code=\"STATUS_CODE_ERROR\"";
    assert_eq!(series[&format!("traces_spanmetrics_calls_total{{{labels}}}")], 1.0, "{series:#?}");
    for name in ["latency", "duration_seconds"] {
        let bucket = |le| {
            let labels = format!("le=\"{le}\", {labels}");
            series[&format!("traces_spanmetrics_{name}_bucket{{{labels}}}")]
        };
        assert_eq!((bucket("0.256"), bucket("0.512"), bucket("+Inf")), (0.0, 1.0, 1.0));
        assert_eq!(series[&format!("traces_spanmetrics_{name}_sum{{{labels}}}")], 0.3);
        assert_eq!(series[&format!("traces_spanmetrics_{name}_count{{{labels}}}")], 1.0);
    }
    assert!(!series.keys().any(|name| name.starts_with("eino_critical_path")), "not closed yet");
}

#[test]
fn closed_traces_become_edges_and_path_seconds() {
    let (mut stream, _) = stream(StreamConfig::default());
    stream.observe(&spans(SHOP), S);
    stream.tick(4 * S);
    let series = series(&mut stream);
    let edge = "client=\"web\", server=\"shop\"";
    assert_eq!(series[&format!("traces_service_graph_request_total{{{edge}}}")], 1.0, "{series:#?}");
    assert_eq!(series[&format!("traces_service_graph_request_failed_total{{{edge}}}")], 1.0);
    assert_eq!(series[&format!("traces_service_graph_request_client_seconds_sum{{{edge}}}")], 0.5);
    assert_eq!(series[&format!("traces_service_graph_request_server_seconds_sum{{{edge}}}")], 0.3);
    let path = |class, operation, service| {
        let labels = format!(
            "class=\"{class}\", entry=\"web GET /\", operation=\"{operation}\", service=\"{service}\""
        );
        series[&format!("eino_critical_path_seconds_total{{{labels}}}")]
    };
    assert_eq!(path("pool_wait", "db.pool.acquire", "web"), 0.3);
    assert_eq!(path("network", "call", "web"), 0.2);
    assert_eq!(path("self", "GET /item", "shop"), 0.3);
    assert_eq!(path("self", "GET /", "web"), 0.2);
}

#[test]
fn names_beyond_the_limit_are_other() {
    let config = StreamConfig { operations_max: 2, services_max: 2, ..StreamConfig::default() };
    let (mut stream, registry) = stream(config);
    for number in 0..10 {
        stream.observe(&[span(trace_id(number), &format!("A - 0 100 a/op{number}"))], S);
        stream.observe(&[span(trace_id(number), &format!("B - 0 100 s{number}/op"))], S);
    }
    let series = series(&mut stream);
    let calls = |service, operation| {
        let matching = series.iter().filter(|(name, _)| {
            name.starts_with("traces_spanmetrics_calls_total")
                && name.contains(&format!("service=\"{service}\""))
                && name.contains(&format!("span_name=\"{operation}\""))
        });
        matching.map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!((calls("a", "op0"), calls("a", "__other__")), (1.0, 8.0));
    assert_eq!((calls("s0", "op"), calls("__other__", "__other__")), (1.0, 9.0));
    assert!(registry.encode_text().contains("eino_analysis_limited_total 17"), "{}", registry.encode_text());
}

#[test]
fn collected_values_only_grow() {
    let (mut stream, _) = stream(StreamConfig::default());
    stream.observe(&spans(SHOP), S);
    stream.close_all();
    let before = series(&mut stream);
    let again: Vec<_> = SHOP.lines().map(|line| span(trace_id(2), line)).collect();
    stream.observe(&again, 2 * S);
    stream.close_all();
    let after = series(&mut stream);
    assert_eq!(before.len(), after.len());
    for (name, value) in &before {
        assert!((after[name] - 2.0 * value).abs() < 1e-9, "{name}: {value} and then {}", after[name]);
    }
}
