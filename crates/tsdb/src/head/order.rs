//! Ranks of the head's series by labels, so that a selection sorts numbers.
//!
//! The ranks are made when a large selection first asks, and brought up to date when a later one finds that series came
//! since. Series that left keep their place until then; ids that are used again are new series.

use std::sync::{Mutex, PoisonError};

use roaring::RoaringBitmap;

use super::labels::HeadLabels;

/// Selections of fewer series, absolutely or as a share of all, compare labels.
const RANKED_MIN: usize = 64;
const RANKED_SHARE: u64 = 256;

#[derive(Debug, Default)]
pub(super) struct Order {
    /// Protects the ranks, which readers of the labels bring up to date. Lock order: after the labels.
    ranks: Mutex<Ranks>,
}

#[derive(Debug, Default)]
struct Ranks {
    /// Ids ascending by labels.
    sorted: Vec<u32>,
    /// Ids that came since, and those whose place in `sorted` is out of date.
    added: RoaringBitmap,
    stale: RoaringBitmap,
}

impl Order {
    pub(super) fn added(&mut self, id: u32) {
        let ranks = self.ranks.get_mut().unwrap_or_else(PoisonError::into_inner);
        ranks.added.insert(id);
    }

    pub(super) fn removed(&mut self, id: u32) {
        let ranks = self.ranks.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !ranks.added.remove(id) {
            ranks.stale.insert(id);
        }
    }

    /// The series `ids`, ascending by labels.
    pub(super) fn sort(&self, labels: &HeadLabels, ids: &RoaringBitmap) -> Vec<u32> {
        let count = usize::try_from(ids.len()).unwrap_or(usize::MAX);
        if count < RANKED_MIN || ids.len() * RANKED_SHARE < labels.series() {
            let mut sorted: Vec<u32> = ids.iter().collect();
            sorted.sort_unstable_by(|left, right| labels.compare(*left, *right));
            return sorted;
        }
        let mut ranks = self.ranks.lock().unwrap_or_else(PoisonError::into_inner);
        ranks.update(labels);
        let mut sorted = Vec::with_capacity(count);
        if count == ranks.sorted.len() {
            sorted.extend_from_slice(&ranks.sorted);
        } else {
            let wanted = Bits::of(ids);
            sorted.extend(ranks.sorted.iter().filter(|id| wanted.contains(**id)));
        }
        sorted
    }
}

impl Ranks {
    fn update(&mut self, labels: &HeadLabels) {
        if self.added.is_empty() && self.stale.is_empty() {
            return;
        }
        let mut added: Vec<u32> = std::mem::take(&mut self.added).iter().collect();
        added.sort_unstable_by(|left, right| labels.compare(*left, *right));
        let stale = Bits::of(&std::mem::take(&mut self.stale));
        let mut old = std::mem::take(&mut self.sorted);
        old.retain(|id| !stale.contains(*id));
        self.sorted.reserve(old.len() + added.len());
        let mut rest = old.as_slice();
        for new in added {
            let (before, after) = rest.split_at(rest.partition_point(|id| labels.compare(*id, new).is_lt()));
            self.sorted.extend_from_slice(before);
            self.sorted.push(new);
            rest = after;
        }
        self.sorted.extend_from_slice(rest);
    }
}

/// A plain bitmap: asked once per series, in no order.
struct Bits(Vec<u64>);

impl Bits {
    fn of(ids: &RoaringBitmap) -> Self {
        let mut bits = vec![0_u64; ids.max().map_or(0, |max| max as usize / 64 + 1)];
        for id in ids {
            if let Some(word) = bits.get_mut(id as usize / 64) {
                *word |= 1 << (id % 64);
            }
        }
        Self(bits)
    }

    #[inline]
    fn contains(&self, id: u32) -> bool {
        self.0.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }
}
