//! Runs every `*.test` script of a folder: `cargo run -p promql --example conformance -- DIR [-v]`.
//! Prints one line per file and `promql: P of T passed`; with `-v` each failure too.
#![expect(clippy::print_stdout, reason = "the report is the output")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let verbose = arguments.iter().any(|argument| argument == "-v");
    let Some(folder) = arguments.iter().find(|argument| !argument.starts_with('-')) else {
        println!("usage: conformance DIR [-v]");
        return ExitCode::from(2);
    };
    match run(folder, verbose) {
        Ok((passed, total)) => {
            println!("promql: {passed} of {total} passed");
            ExitCode::from(u8::from(passed < total))
        }
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(folder: &str, verbose: bool) -> Result<(usize, usize), String> {
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
        for case in report.cases.iter().filter(|_| verbose) {
            if let Some(failure) = &case.failure {
                println!("  {name}:{}: {}\n    {failure}", case.line, case.expr);
            }
        }
    }
    Ok((passed, total))
}
