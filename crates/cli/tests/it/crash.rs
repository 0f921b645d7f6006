//! kill -9 under load: everything that was acknowledged is there after the restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::MetricBatch;

use crate::harness::{TestServer, request, unix_ms, variable};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const SERIES: usize = 50;

fn remote_write_body(writer: usize, sequence: u64, start_ms: i64) -> Vec<u8> {
    let mut batch = MetricBatch::new();
    for series in 0..SERIES {
        let (writer, series) = (writer.to_string(), series.to_string());
        let mut labels =
            [("__name__", "crash_total"), ("series", series.as_str()), ("writer", writer.as_str())];
        let ts_ms = start_ms + i64::try_from(sequence).expect("small");
        batch.push(&mut labels, ts_ms, sequence as f64).expect("valid labels");
    }
    let protobuf = wire::remote_write::encode(&batch);
    snap::raw::Encoder::new().compress_vec(&protobuf).expect("memory")
}

fn span_body(writer: usize, sequence: u64, now_ns: u64) -> (String, Vec<u8>) {
    let id = format!("{:016x}{sequence:016x}", writer + 1);
    let body = serde_json::json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "crash"}}]},
        "scopeSpans": [{"spans": [{
            "traceId": id, "spanId": format!("{:016x}", sequence + 1), "name": "op", "kind": 2,
            "startTimeUnixNano": now_ns.to_string(), "endTimeUnixNano": (now_ns + 1_000).to_string(),
        }]}],
    }]});
    (id, body.to_string().into_bytes())
}

/// Sends until the server dies; gives back how many requests were acknowledged.
fn send_until_death(stop: &AtomicBool, mut send: impl FnMut(u64) -> bool) -> u64 {
    let mut acked = 0;
    while !stop.load(Ordering::Relaxed) && send(acked) {
        acked += 1;
    }
    acked
}

/// One request; false when the server is gone.
fn acknowledged(to: std::net::SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> bool {
    let exchange = std::panic::catch_unwind(|| request(to, "POST", path, headers, body));
    exchange.is_ok_and(|answer| {
        assert!(matches!(answer.status, 200 | 204), "{path}: {} {}", answer.status, answer.text());
        true
    })
}

#[test]
fn kill_9_during_load_loses_nothing_acknowledged() {
    let seed: u64 = variable("EINO_CRASH_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let server = TestServer::start("");
    let (http, otlp) = (server.http, server.otlp_http);
    let start_ms = unix_ms() - 60_000;
    let stop = Arc::new(AtomicBool::new(false));
    let total = Arc::new(AtomicU64::new(0));
    let metrics: Vec<_> = (0..2)
        .map(|writer| {
            let (stop, total) = (Arc::clone(&stop), Arc::clone(&total));
            std::thread::spawn(move || {
                send_until_death(&stop, |sequence| {
                    let body = remote_write_body(writer, sequence, start_ms);
                    total.fetch_add(1, Ordering::Relaxed);
                    acknowledged(http, "/api/v1/write", &[PROTOBUF, ("Content-Encoding", "snappy")], &body)
                })
            })
        })
        .collect();
    let spans: Vec<_> = (0..2)
        .map(|writer| {
            let (stop, total) = (Arc::clone(&stop), Arc::clone(&total));
            std::thread::spawn(move || {
                send_until_death(&stop, |sequence| {
                    let (_, body) =
                        span_body(writer, sequence, u64::try_from(start_ms).expect("after 1970") * 1_000_000);
                    total.fetch_add(1, Ordering::Relaxed);
                    acknowledged(otlp, "/v1/traces", &[("Content-Type", "application/json")], &body)
                })
            })
        })
        .collect();
    // The moment of death is a number of requests, so that a seed means the same on a slow machine.
    crate::harness::wait_for("requests under way", || {
        (total.load(Ordering::Relaxed) > 400 + seed * 37).then_some(())
    });
    let server = server.kill_and_restart();
    stop.store(true, Ordering::Relaxed);
    let metrics: Vec<u64> = metrics.into_iter().map(|writer| writer.join().expect("writer")).collect();
    let spans: Vec<u64> = spans.into_iter().map(|writer| writer.join().expect("writer")).collect();
    assert!(metrics.iter().chain(&spans).all(|acked| *acked > 0), "{metrics:?} {spans:?}");
    for (writer, acked) in metrics.iter().enumerate() {
        for series in 0..SERIES {
            let query =
                format!("count_over_time(crash_total{{writer=\"{writer}\", series=\"{series}\"}}[10m])");
            let found = server.query_value(&query).unwrap_or(0.0);
            assert!(
                found >= *acked as f64,
                "writer {writer}, series {series}: {found} of {acked} acknowledged samples"
            );
        }
    }
    for (writer, acked) in spans.iter().enumerate() {
        for sequence in 0..*acked {
            let id = format!("{:016x}{sequence:016x}", writer + 1);
            let answer = request(server.http, "GET", &format!("/jaeger/api/traces/{id}"), &[], b"");
            assert_eq!(
                answer.status, 200,
                "writer {writer}: acknowledged span {sequence} of {acked} is lost"
            );
        }
    }
    println!("acknowledged and found: {metrics:?} x {SERIES} samples, {spans:?} spans");
}

#[test]
fn sigterm_drains_and_exits_0_and_the_next_start_has_everything() {
    let server = TestServer::start("");
    let body = remote_write_body(0, 7, unix_ms());
    assert!(acknowledged(server.http, "/api/v1/write", &[PROTOBUF, ("Content-Encoding", "snappy")], &body));
    let mut server = server;
    let (status, took) = server.terminate();
    assert!(status.success(), "{status}");
    assert!(took.as_secs() < 10, "{took:?}");
    let again = TestServer::start_in(&server.dir);
    assert_eq!(again.query_value("sum(crash_total)"), Some(7.0 * SERIES as f64));
}
