//! Large answers: in pieces, whole, and ended when their reader leaves.

use axum::body::Body;
use futures_util::StreamExt;
use http::{Request, StatusCode};
use http_api::HttpLimits;
use tower::ServiceExt;

use crate::data::TestSource;
use crate::rig::{Rig, RigOptions, until};

const WIDE: &str = "/api/v1/query_range?query=wide&start=1767222000&end=1767225600&step=15";

async fn wide(limits: HttpLimits) -> Rig {
    Rig::start(RigOptions { source: TestSource::wide(500, 240), limits, ..RigOptions::default() }).await
}

fn request(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).expect("a valid request")
}

#[tokio::test]
async fn a_large_answer_comes_in_pieces_and_is_whole() {
    let rig = wide(HttpLimits::default()).await;
    let Ok(response) = rig.router.clone().oneshot(request(WIDE)).await;
    let mut pieces = response.into_body().into_data_stream();
    let (mut body, mut largest) = (Vec::new(), 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece.expect("not broken");
        largest = largest.max(piece.len());
        body.extend_from_slice(&piece);
    }
    let answer: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let series = answer["data"]["result"].as_array().expect("series");
    assert_eq!((series.len(), series[499]["values"].as_array().map(Vec::len)), (500, Some(240)));
    assert_eq!(series[499]["values"][239], serde_json::json!([1_767_225_600, "528.875"]));
    assert!(body.len() > 2_000_000 && largest < 64 << 10, "{} bytes, pieces up to {largest}", body.len());
}

#[tokio::test]
async fn compressed_pieces_are_the_same_answer() {
    let rig = wide(HttpLimits::default()).await;
    let plain = rig.ask("GET", WIDE, &[], "").await.body;
    let gzip = rig.ask("GET", WIDE, &[("Accept-Encoding", "gzip")], "").await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    let decoded = wire::compress::decompress(Some("gzip"), &gzip.body, plain.len() + 1);
    assert!(decoded.expect("gzip").as_ref() == plain.as_slice());
}

#[tokio::test]
async fn a_reader_that_leaves_frees_the_stream() {
    let rig = wide(HttpLimits { streams_max: 1, ..HttpLimits::default() }).await;
    let Ok(response) = rig.router.clone().oneshot(request(WIDE)).await;
    let refused = rig.ask("GET", WIDE, &[], "").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.text().contains("1 large answers are being sent already (limits.answer_streams)"));
    drop(response);
    // The writer notices at its next piece.
    let mut answered = StatusCode::SERVICE_UNAVAILABLE;
    while answered != StatusCode::OK {
        answered = rig.ask("GET", WIDE, &[], "").await.status;
    }
    assert!(rig.registry.encode_text().contains("eino_queries_running 0"));
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_gives_its_place_back() {
    let rig = wide(HttpLimits { query_concurrency: 0, ..HttpLimits::default() }).await;
    let waiting = tokio::spawn(rig.router.clone().oneshot(request("/api/v1/query?query=1")));
    until(|| rig.registry.encode_text().contains("eino_queries_waiting 1")).await;
    waiting.abort();
    until(|| rig.registry.encode_text().contains("eino_queries_waiting 0")).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_query() {
    let (release, held) = std::sync::mpsc::channel();
    let source = TestSource::new().held_by(held);
    let rig = Rig::start(RigOptions { source, ..RigOptions::default() }).await;
    let running = tokio::spawn(rig.router.clone().oneshot(request("/api/v1/query?query=held")));
    until(|| rig.registry.encode_text().contains("eino_queries_running 1")).await;
    running.abort();
    assert!(running.await.is_err_and(|error| error.is_cancelled()));
    drop(release);
    until(|| rig.registry.encode_text().contains("eino_queries_running 0")).await;
    assert!(rig.registry.encode_text().contains("eino_queries_canceled_total 1"));
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_turn_counts_against_the_timeout() {
    let rig = wide(HttpLimits { query_concurrency: 0, ..HttpLimits::default() }).await;
    let answer = rig.ask("GET", "/api/v1/query?query=1&timeout=2s", &[], "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.text(),
        r#"{"status":"error","errorType":"timeout","error":"query timed out in query queue"}"#
    );
}

#[tokio::test]
async fn notices_are_followed_live() {
    let rig = Rig::start(RigOptions::default()).await;
    rig.live.raise("disk is full", 0);
    let Ok(response) = rig.router.clone().oneshot(request("/api/v1/notifications/live")).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    let mut next = async || events.next().await.expect("an event").expect("not broken");
    assert_eq!(
        next().await,
        "data: {\"text\":\"disk is full\",\"date\":\"1970-01-01T00:00:00Z\",\"active\":true}\n\n"
    );
    rig.live.clear("disk is full");
    assert_eq!(
        next().await,
        "data: {\"text\":\"disk is full\",\"date\":\"1970-01-01T00:00:00Z\",\"active\":false}\n\n"
    );
}
