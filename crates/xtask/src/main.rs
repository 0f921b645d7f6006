//! `cargo xtask …`: everything a developer and CI run.
//!
//! What a command needs is installed first: Debian packages are downloaded and unpacked under `target/tools` without
//! root; Python and Node packages and Maven artefacts go there too. Only a browser needs a real install.

mod bench;
mod ci;
mod conformance;
mod fuzz;
mod shell;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// The work commands of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Format of the summary
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what the tests need, then runs all of them
    Test,
    /// What continuous integration runs: format, lints, rules, tests, a headless demo
    Ci,
    /// Compares with the reference data of the programs we are compatible with
    Conformance {
        /// promql, parser, relabel, config, rules, openmetrics, alertmanager or traces; all by default
        suite: Option<String>,
    },
    /// Measures us and the peers in one run
    Bench {
        /// ingest, query, crash, scrape or traces; all by default
        phases: Vec<String>,
        /// A tenth of the data: a check that the benchmark works, not a measurement
        #[arg(long)]
        small: bool,
    },
    /// Feeds damaged inputs to every parser and decoder, and random parameters to the API
    Fuzz {
        /// Inputs of each target; a fifth as many requests to the API
        #[arg(long, default_value_t = 20_000)]
        runs: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// promql, series, regex, exposition, remote-write, …; all by default
        #[arg(long)]
        target: Option<String>,
    },
    /// Asks us and a real Prometheus (`EINO_TEST_PROMETHEUS`, or Debian's) the same random queries
    Diff {
        /// Number of queries
        #[arg(long, default_value_t = 2_000)]
        runs: u64,
        /// Seed of the first query
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Prints errors that are worded differently, too
        #[arg(long)]
        words: bool,
    },
    /// Kills a server under load and counts what was lost
    Crash {
        #[arg(long, default_value_t = 5)]
        rounds: u32,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Test => test::run(arguments.output),
        Command::Ci => ci::run(arguments.output),
        Command::Conformance { suite } => conformance::run(suite.as_deref(), arguments.output),
        Command::Bench { phases, small } => bench::run(&phases, small, arguments.output),
        Command::Fuzz { runs, seed, target } => fuzz::inputs(runs, seed, target.as_deref(), arguments.output),
        Command::Diff { runs, seed, words } => fuzz::diff(runs, seed, words, arguments.output),
        Command::Crash { rounds } => test::crash(rounds),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            shell::say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}
