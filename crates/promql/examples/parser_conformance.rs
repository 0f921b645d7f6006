//! Runs the expressions of `DIR/parse_test_exprs.jsonl` through the parser:
//! `cargo run -p promql --example parser_conformance -- DIR`. Prints failures and `parser: P of T passed`: accepted, or refused in the reference's words at the same bytes.
#![expect(clippy::print_stdout, reason = "the report is the output")]

use std::process::ExitCode;

use promql::conformance::{ParserCase, ParserReport, run_parser_cases};

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        println!("usage: parser_conformance DIR");
        return ExitCode::from(2);
    };
    match run(&format!("{folder}/parse_test_exprs.jsonl")) {
        Ok(report) => {
            report.failures.iter().for_each(|failure| println!("FAILED {failure}"));
            println!("parser: {} of {} passed", report.passed, report.total);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(path: &str) -> Result<ParserReport, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let cases = text.lines().map(case).collect::<Result<Vec<ParserCase>, String>>()?;
    Ok(run_parser_cases(&cases))
}

/// Inputs that are not UTF-8 stand in `input_hex`.
fn case(line: &str) -> Result<ParserCase, String> {
    let case: serde_json::Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let text = match case["input_hex"].as_str() {
        Some(hex) => (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|error| error.to_string()))
            .collect::<Result<Vec<u8>, String>>()?,
        None => case["input"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    let error = &case["errors"][0];
    let byte = |name: &str| error[name].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let refused = case["fail"]
        .as_bool()
        .unwrap_or(false)
        .then(|| (error["msg"].as_str().unwrap_or_default().to_owned(), byte("start")..byte("end")));
    Ok(ParserCase { text, refused })
}
