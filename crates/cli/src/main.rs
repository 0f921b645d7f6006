//! The binary `eino`: demo, server, queries, traces, checks, tests of rules, import and export. `eino --help` lists
//! everything with examples.
//!
//! Exit status: 0 = done and well, 1 = done and not well (a check failed), 2 = could not be done.

mod check;
mod client;
mod completions;
mod demo;
mod output;
mod query;
mod server_command;
mod test_rules;
mod trace;
mod tsdb_command;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  eino demo                                     a running shop, its bottleneck named in 30 s
  eino server                                   http://127.0.0.1:9090; OTLP on 4317 and 4318
  eino server --config prometheus.yml           an unchanged Prometheus configuration
  eino trace report                             which operation to fix, and what it saves
  eino query --since 1h 'sum(up)'               a chart in the terminal
  eino test rules tests/*.yml                   unit tests of rules";

/// Observability that names the bottleneck, its cause, and the milliseconds that fixing it saves.
#[derive(Parser)]
#[command(name = "eino", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a server, a four-service shop and its load; prints which service is the bottleneck, and why
    Demo(demo::DemoArguments),
    /// Receives, stores, queries, analyses and shows metrics and traces
    Server(server_command::ServerArguments),
    /// Evaluates a PromQL query on a server
    Query(query::QueryArguments),
    /// Finds, shows and analyses traces on a server
    Trace(trace::TraceArguments),
    /// Checks configuration and rule files without starting anything
    Check(check::CheckArguments),
    /// Runs unit tests of rules
    Test(test_rules::TestArguments),
    /// Prints a script for your shell that completes commands, metric names and labels
    Completions(completions::CompletionsArguments),
    /// What may follow in a query: for the scripts of `completions`
    #[command(hide = true)]
    CompleteQuery(completions::CompleteQueryArguments),
    /// Imports, exports, analyses and copies the metrics store
    Tsdb(tsdb_command::TsdbArguments),
    /// One service of the demo's shop
    #[command(hide = true)]
    Shop(shop::ShopArgs),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    output::start_logging();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output::failed(&anyhow::Error::new(error).context("cannot start the async runtime"));
        }
    };
    let done = runtime.block_on(async {
        match arguments.command {
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Server(arguments) => server_command::run(arguments).await,
            Command::Query(arguments) => query::run(arguments).await,
            Command::Trace(arguments) => trace::run(arguments).await,
            Command::Check(arguments) => check::run(&arguments),
            Command::Test(arguments) => test_rules::run(&arguments),
            Command::Completions(arguments) => completions::run(&arguments, &mut Arguments::command()),
            Command::CompleteQuery(arguments) => completions::complete_query(arguments).await,
            Command::Tsdb(arguments) => tsdb_command::run(arguments).await,
            Command::Shop(arguments) => shop::run(arguments).await.map(|()| ExitCode::SUCCESS),
        }
    });
    // Blocking threads may still hold a query; the answer is out, so don't wait for them.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| output::failed(&error))
}
