//! Random inputs: `fuzz inputs` feeds every parser and decoder, `fuzz diff` asks us and a real Prometheus the same
//! random queries.
//!
//! Everything is made from a seed, so that each finding can be had again.

mod diff;
mod inputs;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Looks for wrong answers with random inputs.
#[derive(Parser)]
#[command(name = "fuzz")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Feeds damaged inputs to every parser and decoder
    Inputs(inputs::InputsArguments),
    /// Asks us and a real Prometheus the same random queries over the same random data
    Diff(diff::DiffArguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Inputs(arguments) => inputs::run(arguments),
        Command::Diff(arguments) => diff::run(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            output::say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}
