//! `eino tsdb analyze|import|export|snapshot`: the metrics store without a server around it.
//!
//! They open the data directory themselves, so a server must not run on it; `snapshot` is the way to get at the data of a
//! running one.

mod analyze;
mod export;
mod import;
mod openmetrics;
mod parquet;
mod progress;
mod snapshot;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use clock::Clock;
use eino_metrics_core::Registry;
use server::DataDir;
use tsdb::{Tsdb, TsdbConfig};

use crate::output::Format;

const EXAMPLES: &str = "\
Examples:
  eino tsdb import --data data /var/lib/prometheus/metrics2     the blocks of a Prometheus
  eino tsdb analyze --data data                                 which metrics take the space
  eino tsdb export --data data --match 'up' > up.om             OpenMetrics with timestamps
  eino tsdb snapshot --server http://127.0.0.1:9090             a copy of a running server's metrics";

/// Imports, exports, analyses and copies the metrics store.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TsdbArguments {
    #[command(subcommand)]
    what: What,
    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Format,
}

#[derive(Subcommand)]
enum What {
    /// Says which metrics, labels and label pairs take the space, and how much of it is churn
    Analyze(analyze::AnalyzeArguments),
    /// Takes in the blocks of a Prometheus data directory, or OpenMetrics text with timestamps
    Import(import::ImportArguments),
    /// Writes samples as OpenMetrics text or Parquet
    Export(export::ExportArguments),
    /// Makes a consistent copy of a running server's metrics, which another server can start on
    Snapshot(snapshot::SnapshotArguments),
}

/// The directory of a server.
#[derive(clap::Args)]
struct DataArguments {
    /// The server's data directory; no server may run on it
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
}

pub(crate) async fn run(arguments: TsdbArguments) -> anyhow::Result<ExitCode> {
    let format = arguments.output;
    let work: Box<dyn FnOnce() -> anyhow::Result<ExitCode> + Send> = match arguments.what {
        What::Snapshot(arguments) => return snapshot::run(arguments, format).await,
        What::Analyze(arguments) => Box::new(move || analyze::run(&arguments, format)),
        What::Import(arguments) => Box::new(move || import::run(&arguments, format)),
        What::Export(arguments) => Box::new(move || export::run(&arguments, format)),
    };
    tokio::task::spawn_blocking(work).await.context("the work panicked")?
}

/// A metrics store and the lock on the directory around it.
struct OpenStore {
    tsdb: Tsdb,
    _data: DataDir,
}

impl DataArguments {
    /// Opens the store of a data directory that is there already.
    fn open_existing(&self) -> anyhow::Result<OpenStore> {
        let is_there = self.data.join("metrics").try_exists()?;
        anyhow::ensure!(
            is_there,
            "{} is no data directory of eino: there is no `metrics` in it",
            self.data.display()
        );
        self.open()
    }

    /// Opens the store, or makes one.
    fn open(&self) -> anyhow::Result<OpenStore> {
        let data = DataDir::open(&self.data)?;
        let tsdb = open_store(&data.part("metrics"))?;
        Ok(OpenStore { tsdb, _data: data })
    }
}

fn open_store(dir: &Path) -> anyhow::Result<Tsdb> {
    let opened = Tsdb::open(TsdbConfig::new(dir), Clock::system(), &Registry::new());
    opened.with_context(|| format!("cannot open the metrics store in {}", dir.display()))
}
