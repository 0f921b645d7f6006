//! Label index: which series have a label, and which pass a list of matchers.
//!
//! ```text
//! name ─▶ value ─▶ pair id                     names and values sorted
//! pair id ─▶ canonical bytes of name and value
//!         └▶ postings (roaring bitmap of series ids)
//! canonical bytes ─▶ pair id                   so that a series is indexed without comparing strings in a tree
//! ```
//! - An absent label has the value `""`. A matcher that `""` passes takes away the series whose value fails it;
//!   any other matcher gives the union of the postings of the values that pass.
//! - Regular expressions run over the distinct values of one label, not over series, and often not at all: see [`glob`].
//! - Whoever keeps series as lists of pair ids holds an [`Epoch`]: the bytes of a pair that no series has any more stay
//!   until all older epochs are gone, so that selections can still say what their series are called.

mod glob;
mod matching;
mod pairs;
mod stats;

use std::collections::BTreeMap;

use codec::Cursor;
use model::{LabelSetRef, METRIC_NAME, Matcher};
use roaring::{MultiOps, RoaringBitmap};

pub(crate) use matching::{Places, Test};

pub(crate) use pairs::{Epoch, PairId, Pairs};
pub use stats::LabelStats;

/// Postings by label name and value.
#[derive(Debug, Default)]
pub(crate) struct LabelIndex {
    names: BTreeMap<Box<str>, Values>,
    pairs: Pairs,
    postings: Vec<RoaringBitmap>,
    all: RoaringBitmap,
}

type Values = BTreeMap<Box<str>, PairId>;

impl LabelIndex {
    /// Adds a series, and appends the ids of its pairs to `ids`. `id` is not in use.
    pub(crate) fn insert_with_ids(&mut self, id: u32, labels: LabelSetRef<'_>, ids: &mut Vec<PairId>) {
        self.insert_pairs(id, pairs_of(labels.as_bytes()).map(|pair| pair.bytes), ids);
    }

    /// As [`insert_with_ids`](Self::insert_with_ids), of pairs in canonical bytes.
    pub(crate) fn insert_pairs<'p>(
        &mut self,
        id: u32,
        pairs: impl Iterator<Item = &'p [u8]>,
        ids: &mut Vec<PairId>,
    ) {
        self.all.insert(id);
        for bytes in pairs {
            let pair_id = match self.pairs.find(bytes) {
                Some(pair_id) => pair_id,
                None => self.add_pair(bytes),
            };
            if let Some(postings) = self.postings.get_mut(pair_id as usize) {
                postings.insert(id);
            }
            ids.push(pair_id);
        }
    }

    /// Adds a series. `id` is not in use.
    pub(crate) fn insert(&mut self, id: u32, labels: LabelSetRef<'_>) {
        self.insert_with_ids(id, labels, &mut Vec::new());
    }

    fn add_pair(&mut self, bytes: &[u8]) -> PairId {
        let pair_id = self.pairs.add(bytes);
        if self.postings.len() <= pair_id as usize {
            self.postings.resize_with(pair_id as usize + 1, RoaringBitmap::new);
        }
        if let Some(pair) = pairs_of(bytes).next() {
            let values = match self.names.get_mut(pair.name) {
                Some(values) => values,
                None => self.names.entry(pair.name.into()).or_default(),
            };
            values.insert(pair.value.into(), pair_id);
        }
        pair_id
    }

    /// Takes a series out.
    pub(crate) fn remove(&mut self, id: u32, pair_ids: &[PairId]) {
        self.all.remove(id);
        for &pair_id in pair_ids {
            let Some(postings) = self.postings.get_mut(pair_id as usize) else { continue };
            postings.remove(id);
            if postings.is_empty() {
                self.remove_pair(pair_id);
            }
        }
    }

    fn remove_pair(&mut self, pair_id: PairId) {
        if let Some(pair) = pairs_of(self.pairs.bytes(pair_id)).next()
            && let Some(values) = self.names.get_mut(pair.name)
        {
            values.remove(pair.value);
            if values.is_empty() {
                self.names.remove(pair.name);
            }
        }
        self.pairs.retire(pair_id);
    }

    /// Number of series.
    pub(crate) fn series(&self) -> u64 {
        self.all.len()
    }

    /// The bytes of pairs by id, and the order of series.
    pub(crate) fn pairs(&self) -> &Pairs {
        &self.pairs
    }

    /// Frees the bytes of pairs that nobody can ask for any more. To be called now and then.
    pub(crate) fn advance_epoch(&mut self) {
        self.pairs.advance_epoch();
    }

    /// Series that pass all `matchers`.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let (subtracting, intersecting): (Vec<_>, Vec<_>) =
            matchers.iter().partition(|matcher| matcher.matches_empty());
        let mut result: Option<RoaringBitmap> = None;
        for matcher in intersecting {
            let passing = self.with_value(matcher, true);
            result = Some(match result {
                Some(so_far) => so_far & passing,
                None => passing,
            });
            if result.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return RoaringBitmap::new();
            }
        }
        let mut result = result.unwrap_or_else(|| self.all.clone());
        for matcher in subtracting {
            result -= self.with_value(matcher, false);
        }
        result
    }

    /// Series that have the matcher's label, with a value that passes, or with one that does not.
    fn with_value(&self, matcher: &Matcher, passes: bool) -> RoaringBitmap {
        let Some(values) = self.names.get(matcher.name()) else { return RoaringBitmap::new() };
        let test = Test::of(matcher);
        // Every series has a metric name.
        if matcher.name() == METRIC_NAME && test.is_always(passes) {
            return self.all.clone();
        }
        let ids = test.pairs(values, passes);
        ids.into_iter().filter_map(|id| self.postings.get(id as usize)).union()
    }

    /// Names of labels in use, ascending.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(AsRef::as_ref)
    }

    /// Values of a label in use, ascending.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values_of(name).map(|(value, _)| value)
    }

    /// Values of a label that a series of `ids` has, ascending.
    pub(crate) fn values_among(&self, name: &str, ids: &RoaringBitmap) -> impl Iterator<Item = &str> {
        self.values_of(name).filter(|(_, postings)| !postings.is_disjoint(ids)).map(|(value, _)| value)
    }

    /// Names of labels that a series of `ids` has, ascending.
    pub(crate) fn names_among(&self, ids: &RoaringBitmap) -> impl Iterator<Item = &str> {
        self.names().filter(|name| self.values_of(name).any(|(_, postings)| !postings.is_disjoint(ids)))
    }

    fn values_of(&self, name: &str) -> impl Iterator<Item = (&str, &RoaringBitmap)> {
        let values = self.names.get(name).into_iter().flatten();
        values.filter_map(|(value, id)| Some((value.as_ref(), self.postings.get(*id as usize)?)))
    }
}

/// One name and value of canonical label bytes.
struct Pair<'a> {
    bytes: &'a [u8],
    name: &'a str,
    value: &'a str,
}

fn pairs_of(labels: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    let mut cursor = Cursor::new(labels);
    std::iter::from_fn(move || {
        let start = cursor.offset();
        let (name, value) = (cursor.bytes().ok()?, cursor.bytes().ok()?);
        let (name, value) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?);
        Some(Pair { bytes: labels.get(start..cursor.offset())?, name, value })
    })
}

#[cfg(test)]
mod tests;
