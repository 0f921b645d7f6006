//! `cargo xtask ci`: what must pass before anything lands.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::shell::{self, capture, cargo, is_installed, print, say, target};
use crate::{Output, test};

/// Window of the headless demo.
const DEMO_WINDOW: &str = "15s";

fn run_step(name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    say(&format!("\n== {name}"));
    work().with_context(|| format!("{name} failed"))
}

/// Format, lints, rules, tests, demo; stops at the first failure.
///
/// # Errors
/// The step that failed.
pub(crate) fn run(output: Output) -> anyhow::Result<bool> {
    run_step("format", || shell::run(&mut cargo(&["fmt", "--all", "--check"])))?;
    run_step("lints", || {
        shell::run(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    run_step("rules", || shell::run(&mut cargo(&["test", "--package", "tidy", "--locked", "--quiet"])))?;
    run_step("advisories", advisories)?;
    run_step("tests", || {
        let (passed, missing) = test::run_all()?;
        ensure!(passed, "some tests failed");
        ensure!(missing.is_empty(), "not everything could be tested; missing: {}", missing.join(", "));
        Ok(())
    })?;
    run_step("demo", demo)?;
    match output {
        Output::Json => print(r#"{"passed":true}"#),
        Output::Text => print("ci: everything passed"),
    }
    Ok(true)
}

/// Known vulnerabilities, where the tool and its database can be had.
fn advisories() -> anyhow::Result<()> {
    if !is_installed("cargo-deny") {
        say("skipped: cargo-deny is not installed; licences, sources and bans are kept by `tidy`");
        return Ok(());
    }
    if let Err(error) = shell::run(&mut cargo(&["deny", "check", "advisories"])) {
        say(&format!("skipped: {error:#} (the advisory database may be out of reach)"));
    }
    Ok(())
}

/// The product's promise, on a machine without a screen: the report names the bottleneck that the shop has.
fn demo() -> anyhow::Result<()> {
    shell::run(&mut cargo(&["build", "--release", "--locked", "--quiet"]))?;
    let binary = target().join("release/eino");
    let mut command = Command::new(binary);
    let report = capture(command.args([
        "demo",
        "--duration",
        DEMO_WINDOW,
        "--report",
        "json",
        "--compare",
        "pool=16",
    ]))?;
    let report: Value = serde_json::from_str(&report).context("the demo's report is not JSON")?;
    let gateway =
        report["entry_points"].as_array().into_iter().flatten().find(|entry| entry["service"] == "gateway");
    let first = &gateway.context("the report has no entry point `gateway`")?["bottlenecks"][0];
    ensure!(
        first["service"] == "payment-service" && first["operation"] == "db.pool.acquire",
        "rank 1 is {first}"
    );
    ensure!(first["saving_p99_ms"].as_f64().is_some_and(|saved| saved > 0.0), "nothing is saved: {first}");
    let entry = &report["compare"]["entry_points"][0];
    let p99 = |phase: &str| entry[phase]["p99_ms"].as_f64().unwrap_or(0.0);
    ensure!(p99("after") < p99("before"), "the larger pool did not lower P99: {entry}");
    let saved = first["saving_p99_ms"].as_f64().unwrap_or(0.0);
    say(&format!("demo: {} / {}, saves {saved:.1} ms", first["service"], first["operation"]));
    say(&format!("demo: P99 {:.1} ms -> {:.1} ms with 16 connections", p99("before"), p99("after")));
    Ok(())
}
