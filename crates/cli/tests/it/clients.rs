//! Real clients: OpenTelemetry's Python exporters and a Java program under OpenTelemetry's agent.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{TestServer, tool, wait_for};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/otel_exporter.py");

fn python_exports(protocol: &str) {
    let Some(python) = tool("EINO_TEST_PYTHON") else { return };
    let server = TestServer::start("");
    let endpoint = match protocol {
        "grpc" => format!("http://{}", server.otlp_grpc),
        _ => format!("http://{}/v1/traces", server.otlp_http),
    };
    let output = Command::new(python).args([SCRIPT, protocol, &endpoint]).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sent: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    let id = sent["trace_id"].as_str().expect("an id");
    let trace = server.get_json(&format!("/jaeger/api/traces/{id}"));
    let spans = trace["data"][0]["spans"].as_array().expect("spans");
    let names: BTreeSet<&str> = spans.iter().filter_map(|span| span["operationName"].as_str()).collect();
    let wanted: BTreeSet<&str> =
        sent["names"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert_eq!(names, wanted);
    let text = trace.to_string();
    assert!(text.contains("测试") && text.contains("cache miss") && text.contains("refused"), "{text}");
    assert_eq!(trace["data"][0]["processes"]["p1"]["serviceName"], format!("python-{protocol}"));
}

#[test]
fn pythons_grpc_exporter() {
    python_exports("grpc");
}

#[test]
fn pythons_http_exporter() {
    python_exports("http");
}

const METRICS_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/otel_metrics.py");

/// Deltas of two exports are added up, and quantiles come from native histograms.
fn python_exports_metrics(protocol: &str) {
    let Some(python) = tool("EINO_TEST_PYTHON") else { return };
    let server = TestServer::start("");
    let endpoint = match protocol {
        "grpc" => format!("http://{}", server.otlp_grpc),
        _ => format!("http://{}/v1/metrics", server.otlp_http),
    };
    let output =
        Command::new(python).args([METRICS_SCRIPT, protocol, &endpoint]).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let job = format!("job=\"python-{protocol}\"");
    let value = |query: &str| {
        server.query_value(&query.replace("JOB", &job)).unwrap_or_else(|| panic!("{query} has no answer"))
    };
    assert_eq!(value("orders_total{JOB}"), 6.0);
    assert_eq!(value("histogram_count(latency_seconds{JOB, path=\"/\"})"), 200.0);
    assert_eq!(value("histogram_sum(latency_seconds{JOB})"), 10_100.0);
    let median = value("histogram_quantile(0.5, latency_seconds{JOB})");
    assert!((48.0..=52.0).contains(&median), "{median}");
    assert_eq!(value("size_bytes_count{JOB}"), 200.0);
    assert_eq!(value("size_bytes_bucket{JOB, le=\"50\"}"), 100.0);
    assert_eq!(value("target_info{JOB, host_name=\"h1\"}"), 1.0);
    let end = crate::harness::unix_ms() / 1_000 + 60;
    let exemplars = server
        .get_json(&format!("/api/v1/query_exemplars?query=latency_seconds&start={}&end={end}", end - 600));
    let trace_id = exemplars["data"][0]["exemplars"][0]["labels"]["trace_id"].as_str();
    assert_eq!(trace_id.map(str::len), Some(32), "{exemplars}");
}

#[test]
fn pythons_grpc_metrics_exporter() {
    python_exports_metrics("grpc");
}

#[test]
fn pythons_http_metrics_exporter() {
    python_exports_metrics("http");
}

/// Kills its process in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill().is_err();
        let _reaped = self.0.wait().is_err();
    }
}

/// Zipkin's server is a real Java program; under the agent every request it serves is a trace.
#[test]
fn a_java_program_under_the_opentelemetry_agent() {
    let (Some(java), Some(jars)) = (tool("EINO_TEST_JAVA"), tool("EINO_TEST_JARS")) else { return };
    let server = TestServer::start("");
    let port = free_port();
    let _zipkin = start_zipkin(&java, &jars, port, &server);
    let zipkin = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    wait_for("Zipkin to serve", || {
        let healthy =
            std::panic::catch_unwind(|| crate::harness::request(zipkin, "GET", "/health", &[], b""));
        healthy.is_ok_and(|answer| answer.status == 200).then_some(())
    });
    let id = wait_for("a trace of the Java service", || {
        // Each question to Zipkin is a request that the agent traces.
        let _asked = crate::harness::request(zipkin, "GET", "/api/v2/services", &[], b"");
        let found = server.get_json("/jaeger/api/traces?service=java-zipkin&limit=1");
        found["data"][0]["traceID"].as_str().map(str::to_owned)
    });
    let trace = server.get_json(&format!("/jaeger/api/traces/{id}"));
    assert!(trace.to_string().contains("telemetry.sdk.language"), "{trace}");
    wait_for("metrics of the Java service", || {
        server.query_value("count({job=\"java-zipkin\"})").filter(|series| *series > 10.0)
    });
}

fn start_zipkin(java: &Path, jars: &Path, port: u16, server: &TestServer) -> Running {
    let log = std::fs::File::create(server.dir.join("zipkin.log")).expect("log file");
    let child = Command::new(java)
        .arg("-Xmx256m")
        .arg(format!("-javaagent:{}", jars.join("opentelemetry-javaagent.jar").display()))
        .arg("-Dotel.service.name=java-zipkin")
        .arg(format!("-Dotel.exporter.otlp.endpoint=http://{}", server.otlp_http))
        .args(["-Dotel.exporter.otlp.protocol=http/protobuf", "-Dotel.logs.exporter=none"])
        .args(["-Dotel.bsp.schedule.delay=200", "-Dotel.metric.export.interval=1000"])
        .arg("-jar")
        .arg(jars.join("zipkin-server.jar"))
        .arg(format!("--server.port={port}"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("java starts");
    Running(child)
}

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
