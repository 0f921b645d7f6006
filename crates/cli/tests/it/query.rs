//! `eino query` and its completion against a real server.

use std::process::Command;

use model::MetricBatch;
use serde_json::Value;

use crate::harness::{TestServer, eino, request, unix_ms};

/// A server with ten minutes of `load{host}`, ending now; and the time of the newest sample in seconds.
fn server() -> (TestServer, i64) {
    let server = TestServer::start("");
    let end_s = unix_ms() / 1_000;
    let mut batch = MetricBatch::new();
    for (host, height) in [("a", 1.0), ("b", 3.0)] {
        for index in 0..=40_u32 {
            let ts_ms = (end_s - 600) * 1_000 + i64::from(index) * 15_000;
            let mut labels = [("__name__", "load"), ("host", host)];
            batch.push(&mut labels, ts_ms, f64::from(index % 10) * height).expect("valid labels");
        }
    }
    let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(&batch)).expect("memory");
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
    let answer = request(server.http, "POST", "/api/v1/write", &headers, &body);
    assert!(answer.status < 300, "{}", answer.text());
    (server, end_s)
}

fn run(server: &TestServer, arguments: &[&str]) -> (i32, String, String) {
    let mut command: Command = eino();
    command.args(arguments).arg("--server").arg(format!("http://{}", server.http));
    let output = command.output().expect("eino runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("not killed"), text(output.stdout), text(output.stderr))
}

#[test]
fn answers_are_tables_charts_csv_and_json() {
    let (server, end_s) = server();
    let time = end_s.to_string();
    let (code, table, _) = run(&server, &["query", "load * 2", "--time", &time]);
    assert_eq!((code, table.as_str()), (0, "0  {host=\"a\"}\n0  {host=\"b\"}\n"));
    let range = ["query", "load", "--since", "10m", "--end", &time, "--step", "15s"];
    let (code, chart, notes) = run(&server, &range);
    assert_eq!(code, 0, "{notes}");
    assert!(chart.lines().count() < 24 && chart.lines().all(|line| line.chars().count() <= 80), "{chart}");
    assert!(
        chart.contains("30 ┤") && chart.contains("A load{host=\"a\"}") && !chart.contains('\x1b'),
        "{chart}"
    );
    let (_, table, _) = run(&server, &[&range[..], &["-o", "table"]].concat());
    assert!(
        table.contains("last  min  max  points  series\n   0    0   27      41  load{host=\"b\"}")
            || table.contains("   0    0    9      41  load{host=\"a\"}"),
        "{table}"
    );
    let (_, csv, _) = run(&server, &[&range[..], &["-o", "csv"]].concat());
    assert!(csv.starts_with("time,value,__name__,host\r\n") && csv.lines().count() == 83, "{csv}");
    let (_, json, _) = run(&server, &[&range[..], &["-o", "json"]].concat());
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["data"]["result"].as_array().map(Vec::len), Some(2));
    assert_eq!(run(&server, &["query", "nothing"]).1, "no series: nothing matches at that time\n");
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    let (server, _) = server();
    let (code, out, error) = run(&server, &["query", "sum(rte(load[5m]))"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("  sum(rte(load[5m]))\n      ^\n  did you mean rate?"), "{error}");
    let (code, _, error) = run(&server, &["query", "load", "--end", "5"]);
    assert_eq!(code, 2);
    assert!(error.contains("--since"), "{error}");
    assert_eq!(run(&server, &["query", "load", "--start", "9", "--end", "5"]).0, 2);
    assert_eq!(run(&server, &["query", "load", "--since", "x"]).0, 2);
}

#[test]
fn names_are_completed_from_the_server() {
    let (server, _) = server();
    let complete = |query: &str| run(&server, &["complete-query", query]).1;
    assert_eq!(complete("sum(rate(loa"), "sum(rate(load\n");
    assert_eq!(complete("load{ho"), "load{host\n");
    assert_eq!(complete("load{host=\""), "load{host=\"a\nload{host=\"b\n");
    assert_eq!(complete("histogram_q"), "histogram_quantile(\nhistogram_quantiles(\n");
    let script = eino().args(["completions", "bash"]).output().expect("eino runs").stdout;
    let dir = server.dir.join("completion");
    std::fs::create_dir_all(&dir).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_eino"), dir.join("eino")).expect("a link");
    std::fs::write(dir.join("script"), script).expect("written");
    let ask = "source script; COMP_WORDS=(eino query \"'sum(loa\"); COMP_CWORD=2; _eino_query eino; echo \"${COMPREPLY[@]}\"; \
               COMP_WORDS=(eino quer); COMP_CWORD=1; _eino_query eino quer eino; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ask]).current_dir(&dir).env("EINO_SERVER", format!("http://{}", server.http));
    let path = format!("{}:{}", dir.display(), crate::harness::variable("PATH").unwrap_or_default());
    let output = bash.env("PATH", path).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "sum(load\nquery\n", "{}", String::from_utf8_lossy(&output.stderr));
    for shell in ["zsh", "fish"] {
        let script = eino().args(["completions", shell]).output().expect("eino runs").stdout;
        assert!(String::from_utf8_lossy(&script).contains("eino complete-query"), "{shell}");
    }
}
