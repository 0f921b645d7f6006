//! A part of the head's series, found by the hash of their label bytes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::record::Logged;
use super::series::Series;

/// Series in slots. Series with equal hashes form a chain.
#[derive(Default)]
pub(super) struct Shard {
    by_hash: HashMap<u64, u32, BuildHasherDefault<HashIsKey>>,
    slots: Vec<Option<Series>>,
    free: Vec<u32>,
    /// Accepted samples of the batch being appended; here to keep its memory.
    pub(super) logged: Vec<Logged>,
    /// The log record being built; likewise.
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

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Series)> {
        (0..).zip(&mut self.slots).filter_map(|(slot, series)| Some((slot, series.as_mut()?)))
    }

    /// The slot of the series with these label bytes.
    #[inline]
    pub(super) fn find(&self, hash: u64, labels: &[u8]) -> Option<u32> {
        let mut next = self.by_hash.get(&hash).copied();
        while let Some(slot) = next {
            let series = self.get(slot)?;
            if series.labels.as_bytes() == labels {
                return Some(slot);
            }
            next = series.next;
        }
        None
    }

    /// Adds a series that is not there yet.
    pub(super) fn insert(&mut self, mut series: Series) -> u32 {
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        series.next = self.by_hash.insert(series.hash, slot);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = Some(series),
            None => self.slots.push(Some(series)),
        }
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Series> {
        let removed = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        if self.by_hash.get(&removed.hash) == Some(&slot) {
            match removed.next {
                Some(next) => self.by_hash.insert(removed.hash, next),
                None => self.by_hash.remove(&removed.hash),
            };
            return Some(removed);
        }
        let mut previous = self.by_hash.get(&removed.hash).copied();
        while let Some(series) = previous.and_then(|previous| self.get_mut(previous)) {
            if series.next == Some(slot) {
                series.next = removed.next;
                break;
            }
            previous = series.next;
        }
        Some(removed)
    }
}

/// The key is a hash already.
#[derive(Default)]
struct HashIsKey(u64);

impl Hasher for HashIsKey {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(false, "BUG: keys are u64, not {} bytes", bytes.len());
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::LabelSet;

    fn series(name: &str, hash: u64) -> Series {
        Series::new(LabelSet::from_pairs([("l", name)]).unwrap(), hash, 0)
    }

    #[test]
    fn equal_hashes_are_told_apart_in_every_order_of_removal() {
        let names = ["a", "b", "c"];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut shard = Shard::default();
            let slots = names.map(|name| shard.insert(series(name, 42)));
            let find = |shard: &Shard, name| shard.find(42, series(name, 42).labels.as_bytes());
            assert_eq!(names.map(|name| find(&shard, name)), slots.map(Some));
            for (gone, index) in order.into_iter().enumerate() {
                assert!(shard.remove(slots[index]).is_some());
                let left = names.iter().filter(|name| find(&shard, name).is_some()).count();
                assert_eq!((left, find(&shard, names[index])), (2 - gone, None));
            }
            assert_eq!(shard.insert(series("d", 42)), slots[order[2]], "slots are used again");
        }
    }
}
