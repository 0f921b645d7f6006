//! `eino demo`: from nothing to a named bottleneck.
//!
//! ```text
//! demo ─┬─ server                        a real `eino server`, its own process and data directory
//!       ├─ card, inventory, payment,     the shop, one process each, found through the file registry
//!       │  order, gateway
//!       └─ load (in this process)        Poisson arrivals at the gateway
//! ```
//! 5 s of warm-up, a window of 20 s, then the report. With `--compare pool=N` the payment service is started anew
//! with the other pool, and a second warm-up and window follow.
//! Every child holds one end of a pipe: when this process ends, however it ends, they end too.

mod child;
mod phases;
mod progress;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::output::{self, Format};
use phases::Outcome;
use stage::{Stage, StageOptions};

const EXAMPLES: &str = "\
Examples:
  eino demo                                       report after 25 s, then keeps running until Ctrl-C
  eino demo --compare pool=16                     what a larger connection pool would change
  eino demo --duration 40s --report json          one JSON object on stdout, then exits";

/// Starts a server, a four-service shop and its load; prints which service is the bottleneck, and why.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArguments {
    /// Length of each measured window; the demo then exits instead of running on
    #[arg(long, value_name = "DURATION", value_parser = stdx::parse_duration)]
    duration: Option<Duration>,
    /// A second phase with a changed shop, and the difference: pool=N connections
    #[arg(long, value_name = "pool=N", value_parser = parse_compare)]
    compare: Option<u32>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t, visible_short_alias = 'o')]
    report: Format,
    /// Orders per second
    #[arg(long, value_name = "N", default_value_t = 75.0)]
    rate: f64,
    /// Connections of the payment service's pool
    #[arg(long, value_name = "N", default_value_t = 2)]
    pool: u32,
    /// Main port; by default 9090, or a free one when that is taken
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Directory for data, registry and logs; by default a temporary one, removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seed of arrivals and of the shop's chances
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Window of a demo that does not say.
const WINDOW_DEFAULT: Duration = Duration::from_secs(20);
/// Shortest window that gives a P99 of anything.
const WINDOW_MIN: Duration = Duration::from_secs(2);

fn parse_compare(text: &str) -> Result<u32, String> {
    let size = text
        .strip_prefix("pool=")
        .and_then(|size| size.parse().ok())
        .filter(|size| (1..=1_000).contains(size));
    size.ok_or_else(|| format!("{text:?} is not pool=N with N from 1 to 1000"))
}

pub(crate) async fn run(arguments: DemoArguments) -> anyhow::Result<ExitCode> {
    let window = arguments.duration.unwrap_or(WINDOW_DEFAULT);
    anyhow::ensure!(
        window >= WINDOW_MIN,
        "--duration {} is too short for quantiles: at least {}",
        stdx::format_duration(window),
        stdx::format_duration(WINDOW_MIN)
    );
    anyhow::ensure!(
        arguments.rate > 0.0 && arguments.rate <= 10_000.0,
        "--rate {} is not from 0 to 10000",
        arguments.rate
    );
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
    let options = StageOptions {
        listen: arguments.listen.clone(),
        data: arguments.data.clone(),
        pool: arguments.pool,
        rate: arguments.rate,
        seed: arguments.seed,
    };
    let mut stage = Stage::new(options)?;
    let done = tokio::select! {
        done = play(&mut stage, &arguments, window) => done,
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => Ok(ExitCode::SUCCESS),
    };
    stage.stop().await;
    done
}

async fn play(stage: &mut Stage, arguments: &DemoArguments, window: Duration) -> anyhow::Result<ExitCode> {
    stage.start().await?;
    let outcome = phases::measure(stage, window, arguments.compare, arguments.report).await?;
    show(&outcome, arguments.report)?;
    if arguments.duration.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    output::say(&format!("\nThe shop keeps running. Look at {} - Ctrl-C ends everything.\n", stage.url()));
    stage.first_to_die().await?;
    Ok(ExitCode::SUCCESS)
}

fn show(outcome: &Outcome, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print(&outcome.json()?),
        Format::Text => output::print(&outcome.text()),
    }
}
