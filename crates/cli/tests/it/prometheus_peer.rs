//! A real Prometheus scrapes a target, remote-writes what it got into us, and is asked the same questions.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::clients::free_port;
use crate::harness::{TestServer, encode, request, tool, unix_ms, wait_for};

/// Ten questions about Prometheus's own metrics, evaluated in the past, where both have the same samples.
const QUERIES: [&str; 10] = [
    "up",
    "sum(prometheus_tsdb_head_series)",
    "rate(prometheus_http_requests_total[20s])",
    "sum by (code) (increase(prometheus_http_requests_total[20s]))",
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[20s])))",
    "max_over_time(go_goroutines[15s]) - min_over_time(go_goroutines[15s])",
    "topk(3, go_memstats_heap_alloc_bytes)",
    "avg without (instance) (scrape_duration_seconds)",
    "prometheus_engine_query_duration_seconds_count / on (slice) group_left () sum by (slice) (prometheus_engine_query_duration_seconds_count)",
    "count({__name__=~\"go_gc.*\"}) > bool 1",
];

pub(crate) struct Peer {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _gone = self.child.kill().is_err();
        let _reaped = self.child.wait().is_err();
    }
}

pub(crate) fn start_prometheus(server: &TestServer) -> Option<Peer> {
    let program = tool("EINO_TEST_PROMETHEUS")?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let config = server.dir.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: prometheus, static_configs: [{{targets: ['{address}']}}]}}]\n\
         remote_write: [{{url: 'http://{}/api/v1/write', queue_config: {{batch_send_deadline: 100ms}}}}]\n",
        server.http
    );
    std::fs::write(&config, text).expect("configuration is written");
    let child = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", server.dir.join("prometheus").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(server.dir.join("prometheus.log")).expect("log file"))
        .spawn()
        .expect("prometheus starts");
    Some(Peer { child, address })
}

/// Series by labels, values as numbers.
fn answer(to: SocketAddr, query: &str, time: f64) -> BTreeMap<String, f64> {
    let path = format!("/api/v1/query?query={}&time={time}", encode(query));
    let answer = request(to, "GET", &path, &[], b"");
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let series = body["data"]["result"].as_array().expect("a vector").iter();
    let value =
        |series: &Value| series["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number");
    series.map(|series| (series["metric"].to_string(), value(series))).collect()
}

fn same(left: f64, right: f64) -> bool {
    left == right
        || (left.is_nan() && right.is_nan())
        || (left - right).abs() <= 1e-9 * left.abs().max(right.abs())
}

#[test]
fn prometheus_remote_writes_and_both_answer_alike() {
    let server = TestServer::start("");
    let Some(peer) = start_prometheus(&server) else { return };
    // Enough samples for a 20 s window that ends 5 s ago.
    wait_for("30 samples of a series", || {
        server.query_value("count_over_time(up[2m])").filter(|count| *count >= 30.0)
    });
    let time = (unix_ms() / 1_000 - 4) as f64 + 0.5;
    for query in QUERIES {
        let (ours, theirs) = (answer(server.http, query, time), answer(peer.address, query, time));
        assert!(!theirs.is_empty(), "{query}: Prometheus has no answer, so the comparison says nothing");
        let (our_labels, their_labels): (Vec<_>, Vec<_>) = (ours.keys().collect(), theirs.keys().collect());
        assert_eq!(our_labels, their_labels, "{query}");
        for (labels, value) in &ours {
            assert!(
                same(*value, theirs[labels]),
                "{query} {labels}: ours {value}, Prometheus {}",
                theirs[labels]
            );
        }
    }
    let metadata = server.get_json("/api/v1/labels");
    assert!(metadata["data"].as_array().expect("names").iter().any(|name| name == "job"));
}

#[test]
fn eino_scrapes_what_prometheus_scraped_with_the_same_file() {
    let Some(program) = tool("EINO_TEST_PROMETHEUS") else { return };
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let config = format!(
        "global: {{scrape_interval: 1s, external_labels: {{site: test}}}}\n\
         storage: {{tsdb: {{retention: {{time: 3d}}}}}}\n\
         scrape_configs:\n\
         - job_name: prometheus\n  \
           static_configs: [{{targets: ['{address}'], labels: {{zone: z1}}}}]\n  \
           relabel_configs: [{{source_labels: [zone], target_label: area, regex: 'z(.)', replacement: 'a$1'}}]\n  \
           metric_relabel_configs: [{{source_labels: [__name__], regex: 'go_gc.*', action: drop}}]\n"
    );
    let server = TestServer::start(&config);
    let own_config = server.dir.join("prometheus.yml");
    std::fs::write(&own_config, "scrape_configs: []\n").expect("configuration is written");
    let child = Command::new(program)
        .arg(format!("--config.file={}", own_config.display()))
        .arg(format!("--storage.tsdb.path={}", server.dir.join("prometheus").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus starts");
    let _peer = Peer { child, address };
    wait_for("a scrape that went well", || {
        server.query_value("up{area=\"a1\", zone=\"z1\"}").filter(|up| *up == 1.0)
    });
    assert!(server.query_value("go_goroutines").is_some_and(|count| count > 1.0));
    assert_eq!(
        server.query("{__name__=~\"go_gc.*\"}").as_array().map(Vec::len),
        Some(0),
        "metric relabelling drops these"
    );
    let targets = server.get_json("/api/v1/targets");
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!(
        (target["health"].as_str(), target["scrapePool"].as_str()),
        (Some("up"), Some("prometheus")),
        "{targets}"
    );
    let metadata = server.get_json("/api/v1/metadata?metric=go_goroutines");
    assert_eq!(metadata["data"]["go_goroutines"][0]["type"], "gauge", "{metadata}");
}
