//! From a span to what a collector reads, over real sockets.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eino_context::{Ctx, Remote, extract};
use eino_metrics_core::Registry;
use eino_trace::{Kind, ShutdownReport, TraceConfig, Tracer, Value, span};
use expect_test::expect;
use http::{HeaderMap, HeaderValue, StatusCode};
use support::Collector;
use tokio::net::TcpListener;
use tokio::time::Instant;

const BUDGET: Duration = Duration::from_secs(5);

fn config(endpoint: &str) -> TraceConfig {
    TraceConfig {
        endpoint: Some(endpoint.to_owned()),
        flush_interval: Duration::from_millis(5),
        instance_id: "one".to_owned(),
        seed: Some(1),
        ..TraceConfig::new("payment-service")
    }
}

fn start(config: TraceConfig) -> (Tracer, Registry) {
    let registry = Registry::new();
    (Tracer::start(config, &registry).expect("a valid endpoint"), registry)
}

fn remote(flags: &str) -> Remote {
    let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::try_from(parent).expect("a header"));
    headers.insert("tracestate", HeaderValue::from_static("vendor=1"));
    extract(&headers).expect("a valid traceparent")
}

#[tokio::test]
async fn a_collector_reads_what_was_recorded() {
    let collector = Collector::start().await;
    let (tracer, _) = start(config(&collector.url));
    let server =
        tracer.continued(remote("01"), "POST /charges").kind(Kind::Server).attr("http.route", "/charges");
    server
        .around(async {
            let mut acquire = span("db.pool.acquire").attr("size", 2).attr("share", 0.5).attr("full", true);
            acquire.event("waiting", &[("queue", Value::from(3))]);
            acquire.set_error("no connection");
        })
        .await;
    assert_eq!(tracer.shutdown(BUDGET).await, ShutdownReport { exported: 2, dropped: 0 });

    let spans = collector.spans();
    let [child, server] = spans.as_slice() else { panic!("{spans:#?}") };
    assert_eq!(
        (server.service(), server.resource["service.instance.id"].as_str()),
        ("payment-service", "one")
    );
    assert_eq!(server.resource["telemetry.sdk.name"], "eino");
    assert_eq!(server.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(server.parent_id, "00f067aa0ba902b7");
    assert_eq!((server.kind, server.status, server.flags), (2, 0, 0x301));
    assert_eq!(server.tracestate, "vendor=1");
    assert_eq!(child.parent_id, server.span_id);
    assert_eq!((child.kind, child.status, child.flags), (1, 2, 0x101));
    assert_eq!(child.events, ["waiting"]);
    assert!(server.start_ns <= child.start_ns && child.end_ns <= server.end_ns);
    let attributes: Vec<String> =
        child.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    expect!["full=true share=0.5 size=2 no connection"].assert_eq(&format!(
        "{} {}",
        attributes.join(" "),
        child.message
    ));
}

#[tokio::test]
async fn the_callers_decision_holds_and_unsampled_spans_carry_ids_only() {
    let collector = Collector::start().await;
    let (tracer, _) = start(TraceConfig { sample_ratio: 0.0, ..config(&collector.url) });
    let unsampled = tracer.continued(remote("00"), "no");
    assert!(!unsampled.is_recording());
    let (trace_id, inner) = unsampled
        .around(async {
            let inner = span("inner");
            (Ctx::current().map(|ctx| ctx.trace_id().to_string()), inner.is_recording())
        })
        .await;
    assert_eq!((trace_id.as_deref(), inner), (Some("4bf92f3577b34da6a3ce929d0e0e4736"), false));
    assert!(!tracer.root("a ratio of 0").is_recording());
    assert!(tracer.continued(remote("01"), "yes").is_recording());
    assert_eq!(tracer.shutdown(BUDGET).await, ShutdownReport { exported: 1, dropped: 0 });
}

#[tokio::test]
async fn the_ratio_is_kept() {
    let collector = Collector::start().await;
    let (tracer, _) = start(TraceConfig { sample_ratio: 0.25, ..config(&collector.url) });
    let sampled = (0..4000).filter(|_| tracer.root("root").ctx().is_some_and(Ctx::is_sampled)).count();
    assert!((900..1100).contains(&sampled), "{sampled}");
    tracer.shutdown(BUDGET).await;
}

#[tokio::test]
async fn limits_cut_and_count() {
    let collector = Collector::start().await;
    let (tracer, _) = start(config(&collector.url));
    let mut root = tracer.root("n".repeat(10_000)).attr("long", "ü".repeat(5000));
    for _ in 0..99 {
        root.set_attr("k", 1);
        root.event("e", &[]);
    }
    root.end();
    tracer.shutdown(BUDGET).await;
    let span = &collector.spans()[0];
    assert_eq!((span.name.len(), span.attr("long").len()), (4096, 4096));
    assert_eq!((span.attributes_dropped, span.events.len()), (36, 32));
}

#[tokio::test]
async fn a_busy_collector_is_asked_again_and_a_refusal_is_final() {
    let busy_once =
        |before| (if before == 0 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }, Vec::new());
    let collector = Collector::answering(Arc::new(busy_once)).await;
    let (tracer, _) = start(config(&collector.url));
    tracer.root("a").end();
    collector.wait_until(|spans| spans.len() == 1).await;
    assert_eq!(tracer.shutdown(BUDGET).await, ShutdownReport { exported: 1, dropped: 0 });

    let collector = Collector::answering(Arc::new(|_| (StatusCode::BAD_REQUEST, Vec::new()))).await;
    let (tracer, registry) = start(config(&collector.url));
    tracer.root("a").end();
    collector.wait_for_requests(1).await;
    assert_eq!(tracer.shutdown(BUDGET).await, ShutdownReport { exported: 0, dropped: 1 });
    assert!(registry.encode_text().contains(r#"eino_trace_spans_dropped_total{reason="rejected"} 1"#));
}

#[tokio::test]
async fn partial_success_is_counted() {
    // partial_success { rejected_spans: 1, error_message: "x" }
    let answer = |_| (StatusCode::OK, b"\x0a\x05\x08\x01\x12\x01x".to_vec());
    let collector = Collector::answering(Arc::new(answer)).await;
    let (tracer, _) =
        start(TraceConfig { flush_interval: Duration::from_secs(60), ..config(&collector.url) });
    tracer.root("a").end();
    tracer.root("b").end();
    assert_eq!(tracer.shutdown(BUDGET).await, ShutdownReport { exported: 1, dropped: 1 });
}

#[tokio::test]
async fn a_dead_collector_blocks_nobody_and_every_span_is_accounted_for() {
    // It accepts connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (tracer, registry) = start(TraceConfig { queue_spans_max: 100, batch_spans_max: 10, ..config(&url) });
    for _ in 0..1000 {
        tracer.root("lost").end();
    }
    let started = Instant::now();
    let report = tracer.shutdown(Duration::from_millis(300)).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(report, ShutdownReport { exported: 0, dropped: 1000 });
    let text = registry.encode_text();
    assert!(text.contains("eino_trace_spans_recorded_total 1000"), "{text}");
    assert!(text.contains(r#"eino_trace_spans_dropped_total{reason="queue_full"} 900"#), "{text}");
}

#[tokio::test]
async fn endpoints_are_checked() {
    for (endpoint, detail) in [
        ("https://collector:4318", "it must begin with http://"),
        ("collector:4318", "it must begin with http://"),
        ("http://", "not a URL"),
        ("http:///v1/traces", "not a URL"),
        ("http://nonsense here", "not a URL"),
    ] {
        let error = Tracer::start(config(endpoint), &Registry::new()).expect_err(endpoint).to_string();
        assert!(error.contains(detail), "{error}");
    }
}
