//! Runs every `*.test` script of a folder: `cargo run -p promql --example conformance -- DIR`.
//! Prints one line per file, one per failure, and `promql: P of T passed`.
#![expect(clippy::print_stdout, reason = "the report is the output")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.first() else {
        println!("usage: conformance DIR");
        return ExitCode::from(2);
    };
    match run(folder) {
        Ok((passed, total)) => {
            println!("promql: {passed} of {total} passed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(folder: &str) -> Result<(usize, usize), String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read {folder}: {error}"))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    let (mut passed, mut total) = (0, 0);
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {name}: {error}"))?;
        let report = promql::conformance::run_file(&text).map_err(|error| format!("{name}: {error}"))?;
        println!("{name}: {} of {}", report.passed(), report.cases.len());
        passed += report.passed();
        total += report.cases.len();
        for case in &report.cases {
            if let Some(failure) = &case.failure {
                println!("FAILED {name}:{}: {}: {}", case.line, case.expr, failure.replace('\n', " "));
            }
        }
    }
    Ok((passed, total))
}
