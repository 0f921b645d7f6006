//! A part of the head's series, found by the hash of their label bytes.

use hashbrown::HashTable;

use super::record::{Logged, LoggedHistograms};
use super::series::Series;

/// Series in slots.
#[derive(Default)]
pub(super) struct Shard {
    by_hash: HashTable<Found>,
    slots: Vec<Option<Series>>,
    free: Vec<u32>,
    pub(super) scratch: Scratch,
}

/// A slot and a piece of its series' hash that the table itself does not look at.
#[derive(Clone, Copy)]
struct Found {
    piece: u32,
    slot: u32,
}

fn piece_of(hash: u64) -> u32 {
    (hash >> 16) as u32
}

/// What the append of a part of a batch needs for a while; here to keep its memory.
#[derive(Default)]
pub(super) struct Scratch {
    /// Slot of each entry, or none when its series was refused.
    pub(super) slots: Vec<Option<u32>>,
    /// Accepted samples.
    pub(super) floats: Vec<Logged>,
    pub(super) histograms: Vec<LoggedHistograms>,
    /// The log record being built.
    pub(super) record: Vec<u8>,
}

impl Shard {
    pub(super) fn get(&self, slot: u32) -> Option<&Series> {
        self.slots.get(slot as usize)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Series> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Series)> {
        (0..).zip(&self.slots).filter_map(|(slot, series)| Some((slot, series.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Series)> {
        (0..).zip(&mut self.slots).filter_map(|(slot, series)| Some((slot, series.as_mut()?)))
    }

    /// The slot of the series with this hash that `is_it` says is the one.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let is_it = |found: &Found| found.piece == piece_of(hash) && is_it(found.slot);
        self.by_hash.find(hash, is_it).map(|found| found.slot)
    }

    /// The slot of a series that very likely has this hash. Looks at nothing but the table, so that many look-ups in a
    /// row wait for memory at the same time.
    #[inline]
    pub(super) fn candidate(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_slot| true)
    }

    /// Adds a series that is not there yet.
    pub(super) fn insert(&mut self, series: Series) -> u32 {
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        let hash = series.hash;
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = Some(series),
            None => self.slots.push(Some(series)),
        }
        let slots = &self.slots;
        let rehash = |found: &Found| {
            let series = slots.get(found.slot as usize).and_then(Option::as_ref);
            series.map_or(0, |series| series.hash)
        };
        self.by_hash.insert_unique(hash, Found { piece: piece_of(hash), slot }, rehash);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Series> {
        let removed = self.slots.get_mut(slot as usize)?.take()?;
        if let Ok(entry) = self.by_hash.find_entry(removed.hash, |found| found.slot == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_hashes_are_told_apart_in_every_order_of_removal() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut shard = Shard::default();
            let slots = [0, 1, 2].map(|_| shard.insert(Series::new(42 << 16, 0, 0)));
            let find = |shard: &Shard, slot| shard.find(42 << 16, |candidate| candidate == slot);
            assert_eq!(slots.map(|slot| find(&shard, slot)), slots.map(Some));
            for (gone, index) in order.into_iter().enumerate() {
                assert!(shard.remove(slots[index]).is_some());
                let left = slots.iter().filter(|slot| find(&shard, **slot).is_some()).count();
                assert_eq!((left, find(&shard, slots[index])), (2 - gone, None));
            }
            assert_eq!(shard.insert(Series::new(42 << 16, 0, 0)), slots[order[2]], "slots are used again");
            assert_eq!(shard.find(43 << 16, |_| true), None);
        }
    }
}
