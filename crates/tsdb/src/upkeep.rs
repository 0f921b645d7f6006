//! Upkeep of the blocks: merging, retention, downsampling, deletion, snapshots, import.
//!
//! ```text
//! maintain ──▶ the most urgent work (see `plan`) ──▶ a step of it, of bounded size ──▶ … ──▶ the new block takes over
//! delete   ──▶ drop the work at hand ──▶ head becomes a block ──▶ tombstones durable ──▶ seen by readers
//! ```
//! - Only these functions take blocks away; they hold the lock `work`. Cuts of the head add blocks under the lock
//!   `upkeep`. Readers and writers hold neither.
//! - Work that fails (a full disk) gives back what it has written and is tried again later, later each time. An expired
//!   block for whose windows the disk has no room goes without them: retention is what frees a full disk.
//! - Lock order: `work`, `upkeep`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use eino_metrics_core::Registry;
use log::{Log, LogConfig};
use model::{LabelSet, Matcher, MetricKind, SampleColumns, TimeRange};
use tracing::warn;

use crate::block::{Held, NewBlock, Resolution};
use crate::columns::tidy_up;
use crate::downsample::Nature;
use crate::head::put_metadata;
use crate::plan::{Situation, Why, Work};
use crate::rewrite::{NatureOf, Rewrite};
use crate::tombstones::{Tombstone, Tombstones};
use crate::tsdb::METADATA_RECORD_FAMILIES;
use crate::{Error, Tsdb};

/// The first pause after a failure; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Decoded pages that nobody asked for are forgotten this often.
const FORGET_PAGES_AFTER: Duration = Duration::from_secs(600);

/// The work at hand.
#[derive(Default)]
pub(crate) struct WorkAtHand {
    current: Option<(Rewrite, Why)>,
    /// The expired blocks that it replaces.
    expiring: Vec<Held>,
    failures: u32,
    /// Not before this time of the monotonic clock.
    next_try: Duration,
    last_forget: Duration,
}

impl WorkAtHand {
    /// Lets go of what is unfinished.
    fn forget(&mut self) {
        self.current = None;
        self.expiring.clear();
    }
}

impl Tsdb {
    /// Deletes the samples in `range_ms` of series that pass any of `selectors`. When it returns, no answer shows them
    /// any more, after a restart neither. Their space is freed by later merges or [`clean_tombstones`]. Samples that
    /// arrive while it runs may or may not be deleted, later ones are not. Blocks as long as a flush does.
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and [`Error::Corrupt`] when the index of a block can't be read. Nothing is deleted then.
    ///
    /// [`clean_tombstones`]: Self::clean_tombstones
    pub fn delete_series(&self, selectors: &[Vec<Matcher>], range_ms: TimeRange) -> Result<(), Error> {
        let mut work = self.work();
        // It reads blocks as they were before.
        work.forget();
        let _no_cut = self.flush_and_hold()?;
        let up_to = self.blocks.last_id();
        let tombstones = selectors.iter();
        let tombstones = tombstones.map(|matchers| Tombstone { up_to, range_ms, matchers: matchers.clone() });
        self.blocks.delete(tombstones.collect(), |tombstones| self.save(tombstones))?;
        selectors.iter().for_each(|matchers| self.head.forget_newest(matchers));
        self.forget_tombstones()
    }

    /// Rewrites every block that holds deleted samples, so that their space is freed. Blocks until all are done.
    ///
    /// # Errors
    /// [`Error::Io`]; what was rewritten until then stays so.
    pub fn clean_tombstones(&self) -> Result<(), Error> {
        let mut work = self.work();
        work.forget();
        for held in self.blocks.state().blocks.iter().filter(|held| !held.deleted.is_empty()) {
            let sources = std::slice::from_ref(held);
            let mut rewrite = Rewrite::start(&self.blocks, sources, held.block.resolution(), no_nature())?;
            while !rewrite.step(u64::MAX)? {}
            rewrite.commit(&self.blocks, &self.metrics)?;
        }
        self.forget_tombstones()
    }

    /// Makes a copy of the store in `to`, which must not hold one yet: a store opens there as it was here at one moment.
    /// Blocks are shared by hard links, so `to` is on the same file system. With `with_head` the head is flushed
    /// before, else its samples are not in the copy.
    ///
    /// # Errors
    /// As [`flush`](Self::flush). What is in `to` then is to be removed.
    pub fn snapshot(&self, to: &Path, with_head: bool) -> Result<(), Error> {
        // Blocks neither go nor come while they are linked.
        let _work = self.work();
        let _no_cut = if with_head { self.flush_and_hold()? } else { self.upkeep() };
        let disk = &self.config.disk;
        let (wal, blocks) = (to.join("wal"), to.join("blocks"));
        disk.create_dir_all(&blocks).map_err(Error::io("create", &blocks))?;
        for held in &self.blocks.state().blocks {
            let name = held.block.path.file_name().unwrap_or_default();
            let link = blocks.join(name);
            disk.hard_link(&held.block.path, &link).map_err(Error::io("link", &link))?;
        }
        disk.sync_dir(&blocks).map_err(Error::io("sync", &blocks))?;
        self.blocks.state().tombstones.save(disk, to)?;
        let config = LogConfig { disk: disk.clone(), ..LogConfig::new(wal) };
        let (log, _empty) = Log::open(config, self.clock.clone(), &Registry::new(), &mut |_, _| Ok(()))?;
        let families: Vec<_> = self.read_metadata().values().cloned().collect();
        let mut record = Vec::new();
        for families in families.chunks(METADATA_RECORD_FAMILIES) {
            put_metadata(families.iter(), &mut record);
            log.append(&record)?;
        }
        self.log_exemplars(&log)?;
        log.close()?;
        Ok(())
    }

    /// Starts a block of samples from elsewhere; see [`Import`].
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn import(&self) -> Result<Import<'_>, Error> {
        Ok(Import { db: self, new: self.blocks.create(&[], Resolution::Raw)? })
    }

    /// Does a step of the most urgent work.
    pub(crate) fn keep_blocks(&self) -> Result<(), Error> {
        let mut work = self.work();
        self.blocks.remove_garbage();
        let now = self.clock.monotonic();
        let is_time = now.saturating_sub(work.last_forget) >= FORGET_PAGES_AFTER;
        if is_time {
            work.last_forget = now;
        }
        self.blocks.forget_idle(is_time);
        if now < work.next_try {
            return Ok(());
        }
        let done = self.step(&mut work);
        if let Err(error) = &done {
            self.metrics.rewrite_failures.inc();
            work.current = None;
            let expired = std::mem::take(&mut work.expiring);
            if is_disk_full(error) && !expired.is_empty() {
                warn!(blocks = expired.len(), "expired blocks deleted without windows: the disk is full");
                self.expire(&expired)?;
            }
            let pause = PAUSE_MIN.saturating_mul(1 << work.failures.min(16)).min(PAUSE_MAX);
            work.next_try = now.saturating_add(pause);
            work.failures += 1;
        } else {
            work.failures = 0;
        }
        done
    }

    /// Lets go of unfinished work.
    pub(crate) fn drop_work(&self) {
        self.work().forget();
    }

    fn step(&self, work: &mut WorkAtHand) -> Result<(), Error> {
        if work.current.is_none() {
            work.current = self.next_work(&mut work.expiring)?;
        }
        let Some((rewrite, _)) = &mut work.current else { return Ok(()) };
        if !rewrite.step(self.config.merge_bytes_per_call)? {
            return Ok(());
        }
        let Some((rewrite, why)) = work.current.take() else { return Ok(()) };
        rewrite.commit(&self.blocks, &self.metrics)?;
        work.expiring.clear();
        match why {
            Why::Merge => self.metrics.merges.inc(),
            Why::Repair => self.metrics.blocks_repaired.inc(),
            Why::Expired => {
                self.metrics.blocks_expired.inc();
                self.metrics.blocks_downsampled.inc();
            }
        }
        self.forget_tombstones()
    }

    /// Removes what is to be removed and answers what is to be rewritten next.
    fn next_work(&self, expiring: &mut Vec<Held>) -> Result<Option<(Rewrite, Why)>, Error> {
        loop {
            let situation = Situation {
                config: &self.config,
                now_ms: self.clock.unix_ms(),
                log_bytes: self.log.disk_bytes()?,
            };
            match situation.next(&self.blocks.state()) {
                None => return Ok(None),
                Some(Work::Remove(gone)) => self.expire(&gone)?,
                Some(Work::Rewrite { sources, to, why }) => {
                    expiring.clear();
                    if why == Why::Expired {
                        expiring.clone_from(&sources);
                    }
                    return self.start(&sources, to).map(|rewrite| Some((rewrite, why)));
                }
            }
        }
    }

    fn expire(&self, gone: &[Held]) -> Result<(), Error> {
        self.metrics.blocks_expired.add(gone.len() as u64);
        self.blocks.remove(gone, &self.metrics);
        self.forget_tombstones()
    }

    fn start(&self, sources: &[Held], to: Resolution) -> Result<Rewrite, Error> {
        let is_same = sources.iter().all(|held| held.block.resolution() == to);
        let nature_of = if is_same { no_nature() } else { self.nature_of() };
        Rewrite::start(&self.blocks, sources, to, nature_of)
    }

    /// What metadata and, where there is none, the conventions of names say of a metric.
    fn nature_of(&self) -> NatureOf {
        let known = self.read_metadata();
        let kinds: BTreeMap<String, MetricKind> =
            known.iter().map(|(family, metadata)| (family.clone(), metadata.kind)).collect();
        Arc::new(move |name| {
            let suffix =
                ["_total", "_bucket", "_count", "_sum"].into_iter().find(|suffix| name.ends_with(suffix));
            let family = suffix.and_then(|suffix| name.strip_suffix(suffix));
            let kind = kinds.get(name).or_else(|| kinds.get(family?));
            match kind {
                Some(MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary) => Nature::Counter,
                Some(MetricKind::Unknown) | None if suffix.is_some() => Nature::Counter,
                Some(MetricKind::Unknown) | None => Nature::Unknown,
                Some(_) => Nature::Gauge,
            }
        })
    }

    fn save(&self, tombstones: &Tombstones) -> Result<(), Error> {
        tombstones.save(&self.config.disk, &self.config.dir)
    }

    fn forget_tombstones(&self) -> Result<(), Error> {
        let forgotten = self.blocks.forget_tombstones(|tombstones| self.save(tombstones));
        self.metrics.tombstones.set(self.blocks.state().tombstones.len() as f64);
        forgotten
    }

    fn work(&self) -> MutexGuard<'_, WorkAtHand> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_disk_full(error: &Error) -> bool {
    let full = [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded];
    matches!(error, Error::Io { source, .. } if full.contains(&source.kind()))
}

fn no_nature() -> NatureOf {
    Arc::new(|_| Nature::Unknown)
}

/// A block of samples from elsewhere in the making. Of a sample that the store has already at that time, the store's
/// stays. Dropped before [`finish`](Self::finish), it leaves nothing.
pub struct Import<'t> {
    db: &'t Tsdb,
    new: NewBlock,
}

impl Import<'_> {
    /// Adds a series. Labels ascend from call to call. Times may come in any order; of several samples at one time
    /// the first is taken. Samples past retention go with the next upkeep.
    ///
    /// # Errors
    /// [`Error::Io`].
    ///
    /// # Panics
    /// When labels do not ascend.
    pub fn push(&mut self, labels: &LabelSet, columns: &mut SampleColumns) -> Result<(), Error> {
        tidy_up(TimeRange::ALL, columns);
        self.new.writer.push(labels, columns)
    }

    /// Makes the block durable and visible.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<(), Error> {
        let block = self.db.blocks.commit(self.new, &[], &[], &self.db.metrics)?;
        self.db.metrics.blocks_imported.add(u64::from(block.is_some()));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
