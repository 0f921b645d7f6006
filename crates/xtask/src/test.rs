//! `cargo xtask test` and `cargo xtask crash`.

use std::time::{Duration, Instant};

use crate::shell::{cargo, print, root, say, shared};
use crate::tools::Tools;
use crate::{Output, shell};

/// Queries of the small comparison with Prometheus.
const DIFF_RUNS: u64 = 1_000;

/// One step of the run.
struct Suite {
    name: &'static str,
    passed: bool,
    took: Duration,
}

/// Installs what the tests need, then runs all of them.
///
/// # Errors
/// When a step can't be started at all.
pub(crate) fn run_all() -> anyhow::Result<(bool, Vec<String>)> {
    let tools = Tools::for_tests();
    let mut suites = Vec::new();
    let mut suite = |name: &'static str, work: &mut dyn FnMut() -> anyhow::Result<()>| {
        let started = now();
        let done = work();
        if let Err(error) = &done {
            say(&format!("{error:#}"));
        }
        suites.push(Suite { name, passed: done.is_ok(), took: started.elapsed() });
    };
    // First, because the browser tests below use its Node packages.
    suite("ui", &mut || ui(&tools));
    suite("rust", &mut || {
        let mut command = cargo(&[
            "test",
            "--workspace",
            "--locked",
            "--quiet",
            "--no-fail-fast",
            "--",
            "--skip",
            "demo::",
        ]);
        shell::run(command.envs(tools.environment.iter().map(|(name, path)| (*name, path))))
    });
    // The demo measures, so nothing else may run beside it.
    suite("demo", &mut || {
        let mut command =
            cargo(&["test", "--package", "eino-cli", "--test", "it", "--locked", "--quiet", "demo::"]);
        shell::run(command.envs(tools.environment.iter().map(|(name, path)| (*name, path))))
    });
    // Random queries to Prometheus and to us; the binary is built by now.
    if let Some((_, prometheus)) = tools.environment.iter().find(|(name, _)| *name == "EINO_TEST_PROMETHEUS")
    {
        suite("diff", &mut || {
            let well = crate::fuzz::diff_with(prometheus, DIFF_RUNS, 1, false, Output::Json)?;
            anyhow::ensure!(well, "some answers differ: `cargo xtask diff --runs {DIFF_RUNS}` shows them");
            Ok(())
        });
    }
    let mut missing = tools.missing.clone();
    if shared().is_none() {
        missing.push("reference data beside the repository (EINO_SHARED)".to_owned());
    }
    for suite in &suites {
        let state = if suite.passed { "passed" } else { "FAILED" };
        say(&format!("{:<8} {state} in {:.0} s", suite.name, suite.took.as_secs_f64()));
    }
    Ok((suites.iter().all(|suite| suite.passed), missing))
}

pub(crate) fn run(output: Output) -> anyhow::Result<bool> {
    let (passed, missing) = run_all()?;
    // What could not be tested is a failure where everything must be there.
    let is_ci = shell::env("CI").is_some();
    let passed = passed && (!is_ci || missing.is_empty());
    match output {
        Output::Json => print(&serde_json::json!({"passed": passed, "missing": missing}).to_string()),
        Output::Text => {
            for what in &missing {
                say(&format!("skipped: what needs {what}"));
            }
            print(if passed { "all tests passed" } else { "tests FAILED" });
        }
    }
    Ok(passed)
}

/// The web UI: types, unit tests, whether the committed build is the one of the sources.
fn ui(tools: &Tools) -> anyhow::Result<()> {
    let Some((_, node)) = tools.environment.iter().find(|(name, _)| *name == "EINO_TEST_NODE") else {
        say("skipped: the UI's tests need Node");
        return Ok(());
    };
    let node_dir = node.parent().map(|dir| dir.display().to_string()).unwrap_or_default();
    let path = format!("{node_dir}:{}", shell::env("PATH").unwrap_or_default());
    let npm = |arguments: &[&str]| {
        let mut command = std::process::Command::new("npm");
        command.args(arguments).current_dir(root().join("ui")).env("PATH", &path);
        command
    };
    shell::run(&mut npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    shell::run(&mut npm(&["run", "check"]))?;
    shell::run(&mut npm(&["test"]))
}

/// Kills a server under load and counts what was lost, `rounds` times.
///
/// # Errors
/// When the tests can't be started.
pub(crate) fn crash(rounds: u32) -> anyhow::Result<bool> {
    for round in 1..=rounds {
        say(&format!("crash: round {round} of {rounds}"));
        let mut command =
            cargo(&["test", "--package", "eino-cli", "--test", "it", "--", "crash::", "--nocapture"]);
        shell::run(command.env("EINO_CRASH_SEED", round.to_string()))?;
    }
    print(&format!("crash: {rounds} of {rounds} rounds lost nothing"));
    Ok(true)
}

#[expect(clippy::disallowed_methods, reason = "how long a step took, for people")]
fn now() -> Instant {
    Instant::now()
}
