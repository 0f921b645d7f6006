//! The head: series with recent samples, in memory, behind the log.
//!
//! ```text
//!  batch ─▶ hash labels ─▶ 16 shards, each under its own lock:
//!                            look up or create the series ─▶ verdict per sample ─▶ log record ─▶ unlock
//!  cut:     rotate the log ─▶ freeze: live data of every series becomes frozen ─▶ block ─▶ thaw: frozen goes away
//! ```
//! - The log record of a shard's part of a batch is written under the shard's lock, so that the log has the samples
//!   of a series in the order in which they were judged, and no reader sees a sample before it is logged.
//! - After a failed write the samples of that part may be visible though not logged. They were not acknowledged,
//!   and a repetition is logged even when it says nothing new, so that it can be acknowledged.
//! - A selection sees every acknowledged batch whole; of a batch being appended it may see some shards' parts.
//! - Lock order: shard, then index. A selection reads the index first and releases it before it locks shards;
//!   `born` tells it that a slot has got a new occupant in between.

mod append;
mod data;
mod record;
mod replay;
mod series;
mod shard;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::FixedState;
use model::{LabelSet, Matcher, TimeRange};

pub(crate) use append::Limits;
pub(crate) use data::Data;
pub(crate) use record::put_metadata;
pub(crate) use replay::Replayer;

use crate::index::LabelIndex;
use crate::label_order::compare_labels;
use shard::Shard;

const SHARDS: usize = 16;

pub(crate) struct Head {
    shards: Box<[Mutex<Shard>]>,
    index: RwLock<LabelIndex>,
    hasher: FixedState,
    /// Series ever created.
    births: AtomicU64,
    series: AtomicU64,
    samples: AtomicU64,
    oldest_ms: AtomicI64,
    newest_ms: AtomicI64,
    /// Where the next batch starts, so that concurrent batches do not follow each other from lock to lock.
    next_start: AtomicU64,
}

/// Data of a series as it was when it was selected.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) labels: LabelSet,
    pub(crate) frozen: Option<Arc<Data>>,
    pub(crate) live: Data,
}

/// What the head holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadStatus {
    pub(crate) series: u64,
    pub(crate) samples: u64,
    /// First and last time, if there is a sample.
    pub(crate) times_ms: Option<(i64, i64)>,
}

impl Head {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            index: RwLock::default(),
            hasher: FixedState::default(),
            births: AtomicU64::new(0),
            series: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            oldest_ms: AtomicI64::new(i64::MAX),
            newest_ms: AtomicI64::new(i64::MIN),
            next_start: AtomicU64::new(0),
        }
    }

    pub(crate) fn status(&self) -> HeadStatus {
        let oldest_ms = self.oldest_ms.load(Ordering::Acquire);
        let newest_ms = self.newest_ms.load(Ordering::Acquire);
        HeadStatus {
            series: self.series.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
            times_ms: (oldest_ms <= newest_ms).then_some((oldest_ms, newest_ms)),
        }
    }

    /// Series that pass `matchers` and have samples in `range_ms`, ascending by labels.
    pub(crate) fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Vec<Snapshot> {
        let horizon = self.births.load(Ordering::Acquire);
        let ids = self.index().select(matchers);
        let mut by_shard: [Vec<u32>; SHARDS] = Default::default();
        for id in ids {
            let (shard, slot) = split_id(id);
            if let Some(slots) = by_shard.get_mut(shard) {
                slots.push(slot);
            }
        }
        let mut selected = Vec::new();
        for (shard, slots) in self.shards.iter().zip(by_shard) {
            let shard = lock(shard);
            let series = slots.into_iter().filter_map(|slot| shard.get(slot));
            let series = series.filter(|series| series.born <= horizon);
            selected.extend(series.filter_map(|series| series.snapshot(range_ms)));
        }
        selected
            .sort_unstable_by(|left, right| compare_labels(left.labels.as_bytes(), right.labels.as_bytes()));
        selected
    }

    /// The label index, for questions about names and values.
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, LabelIndex> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns the live data of every series into frozen data and answers all frozen data, ascending by labels. What an
    /// earlier cut froze and failed to write is among it.
    pub(crate) fn freeze(&self) -> Vec<(LabelSet, Arc<Data>)> {
        let mut frozen = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            frozen.extend(shard.iter_mut().filter_map(|(_, series)| {
                series.freeze();
                series.frozen.as_ref().map(|data| (series.labels.clone(), Arc::clone(data)))
            }));
        }
        frozen.sort_unstable_by(|(left, _), (right, _)| compare_labels(left.as_bytes(), right.as_bytes()));
        frozen
    }

    /// Forgets frozen data, which a block holds now, and series without any data. Answers how many series went.
    pub(crate) fn thaw(&self) -> u64 {
        self.oldest_ms.store(i64::MAX, Ordering::Release);
        let mut removed = 0;
        let mut samples_gone = 0;
        for (number, shard) in self.shards.iter().enumerate() {
            let mut shard = lock(shard);
            let mut idle = Vec::new();
            for (slot, series) in shard.iter_mut() {
                match series.frozen.take() {
                    Some(data) => samples_gone += data.sample_count(),
                    None if series.live.is_empty() => idle.push(slot),
                    None => {}
                }
                if let Some((oldest_ms, _)) = series.live.bounds() {
                    self.oldest_ms.fetch_min(oldest_ms, Ordering::AcqRel);
                }
            }
            for slot in idle {
                if let Some(series) = shard.remove(slot) {
                    self.index_mut().remove(join_id(number, slot), series.labels.as_ref());
                    removed += 1;
                }
            }
        }
        self.samples.fetch_sub(samples_gone, Ordering::Relaxed);
        self.series.fetch_sub(removed, Ordering::Relaxed);
        removed
    }

    /// Samples of the series that pass `matchers` have been deleted: those without samples in the head know nothing of
    /// earlier ones any more.
    pub(crate) fn forget_newest(&self, matchers: &[Matcher]) {
        let ids = self.index().select(matchers);
        for (shard, slot) in ids.into_iter().map(split_id) {
            if let Some(series) = self.shard(shard).get_mut(slot) {
                series.forget_newest();
            }
        }
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, LabelIndex> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, number: usize) -> MutexGuard<'_, Shard> {
        lock(&self.shards[number % SHARDS])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which shard a series lives in. The map inside the shard uses the hash's lowest and highest bits.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

fn join_id(shard: usize, slot: u32) -> u32 {
    slot * SHARDS as u32 + shard as u32
}

fn split_id(id: u32) -> (usize, u32) {
    (id as usize % SHARDS, id / SHARDS as u32)
}
