//! Request bodies recorded from real clients, sent again, found by trace id.

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::{TestServer, request, shared};

/// OTLP bodies of the recordings: protobuf, gzipped protobuf, JSON.
const OTLP: &[&str] = &[
    "01_OTel-OTLP-Exporter-Python_v1_traces",
    "02_OTel-OTLP-Exporter-Python_v1_traces",
    "04_OTel-OTLP-Exporter-JavaScript_v1_traces",
];

fn headers(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).expect("recorded headers");
    let pairs = text.lines().skip(1).filter_map(|line| line.split_once(": "));
    let kept = pairs.filter(|(name, _)| {
        name.to_lowercase().starts_with("content-") && !name.eq_ignore_ascii_case("content-length")
    });
    kept.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// Trace ids of all stored traces, by searching each service.
fn stored_ids(server: &TestServer) -> BTreeSet<String> {
    let services = server.get_json("/jaeger/api/services");
    let mut ids = BTreeSet::new();
    for service in services["data"].as_array().expect("services") {
        let service = service.as_str().expect("a name");
        let traces = server
            .get_json(&format!("/jaeger/api/traces?service={}&limit=100", crate::harness::encode(service)));
        ids.extend(
            traces["data"]
                .as_array()
                .expect("traces")
                .iter()
                .map(|trace| trace["traceID"].as_str().expect("id").to_owned()),
        );
    }
    ids
}

#[test]
fn recorded_otlp_bodies_are_stored_and_found_by_id() {
    let Some(wire) = shared("conformance/wire") else { return };
    for name in OTLP {
        for port in ["otlp_http", "main"] {
            let server = TestServer::start("traces:\n  retention: 100y\n");
            let body = std::fs::read(wire.join(format!("{name}.body"))).expect("recorded body");
            let headers = headers(&wire.join(format!("{name}.headers")));
            let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let to = if port == "main" { server.http } else { server.otlp_http };
            let answer = request(to, "POST", "/v1/traces", &headers, &body);
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            let ids = stored_ids(&server);
            assert!(!ids.is_empty(), "{name}: nothing is stored");
            for id in ids {
                let trace = server.get_json(&format!("/jaeger/api/traces/{id}"));
                let spans = trace["data"][0]["spans"].as_array().expect("spans");
                assert!(spans.iter().all(|span| span["traceID"] == id.as_str()), "{trace}");
                let path = server.get_json(&format!("/eino/v1/traces/{id}/critical-path"));
                assert_eq!(path["trace_id"], id.as_str());
            }
        }
    }
}

#[test]
fn an_unknown_trace_is_404_in_jaegers_words() {
    let server = TestServer::start("");
    let answer = request(server.http, "GET", "/jaeger/api/traces/463ac35c9f6413ad48485a3953bb6124", &[], b"");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("trace not found"), "{}", answer.text());
    let answer = request(server.http, "GET", "/jaeger/api/traces/xyz", &[], b"");
    assert_eq!(answer.status, 400);
}
