//! Label sections: the values of one label name and which series have them.
//!
//! ```text
//! section    := dictionary | restarts | postings
//! dictionary := entry*                              ascending by value
//! entry      := shared varint | rest bytes          bytes shared with the value before, 0 at every 16th entry
//!             | n varint (1..=8) | first id varint | (step varint)*(n - 1)              few series
//!             | 0 | postings offset varint | bytes varint                               many
//! restarts   := u32 offset of entries 0, 16, 32, …
//! postings   := serialised roaring bitmaps (the portable format)
//! ```
//! A value is found by halving the restarts and then reading at most 16 entries; a prefix or a regular expression reads
//! on from there. Nothing is copied but the value at hand and the postings asked for.
#![warn(clippy::indexing_slicing)]

use std::collections::BTreeMap;

use codec::{Cursor, put_bytes, put_varint};
use model::LabelSetRef;
use roaring::RoaringBitmap;

use super::directory::LabelPlace;

const RESTART_EVERY: usize = 16;
/// Up to so many ids stand in the entry itself.
const INLINE_IDS: u64 = 8;

/// Values and postings of a block being written.
#[derive(Debug, Default)]
pub(super) struct LabelsBuilder {
    names: BTreeMap<Box<str>, BTreeMap<Box<str>, RoaringBitmap>>,
}

impl LabelsBuilder {
    /// Adds a series. Ids ascend from call to call.
    pub(super) fn push(&mut self, id: u32, labels: LabelSetRef<'_>) {
        for (name, value) in labels.iter() {
            let values = match self.names.get_mut(name) {
                Some(values) => values,
                None => self.names.entry(name.into()).or_default(),
            };
            let postings = match values.get_mut(value) {
                Some(postings) => postings,
                None => values.entry(value.into()).or_default(),
            };
            // `try_push` refuses an id that does not ascend; the caller counts upwards.
            let pushed = postings.try_push(id).is_ok();
            debug_assert!(pushed, "BUG: ids of a block do not ascend");
        }
    }

    /// Takes out the sections, ascending by name, one at a time. The places have no offset yet.
    pub(super) fn into_sections(self) -> impl Iterator<Item = Result<(LabelPlace, Vec<u8>), std::io::Error>> {
        self.names.into_iter().map(|(name, values)| section(name, values))
    }
}

fn section(
    name: Box<str>,
    values: BTreeMap<Box<str>, RoaringBitmap>,
) -> Result<(LabelPlace, Vec<u8>), std::io::Error> {
    let (mut out, mut restarts, mut postings) = (Vec::new(), Vec::new(), Vec::new());
    let count = values.len() as u64;
    let mut previous: Box<str> = "".into();
    for (number, (value, mut ids)) in values.into_iter().enumerate() {
        let is_restart = number.is_multiple_of(RESTART_EVERY);
        if is_restart {
            restarts.extend_from_slice(&offset_u32(out.len()).to_le_bytes());
        }
        let pairs = previous.bytes().zip(value.bytes());
        let shared = if is_restart { 0 } else { pairs.take_while(|(left, right)| left == right).count() };
        put_varint(&mut out, shared as u64);
        put_bytes(&mut out, value.as_bytes().get(shared..).unwrap_or_default());
        if ids.len() <= INLINE_IDS {
            put_varint(&mut out, ids.len());
            let mut before = 0;
            for id in ids {
                put_varint(&mut out, u64::from(id - before));
                before = id;
            }
        } else {
            ids.optimize();
            let start = postings.len();
            ids.serialize_into(&mut postings)?;
            put_varint(&mut out, 0);
            put_varint(&mut out, start as u64);
            put_varint(&mut out, (postings.len() - start) as u64);
        }
        previous = value;
    }
    let dictionary_bytes = out.len() as u64;
    out.append(&mut restarts);
    out.append(&mut postings);
    let sum = crc32c::crc32c(&out);
    let bytes = out.len() as u64;
    Ok((LabelPlace { name, offset: 0, values: count, dictionary_bytes, bytes, sum }, out))
}

fn offset_u32(offset: usize) -> u32 {
    u32::try_from(offset).expect("BUG: the values of one label take over 4 GiB: series_max bounds them")
}

/// The section of one label name, whose checksum was right.
#[derive(Clone, Copy)]
pub(super) struct Section<'b> {
    dictionary: &'b [u8],
    restarts: &'b [u8],
    postings: &'b [u8],
}

impl<'b> Section<'b> {
    pub(super) fn new(place: &LabelPlace, bytes: &'b [u8]) -> Option<Self> {
        let dictionary = usize::try_from(place.dictionary_bytes).ok()?;
        let restarts = usize::try_from(place.values).ok()?.div_ceil(RESTART_EVERY).checked_mul(4)?;
        let (dictionary, rest) = bytes.split_at_checked(dictionary)?;
        let (restarts, postings) = rest.split_at_checked(restarts)?;
        Some(Self { dictionary, restarts, postings })
    }

    /// How many values there are, up to 15 more.
    pub(super) fn values_about(self) -> usize {
        self.restarts.len() / 4 * RESTART_EVERY
    }

    /// All values, ascending.
    pub(super) fn values(self) -> Values<'b> {
        Values::new(self, 0)
    }

    /// Values from the first that is not less than `from` on.
    pub(super) fn values_from(self, from: &str) -> Result<Values<'b>, String> {
        let (mut low, mut high) = (0, self.restarts.len() / 4);
        // The last restart whose value is not greater is where to start reading.
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let mut values = Values::new(self, self.restart(middle));
            let is_before = values.next()? && values.value() <= from.as_bytes();
            if is_before { low = middle } else { high = middle }
        }
        let mut values = Values::new(self, self.restart(low));
        loop {
            let before = values.clone();
            if !values.next()? || values.value() >= from.as_bytes() {
                return Ok(before);
            }
        }
    }

    /// The postings of one value.
    pub(super) fn find(self, value: &str) -> Result<Option<RoaringBitmap>, String> {
        let mut values = self.values_from(value)?;
        let is_found = values.next()? && values.value() == value.as_bytes();
        if is_found { values.postings().map(Some) } else { Ok(None) }
    }

    fn restart(self, number: usize) -> usize {
        let bytes = self.restarts.get(number * 4..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
    }
}

/// Reads a dictionary value by value.
#[derive(Clone)]
pub(super) struct Values<'b> {
    section: Section<'b>,
    cursor: Cursor<'b>,
    value: Vec<u8>,
    ids: Ids<'b>,
}

/// The postings of the value at hand, not decoded yet.
#[derive(Clone)]
enum Ids<'b> {
    Inline(Cursor<'b>, u64),
    Bitmap(u64, u64),
}

impl<'b> Values<'b> {
    fn new(section: Section<'b>, offset: usize) -> Self {
        let cursor = Cursor::new(section.dictionary.get(offset..).unwrap_or_default());
        Self { section, cursor, value: Vec::new(), ids: Ids::Bitmap(0, 0) }
    }

    /// Moves on to the next value; answers whether there is one.
    pub(super) fn next(&mut self) -> Result<bool, String> {
        if self.cursor.is_empty() {
            return Ok(false);
        }
        let short = |error: codec::Error| format!("label section: {error}");
        let shared = usize::try_from(self.cursor.varint().map_err(short)?).unwrap_or(usize::MAX);
        if shared > self.value.len() {
            return Err("label section: a value shares more than its predecessor has".into());
        }
        self.value.truncate(shared);
        self.value.extend_from_slice(self.cursor.bytes().map_err(short)?);
        self.ids = match self.cursor.varint().map_err(short)? {
            0 => Ids::Bitmap(self.cursor.varint().map_err(short)?, self.cursor.varint().map_err(short)?),
            count if count <= INLINE_IDS => {
                let ids = self.cursor.clone();
                for _ in 0..count {
                    self.cursor.varint().map_err(short)?;
                }
                Ids::Inline(ids, count)
            }
            count => return Err(format!("label section: {count} ids in an entry")),
        };
        Ok(true)
    }

    /// The value at hand, in bytes.
    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    /// The value at hand.
    pub(super) fn text(&self) -> Result<&str, String> {
        std::str::from_utf8(&self.value).map_err(|_| "label section: a value is not UTF-8".into())
    }

    /// The series that have the value at hand.
    pub(super) fn postings(&self) -> Result<RoaringBitmap, String> {
        match &self.ids {
            Ids::Inline(ids, count) => {
                let mut ids = ids.clone();
                let mut bitmap = RoaringBitmap::new();
                let mut id = 0_u64;
                for _ in 0..*count {
                    id = id.wrapping_add(ids.varint().map_err(|error| format!("label section: {error}"))?);
                    bitmap.insert(u32::try_from(id).map_err(|_| format!("label section: id {id}"))?);
                }
                Ok(bitmap)
            }
            Ids::Bitmap(offset, bytes) => {
                let range = usize::try_from(*offset).ok().zip(usize::try_from(*bytes).ok());
                let slice = range.and_then(|(start, len)| self.section.postings.get(start..)?.get(..len));
                let slice = slice.ok_or("label section: postings outside the section")?;
                RoaringBitmap::deserialize_from(slice).map_err(|error| format!("label section: {error}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::LabelSet;
    use proptest::prelude::*;

    fn build(values: &BTreeMap<String, usize>) -> (LabelPlace, Vec<u8>, BTreeMap<String, Vec<u32>>) {
        let mut builder = LabelsBuilder::default();
        let mut expected: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let rounds = values.values().copied().max().unwrap_or_default();
        let mut id = 0;
        for round in 0..rounds {
            for (value, _) in values.iter().filter(|(_, count)| round < **count) {
                builder.push(id, LabelSet::from_pairs([("l", value.as_str())]).unwrap().as_ref());
                expected.entry(value.clone()).or_default().push(id);
                id += 3;
            }
        }
        let (place, bytes) = builder.into_sections().next().unwrap().unwrap();
        (place, bytes, expected)
    }

    proptest! {
        #[test]
        fn a_section_is_a_sorted_map(
            values in proptest::collection::btree_map("[a-c]{1,4}", 1..20_usize, 1..60),
            probe in "[a-c]{0,4}",
        ) {
            let (place, bytes, expected) = build(&values);
            let section = Section::new(&place, &bytes).unwrap();
            let mut all = section.values();
            for (value, ids) in &expected {
                prop_assert!(all.next().unwrap());
                prop_assert_eq!(all.text().unwrap(), value);
                prop_assert_eq!(&all.postings().unwrap().iter().collect::<Vec<_>>(), ids);
            }
            prop_assert!(!all.next().unwrap());
            let found = section.find(&probe).unwrap().map(|ids| ids.iter().collect::<Vec<_>>());
            prop_assert_eq!(found.as_ref(), expected.get(&probe));
            let mut from = section.values_from(&probe).unwrap();
            let is_any = from.next().unwrap();
            let want = expected.range(probe..).next().map(|(value, _)| value.as_str());
            prop_assert_eq!(is_any.then(|| from.text().unwrap()), want);
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>, values in 0..40_u64, dictionary_bytes in 0..64_u64) {
            let place = LabelPlace { values, dictionary_bytes, ..LabelPlace::default() };
            let Some(section) = Section::new(&place, &bytes) else { return Ok(()) };
            let mut all = section.values();
            while all.next().is_ok_and(|more| more) {
                let _refused_or_not = all.postings().is_err();
            }
            let _refused_or_not = section.find("a").is_err();
        }
    }
}
