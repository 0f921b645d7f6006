//! Runs the critical-path cases under DIR: `cargo run -p analysis --example traces_conformance DIR`.

#[path = "../tests/it/oracle.rs"]
mod oracle;

use std::path::Path;
use std::process::ExitCode;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1) else {
        eprintln!("usage: conformance DIR (the folder with jaeger-critical-path and critical-path-own)");
        return ExitCode::from(2);
    };
    let results = match oracle::run(Path::new(&dir)) {
        Ok(results) => results,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    for (name, failure) in results.iter().filter_map(|(name, result)| Some((name, result.as_ref().err()?))) {
        println!("{name}: {failure}");
    }
    let passed = results.values().filter(|result| result.is_ok()).count();
    println!("traces: {passed} of {} passed", results.len());
    if passed == results.len() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
