//! What the series of the head are called: the label index, and the pairs of each series.
//!
//! ```text
//! id = slot * 16 + shard ─▶ pairs of the series: a piece of one long list
//! ```
//! Pieces of series that left are garbage, which goes when it is more than half.

use std::cmp::Ordering;

use model::{LabelSet, LabelSetRef};
use roaring::RoaringBitmap;

use super::order::Order;
use crate::index::{LabelIndex, PairId};

#[derive(Debug, Default)]
pub(crate) struct HeadLabels {
    pub(crate) index: LabelIndex,
    pub(super) order: Order,
    /// Where the pairs of a series are, by id.
    places: Vec<Place>,
    pair_ids: Vec<PairId>,
    garbage: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    len: u16,
}

impl HeadLabels {
    pub(super) fn insert(&mut self, id: u32, labels: LabelSetRef<'_>) {
        let start = self.pair_ids.len();
        self.index.insert_with_ids(id, labels, &mut self.pair_ids);
        self.place(id, start);
    }

    /// The pairs from `start` on are those of series `id`.
    fn place(&mut self, id: u32, start: usize) {
        let place = Place { start: start as u32, len: (self.pair_ids.len() - start) as u16 };
        if self.places.len() <= id as usize {
            self.places.resize(id as usize + 1, Place::default());
        }
        if let Some(slot) = self.places.get_mut(id as usize) {
            *slot = place;
        }
        self.order.added(id);
    }

    /// As [`insert`](Self::insert), of pairs in canonical bytes.
    pub(super) fn insert_pairs<'p>(&mut self, id: u32, pairs: impl Iterator<Item = &'p [u8]>) {
        let start = self.pair_ids.len();
        self.index.insert_pairs(id, pairs, &mut self.pair_ids);
        self.place(id, start);
    }

    pub(super) fn remove(&mut self, id: u32) {
        let Some(place) = self.places.get_mut(id as usize).map(std::mem::take) else { return };
        let range = place.start as usize..place.start as usize + usize::from(place.len);
        self.index.remove(id, self.pair_ids.get(range).unwrap_or_default());
        self.garbage += usize::from(place.len);
        self.order.removed(id);
    }

    /// Pairs of a series, ascending by name.
    #[inline]
    pub(crate) fn pairs(&self, id: u32) -> &[PairId] {
        let place = self.places.get(id as usize).copied().unwrap_or_default();
        let start = place.start as usize;
        self.pair_ids.get(start..start + usize::from(place.len)).unwrap_or_default()
    }

    /// Whether series `id` has these canonical label bytes.
    #[inline]
    pub(super) fn are(&self, id: u32, labels: &[u8]) -> bool {
        self.index.pairs().are(self.pairs(id), labels)
    }

    /// Number of series.
    pub(super) fn series(&self) -> u64 {
        self.index.series()
    }

    pub(super) fn compare(&self, left: u32, right: u32) -> Ordering {
        self.index.pairs().compare(self.pairs(left), self.pairs(right))
    }

    /// Labels of a series.
    pub(crate) fn label_set(&self, id: u32) -> LabelSet {
        self.index.pairs().labels(self.pairs(id))
    }

    /// The series `ids`, ascending by labels.
    pub(super) fn sort(&self, ids: &RoaringBitmap) -> Vec<u32> {
        self.order.sort(self, ids)
    }

    /// Forgets what nobody can ask for any more. To be called after many removals.
    pub(super) fn collect_garbage(&mut self) {
        self.index.advance_epoch();
        if self.garbage * 2 <= self.pair_ids.len() {
            return;
        }
        let mut kept = Vec::with_capacity(self.pair_ids.len() - self.garbage);
        for place in &mut self.places {
            let start = place.start as usize;
            let pairs = self.pair_ids.get(start..start + usize::from(place.len)).unwrap_or_default();
            place.start = kept.len() as u32;
            kept.extend_from_slice(pairs);
        }
        self.pair_ids = kept;
        self.garbage = 0;
    }
}
