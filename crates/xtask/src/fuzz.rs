//! `cargo xtask diff`: random inputs, by the tool of the crate `fuzz`.

use crate::Output;
use crate::shell::{cargo, run, say, target};
use crate::tools::prometheus;

/// Asks us and Prometheus the same random queries.
///
/// # Errors
/// When something can't be built, or Prometheus is not to be had.
pub(crate) fn diff(runs: u64, seed: u64, words: bool, output: Output) -> anyhow::Result<bool> {
    let prometheus = prometheus()?;
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
