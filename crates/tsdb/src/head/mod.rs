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
//! - Lock order: shard, then labels, then ranks. A selection reads the labels first and releases them before it locks
//!   shards; `born` tells it that a slot has got a new occupant in between.
//! - A series that nobody has written to for a while leaves the head before its time: see [`Head::freeze`].

mod append;
mod data;
mod exemplars;
mod labels;
mod limits;
mod order;
mod record;
mod replay;
mod reset;
mod selection;
mod series;
mod shard;
pub(crate) mod snapshot;
mod tail;
mod write_log;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::FixedState;
use model::{LabelSet, Matcher};

pub(crate) use data::Data;
pub(crate) use exemplars::{ExemplarVerdict, Exemplars};
pub(crate) use labels::HeadLabels;
pub(crate) use limits::Limits;
pub(crate) use record::{put_exemplars, put_metadata};
pub(crate) use replay::Replayer;
pub(crate) use selection::HeadSelection;

use series::Series;
use shard::Shard;

const SHARDS: usize = 16;

pub(crate) struct Head {
    shards: Box<[Mutex<Shard>]>,
    labels: Arc<RwLock<HeadLabels>>,
    hasher: FixedState,
    /// Series ever created.
    births: AtomicU64,
    series: AtomicU64,
    samples: AtomicU64,
    /// Bytes of the log that say what series are called.
    defined_bytes: AtomicU64,
    oldest_ms: AtomicI64,
    newest_ms: AtomicI64,
    /// Where the next batch starts, so that concurrent batches do not follow each other from lock to lock.
    next_start: AtomicU64,
}

/// What the head holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadStatus {
    pub(crate) series: u64,
    pub(crate) samples: u64,
    /// First and last time, if there is a sample.
    pub(crate) times_ms: Option<(i64, i64)>,
}

/// Which series a cut takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// All of them.
    Everything,
    /// Those that nobody has written to since this minute.
    IdleSince(u32),
}

impl Cut {
    fn takes(self, series: &Series) -> bool {
        match self {
            Self::Everything => true,
            Self::IdleSince(minute) => series.touched < minute,
        }
    }
}

impl Head {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            labels: Arc::default(),
            hasher: FixedState::default(),
            births: AtomicU64::new(0),
            series: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            defined_bytes: AtomicU64::new(0),
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

    /// Bytes that went to the log since the start to say what series are called.
    pub(crate) fn defined_bytes(&self) -> u64 {
        self.defined_bytes.load(Ordering::Relaxed)
    }

    /// Names of series, for questions about names and values.
    pub(crate) fn labels(&self) -> RwLockReadGuard<'_, HeadLabels> {
        self.labels.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn labels_mut(&self) -> RwLockWriteGuard<'_, HeadLabels> {
        self.labels.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the head has this series.
    pub(crate) fn contains(&self, labels: model::LabelSetRef<'_>) -> bool {
        let hash = self.hash(labels);
        let number = shard_of(hash);
        let shard = self.shard(number);
        let known = self.labels();
        shard.find(hash, |slot| known.are(join_id(number, slot), labels.as_bytes())).is_some()
    }

    /// How many series a cut would take.
    pub(crate) fn count(&self, cut: Cut) -> u64 {
        let in_shard =
            |shard: &Mutex<Shard>| lock(shard).iter().filter(|(_, series)| cut.takes(series)).count();
        self.shards.iter().map(|shard| in_shard(shard) as u64).sum()
    }

    /// Turns the live data of the cut's series into frozen data and answers all frozen data, ascending by labels. What
    /// an earlier cut froze and failed to write is among it.
    pub(crate) fn freeze(&self, cut: Cut) -> Frozen<'_> {
        let mut frozen = Vec::new();
        for (number, shard) in self.shards.iter().enumerate() {
            let mut shard = lock(shard);
            frozen.extend(shard.iter_mut().filter_map(|(slot, series)| {
                if cut.takes(series) {
                    series.freeze();
                }
                series.frozen.as_ref().map(|data| (join_id(number, slot), Arc::clone(data)))
            }));
        }
        let labels = self.labels();
        let ids = frozen.iter().map(|(id, _)| *id).collect();
        let sorted = labels.sort(&ids);
        frozen.sort_unstable_by_key(|(id, _)| *id);
        let data = |id: u32| {
            let at = frozen.binary_search_by_key(&id, |(other, _)| *other).ok()?;
            frozen.get(at).map(|(id, data)| (*id, Arc::clone(data)))
        };
        Frozen { head: self, series: sorted.into_iter().filter_map(data).collect() }
    }

    /// Forgets frozen data, which a block holds now, and series without any data: after a cut of everything those that
    /// had none before it, after one of idle series all of them. Answers how many series went.
    pub(crate) fn thaw(&self, cut: Cut) -> u64 {
        self.oldest_ms.store(i64::MAX, Ordering::Release);
        let mut removed = 0;
        let mut samples_gone = 0;
        for (number, shard) in self.shards.iter().enumerate() {
            let mut shard = lock(shard);
            let mut idle = Vec::new();
            for (slot, series) in shard.iter_mut() {
                let frozen = series.frozen.take();
                samples_gone += frozen.as_ref().map_or(0, |data| data.sample_count());
                let may_leave = frozen.is_none() || cut != Cut::Everything;
                match series.live.bounds() {
                    Some((oldest_ms, _)) => {
                        self.oldest_ms.fetch_min(oldest_ms, Ordering::AcqRel);
                    }
                    None if may_leave && cut.takes(series) => idle.push(slot),
                    None => {}
                }
            }
            let mut labels = self.labels_mut();
            for slot in idle {
                shard.remove(slot);
                labels.remove(join_id(number, slot));
                removed += 1;
            }
        }
        self.labels_mut().collect_garbage();
        self.samples.fetch_sub(samples_gone, Ordering::Relaxed);
        self.series.fetch_sub(removed, Ordering::Relaxed);
        removed
    }

    /// Samples of the series that pass `matchers` have been deleted: those without samples in the head know nothing of
    /// earlier ones any more.
    pub(crate) fn forget_newest(&self, matchers: &[Matcher]) {
        let ids = self.labels().index.select(matchers);
        for (shard, slot) in ids.into_iter().map(split_id) {
            if let Some(series) = self.shard(shard).get_mut(slot) {
                series.forget_newest();
            }
        }
    }

    fn shard(&self, number: usize) -> MutexGuard<'_, Shard> {
        lock(&self.shards[number % SHARDS])
    }
}

/// Data of series on its way into a block, ascending by labels.
pub(crate) struct Frozen<'h> {
    head: &'h Head,
    series: Vec<(u32, Arc<Data>)>,
}

impl Frozen<'_> {
    /// Series with frozen data do not leave the head, so that their ids stay theirs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (LabelSet, &Data)> {
        self.series.iter().map(|(id, data)| (self.head.labels().label_set(*id), data.as_ref()))
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which shard a series lives in. The table inside the shard uses the hash's lowest and highest bits.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

fn join_id(shard: usize, slot: u32) -> u32 {
    slot * SHARDS as u32 + shard as u32
}

fn split_id(id: u32) -> (usize, u32) {
    (id as usize % SHARDS, id / SHARDS as u32)
}
