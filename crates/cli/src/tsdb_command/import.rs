//! `eino tsdb import`.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use disk::Disk;
use model::SampleColumns;
use prom_block::{Block, block_dirs};
use serde_json::json;
use tsdb::Tsdb;

use super::openmetrics::Reader;
use super::{DataArguments, progress};
use crate::output::{Format, print};

const EXAMPLES: &str = "\
A PATH is one of
- a directory of Prometheus blocks: its --storage.tsdb.path while it is stopped, or a snapshot
  of it, which also has the newest samples
- one such block
- a file of OpenMetrics text that ends with `# EOF` and whose samples have timestamps
Where the store has a sample already, its own stays. What is older than the server's retention is
downsampled or deleted soon after the server starts.

Examples:
  eino tsdb import --data data /var/lib/prometheus/metrics2
  curl -X POST http://127.0.0.1:9091/api/v1/admin/tsdb/snapshot    then import data/snapshots/NAME
  eino tsdb import --data data history.om";

/// Takes in samples from elsewhere.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Directories of Prometheus blocks, or files of OpenMetrics text
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Imported {
    pub(super) blocks: u64,
    pub(super) series: u64,
    pub(super) samples: u64,
}

pub(super) fn run(arguments: &ImportArguments, format: Format) -> anyhow::Result<ExitCode> {
    // Before a data directory is made: a wrong path changes nothing.
    let mut blocks = Vec::new();
    let mut texts = Vec::new();
    for path in &arguments.paths {
        if std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.is_dir() {
            blocks.extend(blocks_in(path)?);
        } else {
            texts.push(path.clone());
        }
    }
    let store = arguments.data.open()?;
    let mut imported = Imported::default();
    for (number, dir) in (1..).zip(&blocks) {
        import_block(&store.tsdb, dir, &format!("block {number} of {}", blocks.len()), &mut imported)?;
    }
    for path in &texts {
        import_text(&store.tsdb, path, &mut imported)?;
    }
    store.tsdb.close()?;
    let Imported { blocks, series, samples } = imported;
    print(&match format {
        Format::Json => json!({"blocks": blocks, "series": series, "samples": samples}).to_string(),
        Format::Text => format!("imported {samples} samples of {series} series in {blocks} blocks"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The blocks in a directory, or the directory itself when it is one.
fn blocks_in(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.join("meta.json").try_exists()? {
        return Ok(vec![path.to_owned()]);
    }
    let found = block_dirs(&Disk::real(), path)?;
    anyhow::ensure!(
        !found.is_empty(),
        "there is no Prometheus block in {}: a block is a directory with `meta.json` and `index`; Prometheus makes the first after two hours, or at once by its snapshot API",
        path.display()
    );
    Ok(found)
}

fn import_block(tsdb: &Tsdb, dir: &Path, what: &str, imported: &mut Imported) -> anyhow::Result<()> {
    let block = Block::open(&Disk::real(), dir)?;
    let series = block.series()?;
    let bar = progress::bar(what, series.len() as u64);
    let mut import = tsdb.import()?;
    let mut columns = SampleColumns::default();
    for series in &series {
        block.read(series, &mut columns)?;
        import.push(&series.labels, &mut columns)?;
        imported.samples += columns.len() as u64;
        imported.series += u64::from(!columns.is_empty());
        bar.inc(1);
    }
    import.finish()?;
    bar.finish_and_clear();
    imported.blocks += 1;
    Ok(())
}

fn import_text(tsdb: &Tsdb, path: &Path, imported: &mut Imported) -> anyhow::Result<()> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let bar = progress::bar(&path.display().to_string(), file.metadata()?.len());
    let mut input = std::io::BufReader::new(file);
    let mut reader = Reader::default();
    let mut line = String::new();
    loop {
        line.clear();
        let bytes = input.read_line(&mut line).with_context(|| format!("cannot read {}", path.display()))?;
        if bytes == 0 {
            break;
        }
        reader.line(&line).with_context(|| path.display().to_string())?;
        if reader.is_full() {
            reader.store(tsdb, imported)?;
        }
        bar.inc(bytes as u64);
    }
    reader.end().with_context(|| path.display().to_string())?;
    bar.finish_and_clear();
    reader.store(tsdb, imported)
}
