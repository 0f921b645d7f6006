//! Our own OpenAPI document says what the router does.

use serde_json::Value;

use crate::rig::{Rig, RigOptions};
use crate::schema;

/// Requests that have an answer with the rig's data, one for each operation that needs more than its path.
const ASKED: [(&str, &str); 4] = [
    ("GET /eino/v1/compare", "/eino/v1/compare?before_start=1&before_end=2&after_start=2&after_end=3"),
    ("GET /eino/v1/explain", "/eino/v1/explain?query=sum(rate(http_requests_total[5m]))"),
    ("POST /eino/v1/explain", "/eino/v1/explain?query=up&start=1767225570&end=1767225600&step=15"),
    (
        "GET /eino/v1/traces/{id}/critical-path",
        "/eino/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736/critical-path",
    ),
];

#[tokio::test(start_paused = true)]
async fn every_operation_answers_in_its_shape() {
    let rig = Rig::start(RigOptions::default()).await;
    let served = rig.ask("GET", "/eino/v1/openapi.json", &[], "").await;
    let document: Value = serde_json::from_slice(&served.body).expect("JSON");
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let name = format!("{} {path}", method.to_uppercase());
            let asked =
                ASKED.iter().find(|(known, _)| *known == name).map_or(path.as_str(), |(_, asked)| asked);
            let answer = rig.ask(&method.to_uppercase(), asked, &[], "").await;
            let response = &operation["responses"][answer.status.as_str()];
            assert!(
                response.is_object(),
                "{name}: {} is not in the document: {}",
                answer.status,
                answer.text()
            );
            let schema = &response["content"]["application/json"]["schema"];
            let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
            schema::check(&document, schema, &body, "$")
                .unwrap_or_else(|why| panic!("{name}: {why}: {body}"));
            operations += 1;
        }
    }
    assert!(operations >= 10, "{operations} operations");
}

/// Routes of `eino.rs` that the document does not have.
#[test]
fn no_route_is_missing() {
    let routes = include_str!("../../src/eino.rs");
    let document: Value = serde_json::from_str(include_str!("../../openapi.json")).expect("JSON");
    let written = routes.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")?.split('"').next());
    let missing: Vec<&str> = written.filter(|path| document["paths"].get(path).is_none()).collect();
    assert!(missing.is_empty(), "write these into openapi.json: {missing:?}");
}
