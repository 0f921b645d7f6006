//! `cargo xtask bench`: us and the peers through the same load, in one run.
//!
//! The load generator and the phases come from the benchmark kit beside the repository; `bench/run.py` adds how our
//! server is brought to rest. Ratios are ours / peer's: below 1 is better for costs.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::Output;
use crate::shell::{self, capture, cargo, env, print, root, say, shared, target};
use crate::tools::Tools;

/// Phases by the name a user gives.
const PHASES: &[(&str, &str)] = &[
    ("ingest", "ingest"),
    ("query", "queries"),
    ("crash", "crash"),
    ("scrape", "scrape"),
    ("traces", "traces"),
];
const PEERS: &[&str] = &["eino", "prometheus", "victoriametrics"];

/// Runs the phases for us and both peers and prints the table.
///
/// # Errors
/// When the kit or a peer can't be had, or a server fails.
pub(crate) fn run(phases: &[String], small: bool, output: Output) -> anyhow::Result<bool> {
    let kit = kit()?;
    let tools = Tools::for_benchmarks();
    anyhow::ensure!(tools.missing.is_empty(), "missing peers: {}", tools.missing.join(", "));
    shell::run(&mut cargo(&["build", "--release", "--locked"]))?;
    let corpus = corpus(&kit, small)?;
    let wanted: Vec<&str> = PHASES
        .iter()
        .filter(|(name, _)| phases.is_empty() || phases.iter().any(|phase| phase == name))
        .map(|(_, phase)| *phase)
        .collect();
    anyhow::ensure!(!wanted.is_empty(), "choose phases from ingest, query, crash, scrape, traces");
    let mut path: Vec<String> = tools.directories().iter().map(|dir| dir.display().to_string()).collect();
    path.push(env("PATH").unwrap_or_default());
    for peer in PEERS {
        // Neither Prometheus nor VictoriaMetrics takes spans.
        let phases: Vec<&str> =
            wanted.iter().copied().filter(|phase| *phase != "traces" || *peer == "eino").collect();
        if phases.is_empty() {
            continue;
        }
        say(&format!("== {peer}: {}", phases.join(", ")));
        let mut command = Command::new("python3");
        command
            .arg(root().join("bench/run.py"))
            .arg(&kit)
            .arg("--peer")
            .arg(peer)
            .args(["--phases", &phases.join(",")]);
        command.arg("--corpus").arg(&corpus);
        command.args(["--scrape-intervals", "1s", "--query-secs", "2"]);
        if small {
            command.args([
                "--query-runs",
                "5",
                "--scrape-secs",
                "5",
                "--scrape-targets",
                "20",
                "--crash-steps",
                "10",
            ]);
        }
        shell::run(command.env("PATH", path.join(":")).env("EINO_BINARY", target().join("release/eino")))?;
    }
    let rows = table::rows(&kit.join("results"))?;
    print(&match output {
        Output::Json => serde_json::json!({"rows": rows}).to_string(),
        Output::Text => table::render(&rows),
    });
    Ok(true)
}

/// A copy of the kit that can be written to, with its load generator built.
fn kit() -> anyhow::Result<PathBuf> {
    let source = shared().context("the benchmark kit is not there: set EINO_SHARED")?.join("bench");
    let kit = target().join("bench");
    for dir in ["corpus", "data", "results"] {
        fs::create_dir_all(kit.join(dir))?;
    }
    for part in ["harness", "loadgen"] {
        let from = source.join(part);
        capture(Command::new("cp").args(["-r", "--no-preserve=mode", "-u"]).arg(&from).arg(&kit))?;
    }
    let mut build = Command::new(env("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--release", "--quiet"]).current_dir(kit.join("loadgen"));
    shell::run(build.env("CARGO_TARGET_DIR", kit.join("loadgen/target")))?;
    Ok(kit)
}

/// The samples to push: made fresh, so that no server refuses them as too old.
fn corpus(kit: &Path, small: bool) -> anyhow::Result<PathBuf> {
    let path = kit.join(if small { "corpus/small.bin" } else { "corpus/s100k.bin" });
    let hosts = if small { "20" } else { "200" };
    let loadgen = kit.join("loadgen/target/release/loadgen");
    let mut command = Command::new(loadgen);
    command
        .arg("gen")
        .arg("--out")
        .arg(&path)
        .args(["--hosts", hosts, "--series", "500", "--steps", "240", "--shards", "4"]);
    shell::run(&mut command)?;
    Ok(path)
}
