//! Services in one process over real sockets: what `observe()` promises.

#[path = "../../eino-trace/tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use eino::axum::http::Method;
use eino::client::ClientConfig;
use eino::prelude::*;
use eino::{FileRegistry, RegistryConfig, Running, Settings};
use support::{Collector, Seen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

fn app(name: &str, registry: &std::path::Path, otlp: &str) -> App {
    let settings = Settings {
        listen: "127.0.0.1:0".to_owned(),
        otlp_endpoint: Some(otlp.to_owned()),
        registry_dir: Some(registry.to_path_buf()),
        sample_ratio: 1.0,
        drain: Duration::from_secs(5),
        flush: Duration::from_secs(5),
    };
    App::with_settings(name, settings)
}

/// Sends `request` on a new connection and returns the whole answer.
async fn raw(service: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(service.addr()).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("it answers");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get_with(service: &Running, path: &str, headers: &str) -> String {
    raw(service, &format!("GET {path} HTTP/1.1\r\nhost: test:81\r\nconnection: close\r\n{headers}\r\n")).await
}

fn span_named<'a>(spans: &'a [Seen], service: &str, name: &str) -> &'a Seen {
    let found = spans.iter().find(|span| span.service() == service && span.name == name);
    found.unwrap_or_else(|| panic!("no {service} {name} in {spans:#?}"))
}

#[tokio::test]
async fn one_trace_through_await_spawn_threads_and_two_services() {
    let collector = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let back = app("back", dir.path(), &collector.url)
        .observe()
        .route("/stock/{sku}", get(|Path(sku): Path<u32>| async move { Json(sku * 2) }));
    let back = back.start().await.unwrap();
    let front = app("front", dir.path(), &collector.url);
    let client = front.client().unwrap();
    let front = front.observe().state(client).route("/orders", get(order));
    let front = front.start().await.unwrap();

    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let answer = get_with(&front, "/orders", parent).await;
    assert!(
        answer.contains("x-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736") && answer.ends_with("14"),
        "{answer}"
    );
    let report = front.shutdown().await;
    assert_eq!((report.drained, report.spans_dropped), (true, 0));
    back.shutdown().await;

    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"), "{spans:#?}");
    let server = span_named(&spans, "front", "GET /orders");
    let task = span_named(&spans, "front", "task");
    let thread = span_named(&spans, "front", "thread");
    let call = span_named(&spans, "front", "GET /stock/{sku}");
    let answer = span_named(&spans, "back", "GET /stock/{sku}");
    assert_eq!((server.kind, server.parent_id.as_str()), (2, "00f067aa0ba902b7"));
    assert_eq!((&task.parent_id, &thread.parent_id), (&server.span_id, &task.span_id));
    assert_eq!((call.kind, &call.parent_id), (3, &task.span_id));
    assert_eq!((answer.kind, &answer.parent_id, answer.flags), (2, &call.span_id, 0x301));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.template", "/stock/{sku}"),
        ("url.full", "http://back/stock/7"),
        ("server.address", "back"),
        ("peer.service", "back"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(call.attr(key), value, "{key}");
    }
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/stock/{sku}"),
        ("url.path", "/stock/7"),
        ("server.address", "back"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(answer.attr(key), value, "{key}");
    }
    assert_eq!((server.attr("server.address"), server.attr("server.port")), ("test", "81"));
}

async fn order(State(client): State<Client>) -> Json<u32> {
    let task = eino::spawn(span("task").around(async move {
        eino::spawn_blocking(|| span("thread").end()).await.expect("it works");
        client
            .get("http://back/stock/{sku}")
            .path("sku", 7)
            .send()
            .await
            .expect("it works")
            .json()
            .expect("it works")
    }));
    Json(task.await.expect("it works"))
}

#[tokio::test]
async fn incoming_headers_by_precedence() {
    let collector = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let service =
        app("s", dir.path(), &collector.url).observe().route("/", get(|| async {})).start().await.unwrap();
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let x = "X-Trace-ID: 000000000000000000000000000000aa\r\nX-Span-ID: bb\r\n";
    for (headers, trace_id) in [
        (format!("{parent}{x}"), "4bf92f3577b34da6a3ce929d0e0e4736"),
        (x.to_owned(), "000000000000000000000000000000aa"),
        (format!("traceparent: 00-bad-00f067aa0ba902b7-01\r\n{x}"), "000000000000000000000000000000aa"),
    ] {
        let answer = get_with(&service, "/", &headers).await;
        assert!(answer.contains(&format!("x-trace-id: {trace_id}")), "{headers} {answer}");
    }
    service.shutdown().await;
    assert_eq!(collector.spans()[1].parent_id, "00000000000000bb");
}

#[tokio::test]
async fn a_scanner_makes_no_series() {
    let collector = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let service = app("s", dir.path(), &collector.url)
        .observe()
        .route("/orders/{id}", get(|| async {}))
        .start()
        .await
        .unwrap();
    let series = |service: &Running| service.metrics().encode_text().lines().count();
    get_with(&service, "/orders/1", "").await;
    get_with(&service, "/nothing", "").await;
    raw(&service, "BREW /orders/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    raw(&service, "BREW /nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let before = series(&service);

    let mut rng = fastrand::Rng::with_seed(1);
    let client = Client::new(ClientConfig::default(), None);
    for _ in 0..10_000 {
        let word: String = std::iter::repeat_with(|| rng.alphanumeric()).take(8).collect();
        let path = if rng.bool() { format!("/{word}.php") } else { format!("/orders/{word}") };
        let method = if rng.u8(..8) == 0 { Method::from_bytes(b"BREW").unwrap() } else { Method::GET };
        client.request_dynamic(method, &format!("http://{}{path}", service.addr())).send().await.unwrap();
    }
    assert_eq!(series(&service), before);
    let text = service.metrics().encode_text();
    for line in [
        r#"http_requests_total{method="_OTHER",route="/orders/{id}",status="405"} "#,
        r#"http_requests_total{method="GET",route="<unmatched>",status="404"} "#,
        r#"http_requests_total{method="_OTHER",route="<unmatched>",status="404"} "#,
        r#"http_request_duration_seconds_count{method="GET",route="/orders/{id}",status="200"} "#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    service.shutdown().await;
}

#[tokio::test]
async fn failures_panics_and_clients_that_go_are_counted() {
    let collector = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let entered = Arc::new(Notify::new());
    let waiting = Arc::clone(&entered);
    let service = app("s", dir.path(), &collector.url)
        .observe()
        .route("/fails", get(|| async { StatusCode::BAD_GATEWAY }))
        .route("/panics", get(|| async { panic!("on purpose") as () }))
        .route(
            "/waits",
            get(move || async move {
                waiting.notify_one();
                std::future::pending::<()>().await
            }),
        )
        .start()
        .await
        .unwrap();
    assert!(get_with(&service, "/fails", "").await.starts_with("HTTP/1.1 502"));
    assert!(get_with(&service, "/panics", "").await.starts_with("HTTP/1.1 500"));
    let mut gone = TcpStream::connect(service.addr()).await.unwrap();
    gone.write_all(b"GET /waits HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    entered.notified().await;
    drop(gone);
    collector.wait_until(|spans| spans.len() == 3).await;

    let spans = collector.spans();
    let failed = span_named(&spans, "s", "GET /fails");
    assert_eq!((failed.status, failed.attr("error.type")), (2, "502"));
    assert_eq!(span_named(&spans, "s", "GET /panics").status, 2);
    assert_eq!(span_named(&spans, "s", "GET /waits").attr("error.type"), "client_gone");
    let text = service.metrics().encode_text();
    for (route, status) in [("/fails", 502), ("/panics", 500), ("/waits", 499)] {
        let line = format!(r#"http_requests_total{{method="GET",route="{route}",status="{status}"}} 1"#);
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    service.shutdown().await;
}

#[tokio::test]
async fn own_pages_answer_and_make_no_spans() {
    let collector = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let service = app("s", dir.path(), &collector.url).observe().start().await.unwrap();
    assert!(get_with(&service, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    assert!(get_with(&service, "/readyz", "").await.starts_with("HTTP/1.1 200"));
    let metrics = get_with(&service, "/metrics", "").await;
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("eino_trace_queue_spans 0"), "{metrics}");
    service.shutdown().await;
    assert_eq!(collector.spans(), []);
}

#[tokio::test]
async fn shutdown_deregisters_drains_and_keeps_its_budget() {
    // A collector that accepts and never answers.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let entered = Arc::new(Notify::new());
    let (waiting, go_on) = (Arc::clone(&entered), Arc::new(Notify::new()));
    let told = Arc::clone(&go_on);
    let mut service = app("s", dir.path(), &format!("http://{}", dead.local_addr().unwrap()));
    service.settings_mut().flush = Duration::from_millis(200);
    let service = service
        .observe()
        .route(
            "/slow",
            get(move || async move {
                waiting.notify_one();
                told.notified().await;
                "done"
            }),
        )
        .start()
        .await
        .unwrap();
    let addr = service.addr();
    let registry = FileRegistry::open(dir.path(), RegistryConfig::default()).unwrap();
    assert_eq!(registry.resolve("s").await.unwrap(), [addr]);

    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    entered.notified().await;
    let started = Instant::now();
    let stopping = tokio::spawn(service.shutdown());
    // In the order of the steps: once it is deregistered, the request in flight is still served.
    while std::fs::read_dir(dir.path()).unwrap().count() > 0 {
        tokio::task::yield_now().await;
    }
    go_on.notify_one();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"done"));
    let report = stopping.await.unwrap();
    assert_eq!((report.drained, report.spans_exported, report.spans_dropped), (true, 0, 1));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn calls_that_can_not_work_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let registry = FileRegistry::open(dir.path(), RegistryConfig::default()).unwrap();
    let client = Client::new(ClientConfig::default(), Some(registry));
    let kind = |result: Result<eino::client::Response, eino::client::Error>| result.unwrap_err().kind();
    assert_eq!(kind(client.get("http://nobody/").send().await), "no_instance");
    assert_eq!(kind(client.get("https://a/").send().await), "invalid_request");
    assert_eq!(kind(client.get("http://a/{x}").send().await), "invalid_request");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(
        kind(client.request_dynamic(Method::GET, &format!("http://{closed}/")).send().await),
        "connection"
    );
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let call = client.request_dynamic(Method::GET, &url).timeout(Duration::from_millis(50));
    assert_eq!(kind(call.send().await), "timeout");
}

#[tokio::test]
async fn taken_addresses_and_bad_collectors_are_errors() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let error = app("s", dir.path(), "http://127.0.0.1:1").listen(&addr).start().await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {addr}"));
    let error = app("s", dir.path(), "https://x").observe().start().await.unwrap_err();
    assert_eq!(error.to_string(), "cannot export spans");
    let error = app("no/name", dir.path(), "http://127.0.0.1:1").start().await.unwrap_err();
    assert_eq!(error.to_string(), "cannot use the service registry");
}
