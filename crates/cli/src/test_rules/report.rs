//! What people and programs see of a run.

use std::io::IsTerminal;

use rules::unit_test::{DiffLine, Failure};
use serde_json::{Value, json};

use super::FileReport;

/// Escape sequences, or nothing where there is no terminal.
#[derive(Clone, Copy)]
pub(super) struct Colours {
    good: &'static str,
    bad: &'static str,
    warning: &'static str,
    reset: &'static str,
}

impl Colours {
    pub(super) const NONE: Self = Self { good: "", bad: "", warning: "", reset: "" };

    pub(super) fn of_stdout() -> Self {
        if std::io::stdout().is_terminal() {
            Self { good: "\x1b[32m", bad: "\x1b[31m", warning: "\x1b[33m", reset: "\x1b[0m" }
        } else {
            Self::NONE
        }
    }
}

/// A line per test, below it what differs: `-` was expected, `+` came.
pub(super) fn text(reports: &[FileReport], colours: Colours) -> String {
    let Colours { good, bad, warning, reset } = colours;
    let mut out = String::new();
    let (mut passed, mut total) = (0, 0);
    for report in reports {
        out += &format!("{}\n", report.file);
        for text in &report.warnings {
            out += &format!("  {warning}warning{reset}: {text}\n");
        }
        if let Some(error) = &report.error {
            out += &format!("  {bad}FAILED{reset}  {error}\n");
        }
        for test in &report.tests {
            total += 1;
            if test.failures.is_empty() {
                passed += 1;
                out += &format!("  {good}ok{reset}      {}\n", test.name);
                continue;
            }
            out += &format!("  {bad}FAILED{reset}  {}\n", test.name);
            for failure in &test.failures {
                out += &failure_text(failure, colours);
            }
        }
    }
    let broken = reports.iter().filter(|report| report.error.is_some()).count();
    out += &format!("{passed} of {total} tests passed");
    if broken > 0 {
        out += &format!("; {broken} of {} files could not be run", reports.len());
    }
    out
}

fn failure_text(failure: &Failure, Colours { good, bad, reset, .. }: Colours) -> String {
    let mut out = format!("    {} at {}", failure.what, stdx::format_duration(failure.at));
    if let Some(error) = &failure.error {
        out += &format!(": {error}");
    }
    out.push('\n');
    for line in &failure.diff {
        out += &match line {
            DiffLine::Same(text) => format!("        {text}\n"),
            DiffLine::Missing(text) => format!("      {bad}- {text}{reset}\n"),
            DiffLine::Unexpected(text) => format!("      {good}+ {text}{reset}\n"),
        };
    }
    out
}

pub(super) fn json(reports: &[FileReport]) -> String {
    let files = reports.iter().map(|report| {
        let tests = report.tests.iter().map(|test| {
            let failures: Vec<Value> = test.failures.iter().map(failure_json).collect();
            json!({"name": test.name, "passed": failures.is_empty(), "failures": failures})
        });
        json!({
            "file": report.file,
            "passed": report.passed(),
            "error": report.error,
            "warnings": report.warnings,
            "tests": tests.collect::<Vec<_>>(),
        })
    });
    let passed = reports.iter().all(FileReport::passed);
    json!({"passed": passed, "files": files.collect::<Vec<_>>()}).to_string()
}

fn failure_json(failure: &Failure) -> Value {
    let (mut expected, mut got) = (Vec::new(), Vec::new());
    for line in &failure.diff {
        match line {
            DiffLine::Same(text) => {
                expected.push(text);
                got.push(text);
            }
            DiffLine::Missing(text) => expected.push(text),
            DiffLine::Unexpected(text) => got.push(text),
        }
    }
    json!({
        "what": failure.what,
        "at_seconds": failure.at.as_secs_f64(),
        "error": failure.error,
        "expected": expected,
        "got": got,
    })
}

/// A failure without colours.
pub(super) fn failure_words(failure: &Failure) -> String {
    failure_text(failure, Colours::NONE).trim_end().to_owned()
}
