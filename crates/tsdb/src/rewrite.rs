//! Rewriting blocks: several into one, or one without what is deleted or damaged, or into fewer samples.
//!
//! ```text
//! sources  [page|page|…]  ─┐ series with the smallest labels, from every source that has it
//!          [page|page|…]  ─┼──▶ samples of all, first written first ─▶ without deleted ones ─▶ (windows) ─▶ new block
//!          [page|page|…]  ─┘
//! ```
//! - It goes step by step, each of a bounded number of bytes, so that it shares a thread with other upkeep; nothing is
//!   locked between or during steps. In memory are one page of each source, the samples of one series, and the index of
//!   the new block.
//! - Nobody sees the new block before it is whole and durable; then it takes its sources' place at once.
//! - Damaged pages and series are left out. Blocks with damage are kept aside by whoever commits.

use std::path::PathBuf;
use std::sync::Arc;

use model::{METRIC_NAME, SampleColumns, TimeRange};

use crate::Error;
use crate::block::{Block, BlockSet, Held, NewBlock, PAGE_SERIES, Page, PageSeries, Resolution};
use crate::columns::tidy_up;
use crate::downsample::{COLUMNS, Nature, downsample};
use crate::label_order::compare_labels;
use crate::metrics::Metrics;

/// Says what a metric of this name is.
pub(crate) type NatureOf = Arc<dyn Fn(&str) -> Nature + Send + Sync>;

/// A block in the making.
pub(crate) struct Rewrite {
    sources: Vec<Source>,
    new: NewBlock,
    resolution: Resolution,
    nature_of: NatureOf,
    damaged: Vec<(PathBuf, String)>,
    columns: [SampleColumns; COLUMNS],
    windows: [SampleColumns; COLUMNS],
    part: SampleColumns,
}

struct Source {
    held: Held,
    page: Option<Arc<Page>>,
    next_page: usize,
    /// In `page`.
    next: usize,
}

impl Rewrite {
    /// Starts to make one block of `sources`, which ascend by order and have one resolution, no coarser than `to`.
    pub(crate) fn start(
        set: &BlockSet,
        sources: &[Held],
        to: Resolution,
        nature_of: NatureOf,
    ) -> Result<Self, Error> {
        let new = set.create(sources, to)?;
        let source = |held: &Held| Source { held: held.clone(), page: None, next_page: 0, next: 0 };
        Ok(Self {
            sources: sources.iter().map(source).collect(),
            new,
            resolution: to,
            nature_of,
            damaged: Vec::new(),
            columns: Default::default(),
            windows: Default::default(),
            part: SampleColumns::default(),
        })
    }

    /// Goes on until about `bytes_max` bytes have been read and written. Answers whether it is done.
    pub(crate) fn step(&mut self, bytes_max: u64) -> Result<bool, Error> {
        let written_before = self.new.writer.bytes();
        let mut read = 0;
        while read + (self.new.writer.bytes() - written_before) < bytes_max {
            match self.next_series()? {
                Some(bytes) => read += bytes,
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Puts the new block in the place of its sources.
    pub(crate) fn commit(self, set: &BlockSet, metrics: &Metrics) -> Result<Option<Arc<Block>>, Error> {
        let sources: Vec<Held> = self.sources.into_iter().map(|source| source.held).collect();
        set.commit(self.new, &sources, &self.damaged, metrics)
    }

    /// Writes the next series and answers how many bytes it was read from, or `None` after the last.
    fn next_series(&mut self) -> Result<Option<u64>, Error> {
        for source in &mut self.sources {
            source.load(&mut self.damaged)?;
        }
        let candidates = self.sources.iter().filter_map(Source::current);
        let smallest =
            candidates.min_by(|left, right| compare_labels(left.labels.as_bytes(), right.labels.as_bytes()));
        let Some(labels) = smallest.map(|series| series.labels.clone()) else { return Ok(None) };
        self.columns.iter_mut().for_each(SampleColumns::clear);
        let mut bytes = 0;
        let having = self
            .sources
            .iter_mut()
            .filter(|source| source.current().is_some_and(|series| series.labels == labels));
        for source in having {
            match source.read(&mut self.columns, &mut self.part) {
                Ok(read) => bytes += read,
                Err(error) => note_damage(error, &mut self.damaged)?,
            }
            source.next += 1;
        }
        self.columns.iter_mut().for_each(|column| tidy_up(TimeRange::ALL, column));
        let from = self.sources.first().map_or(Resolution::Raw, |source| source.held.block.resolution());
        if from == self.resolution {
            self.new.writer.push_columns(&labels, &self.columns)?;
        } else {
            let nature = (self.nature_of)(labels.get(METRIC_NAME).unwrap_or_default());
            downsample(&self.columns, self.resolution.window_ms(), nature, &mut self.windows);
            self.new.writer.push_columns(&labels, &self.windows)?;
        }
        Ok(Some(bytes))
    }
}

impl Source {
    /// Sees to it that `current` is the next series, if there is one.
    fn load(&mut self, damaged: &mut Vec<(PathBuf, String)>) -> Result<(), Error> {
        while self.current().is_none() && self.next_page < self.held.block.page_count() {
            self.next = 0;
            match self.held.block.load_page(self.next_page) {
                Ok(page) => self.page = Some(page),
                Err(error) => {
                    self.page = None;
                    note_damage(error, damaged)?;
                }
            }
            self.next_page += 1;
        }
        Ok(())
    }

    fn current(&self) -> Option<&PageSeries> {
        self.page.as_ref()?.series.get(self.next)
    }

    /// Appends what is left of the current series; answers the bytes read.
    fn read(&self, columns: &mut [SampleColumns; COLUMNS], part: &mut SampleColumns) -> Result<u64, Error> {
        let Some((page, series)) = self.page.as_ref().zip(self.current()) else { return Ok(0) };
        let id = (self.next_page - 1) * PAGE_SERIES + self.next;
        let id = u32::try_from(id).unwrap_or(u32::MAX);
        let count = if self.held.block.resolution() == Resolution::Raw { 1 } else { COLUMNS };
        for (number, column) in (0..).zip(columns.iter_mut().take(count)) {
            part.clear();
            self.held.block.read(page, series, number, TimeRange::ALL, part)?;
            self.held.deleted.apply(id, part);
            column.append(part);
        }
        Ok(page.chunks_of(series).iter().map(|chunk| u64::from(chunk.bytes)).sum())
    }
}

/// Remembers which block is damaged; other errors are the caller's.
fn note_damage(error: Error, damaged: &mut Vec<(PathBuf, String)>) -> Result<(), Error> {
    match error {
        Error::Corrupt { path, detail } => {
            if damaged.iter().all(|(known, _)| *known != path) {
                damaged.push((path, detail));
            }
            Ok(())
        }
        error => Err(error),
    }
}
