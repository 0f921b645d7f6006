//! Malformed, oversized, truncated and bomb-compressed bodies: a clear 4xx, a counter, memory flat, the server lives.

use std::io::Write;

use crate::harness::{TestServer, request};

const OTLP_PATHS: [&str; 3] = ["/v1/traces", "/v1/metrics", "/v1/logs"];
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[track_caller]
fn refused(server: &TestServer, path: &str, headers: &[(&str, &str)], body: &[u8], status: u16, words: &str) {
    let before = server.own_metric("eino_receive_refused_requests_total", &[]);
    let answer = request(server.http, "POST", path, headers, body);
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    let text = answer.text();
    assert!(text.contains(words), "{path}: {text:?} does not say {words:?}");
    let after = server.own_metric("eino_receive_refused_requests_total", &[]);
    assert!(after > before, "{path}: the refusal is not counted");
}

#[test]
fn malformed_bodies_are_named() {
    let server = TestServer::start("");
    for path in OTLP_PATHS {
        refused(&server, path, &[PROTOBUF], b"\xff\xff\xff\xff", 400, "malformed");
        refused(&server, path, &[JSON], b"{\"resourceSpans\": [", 400, "malformed");
        refused(&server, path, &[("Content-Type", "text/plain")], b"x", 415, "text/plain");
        refused(&server, path, &[PROTOBUF, ("Content-Encoding", "br")], b"x", 415, "br");
        refused(&server, path, &[PROTOBUF, ("Content-Encoding", "gzip")], b"not gzip", 400, "gzip");
        refused(&server, path, &[PROTOBUF, ("Content-Encoding", "zstd")], b"not zstd", 400, "zstd");
    }
    let snappy = [PROTOBUF, ("Content-Encoding", "snappy")];
    refused(&server, "/api/v1/write", &snappy, b"not snappy at all", 400, "snappy");
    refused(&server, "/api/v1/write", &[PROTOBUF, ("Content-Encoding", "gzip")], b"x", 415, "snappy");
    refused(&server, "/api/v1/write", &[JSON], b"{}", 415, "application/json");
    let version_2 = ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    let snappy = ("Content-Encoding", "snappy");
    refused(&server, "/api/v1/write", &[version_2, snappy], b"not snappy at all", 400, "snappy");
    let version_3 = ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v3.Request");
    refused(&server, "/api/v1/write", &[version_3, snappy], b"", 415, "write.v3");
    assert_eq!(request(server.http, "GET", "/-/healthy", &[], b"").status, 200);
}

#[test]
fn bombs_and_giants_do_not_grow_memory() {
    let server = TestServer::start("");
    // 1 GiB of zeros is 1 MiB of gzip, and 33 KiB of it twice.
    let bomb = gzip(&vec![0; 256 << 20]);
    let resident_before = server.resident_mib();
    for path in OTLP_PATHS {
        for _ in 0..4 {
            refused(&server, path, &[PROTOBUF, ("Content-Encoding", "gzip")], &bomb, 413, "limit");
        }
    }
    // A snappy block that declares 4 GiB - 1.
    let snappy = [PROTOBUF, ("Content-Encoding", "snappy")];
    refused(&server, "/api/v1/write", &snappy, b"\xff\xff\xff\xff\x0f\x00", 413, "limit");
    let giant = vec![0; 33 << 20];
    let answer = request(server.http, "POST", "/v1/traces", &[PROTOBUF], &giant);
    assert_eq!(answer.status, 413, "{}", answer.text());
    let grown = server.resident_mib().saturating_sub(resident_before);
    assert!(grown < 200, "memory grew by {grown} MiB");
}

#[test]
fn every_prefix_of_a_real_body_is_survived() {
    let Some(wire) = crate::harness::shared("conformance/wire") else { return };
    let server = TestServer::start("");
    let body =
        std::fs::read(wire.join("01_OTel-OTLP-Exporter-Python_v1_traces.body")).expect("recorded body");
    for len in (0..body.len()).step_by(7) {
        let answer = request(server.otlp_http, "POST", "/v1/traces", &[PROTOBUF], &body[..len]);
        assert!(matches!(answer.status, 200 | 400), "{len} bytes: {}", answer.text());
    }
    assert_eq!(request(server.http, "GET", "/-/healthy", &[], b"").status, 200);
}

#[test]
fn unknown_api_paths_are_404_and_pages_are_the_ui() {
    let server = TestServer::start("");
    for path in [
        "/api/v1/nothing",
        "/jaeger/api/nothing",
        "/eino/v1/nothing",
        "/alertmanager/alertmanager/api/v2/status",
        "/v1/nothing",
    ] {
        let answer = request(server.http, "GET", path, &[("Accept", "text/html")], b"");
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("not_found"), "{path}: {}", answer.text());
    }
    let page = request(server.http, "GET", "/traces", &[("Accept", "text/html")], b"");
    assert_eq!(page.status, 200);
    assert!(page.head.to_lowercase().contains("content-security-policy"), "{}", page.head);
    assert!(page.text().to_lowercase().contains("<!doctype html"), "{}", page.text());
}

#[test]
fn bad_queries_say_where() {
    let server = TestServer::start("");
    let ask = |path: &str| request(server.http, "GET", path, &[], b"");
    let answer = ask("/api/v1/query?query=sum(");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("bad_data") && answer.text().contains("parse error"), "{}", answer.text());
    assert_eq!(ask("/api/v1/query_range?query=up&start=0&end=100000&step=1").status, 400);
    assert_eq!(ask("/api/v1/query_range?query=up&start=10&end=0&step=1").status, 400);
    assert_eq!(ask("/api/v1/query?query=up&time=yesterday").status, 400);
    assert_eq!(ask("/api/v1/series").status, 400);
    assert_eq!(ask("/eino/v1/bottlenecks?start=10&end=5").status, 400);
}
