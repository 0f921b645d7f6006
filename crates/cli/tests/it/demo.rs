//! The demo as a newcomer runs it, and the ways in which it can fail or be ended.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{PATIENCE, eino, now, tool, wait_for};

/// One demo at a time: they measure.
static STAGE: Mutex<()> = Mutex::new(());

fn stage() -> MutexGuard<'static, ()> {
    // A demo test that failed leaves nothing behind that would matter to the next one.
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processes of this binary whose command line names `marker`.
fn processes(marker: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_ours = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(marker)
    };
    pids.filter(is_ours).collect()
}

#[test]
fn names_the_bottleneck_and_leaves_nothing_behind() {
    let _stage = stage();
    let dir = tempfile::tempdir().expect("temporary directory");
    let marker = dir.path().display().to_string();
    let output = eino()
        .args(["demo", "--duration", "10s", "--report", "json", "--compare", "pool=16"])
        .arg(format!("--data={marker}"))
        .output()
        .expect("eino starts");
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON object");
    let entry = report["entry_points"]
        .as_array()
        .expect("entry points")
        .iter()
        .find(|entry| entry["service"] == "gateway");
    let entry = entry.expect("the gateway is an entry point");
    assert_eq!(entry["operation"], "POST /orders");
    let first = &entry["bottlenecks"][0];
    assert_eq!(
        (first["service"].as_str(), first["operation"].as_str()),
        (Some("payment-service"), Some("db.pool.acquire")),
        "{first}"
    );
    assert!(first["saving_p99_ms"].as_f64().expect("a number") > 0.0, "{first}");
    assert_eq!(first["cause"]["kind"], "pool_wait");
    for name in ["gateway", "order-service", "payment-service", "inventory-service"] {
        assert!(
            report["services"].as_array().expect("services").iter().any(|row| row["service"] == name),
            "{name}"
        );
    }
    assert!(report["mermaid"].as_str().expect("text").starts_with("graph TD"));
    let change = &report["compare"]["entry_points"][0];
    let mean = |phase: &str| change[phase]["mean_ms"].as_f64().expect("a mean");
    let contributions = change["contributions"].as_array().expect("contributions").iter();
    let sum: f64 = contributions.map(|part| part["delta_ms"].as_f64().expect("a number")).sum();
    assert!((sum - (mean("after") - mean("before"))).abs() < 1e-6, "{sum} {change}");
    assert!(change["after"]["p99_ms"].as_f64() < change["before"]["p99_ms"].as_f64(), "{change}");
    assert_eq!(processes(&marker), Vec::<u32>::new(), "orphans");
}

#[test]
fn kill_9_leaves_no_orphans() {
    let _stage = stage();
    let dir = tempfile::tempdir().expect("temporary directory");
    let marker = dir.path().display().to_string();
    let mut demo = eino()
        .arg("demo")
        .arg(format!("--data={marker}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("eino starts");
    wait_for("the demo and its six children", || (processes(&marker).len() == 7).then_some(()));
    demo.kill().expect("SIGKILL");
    demo.wait().expect("reaped");
    wait_for("the children to end", || processes(&marker).is_empty().then_some(()));
}

#[test]
fn a_service_that_dies_is_named() {
    let _stage = stage();
    let dir = tempfile::tempdir().expect("temporary directory");
    let marker = dir.path().display().to_string();
    let demo = eino()
        .arg("demo")
        .arg(format!("--data={marker}"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("eino starts");
    let victim = wait_for("the inventory service", || {
        let all = processes(&marker);
        (all.len() == 7).then_some(())?;
        all.into_iter().find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("inventory")
        })
    });
    assert!(Command::new("kill").args(["-9", &victim.to_string()]).status().expect("kill runs").success());
    let output = demo.wait_with_output().expect("the demo ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("inventory ended"), "{said}");
    assert_eq!(processes(&marker), Vec::<u32>::new(), "orphans");
}

#[test]
fn an_explicit_port_that_is_taken_is_an_error() {
    let _stage = stage();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = holder.local_addr().expect("its address").to_string();
    let output =
        eino().args(["demo", "--listen", &address, "--duration", "5s"]).output().expect("eino starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&address) && said.contains("taken"), "{said}");
}

#[test]
fn a_place_that_is_no_directory_is_an_error_that_says_what_to_do() {
    let _stage = stage();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let inside = file.path().join("data");
    let output =
        eino().arg("demo").arg(format!("--data={}", inside.display())).output().expect("eino starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--data DIR"), "{said}");
}

/// A limit on the size of files stands in for a disk that fills up while the demo runs: refused spans would make the
/// report one of a part of the traffic.
#[test]
fn a_disk_that_fills_up_is_an_error_that_says_what_to_do() {
    let _stage = stage();
    let dir = tempfile::tempdir().expect("temporary directory");
    // Without the trap the limit would end the server by a signal; a full disk is an error of `write` instead.
    let script = "trap '' XFSZ; ulimit -f 400; exec \"$0\" demo --duration 10s --report json --data=\"$1\"";
    let mut demo = Command::new("sh");
    demo.args(["-c", script, env!("CARGO_BIN_EXE_eino")]).arg(dir.path());
    let output = demo.output().expect("sh starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("could not store") && said.contains("--data DIR"), "{said}");
    assert!(output.stdout.is_empty(), "a report of a part of the traffic was printed");
}

#[test]
fn an_interrupt_ends_it_quickly_and_well() {
    let _stage = stage();
    let dir = tempfile::tempdir().expect("temporary directory");
    let marker = dir.path().display().to_string();
    let mut demo = eino()
        .arg("demo")
        .arg(format!("--data={marker}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    wait_for("the demo and its six children", || (processes(&marker).len() == 7).then_some(()));
    let started = now();
    assert!(
        Command::new("kill").args(["-INT", &demo.id().to_string()]).status().expect("kill runs").success()
    );
    let status = demo.wait().expect("it ends");
    assert!(status.success(), "{status}");
    assert!(started.elapsed() < Duration::from_secs(15).min(PATIENCE), "{:?}", started.elapsed());
    assert_eq!(processes(&marker), Vec::<u32>::new(), "orphans");
}

/// Every page in a real browser, over what the demo has just measured.
#[test]
fn the_pages_work_in_a_browser() {
    let _stage = stage();
    let (Some(node), Some(chromium)) = (tool("EINO_TEST_NODE"), tool("EINO_TEST_CHROMIUM")) else { return };
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut demo = eino()
        .arg("demo")
        .arg(format!("--data={}", dir.path().display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("eino starts");
    let lines = BufReader::new(demo.stdout.take().expect("stdout is piped")).lines();
    let url =
        lines.map_while(Result::ok).find_map(|line| line.strip_prefix("Look around: ").map(str::to_owned));
    let url = url.expect("the demo says its address");
    let mut pages = Command::new(node);
    pages.arg("e2e/run.mjs").current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui"));
    pages.env("EINO_URL", &url).env("CHROMIUM", chromium);
    let output = pages.output().expect("node starts");
    assert!(
        Command::new("kill").args(["-TERM", &demo.id().to_string()]).status().expect("kill runs").success()
    );
    demo.wait().expect("the demo ends");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    println!("{said}");
}
