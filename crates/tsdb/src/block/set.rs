//! The blocks of a store: opening, adding, expiring, merging.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{SampleColumns, TimeRange};
use tracing::{info, warn};

use super::{Block, BlockWriter};
use crate::columns::tidy_up;
use crate::config::to_ms;
use crate::label_order::compare_labels;
use crate::metrics::Metrics;
use crate::{Error, TsdbConfig};

/// Neighbouring blocks are merged when so many would make one of a longer tier.
const MERGE_BLOCKS_MIN: usize = 4;

/// The cuts of the head that a block holds: first and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cuts {
    first: u64,
    last: u64,
}

impl Cuts {
    /// One cut.
    pub(crate) fn one(number: u64) -> Self {
        Self { first: number, last: number }
    }

    fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{self}.blk"))
    }

    fn from_name(name: &str) -> Option<Self> {
        let (first, last) = name.strip_suffix(".blk")?.split_once('-')?;
        let cuts = Self { first: first.parse().ok()?, last: last.parse().ok()? };
        (cuts.first <= cuts.last).then_some(cuts)
    }

    fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

impl fmt::Display for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}-{:08}", self.first, self.last)
    }
}

type Blocks = Vec<(Cuts, Arc<Block>)>;

/// Blocks in the order of their cuts: what was written first comes first.
pub(crate) struct BlockSet {
    dir: PathBuf,
    /// Protects the list, not the blocks: readers clone it.
    blocks: RwLock<Arc<Blocks>>,
}

impl BlockSet {
    /// Opens all blocks in `dir`. Damaged ones are put aside, left-overs of merges and of writes removed.
    pub(crate) fn open(dir: &Path, metrics: &Metrics) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        let mut found = Blocks::new();
        for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
            let path = entry.map_err(Error::io("list", dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.ends_with(".tmp") {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
            let Some(cuts) = Cuts::from_name(name) else { continue };
            match Block::open(&path) {
                Ok(block) => found.push((cuts, Arc::new(block))),
                Err(Error::Corrupt { detail, .. }) => {
                    warn!(path = %path.display(), detail, "damaged block put aside");
                    metrics.blocks_quarantined.inc();
                    put_aside(&path)?;
                }
                Err(error) => return Err(error),
            }
        }
        found.sort_by_key(|(cuts, _)| *cuts);
        let (kept, merged): (Blocks, Blocks) = found
            .iter()
            .cloned()
            .partition(|(cuts, _)| !found.iter().any(|(other, _)| other != cuts && other.contains(*cuts)));
        remove_files(&merged)?;
        let set = Self { dir: dir.to_owned(), blocks: RwLock::new(Arc::new(kept)) };
        set.report(metrics);
        Ok(set)
    }

    /// The blocks as they are now.
    pub(crate) fn list(&self) -> Arc<Blocks> {
        Arc::clone(&self.blocks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number of the next cut.
    pub(crate) fn next_cut(&self) -> u64 {
        self.list().last().map_or(1, |(cuts, _)| cuts.last + 1)
    }

    /// Writes the block of `cuts`: `fill` pushes its series.
    pub(crate) fn write(
        &self,
        cuts: Cuts,
        fill: impl FnOnce(&mut BlockWriter) -> Result<(), Error>,
        metrics: &Metrics,
    ) -> Result<(), Error> {
        let path = cuts.path(&self.dir);
        let mut writer = BlockWriter::create(&path)?;
        fill(&mut writer)?;
        if writer.finish()? {
            let block = Arc::new(Block::open(&path)?);
            info!(path = %path.display(), samples = block.samples(), bytes = block.bytes(), "block written");
            self.replace(|blocks| {
                blocks.retain(|(other, _)| !cuts.contains(*other));
                blocks.push((cuts, block));
                blocks.sort_by_key(|(cuts, _)| *cuts);
            });
        }
        self.report(metrics);
        Ok(())
    }

    /// Deletes blocks whose newest sample is before `oldest_ms`.
    pub(crate) fn expire(&self, oldest_ms: i64, metrics: &Metrics) -> Result<(), Error> {
        let blocks = self.list();
        let expired = blocks.iter().filter(|(_, block)| block.range_ms().end <= oldest_ms);
        let expired: Blocks = expired.cloned().collect();
        if expired.is_empty() {
            return Ok(());
        }
        self.replace(|blocks| blocks.retain(|(cuts, _)| !expired.iter().any(|(gone, _)| gone == cuts)));
        metrics.blocks_expired.add(expired.len() as u64);
        self.report(metrics);
        remove_files(&expired)
    }

    /// Merges one run of small neighbours, if there is one. Damaged series are left out, and the block they were in
    /// is kept aside.
    pub(crate) fn merge_one(&self, config: &TsdbConfig, metrics: &Metrics) -> Result<(), Error> {
        let blocks = self.list();
        let Some(run) = find_run(&blocks, config) else { return Ok(()) };
        let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) else { return Ok(()) };
        let cuts = Cuts { first: first.first, last: last.last };
        let mut damaged = Vec::new();
        self.write(cuts, |writer| merge(run, writer, &mut damaged), metrics)?;
        metrics.merges.inc();
        for (path, detail) in &damaged {
            warn!(path = %path.display(), detail, "damaged block put aside");
            put_aside(path)?;
        }
        metrics.blocks_quarantined.add(damaged.len() as u64);
        let whole = run.iter().filter(|(_, block)| !damaged.iter().any(|(path, _)| *path == block.path));
        remove_files(&whole.cloned().collect::<Blocks>())
    }

    fn replace(&self, change: impl FnOnce(&mut Blocks)) {
        let mut blocks = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut blocks));
    }

    fn report(&self, metrics: &Metrics) {
        let blocks = self.list();
        metrics.blocks.set(blocks.len() as f64);
        metrics.blocks_bytes.set(blocks.iter().map(|(_, block)| block.bytes()).sum::<u64>() as f64);
    }
}

/// The block's name ends in `.blk.bad` from now on.
fn put_aside(path: &Path) -> Result<(), Error> {
    fs::rename(path, path.with_extension("blk.bad")).map_err(Error::io("rename", path))
}

fn remove_files(blocks: &[(Cuts, Arc<Block>)]) -> Result<(), Error> {
    blocks
        .iter()
        .try_for_each(|(_, block)| fs::remove_file(&block.path).map_err(Error::io("remove", &block.path)))
}

/// The first run of neighbours that are many enough and together span no more than a tier: `block_span`, 4 times it,
/// 16 times it and so on, the last one being `merged_span_max`.
fn find_run<'b>(blocks: &'b Blocks, config: &TsdbConfig) -> Option<&'b [(Cuts, Arc<Block>)]> {
    let mut tier = config.block_span.max(Duration::from_secs(1));
    loop {
        tier = tier.min(config.merged_span_max);
        for start in 0..blocks.len() {
            let mut end = start + 1;
            while blocks.get(start..=end).is_some_and(|run| span_ms(run) <= to_ms(tier)) {
                end += 1;
            }
            if end - start >= MERGE_BLOCKS_MIN {
                return blocks.get(start..end);
            }
        }
        if tier == config.merged_span_max {
            return None;
        }
        tier *= 4;
    }
}

fn span_ms(run: &[(Cuts, Arc<Block>)]) -> i64 {
    let start = run.iter().map(|(_, block)| block.range_ms().start).min().unwrap_or_default();
    let end = run.iter().map(|(_, block)| block.range_ms().end).max().unwrap_or_default();
    end.saturating_sub(start)
}

/// Pushes every series of `run` with its samples of all blocks; of two samples at one time the first written stays.
fn merge(
    run: &[(Cuts, Arc<Block>)],
    writer: &mut BlockWriter,
    damaged: &mut Vec<(PathBuf, String)>,
) -> Result<(), Error> {
    let indexes = run.iter().map(|(_, block)| block.index()).collect::<Result<Vec<_>, _>>()?;
    let mut heads = vec![0_usize; run.len()];
    let mut columns = SampleColumns::default();
    let mut part = SampleColumns::default();
    loop {
        let candidates = indexes.iter().zip(&heads).filter_map(|(index, head)| index.series.get(*head));
        let smallest =
            candidates.min_by(|left, right| compare_labels(left.labels.as_bytes(), right.labels.as_bytes()));
        let Some(labels) = smallest.map(|series| series.labels.clone()) else { return Ok(()) };
        columns.clear();
        for (((_, block), index), head) in run.iter().zip(&indexes).zip(&mut heads) {
            let series = index.series.get(*head).filter(|series| series.labels == labels);
            let Some(series) = series else { continue };
            *head += 1;
            part.clear();
            match block.read(index, series, TimeRange::ALL, &mut part) {
                Ok(()) => columns.append(&mut part),
                Err(Error::Corrupt { path, detail }) => {
                    if damaged.iter().all(|(known, _)| *known != path) {
                        damaged.push((path, detail));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        tidy_up(TimeRange::ALL, &mut columns);
        writer.push(&labels, &columns)?;
    }
}
