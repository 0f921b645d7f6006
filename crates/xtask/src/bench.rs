//! `cargo xtask bench`: us and the peers through the same load, in one run.
//!
//! The load generator and most phases come from the benchmark kit beside the repository; `bench/run.py` adds how our
//! server is brought to rest and phases of our own. Ratios are ours / peer's: below 1 is better for costs.

mod rows;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::Output;
use crate::shell::{self, capture, cargo, env, print, root, say, shared, target};
use crate::tools::Tools;

/// What a user asks for, and the phases it takes.
const PHASES: &[(&str, &[&str])] = &[
    ("ingest", &["ingest", "big", "long", "wide"]),
    ("query", &["queries", "mixed"]),
    ("crash", &["crash", "crash2"]),
    ("scrape", &["scrape"]),
    ("traces", &["traces"]),
];
/// Neither Prometheus nor VictoriaMetrics takes spans, and a cost per series is compared with our own.
const OURS_ONLY: &[&str] = &["traces", "wide"];
const PEERS: &[&str] = &["eino", "prometheus", "victoriametrics"];

/// Runs the phases for us and both peers and prints the table.
///
/// # Errors
/// When the kit or a peer can't be had, or a server fails.
pub(crate) fn run(wanted: &[String], small: bool, output: Output) -> anyhow::Result<bool> {
    let names: Vec<&str> = PHASES.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        anyhow::bail!("{unknown:?} is none of {}", names.join(", "));
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let phases: Vec<&str> =
        PHASES.iter().filter(|(name, _)| is_wanted(name)).flat_map(|(_, phases)| *phases).copied().collect();
    let kit = Kit::prepare(small)?;
    let tools = Tools::for_benchmarks();
    anyhow::ensure!(tools.missing.is_empty(), "missing peers: {}", tools.missing.join(", "));
    shell::run(&mut cargo(&["build", "--release", "--locked"]))?;
    kit.make_corpora(&phases)?;
    let mut path: Vec<String> = tools.directories().iter().map(|dir| dir.display().to_string()).collect();
    path.push(env("PATH").unwrap_or_default());
    for peer in PEERS {
        let phases: Vec<&str> =
            phases.iter().copied().filter(|phase| *peer == "eino" || !OURS_ONLY.contains(phase)).collect();
        if phases.is_empty() {
            continue;
        }
        say(&format!("== {peer}: {}", phases.join(", ")));
        let mut command = kit.command(peer, &phases);
        shell::run(command.env("PATH", path.join(":")).env("EINO_BINARY", target().join("release/eino")))?;
    }
    let rows = rows::rows(&kit.dir.join("results"))?;
    print(&match output {
        Output::Json => serde_json::json!({"rows": rows}).to_string(),
        Output::Text => table::render(&rows),
    });
    Ok(true)
}

/// A copy of the benchmark kit that can be written to, with its load generator built.
struct Kit {
    dir: PathBuf,
    small: bool,
}

/// Samples to push: name, phases that need them, hosts, series of each, steps.
const CORPORA: &[(&str, &[&str], [u32; 3])] = &[
    ("s100k", &["ingest", "queries", "crash", "crash2", "mixed"], [200, 500, 240]),
    ("s1m", &["big", "wide"], [1_000, 1_000, 20]),
    ("s1m-then", &["wide"], [1_000, 1_000, 10]),
    ("long", &["long"], [40, 500, 1_440]),
];

impl Kit {
    fn prepare(small: bool) -> anyhow::Result<Self> {
        let source = shared().context("the benchmark kit is not there: set EINO_SHARED")?.join("bench");
        let dir = target().join("bench");
        for part in ["corpus", "data", "results"] {
            fs::create_dir_all(dir.join(part))?;
        }
        for part in ["harness", "loadgen"] {
            let from = source.join(part);
            capture(Command::new("cp").args(["-r", "--no-preserve=mode", "-u"]).arg(&from).arg(&dir))?;
        }
        merge_queries(&dir)?;
        let mut build = Command::new(env("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--release", "--quiet"]).current_dir(dir.join("loadgen"));
        shell::run(build.env("CARGO_TARGET_DIR", dir.join("loadgen/target")))?;
        Ok(Self { dir, small })
    }

    fn corpus(&self, name: &str) -> PathBuf {
        let suffix = if self.small { "-small" } else { "" };
        self.dir.join(format!("corpus/{name}{suffix}.bin"))
    }

    /// Made fresh, so that no server refuses the samples as too old.
    fn make_corpora(&self, phases: &[&str]) -> anyhow::Result<()> {
        let now = capture(Command::new("date").arg("+%s"))?.trim().parse::<u64>().context("the time")?;
        for (name, users, [hosts, series, steps]) in CORPORA {
            if !users.iter().any(|phase| phases.contains(phase)) {
                continue;
            }
            let hosts = if self.small { (hosts / 10).max(1) } else { *hosts };
            let end = if *name == "s1m" { now - 60 - 10 * 15 } else { now - 60 };
            let start = end - u64::from(*steps) * 15;
            let mut command = Command::new(self.dir.join("loadgen/target/release/loadgen"));
            command.arg("gen").arg("--out").arg(self.corpus(name)).args(["--shards", "4"]);
            for (flag, value) in [
                ("--hosts", u64::from(hosts)),
                ("--series", u64::from(*series)),
                ("--steps", u64::from(*steps)),
                ("--start", start / 15 * 15),
            ] {
                command.arg(flag).arg(value.to_string());
            }
            shell::run(&mut command)?;
        }
        Ok(())
    }

    fn command(&self, peer: &str, phases: &[&str]) -> Command {
        let mut command = Command::new("python3");
        command.arg(root().join("bench/run.py")).arg(&self.dir).args(["--peer", peer]);
        command.args(["--phases", &phases.join(",")]);
        for (flag, corpus) in [
            ("--corpus", "s100k"),
            ("--big-corpus", "s1m"),
            ("--wide-first", "s1m"),
            ("--wide-then", "s1m-then"),
            ("--long-corpus", "long"),
        ] {
            command.arg(flag).arg(self.corpus(corpus));
        }
        command.arg("--queries").arg(queries_path(&self.dir));
        command.args(["--scrape-intervals", "1s", "--query-secs", "2"]);
        if self.small {
            for (flag, value) in [
                ("--query-runs", "5"),
                ("--scrape-secs", "5"),
                ("--scrape-targets", "20"),
                ("--crash-steps", "10"),
            ] {
                command.args([flag, value]);
            }
        }
        command
    }
}

fn queries_path(kit: &Path) -> PathBuf {
    kit.join("data/queries.json")
}

/// The kit's queries and ours, as one file.
fn merge_queries(kit: &Path) -> anyhow::Result<()> {
    let read = |path: PathBuf| -> anyhow::Result<Vec<serde_json::Value>> {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no list of queries", path.display()))
    };
    let mut queries = read(kit.join("harness/queries.json"))?;
    queries.extend(read(root().join("bench/queries.json"))?);
    Ok(fs::write(queries_path(kit), serde_json::to_string_pretty(&queries)?)?)
}
