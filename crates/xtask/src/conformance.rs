//! `cargo xtask conformance`: the reference programs' own cases.

use anyhow::{Context, bail};

use crate::Output;
use crate::shell::{capture, cargo, print, say, shared};

/// How a suite is run: an example that takes its folder, or a test that prints its summary.
enum Runner {
    Example(&'static str),
    Test(&'static str),
}

/// Suite, crate, runner, folder of its data.
const SUITES: &[(&str, &str, Runner, &str)] = &[
    ("promql", "promql", Runner::Example("conformance"), "promql"),
    ("parser", "promql", Runner::Example("parser_conformance"), "promql-parser"),
    ("relabel", "discovery", Runner::Test("conformance"), "."),
    ("config", "server", Runner::Test("conformance"), "."),
    ("openmetrics", "wire", Runner::Test("openmetrics"), "."),
    ("traces", "analysis", Runner::Example("traces_conformance"), "traces"),
];

/// Prints `SUITE: P of T passed` for each suite, and the failures.
///
/// # Errors
/// When the suite is unknown or the data are not there.
pub(crate) fn run(wanted: Option<&str>, output: Output) -> anyhow::Result<bool> {
    let data = shared().context("the reference data are not there: set EINO_SHARED")?.join("conformance");
    let suites: Vec<_> =
        SUITES.iter().filter(|(name, ..)| wanted.is_none_or(|wanted| wanted == *name)).collect();
    if suites.is_empty() {
        let names: Vec<_> = SUITES.iter().map(|(name, ..)| *name).collect();
        bail!("unknown suite {:?}: choose one of {}", wanted.unwrap_or_default(), names.join(", "));
    }
    let mut results = Vec::new();
    for (name, package, runner, folder) in suites {
        let folder = data.join(folder);
        let text = match runner {
            Runner::Example(example) => {
                let run = ["run", "--quiet", "--release", "--package", package, "--example", example, "--"];
                capture(cargo(&run).arg(&folder))?
            }
            Runner::Test(filter) => {
                let test = ["test", "--quiet", "--package", package, "--", "--nocapture", filter];
                capture(cargo(&test).env("EINO_SHARED", data.parent().unwrap_or(&data)))?
            }
        };
        let prefix = format!("{name}: ");
        let summary =
            text.lines().rev().filter_map(|line| Some(&line[line.find(&prefix)?..])).find_map(parse_summary);
        let (passed, total) = summary.with_context(|| format!("{name} printed no summary:\n{text}"))?;
        if output == Output::Text {
            text.lines().filter(|line| line.starts_with("FAILED")).for_each(say);
            print(&format!("{name}: {passed} of {total} passed"));
        }
        results.push(serde_json::json!({"suite": name, "passed": passed, "total": total}));
    }
    if output == Output::Json {
        print(&serde_json::json!({"suites": results}).to_string());
    }
    Ok(true)
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
