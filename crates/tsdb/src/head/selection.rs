//! Series of the head as they were at one moment, without an allocation per series.
//!
//! ```text
//! series  [s s s …]  ascending by labels, each with pieces of:
//! pairs   [p p p|p p|…]      tails [bytes|bytes|…]      sealed [chunk chunk|chunk|…]   (shared with the head)
//! ```

use std::sync::{Arc, PoisonError, RwLock};

use model::{LabelSet, LatestSample, Matcher, SampleColumns, TimeRange};

use super::data::{Data, Rare, Sealed};
use super::labels::HeadLabels;
use super::series::Series;
use super::tail;
use super::{Head, SHARDS, lock, split_id};
use crate::chunk::ChunkError;
use crate::index::{Epoch, PairId};
use crate::sample::Sample;

pub(crate) struct HeadSelection {
    range_ms: TimeRange,
    labels: Arc<RwLock<HeadLabels>>,
    /// Keeps what pair ids stand for.
    _epoch: Epoch,
    series: Vec<HeadSeries>,
    pairs: Vec<PairId>,
    tails: Vec<u8>,
    sealed: Vec<Sealed>,
}

/// A piece of a long list.
#[derive(Clone, Copy, Default)]
struct Piece {
    start: u32,
    end: u32,
}

impl Piece {
    fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[derive(Default)]
struct HeadSeries {
    pairs: Piece,
    tail: Piece,
    sealed: Piece,
    frozen: Option<Arc<Data>>,
    rare: Option<Box<Rare>>,
    /// The newest sample of the series, when it is a float in the tail and in the range.
    latest: Option<Sample>,
    is_empty: bool,
}

impl Head {
    /// Series that pass `matchers` and have samples in `range_ms`.
    pub(crate) fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> HeadSelection {
        let horizon = self.births.load(std::sync::atomic::Ordering::Acquire);
        let labels = self.labels();
        let ids = labels.index.select(matchers);
        let sorted = labels.sort(&ids);
        let mut selection = HeadSelection {
            range_ms,
            labels: Arc::clone(&self.labels),
            _epoch: labels.index.pairs().epoch(),
            series: Vec::with_capacity(sorted.len()),
            pairs: Vec::with_capacity(sorted.len() * 8),
            tails: Vec::new(),
            sealed: Vec::new(),
        };
        let mut by_shard: [Vec<(u32, u32)>; SHARDS] = Default::default();
        for (position, id) in (0..).zip(sorted) {
            let pairs = push_piece(&mut selection.pairs, labels.pairs(id));
            selection.series.push(HeadSeries { pairs, is_empty: true, ..HeadSeries::default() });
            let (shard, slot) = split_id(id);
            if let Some(series) = by_shard.get_mut(shard) {
                series.push((slot, position));
            }
        }
        drop(labels);
        for (shard, mut wanted) in self.shards.iter().zip(by_shard) {
            // In the order of memory.
            wanted.sort_unstable();
            let shard = lock(shard);
            for (slot, position) in wanted {
                if let Some(series) = shard.get(slot).filter(|series| series.born <= horizon) {
                    selection.take(position as usize, series);
                }
            }
        }
        selection.series.retain(|series| !series.is_empty);
        selection
    }
}

impl HeadSelection {
    fn take(&mut self, position: usize, series: &Series) {
        let range_ms = self.range_ms;
        let Some(taken) = self.series.get_mut(position) else { return };
        let Data { sealed, tail, rare } = &series.live;
        if let Some((first_ms, last_ms)) =
            tail.bounds().filter(|(first, last)| *first < range_ms.end && range_ms.start <= *last)
        {
            taken.tail = push_piece(&mut self.tails, tail.bytes());
            let is_latest = last_ms == series.newest_ms && last_ms < range_ms.end && rare.is_none();
            taken.latest = tail.last().filter(|_| is_latest);
            taken.is_empty = false;
            debug_assert!(first_ms <= last_ms, "BUG: a tail that descends");
        }
        let start = self.sealed.len() as u32;
        self.sealed.extend(sealed.iter().filter(|chunk| chunk.overlaps(range_ms)).cloned());
        taken.sealed = Piece { start, end: self.sealed.len() as u32 };
        taken.frozen = series.frozen.as_ref().filter(|data| data.overlaps(range_ms)).cloned();
        taken.rare.clone_from(rare);
        taken.is_empty &=
            taken.sealed.start == taken.sealed.end && taken.frozen.is_none() && taken.rare.is_none();
    }

    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Labels of series `index`: made anew each time.
    pub(crate) fn label_set(&self, index: usize) -> LabelSet {
        let Some(series) = self.series.get(index) else { return LabelSet::empty() };
        self.read_labels(|labels| labels.index.pairs().labels(series.pairs.of(&self.pairs)))
    }

    fn read_labels<T>(&self, read: impl FnOnce(&HeadLabels) -> T) -> T {
        read(&self.labels.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Id of the pair with this label name of each series, and what the ids stand for.
    pub(crate) fn label_ids(&self, name: &str) -> model::LabelIds {
        self.read_labels(|labels| {
            let pairs = labels.index.pairs();
            let mut numbers = PairNumbers::new(name);
            let ids = self.series.iter().map(|series| numbers.number(pairs, series.pairs.of(&self.pairs)));
            let ids = ids.collect();
            model::LabelIds { ids, values: numbers.values }
        })
    }

    /// The newest sample of series `index`, when it takes no decoding to know it.
    pub(crate) fn latest(&self, index: usize) -> Option<LatestSample> {
        let latest = self.series.get(index)?.latest?;
        Some(LatestSample::Float { ts_ms: latest.ts_ms, value: latest.value })
    }

    /// Appends the samples of series `index`, and maybe others of the same chunks: ascending only piecewise.
    pub(crate) fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), ChunkError> {
        let Some(series) = self.series.get(index) else { return Ok(()) };
        if let Some(frozen) = &series.frozen {
            frozen.read(self.range_ms, out)?;
        }
        for chunk in series.sealed.of(&self.sealed) {
            chunk.read(out)?;
        }
        tail::read(series.tail.of(&self.tails), self.range_ms, out)?;
        if let Some(rare) = &series.rare {
            rare.read(self.range_ms, out);
        }
        Ok(())
    }
}

fn push_piece<T: Copy>(list: &mut Vec<T>, items: &[T]) -> Piece {
    let start = list.len() as u32;
    list.extend_from_slice(items);
    Piece { start, end: list.len() as u32 }
}

/// Numbers the values of one label by pair id.
struct PairNumbers<'n> {
    name: &'n str,
    values: Vec<Box<str>>,
    /// By pair id: what is known of the pair.
    known: Vec<Number>,
    /// Number of the value `""`.
    absent: Option<u32>,
}

#[derive(Clone, Copy, Default)]
enum Number {
    #[default]
    Unseen,
    OtherName,
    Is(u32),
}

impl<'n> PairNumbers<'n> {
    fn new(name: &'n str) -> Self {
        Self { name, values: Vec::new(), known: Vec::new(), absent: None }
    }

    fn number(&mut self, pairs: &crate::index::Pairs, ids: &[PairId]) -> u32 {
        for &id in ids {
            let slot = id as usize;
            if self.known.len() <= slot {
                self.known.resize(slot + 1, Number::Unseen);
            }
            let known = self.known.get(slot).copied().unwrap_or_default();
            let known = match known {
                Number::Unseen => {
                    let seen = match pairs.value(id, self.name) {
                        Some(value) => Number::Is(self.add(value)),
                        None => Number::OtherName,
                    };
                    if let Some(place) = self.known.get_mut(slot) {
                        *place = seen;
                    }
                    seen
                }
                known => known,
            };
            if let Number::Is(number) = known {
                return number;
            }
        }
        match self.absent {
            Some(number) => number,
            None => {
                let number = self.add("");
                self.absent = Some(number);
                number
            }
        }
    }

    fn add(&mut self, value: &str) -> u32 {
        self.values.push(value.into());
        (self.values.len() - 1) as u32
    }
}
