//! Runs the expressions of `DIR/parse_test_exprs.jsonl` through the parser:
//! `cargo run -p promql --example parser_conformance -- DIR`. Prints failures and `parser: P of T passed`.
#![expect(clippy::print_stdout, reason = "the report is the output")]

use std::process::ExitCode;

use promql::conformance::{ParserReport, run_parser_cases};

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        println!("usage: parser_conformance DIR");
        return ExitCode::from(2);
    };
    match run(&format!("{folder}/parse_test_exprs.jsonl")) {
        Ok(report) => {
            report.failures.iter().for_each(|failure| println!("  {failure}"));
            println!("refused in the reference's words: {} of {}", report.same_words, report.refused);
            println!("parser: {} of {} passed", report.agree, report.total);
            ExitCode::from(u8::from(report.agree < report.total))
        }
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Inputs that are not UTF-8 (`input_hex`) are left out: a `&str` cannot hold them.
fn run(path: &str) -> Result<ParserReport, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let mut cases = Vec::new();
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if case.get("input_hex").is_none() {
            cases.push(case);
        }
    }
    Ok(run_parser_cases(cases.iter().map(|case| {
        let refused = case["fail"].as_bool().unwrap_or(false);
        let words = case["errors"][0]["msg"].as_str().unwrap_or_default();
        (case["input"].as_str().unwrap_or_default(), refused.then_some(words))
    })))
}
