//! Label pairs by id: a series of eight labels is eight numbers.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use codec::Cursor;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::LabelSet;

/// Number of a pair of label name and value.
pub(crate) type PairId = u32;

/// Keeps the bytes of all pairs that are in use while it is taken.
pub(crate) type Epoch = Arc<()>;

#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// Canonical bytes of name and value; empty when the id is free.
    bytes: Vec<Box<[u8]>>,
    ids: HashTable<PairId>,
    hasher: FixedState,
    free: Vec<PairId>,
    epoch: Epoch,
    /// Pairs that no series has any more, since this epoch.
    retired: Vec<PairId>,
    /// The same of earlier epochs, oldest first.
    older: VecDeque<(Epoch, Vec<PairId>)>,
}

impl Pairs {
    /// Keep it as long as pair ids are kept.
    pub(crate) fn epoch(&self) -> Epoch {
        Arc::clone(&self.epoch)
    }

    /// Canonical bytes of a pair.
    #[inline]
    pub(crate) fn bytes(&self, id: PairId) -> &[u8] {
        self.bytes.get(id as usize).map(AsRef::as_ref).unwrap_or_default()
    }

    /// Pairs that are not free, ascending by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PairId, &[u8])> {
        let pairs = (0..).zip(&self.bytes).map(|(id, bytes)| (id, bytes.as_ref()));
        pairs.filter(|(_, bytes): &(PairId, &[u8])| !bytes.is_empty())
    }

    pub(super) fn find(&self, bytes: &[u8]) -> Option<PairId> {
        self.ids.find(self.hasher.hash_one(bytes), |id| self.bytes(*id) == bytes).copied()
    }

    /// Adds a pair that is not there.
    pub(super) fn add(&mut self, bytes: &[u8]) -> PairId {
        let id = self.free.pop().unwrap_or(self.bytes.len() as PairId);
        match self.bytes.get_mut(id as usize) {
            Some(place) => *place = bytes.into(),
            None => self.bytes.push(bytes.into()),
        }
        let (texts, hasher) = (&self.bytes, &self.hasher);
        let rehash =
            |id: &PairId| hasher.hash_one(texts.get(*id as usize).map(AsRef::as_ref).unwrap_or_default());
        self.ids.insert_unique(hasher.hash_one(bytes), id, rehash);
        id
    }

    /// No series has the pair any more.
    pub(super) fn retire(&mut self, id: PairId) {
        let hash = self.hasher.hash_one(self.bytes(id));
        if let Ok(entry) = self.ids.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.retired.push(id);
    }

    pub(super) fn advance_epoch(&mut self) {
        if !self.retired.is_empty() {
            let ended = std::mem::take(&mut self.epoch);
            self.older.push_back((ended, std::mem::take(&mut self.retired)));
        }
        while self.older.front().is_some_and(|(epoch, _)| Arc::strong_count(epoch) == 1) {
            let Some((_, ids)) = self.older.pop_front() else { break };
            for &id in &ids {
                if let Some(bytes) = self.bytes.get_mut(id as usize) {
                    *bytes = Box::default();
                }
            }
            self.free.extend(ids);
        }
    }

    /// Whether `labels` are the canonical bytes of these pairs.
    #[inline]
    pub(crate) fn are(&self, ids: &[PairId], labels: &[u8]) -> bool {
        let mut rest = labels;
        for &id in ids {
            let pair = self.bytes(id);
            match rest.split_at_checked(pair.len()) {
                Some((start, after)) if is_same(start, pair) => rest = after,
                _ => return false,
            }
        }
        rest.is_empty()
    }

    /// Appends the canonical bytes of the labels.
    pub(crate) fn put(&self, ids: &[PairId], out: &mut Vec<u8>) {
        ids.iter().for_each(|id| out.extend_from_slice(self.bytes(*id)));
    }

    /// The label set of these pairs.
    pub(crate) fn labels(&self, ids: &[PairId]) -> LabelSet {
        let mut bytes = Vec::with_capacity(256);
        self.put(ids, &mut bytes);
        model::LabelSetRef::from_canonical_trusted(&bytes).to_owned()
    }

    /// Value of the label, if the pair has that name.
    pub(crate) fn value(&self, id: PairId, name: &str) -> Option<&str> {
        let mut cursor = Cursor::new(self.bytes(id));
        if cursor.bytes().ok()? != name.as_bytes() {
            return None;
        }
        std::str::from_utf8(cursor.bytes().ok()?).ok()
    }

    /// Prometheus's order of label sets.
    pub(crate) fn compare(&self, left: &[PairId], right: &[PairId]) -> Ordering {
        let differing = left.iter().zip(right).find(|(left, right)| left != right);
        match differing {
            None => left.len().cmp(&right.len()),
            Some((left, right)) => strings(self.bytes(*left)).cmp(&strings(self.bytes(*right))),
        }
    }
}

/// Whether two strings of one length are the same: `left == right` in a way that compiles to a few loads. Pairs have 10
/// to 40 bytes, for which calling `memcmp` costs more than comparing: a quarter of the ingest's CPU was there.
#[inline]
fn is_same(left: &[u8], right: &[u8]) -> bool {
    if let (Some(left_end), Some(right_end)) = (left.last_chunk::<16>(), right.last_chunk::<16>()) {
        let chunks = left.as_chunks::<16>().0.iter().zip(right.as_chunks::<16>().0);
        return left_end == right_end && chunks.into_iter().all(|(left, right)| left == right);
    }
    if let (Some(left_end), Some(right_end)) = (left.last_chunk::<8>(), right.last_chunk::<8>()) {
        return left_end == right_end && left.first_chunk::<8>() == right.first_chunk::<8>();
    }
    left.iter().zip(right).all(|(left, right)| left == right)
}

fn strings(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut cursor = Cursor::new(pair);
    (cursor.bytes().unwrap_or_default(), cursor.bytes().unwrap_or_default())
}
