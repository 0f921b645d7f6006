//! Pages: the labels and the chunk table of 128 neighbouring series, by columns, compressed together.
//!
//! ```text
//! page := data offset varint | n varint
//!       | (shared varint, rest bytes)*n       labels: so many bytes of the previous series', then the rest
//!       | crc32c u32 * n                      of each series' chunks
//!       | chunks varint * n
//!       | min step zigzag * m | max - min varint * m | bytes varint * m | samples varint * m | kind u8 * m
//! ```
//! The chunks of the page's series stand one behind the other from `data offset` on. A min step is the difference to the
//! chunk before in the page: series that are scraped together make the same steps.
#![warn(clippy::indexing_slicing)]

use std::ops::Range;

use codec::{Cursor, put_bytes, put_varint, zigzag};
use model::{LabelSet, TimeRange};

use crate::chunk;

/// Series of a page. The last page of a block may have fewer.
pub(crate) const PAGE_SERIES: usize = 128;
/// Longest decompressed page: bounds what a forged directory can make us allocate.
pub(super) const PAGE_RAW_BYTES_MAX: usize = 128 << 20;

/// Series in the order of their labels.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) series: Vec<PageSeries>,
    chunks: Vec<ChunkEntry>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct PageSeries {
    pub(crate) labels: LabelSet,
    /// Where its chunks start in the file.
    pub(crate) offset: u64,
    /// Checksum of its chunks.
    pub(crate) sum: u32,
    /// In `Page::chunks`.
    chunks: Range<usize>,
}

/// What a page says about a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkEntry {
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) bytes: u32,
    pub(crate) samples: u32,
    pub(crate) kind: ChunkKind,
}

/// What is in a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkKind(u8);

impl ChunkKind {
    const HISTOGRAMS: u8 = 1;
    const START_TIMES: u8 = 2;
    const COLUMN_SHIFT: u32 = 4;

    /// The samples themselves (0), or column 1 to 4 of a downsampled series.
    pub(crate) fn new(kind: chunk::Kind, column: u8) -> Self {
        let kind = match kind {
            chunk::Kind::Floats => 0,
            chunk::Kind::FloatsSince => Self::START_TIMES,
            chunk::Kind::Histograms => Self::HISTOGRAMS,
        };
        Self(kind | column << Self::COLUMN_SHIFT)
    }

    pub(crate) fn is_floats(self) -> bool {
        self.0 & Self::HISTOGRAMS == 0
    }

    pub(crate) fn column(self) -> u8 {
        self.0 >> Self::COLUMN_SHIFT
    }
}

impl ChunkEntry {
    pub(crate) fn overlaps(&self, range_ms: TimeRange) -> bool {
        self.min_ms < range_ms.end && range_ms.start <= self.max_ms
    }
}

impl Page {
    /// The chunks of a series of this page, ascending in time within each column.
    pub(crate) fn chunks_of(&self, series: &PageSeries) -> &[ChunkEntry] {
        self.chunks.get(series.chunks.clone()).unwrap_or_default()
    }

    /// Whether a chunk of the series overlaps `range_ms`.
    pub(crate) fn overlaps(&self, series: &PageSeries, range_ms: TimeRange) -> bool {
        self.chunks_of(series).iter().any(|chunk| chunk.overlaps(range_ms))
    }

    /// Adds a series.
    pub(super) fn push(&mut self, labels: LabelSet, offset: u64, sum: u32, chunks: &[ChunkEntry]) {
        let start = self.chunks.len();
        self.chunks.extend_from_slice(chunks);
        self.series.push(PageSeries { labels, offset, sum, chunks: start..self.chunks.len() });
    }

    /// About what it takes in memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        let labels: usize = self.series.iter().map(|series| series.labels.as_bytes().len() + 24).sum();
        (size_of::<Self>()
            + labels
            + self.series.len() * size_of::<PageSeries>()
            + self.chunks.len() * size_of::<ChunkEntry>()) as u64
    }

    /// The bytes before compression.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.series.len() * 64 + self.chunks.len() * 12);
        put_varint(&mut out, self.series.first().map_or(0, |series| series.offset));
        put_varint(&mut out, self.series.len() as u64);
        let mut previous: &[u8] = &[];
        for series in &self.series {
            let bytes = series.labels.as_bytes();
            let shared = previous.iter().zip(bytes).take_while(|(left, right)| left == right).count();
            put_varint(&mut out, shared as u64);
            put_bytes(&mut out, bytes.get(shared..).unwrap_or_default());
            previous = bytes;
        }
        self.series.iter().for_each(|series| out.extend_from_slice(&series.sum.to_le_bytes()));
        self.series.iter().for_each(|series| put_varint(&mut out, series.chunks.len() as u64));
        let mut previous_ms = 0_i64;
        for chunk in &self.chunks {
            put_varint(&mut out, zigzag(chunk.min_ms.wrapping_sub(previous_ms)));
            previous_ms = chunk.min_ms;
        }
        let spans = self.chunks.iter().map(|chunk| chunk.max_ms.wrapping_sub(chunk.min_ms) as u64);
        spans.for_each(|span| put_varint(&mut out, span));
        self.chunks.iter().for_each(|chunk| put_varint(&mut out, u64::from(chunk.bytes)));
        self.chunks.iter().for_each(|chunk| put_varint(&mut out, u64::from(chunk.samples)));
        out.extend(self.chunks.iter().map(|chunk| chunk.kind.0));
        out
    }

    /// Reads a decompressed page.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut cursor = Cursor::new(bytes);
        let short = |error: codec::Error| format!("page: {error}");
        let mut offset = cursor.varint().map_err(short)?;
        let count = cursor.varint().map_err(short)?;
        let count = usize::try_from(count).ok().filter(|count| *count <= PAGE_SERIES);
        let count = count.ok_or("page: too many series")?;
        let labels = decode_labels(&mut cursor, count)?;
        let mut sums = Vec::with_capacity(count);
        for _ in 0..count {
            sums.push(u32::from_le_bytes(cursor.array().map_err(short)?));
        }
        let mut ranges = Vec::with_capacity(count);
        let mut chunk_count = 0_usize;
        for _ in 0..count {
            let end = usize::try_from(cursor.varint().map_err(short)?).ok();
            let end = end.and_then(|chunks| chunk_count.checked_add(chunks));
            // A chunk takes at least 5 bytes of the page.
            let end = end.filter(|end| *end <= bytes.len() / 5).ok_or("page: too many chunks")?;
            ranges.push(chunk_count..end);
            chunk_count = end;
        }
        let chunks = decode_chunks(&mut cursor, chunk_count).map_err(short)?;
        let mut page = Self { series: Vec::with_capacity(count), chunks };
        for ((labels, sum), chunks) in labels.into_iter().zip(sums).zip(ranges) {
            let start = offset;
            let lengths = page.chunks.get(chunks.clone()).unwrap_or_default();
            let bytes: u64 = lengths.iter().map(|chunk| u64::from(chunk.bytes)).sum();
            offset = offset.checked_add(bytes).ok_or("page: chunk lengths overflow")?;
            page.series.push(PageSeries { labels, offset: start, sum, chunks });
        }
        Ok(page)
    }
}

fn decode_labels(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<LabelSet>, String> {
    let short = |error: codec::Error| format!("page: {error}");
    let mut bytes = Vec::new();
    let mut labels = Vec::with_capacity(count);
    for _ in 0..count {
        let shared = usize::try_from(cursor.varint().map_err(short)?).unwrap_or(usize::MAX);
        if shared > bytes.len() {
            return Err("page: a series shares more than its predecessor has".into());
        }
        bytes.truncate(shared);
        bytes.extend_from_slice(cursor.bytes().map_err(short)?);
        labels.push(LabelSet::from_canonical(&bytes).map_err(|error| format!("page: {error}"))?);
    }
    Ok(labels)
}

fn decode_chunks(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<ChunkEntry>, codec::Error> {
    let empty = ChunkEntry { min_ms: 0, max_ms: 0, bytes: 0, samples: 0, kind: ChunkKind(0) };
    let mut chunks = vec![empty; count];
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let mut min_ms = 0_i64;
    for chunk in &mut chunks {
        min_ms = min_ms.wrapping_add(cursor.signed_varint()?);
        chunk.min_ms = min_ms;
    }
    for chunk in &mut chunks {
        chunk.max_ms = chunk.min_ms.wrapping_add(cursor.varint()? as i64);
    }
    for chunk in &mut chunks {
        chunk.bytes = small(cursor.varint()?);
    }
    for chunk in &mut chunks {
        chunk.samples = small(cursor.varint()?);
    }
    for chunk in &mut chunks {
        chunk.kind = ChunkKind(cursor.u8()?);
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_page() -> impl Strategy<Value = Page> {
        let chunk = (any::<i32>(), 0..10_000_i64, 1..500_u32, 1..241_u32, any::<bool>(), 0..5_u8);
        let chunks = proptest::collection::vec(chunk, 1..5);
        let series = proptest::collection::btree_map("[ab]{1,4}", (any::<u32>(), chunks), 0..PAGE_SERIES);
        series.prop_map(|series| {
            let mut page = Page::default();
            let mut offset = 16;
            for (name, (sum, chunks)) in series {
                let labels = LabelSet::from_pairs([("__name__", name.as_str()), ("job", "x")]).unwrap();
                let entry =
                    |(min_ms, span, bytes, samples, histogram, column): &(i32, i64, u32, u32, bool, u8)| {
                        let kind =
                            if *histogram { chunk::Kind::Histograms } else { chunk::Kind::FloatsSince };
                        let (min_ms, kind) = (i64::from(*min_ms), ChunkKind::new(kind, *column));
                        ChunkEntry { min_ms, max_ms: min_ms + span, bytes: *bytes, samples: *samples, kind }
                    };
                let entries: Vec<_> = chunks.iter().map(entry).collect();
                page.push(labels, offset, sum, &entries);
                offset += entries.iter().map(|entry| u64::from(entry.bytes)).sum::<u64>();
            }
            page
        })
    }

    proptest! {
        #[test]
        fn decode_of_encode_is_the_page(page in any_page()) {
            prop_assert_eq!(Page::decode(&page.encode()).unwrap(), page);
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _refused_or_not = Page::decode(&bytes).is_err();
        }
    }
}
