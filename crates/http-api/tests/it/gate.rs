//! The main port before the stores are open and while the server stops.

use axum::Router;
use axum::body::Body;
use eino_metrics_core::Registry;
use http::Request;
use http_api::{Gate, Live};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::rig::{Rig, RigOptions};

async fn ask(router: &Router, path: &str) -> (u16, String, String) {
    let request = Request::builder().uri(path).body(Body::empty()).expect("a valid request");
    let Ok(response) = router.clone().oneshot(request).await;
    let stopping = response.headers().get("x-prometheus-stopping");
    let stopping = stopping.map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("whole").to_bytes();
    (status, stopping, String::from_utf8_lossy(&body).into_owned())
}

const ALWAYS: [&str; 4] = ["/-/healthy", "/metrics", "/api/v1/status/walreplay", "/api/v1/notifications"];
const WHEN_READY: [&str; 4] = ["/-/ready", "/api/v1/query?query=1", "/api/v1/status/buildinfo", "/federate"];

#[tokio::test(start_paused = true)]
async fn only_some_paths_answer_before_ready_and_while_stopping() {
    let registry = Registry::new();
    let live = Live::new(&registry);
    live.raise("starting", 0);
    let gate = Gate::new(live.clone(), registry);
    let router = gate.router();
    let unavailable = |stopping: &str| (503, stopping.to_owned(), "Service Unavailable".to_owned());
    for path in ALWAYS {
        assert_eq!(ask(&router, path).await.0, 200, "{path}");
    }
    assert!(ask(&router, "/api/v1/notifications").await.2.contains("starting"));
    for path in WHEN_READY {
        assert_eq!(ask(&router, path).await, unavailable("false"), "{path}");
    }
    gate.open(Rig::start(RigOptions::default()).await.router);
    for path in ALWAYS.into_iter().chain(WHEN_READY) {
        assert_eq!(ask(&router, path).await.0, 200, "{path}");
    }
    assert_eq!(ask(&router, "/api/v1/nothing").await.0, 404);
    gate.close();
    for path in WHEN_READY {
        assert_eq!(ask(&router, path).await, unavailable("true"), "{path}");
    }
    assert_eq!(ask(&router, "/-/healthy").await.0, 200);
}
