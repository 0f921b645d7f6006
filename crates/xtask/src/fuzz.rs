//! `cargo xtask fuzz` and `cargo xtask diff`: random inputs, by the tool of the crate `fuzz`.

use std::path::Path;

use crate::Output;
use crate::shell::{cargo, run, say, target};
use crate::tools::prometheus;

/// A request of the API costs about as much as so many inputs of a parser.
const INPUTS_PER_REQUEST: u64 = 5;

/// Feeds damaged inputs to parsers and decoders, and random parameters to the API's router.
///
/// # Errors
/// When something can't be built or started.
pub(crate) fn inputs(runs: u64, seed: u64, target: Option<&str>, output: Output) -> anyhow::Result<bool> {
    let mut command =
        cargo(&["run", "--quiet", "--locked", "--release", "--package", "fuzz", "--", "inputs"]);
    command.args(["--runs", &runs.to_string(), "--seed", &seed.to_string()]);
    command.args(target.map(|target| format!("--target={target}")));
    command.args((output == Output::Json).then_some("--json"));
    let parsers = command.status()?.success();
    if target.is_some() {
        return Ok(parsers);
    }
    let mut requests = cargo(&[
        "test",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "http-api",
        "--test",
        "it",
        "random::",
    ]);
    requests.env("PROPTEST_CASES", (runs / INPUTS_PER_REQUEST).max(1).to_string());
    requests.env("PROPTEST_RNG_SEED", seed.to_string());
    requests.stdout(std::process::Stdio::null());
    // It says its figures itself.
    Ok(parsers & requests.status()?.success())
}

/// Asks us and Prometheus the same random queries.
///
/// # Errors
/// When something can't be built, or Prometheus is not to be had.
pub(crate) fn diff(runs: u64, seed: u64, words: bool, output: Output) -> anyhow::Result<bool> {
    diff_with(&prometheus()?, runs, seed, words, output)
}

/// As [`diff`], with this Prometheus.
///
/// # Errors
/// As [`diff`].
pub(crate) fn diff_with(
    prometheus: &Path,
    runs: u64,
    seed: u64,
    words: bool,
    output: Output,
) -> anyhow::Result<bool> {
    run(&mut cargo(&["build", "--quiet", "--locked", "--package", "eino-cli", "--package", "fuzz"]))?;
    let mut command = std::process::Command::new(target().join("debug/fuzz"));
    command.arg("diff").arg("--eino").arg(target().join("debug/eino")).arg("--prometheus").arg(prometheus);
    command.args(["--runs", &runs.to_string(), "--seed", &seed.to_string()]);
    command.args(words.then_some("--words")).args((output == Output::Json).then_some("--json"));
    match command.status()?.code() {
        Some(0) => Ok(true),
        Some(1) => {
            say("each difference is a bug, or a rule in crates/fuzz/src/diff/known.rs that is missing");
            Ok(false)
        }
        _ => anyhow::bail!("the comparison could not be made"),
    }
}
