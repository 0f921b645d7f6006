//! `eino tsdb`: a real Prometheus's blocks are imported and answer the same questions; export, analyze, snapshot.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use disk::Disk;
use model::{BucketSpan, Buckets, Histogram, HistogramSample, MetricBatch, ResetHint, SampleColumns};
use serde_json::Value;

use crate::clients::free_port;
use crate::harness::{TestServer, eino, encode, request, tool, unix_ms, wait_for};

const SERIES: i64 = 40;
const SAMPLES: i64 = 500;
const STEP_MS: i64 = 15_000;

/// Ten questions, one of them about what was deleted.
const QUERIES: [&str; 10] = [
    "sum(requests_total)",
    "rate(requests_total{n=~\"[1-3]\"}[5m])",
    "sum by (zone) (increase(requests_total[1h]))",
    "avg_over_time(temperature[30m])",
    "max_over_time(temperature[2h]) - min_over_time(temperature[2h])",
    "count_over_time(requests_total{n=\"7\"}[3h])",
    "count by (zone) ({zone=~\".+\"})",
    "topk(3, deriv(temperature{zone=\"b\"}[20m]))",
    "resets(requests_total{n=\"3\"}[3h]) + on (n) changes(requests_total{n=\"3\"}[10m])",
    "quantile_over_time(0.3, odd_values[1h])",
];

struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _gone = self.0.kill().is_err();
        let _reaped = self.0.wait().is_err();
    }
}

fn run(arguments: &[&str]) -> Output {
    let output = eino().args(arguments).output().expect("eino runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "eino {arguments:?}: {text}");
    output
}

fn run_json(arguments: &[&str]) -> Value {
    serde_json::from_slice(&run(arguments).stdout).expect("JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn histogram(n: i64) -> Histogram {
    let counts = vec![n as f64, (n * 2 + n % 3) as f64, (n / 2) as f64, 3.0];
    let spans = vec![BucketSpan { offset: -2, length: 2 }, BucketSpan { offset: 1, length: 2 }];
    let negative = Buckets { spans: vec![BucketSpan { offset: 0, length: 1 }], counts: vec![n as f64] };
    let zero_count = (n / 3) as f64;
    Histogram {
        schema: 1,
        count: counts.iter().sum::<f64>() + n as f64 + zero_count,
        sum: n as f64 * 1.25,
        zero_threshold: 0.001,
        zero_count,
        positive: Buckets { spans, counts },
        negative,
        ..Histogram::default()
    }
}

/// Sample `n` of every series.
fn batch(start_ms: i64, n: i64) -> MetricBatch {
    let mut batch = MetricBatch::new();
    let ts_ms = start_ms + n * STEP_MS;
    for series in 0..SERIES {
        let (number, zone) = (series.to_string(), ["a", "b", "c"][series as usize % 3]);
        // Begins anew after 300 samples.
        let counter = ((n % 300) * (series + 1)) as f64;
        let mut push = |name: &str, value: f64| {
            let labels = &mut [("__name__", name), ("n", number.as_str()), ("zone", zone)];
            batch.push(labels, ts_ms, value).expect("valid");
        };
        push("requests_total", counter);
        push("temperature", 20.0 + ((n * 7 + series) % 50) as f64 / 10.0);
        push("odd_values", if (n + series) % 11 == 0 { f64::NAN } else { (n as f64).sqrt() * 1e-9 });
    }
    batch.start_series(&mut [("__name__", "latency"), ("n", "0")]).expect("valid");
    batch.push_histogram(HistogramSample { ts_ms, start_ms: 0, histogram: Arc::new(histogram(n)) });
    batch.start_series(&mut [("__name__", "latency_float"), ("n", "0")]).expect("valid");
    let histogram = Arc::new(Histogram { is_float: true, ..histogram(n) });
    batch.push_histogram(HistogramSample { ts_ms, start_ms: 0, histogram });
    batch
}

fn start_prometheus(program: &Path, dir: &Path) -> (Peer, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let config = dir.join("prometheus.yml");
    std::fs::write(&config, "scrape_configs: []\n").expect("configuration is written");
    let child = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
        .arg(format!("--web.listen-address={address}"))
        .args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"])
        .arg("--enable-feature=native-histograms")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(dir.join("prometheus.log")).expect("log file"))
        .spawn()
        .expect("prometheus starts");
    let peer = Peer(child);
    wait_for("Prometheus to listen", || std::net::TcpStream::connect(address).ok());
    wait_for("Prometheus to be ready", || {
        (request(address, "GET", "/-/ready", &[], b"").status == 200).then_some(())
    });
    (peer, address)
}

fn fill(address: SocketAddr, start_ms: i64) {
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0"),
    ];
    for n in 0..SAMPLES {
        let body = wire::remote_write::encode(&batch(start_ms, n));
        let body = snap::raw::Encoder::new().compress_vec(&body).expect("compresses");
        let answer = request(address, "POST", "/api/v1/write", &headers, &body);
        assert!(answer.status < 300, "{}: {}", answer.status, answer.text());
    }
}

/// What a server answers to a query at a time, series by labels; numbers as they are, histograms as their text.
fn answer(to: SocketAddr, query: &str, time_s: i64) -> BTreeMap<String, String> {
    let path = format!("/api/v1/query?query={}&time={time_s}", encode(query));
    let answer = request(to, "GET", &path, &[], b"");
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let series = body["data"]["result"].as_array().expect("a vector").iter();
    series.map(|series| (series["metric"].to_string(), value_text(series))).collect()
}

/// Nine digits: the engines add up in different orders.
fn value_text(series: &Value) -> String {
    match series["value"][1].as_str() {
        Some(text) => format!("{:.9e}", text.parse::<f64>().expect("a number")),
        None => series["histogram"][1].to_string(),
    }
}

fn prometheus_snapshot(address: SocketAddr, dir: &Path) -> PathBuf {
    let answer = request(address, "POST", "/api/v1/admin/tsdb/snapshot", &[], b"");
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    dir.join("prometheus/snapshots").join(body["data"]["name"].as_str().expect("a name"))
}

#[test]
fn blocks_of_a_real_prometheus_answer_alike_after_import() {
    let Some(program) = tool("EINO_TEST_PROMETHEUS") else { return };
    let dir = tempfile::tempdir().expect("temporary directory");
    let start_ms = unix_ms() - SAMPLES * STEP_MS - 60_000;
    let (peer, address) = start_prometheus(&program, dir.path());
    fill(address, start_ms);
    // A first snapshot, in which a part is deleted afterwards by tombstones of its own.
    let delete = format!(
        "/api/v1/admin/tsdb/delete_series?match[]={}&start={}&end={}",
        encode("requests_total{n=\"7\"}"),
        start_ms / 1_000,
        start_ms / 1_000 + 1_800
    );
    assert_eq!(request(address, "POST", &delete, &[], b"").status, 204);
    let snapshot = prometheus_snapshot(address, dir.path());
    let data = dir.path().join("data");
    let imported = run_json(&["tsdb", "import", "-o", "json", "--data", text(&data), text(&snapshot)]);
    assert!(imported["samples"].as_i64().expect("a number") > SERIES * SAMPLES * 3 - 1_000, "{imported}");
    std::fs::write(dir.path().join("eino.yaml"), "").expect("configuration is written");
    let server = TestServer::start_in(dir.path());
    let end_s = (start_ms + SAMPLES * STEP_MS) / 1_000;
    for query in QUERIES {
        for time_s in [end_s - 20, end_s - 3_600] {
            let (ours, theirs) = (answer(server.http, query, time_s), answer(address, query, time_s));
            assert!(!theirs.is_empty(), "{query}: Prometheus has no answer");
            assert_eq!(ours, theirs, "{query} at {time_s}");
        }
    }
    drop(peer);
}

/// Both kinds of histogram come out of Prometheus's blocks as they went in.
#[test]
fn histograms_of_a_real_prometheus_are_read() {
    let Some(program) = tool("EINO_TEST_PROMETHEUS") else { return };
    let dir = tempfile::tempdir().expect("temporary directory");
    let start_ms = unix_ms() - SAMPLES * STEP_MS - 60_000;
    let (_peer, address) = start_prometheus(&program, dir.path());
    fill(address, start_ms);
    let snapshot = prometheus_snapshot(address, dir.path());
    let disk = Disk::real();
    let mut found: BTreeMap<String, Vec<HistogramSample>> = BTreeMap::new();
    let mut columns = SampleColumns::default();
    for block in prom_block::block_dirs(&disk, &snapshot).expect("lists") {
        let block = prom_block::Block::open(&disk, &block).expect("opens");
        for series in block.series().expect("reads") {
            block.read(&series, &mut columns).expect("reads");
            if !columns.histograms.is_empty() {
                let name = series.labels.metric_name().to_owned();
                found.entry(name).or_default().append(&mut columns.histograms);
            }
        }
    }
    for (name, is_float) in [("latency", false), ("latency_float", true)] {
        let got = &found[name];
        assert_eq!(got.len() as i64, SAMPLES, "{name}");
        for (n, sample) in (0..).zip(got) {
            assert_eq!(sample.ts_ms, start_ms + n * STEP_MS);
            let reset_hint = sample.histogram.reset_hint;
            let want = Histogram { is_float, reset_hint, ..histogram(n) };
            assert_eq!(*sample.histogram, want, "{name} {n}");
        }
        assert!(got.iter().any(|sample| sample.histogram.reset_hint == ResetHint::NotReset));
    }
}

#[test]
fn exported_text_imports_into_the_same_and_analyze_counts_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let (source, exported) = (dir.path().join("source.om"), dir.path().join("exported.om"));
    let start_s = unix_ms() / 1_000 - 7_200;
    let mut lines: Vec<String> = Vec::new();
    for series in 0..5 {
        let samples = (0..100)
            .map(|n| format!("jobs_total{{n=\"{series}\"}} {}.5 {}.000", n * series, start_s + n * 15));
        lines.extend(samples);
    }
    let source_text = format!("# TYPE jobs counter\n{}\n# EOF\n", lines.join("\n"));
    std::fs::write(&source, &source_text).expect("is written");
    let import = |data: &Path, file: &Path| {
        run_json(&["tsdb", "import", "-o", "json", "--data", text(data), text(file)])
    };
    assert_eq!(import(&first, &source), serde_json::json!({"blocks": 1, "series": 5, "samples": 500}));
    let to = ["--to", text(&exported), "--match", "jobs_total", "--match", "{n=\"1\"}"];
    let export = [&["tsdb", "export", "-o", "json", "--data", text(&first)][..], &to[..]].concat();
    assert_eq!(run_json(&export)["samples"], 500);
    let exported_text = std::fs::read_to_string(&exported).expect("is there");
    assert_eq!(exported_text.trim_end(), source_text.replace("# TYPE jobs counter\n", "").trim_end());
    assert_eq!(import(&second, &exported)["samples"], 500);
    let analysis = run_json(&["tsdb", "analyze", "-o", "json", "--data", text(&second)]);
    assert_eq!((analysis["series"].as_u64(), analysis["samples"].as_u64()), (Some(5), Some(500)));
    assert_eq!(analysis["metrics"][0]["name"], "jobs_total");
    let table = dir.path().join("samples.parquet");
    let to = ["--to", text(&table), "--format", "parquet"];
    let export = [&["tsdb", "export", "-o", "json", "--data", text(&second)][..], &to[..]].concat();
    assert_eq!(run_json(&export)["samples"], 500);
    let bytes = std::fs::read(&table).expect("is there");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1") && bytes.len() < 10_000);
    let part = ["--start", &(start_s + 15).to_string(), "--end", &(start_s + 45).to_string()];
    let part = [&["tsdb", "export", "--data", text(&second), "--match", "{n=\"2\"}"][..], &part[..]].concat();
    let part = String::from_utf8(run(&part).stdout).expect("UTF-8");
    assert_eq!(part.lines().count(), 3, "two samples and the end: {part}");
}

#[test]
fn a_snapshot_of_a_running_server_starts_as_a_server_and_keeps_what_is_deleted_later() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    for folder in [&first, &second] {
        std::fs::create_dir(folder).expect("is made");
        std::fs::write(folder.join("eino.yaml"), "").expect("configuration is written");
    }
    let server = TestServer::start_with(&first, &["--web.enable-admin-api"]);
    let time_s = unix_ms() / 1_000;
    let body = wire::remote_write::encode(&batch(time_s * 1_000, 0));
    let body = snap::raw::Encoder::new().compress_vec(&body).expect("compresses");
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
    assert!(request(server.http, "POST", "/api/v1/write", &headers, &body).status < 300);
    let count = |address: SocketAddr| answer(address, "count(temperature)", time_s).into_values().next();
    assert_eq!(count(server.http).as_deref(), Some("4.000000000e1"));
    let url = format!("http://{}", server.http);
    let snapshot = run_json(&["tsdb", "snapshot", "--server", &url, "-o", "json"]);
    let delete = format!("/api/v1/admin/tsdb/delete_series?match[]={}", encode("temperature{n=~\".|1.\"}"));
    assert_eq!(request(server.http, "POST", &delete, &[], b"").status, 204);
    assert_eq!(count(server.http).as_deref(), Some("2.000000000e1"));
    assert_eq!(request(server.http, "POST", "/api/v1/admin/tsdb/clean_tombstones", &[], b"").status, 204);
    let busy = eino().args(["tsdb", "analyze", "--data", text(&first.join("data"))]).output().expect("runs");
    let error = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert!(busy.status.code() == Some(2) && error.contains("in use by another eino server"), "{error}");
    let server = server.kill_and_restart();
    assert_eq!(count(server.http).as_deref(), Some("2.000000000e1"), "deletions survive kill -9");
    let name = snapshot["name"].as_str().expect("a name");
    std::fs::rename(first.join("data/snapshots").join(name), second.join("data")).expect("is moved");
    let copy = TestServer::start_in(&second);
    assert_eq!(count(copy.http).as_deref(), Some("4.000000000e1"));
}

#[test]
fn a_wrong_path_or_directory_is_named_and_makes_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = dir.path().join("data");
    let cases: &[(&[&str], &str)] = &[
        (&["tsdb", "import", "--data", text(&data), text(dir.path())], "there is no Prometheus block in"),
        (&["tsdb", "import", "--data", text(&data), "/no/such/file"], "cannot read /no/such/file"),
        (&["tsdb", "analyze", "--data", text(&data)], "is no data directory of eino"),
        (&["tsdb", "export", "--data", text(&data), "--match", "{"], "is not a selector"),
    ];
    for (arguments, want) in cases {
        let output = eino().args(*arguments).output().expect("eino runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(want), "{arguments:?}: {error}");
        assert!(!data.exists(), "{arguments:?} makes a data directory");
    }
}
