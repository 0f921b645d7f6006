//! `cargo xtask conformance`: the reference programs' own cases.

use std::path::Path;

use anyhow::{Context, bail};

use crate::Output;
use crate::shell::{cargo, print, say, shared};

/// How a suite is run: an example that takes its folder, or a test that prints its summary.
enum Runner {
    Example(&'static str),
    Test(&'static str),
}

struct Suite {
    name: &'static str,
    package: &'static str,
    runner: Runner,
    /// Folder of its data.
    folder: &'static str,
    /// Cases that passed before: fewer are a failure. Only goes up.
    passed_min: u64,
}

const fn suite(
    name: &'static str,
    package: &'static str,
    runner: Runner,
    folder: &'static str,
    passed_min: u64,
) -> Suite {
    Suite { name, package, runner, folder, passed_min }
}

const SUITES: [Suite; 8] = [
    suite("promql", "promql", Runner::Example("conformance"), "promql", 2_214),
    suite("parser", "promql", Runner::Example("parser_conformance"), "promql-parser", 351),
    suite("relabel", "discovery", Runner::Test("conformance"), ".", 34),
    suite("config", "server", Runner::Test("conformance"), ".", 186),
    suite("rules", "rules", Runner::Test("conformance"), ".", 15),
    suite("openmetrics", "wire", Runner::Test("open_metrics_suite"), ".", 211),
    suite("alertmanager", "alerts", Runner::Test("conformance"), ".", 21),
    suite("traces", "analysis", Runner::Example("traces_conformance"), "traces", 22),
];

/// Prints `SUITE: P of T passed` for each suite, and the failures. Answers whether none has fallen.
///
/// # Errors
/// When the suite is unknown or the data are not there.
pub(crate) fn run(wanted: Option<&str>, output: Output) -> anyhow::Result<bool> {
    let data = shared().context("the reference data are not there: set EINO_SHARED")?.join("conformance");
    let suites: Vec<_> =
        SUITES.iter().filter(|suite| wanted.is_none_or(|wanted| wanted == suite.name)).collect();
    if suites.is_empty() {
        let names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("unknown suite {:?}: choose one of {}", wanted.unwrap_or_default(), names.join(", "));
    }
    let mut results = Vec::new();
    let mut all_well = true;
    for suite in suites {
        let text = printed_by(suite, &data)?;
        let (passed, total) = summary(&text, suite.name)
            .with_context(|| format!("{} printed no summary:\n{text}", suite.name))?;
        let has_fallen = passed < suite.passed_min;
        all_well &= !has_fallen;
        if output == Output::Text {
            text.lines().filter(|line| is_failure(line)).for_each(say);
            let fallen = if has_fallen { format!(" (before: {})", suite.passed_min) } else { String::new() };
            print(&format!("{}: {passed} of {total} passed{fallen}", suite.name));
        }
        results.push(serde_json::json!({
            "suite": suite.name, "passed": passed, "total": total, "passed_min": suite.passed_min,
        }));
    }
    if output == Output::Json {
        print(&serde_json::json!({"suites": results}).to_string());
    }
    Ok(all_well)
}

/// What a suite prints, also when some of its cases fail.
fn printed_by(suite: &Suite, data: &Path) -> anyhow::Result<String> {
    let folder = data.join(suite.folder);
    let mut command = match suite.runner {
        Runner::Example(example) => {
            let run = ["run", "--quiet", "--package", suite.package, "--example", example, "--"];
            let mut command = cargo(&run);
            command.arg(&folder).arg("-v");
            command
        }
        Runner::Test(filter) => {
            let mut command =
                cargo(&["test", "--quiet", "--package", suite.package, "--", "--nocapture", filter]);
            command.env("EINO_SHARED", data.parent().unwrap_or(data));
            command
        }
    };
    let output = command.output().with_context(|| format!("cannot run the suite {}", suite.name))?;
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(format!("{error}{out}"))
}

/// The last `NAME: P of T passed`.
fn summary(text: &str, name: &str) -> Option<(u64, u64)> {
    let prefix = format!("{name}: ");
    text.lines().rev().filter_map(|line| Some(&line[line.find(&prefix)?..])).find_map(parse_summary)
}

fn is_failure(line: &str) -> bool {
    line.starts_with("FAILED") || line.starts_with("  ")
}

/// Reads `name: P of T passed`.
fn parse_summary(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.split_once(": ")?;
    let (counts, _) = counts.split_once(" passed")?;
    let (passed, total) = counts.split_once(" of ")?;
    Some((passed.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse_summary;

    #[test]
    fn summaries() {
        assert_eq!(parse_summary("promql: 992 of 2214 passed"), Some((992, 2214)));
        assert_eq!(parse_summary("FAILED x: 1 of 2"), None);
    }
}
