//! A real Prometheus at the other end: it receives our remote write, reads from us by remote read, and is scraped in
//! protobuf.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::clients::free_port;
use crate::harness::{TestServer, encode, request, tool, unix_ms, wait_for};

/// Ten questions about samples that both have.
const QUERIES: [&str; 10] = [
    "up",
    "sum(eino_head_series) > 0",
    "rate(eino_scrape_samples_total[20s])",
    "sum by (reason) (increase(go_gc_duration_seconds_count[20s]))",
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[20s])))",
    "max_over_time(go_goroutines[15s]) - min_over_time(go_goroutines[15s])",
    "topk(3, go_memstats_heap_alloc_bytes)",
    "avg without (instance) (scrape_duration_seconds)",
    "count by (job) ({__name__=~\"prometheus_tsdb.*\"})",
    "sum(rate(go_memstats_alloc_bytes_total[20s])) by (job)",
];

struct Prometheus {
    child: Child,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _gone = self.child.kill().is_err();
        let _reaped = self.child.wait().is_err();
    }
}

/// A Prometheus on `address` with this configuration, and its data in a directory of that name below the server's.
fn start(server: &TestServer, name: &str, address: SocketAddr, config: &str) -> Option<Prometheus> {
    let program = tool("EINO_TEST_PROMETHEUS")?;
    let file = server.dir.join(format!("{name}.yml"));
    std::fs::write(&file, config).expect("configuration is written");
    let child = Command::new(program)
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", server.dir.join(name).display()))
        .arg(format!("--web.listen-address={address}"))
        .args(["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(server.dir.join(format!("{name}.log"))).expect("log file"))
        .spawn()
        .expect("prometheus starts");
    let started = Prometheus { child };
    wait_for("Prometheus to be ready", || {
        let asked = std::panic::catch_unwind(|| request(address, "GET", "/-/ready", &[], b""));
        asked.is_ok_and(|answer| answer.status == 200).then_some(())
    });
    Some(started)
}

fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
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

#[track_caller]
fn compare(ours: SocketAddr, theirs: SocketAddr, time: f64) {
    let mut answered = 0;
    for query in QUERIES {
        let (our, their) = (answer(ours, query, time), answer(theirs, query, time));
        assert_eq!(our.keys().collect::<Vec<_>>(), their.keys().collect::<Vec<_>>(), "{query}");
        for (labels, value) in &our {
            assert!(same(*value, their[labels]), "{query} {labels}: ours {value}, theirs {}", their[labels]);
        }
        answered += usize::from(!our.is_empty());
    }
    assert!(answered >= 8, "only {answered} of {} queries have an answer", QUERIES.len());
}

/// Jobs that scrape the Prometheus at `peer` (in protobuf, with native histograms) and this server itself.
fn jobs(peer: SocketAddr) -> String {
    format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: prometheus, scrape_native_histograms: true, scrape_protocols: [PrometheusProto], static_configs: [{{targets: ['{peer}']}}]}}\n"
    )
}

#[test]
fn prometheus_receives_our_remote_write_and_both_answer_alike() {
    let peer = free_address();
    let config = format!(
        "{}remote_write: [{{url: 'http://{peer}/api/v1/write', queue_config: {{batch_send_deadline: 100ms}}}}]\n",
        jobs(peer)
    );
    let server = TestServer::start(&config);
    let Some(_prometheus) = start(&server, "receiver", peer, "scrape_configs: []\n") else { return };
    wait_for("25 samples at the other end", || {
        let values = answer(peer, "count_over_time(up[2m])", unix_ms() as f64 / 1_000.0);
        values.into_values().next().filter(|count| *count >= 25.0)
    });
    compare(server.http, peer, (unix_ms() / 1_000 - 4) as f64 + 0.5);
    assert!(server.own_metric("eino_remote_write_samples_total", &[]) > 1_000.0);
    assert_eq!(server.own_metric("eino_remote_write_samples_failed_total", &[]), 0.0);
}

/// Version 2.0 between two of us; a third reads from the first. The scraped one is a Prometheus.
#[test]
fn two_of_us_speak_version_two() {
    let scraped = free_address();
    let receiver = TestServer::start("");
    let config = format!(
        "{}remote_write: [{{url: 'http://{}/api/v1/write', protobuf_message: io.prometheus.write.v2.Request, \
         queue_config: {{batch_send_deadline: 100ms}}, metadata_config: {{send_interval: 1s}}}}]\n",
        jobs(scraped),
        receiver.http
    );
    let server = TestServer::start(&config);
    let Some(_scraped) = start(&server, "scraped", scraped, "scrape_configs: []\n") else { return };
    let reader = TestServer::start(&format!(
        "remote_read: [{{url: 'http://{}/api/v1/read', read_recent: true}}]\n",
        server.http
    ));
    wait_for("25 samples at the other end", || {
        receiver.query_value("count_over_time(up[2m])").filter(|count| *count >= 25.0)
    });
    let time = (unix_ms() / 1_000 - 4) as f64 + 0.5;
    compare(server.http, receiver.http, time);
    compare(server.http, reader.http, time);
    let metadata = receiver.get_json("/api/v1/metadata?metric=go_goroutines");
    assert_eq!(metadata["data"]["go_goroutines"][0]["type"], "gauge", "{metadata}");
    let receiving = ["receiver=\"remote_write_2\""];
    assert!(receiver.own_metric("eino_receive_accepted_total", &receiving) > 1_000.0);
}

/// What was queued while nobody listened arrives after a restart of ours.
#[test]
fn the_queue_survives_a_restart() {
    let peer = free_address();
    let scraped = free_address();
    let config = format!(
        "global: {{scrape_interval: 1s, external_labels: {{site: x}}}}\n\
         scrape_configs: [{{job_name: a, static_configs: [{{targets: ['{scraped}']}}]}}]\n\
         remote_write: [{{url: 'http://{peer}/api/v1/write', queue_config: {{batch_send_deadline: 100ms}}, \
         write_relabel_configs: [{{source_labels: [__name__], regex: up, action: keep}}]}}]\n"
    );
    let server = TestServer::start(&config);
    if tool("EINO_TEST_PROMETHEUS").is_none() {
        return;
    }
    wait_for("some samples", || server.query_value("count_over_time(up[1m])").filter(|count| *count >= 3.0));
    let before = unix_ms() as f64 / 1_000.0;
    let stored = server.query_value("count_over_time(up[1m])").expect("samples");
    let server = server.kill_and_restart();
    let Some(_prometheus) = start(&server, "receiver", peer, "scrape_configs: []\n") else { return };
    wait_for("what was queued before the restart", || {
        let values = answer(peer, "count_over_time(up{site=\"x\"}[1m])", before);
        values.into_values().next().filter(|count| *count >= stored)
    });
    assert!(
        answer(peer, "scrape_duration_seconds", unix_ms() as f64 / 1_000.0).is_empty(),
        "relabelling keeps only up"
    );
}

#[test]
fn prometheus_reads_from_us_by_remote_read() {
    let scraped = free_address();
    let server = TestServer::start(&jobs(scraped));
    let Some(_scraped) = start(&server, "scraped", scraped, "scrape_configs: []\n") else { return };
    let reader = free_address();
    let config = format!(
        "scrape_configs: []\nremote_read: [{{url: 'http://{}/api/v1/read', read_recent: true}}]\n",
        server.http
    );
    let Some(_reader) = start(&server, "reader", reader, &config) else { return };
    wait_for("25 samples of a series", || {
        server.query_value("count_over_time(up[2m])").filter(|count| *count >= 25.0)
    });
    compare(server.http, reader, (unix_ms() / 1_000 - 4) as f64 + 0.5);
}

#[test]
fn we_read_from_prometheus_by_remote_read() {
    let peer = free_address();
    let config = format!("remote_read: [{{url: 'http://{peer}/api/v1/read', read_recent: true}}]\n");
    let server = TestServer::start(&config);
    let own = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: prometheus, static_configs: [{{targets: ['{peer}']}}]}}]\n"
    );
    let Some(_prometheus) = start(&server, "peer", peer, &own) else { return };
    wait_for("25 samples of a series", || {
        let values = answer(peer, "count_over_time(up[2m])", unix_ms() as f64 / 1_000.0);
        values.into_values().next().filter(|count| *count >= 25.0)
    });
    compare(server.http, peer, (unix_ms() / 1_000 - 4) as f64 + 0.5);
}
