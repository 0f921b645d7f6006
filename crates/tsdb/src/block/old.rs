//! Blocks of versions 1 and 2: the index is one compressed list of series, decoded as a whole when first asked.
//!
//! ```text
//! block  := header[16] | data | index | footer[80]            00000003-00000005.blk: cuts 3 to 5, merged
//! index  := zstd( series* )                                   ascending by labels
//! series := shared varint | rest bytes                        canonical labels: bytes shared with the previous ones
//!           | crc32c u32 of the chunks | n varint | (min_ms zigzag | max - min varint | len varint)*n
//! footer := index_offset | index_bytes | index_raw_bytes | series | samples | min_ms | max_ms | zero   8 bytes each
//!           | crc32c u32 of the index | crc32c u32 of the footer before it | "eino.end"
//! ```
//! They are read until a merge makes them part of a newer block.
#![warn(clippy::indexing_slicing)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use codec::Cursor;
use model::LabelSet;

use super::footer::Footer;
use super::page::{ChunkEntry, ChunkKind, PAGE_SERIES, Page};
use super::read::slice;
use super::{END_MAGIC, HEADER_BYTES};
use crate::index::LabelIndex;
use crate::{Error, chunk};

const FOOTER_BYTES: usize = 80;
/// Longest decoded index: bounds what a forged footer can make us allocate.
const INDEX_RAW_BYTES_MAX: u64 = 8 << 30;

/// The index of such a block.
pub(super) struct OldIndex {
    offset: u64,
    bytes: u64,
    raw_bytes: u64,
    /// Protects only the pointer.
    decoded: Mutex<Option<Arc<Decoded>>>,
    was_used: AtomicBool,
}

pub(super) struct Decoded {
    pub(super) labels: LabelIndex,
    pub(super) pages: Vec<Arc<Page>>,
}

impl OldIndex {
    /// Checks footer and index; the footer is answered in the terms of today's.
    pub(super) fn open(path: &Path, bytes: &[u8]) -> Result<(Self, Footer), Error> {
        let corrupt = |detail: &str| Error::corrupt(path, detail);
        let footer = bytes.last_chunk::<FOOTER_BYTES>().filter(|footer| is_whole(footer));
        let footer = footer.ok_or_else(|| corrupt("no footer: the file is cut short or damaged"))?;
        let mut numbers = footer.as_chunks::<8>().0.iter().map(|place| u64::from_le_bytes(*place));
        let mut number = || numbers.next().unwrap_or_default();
        let (offset, index_bytes, raw_bytes) = (number(), number(), number());
        let (series, samples, min_ms, max_ms, _zero, sums) =
            (number(), number(), number() as i64, number() as i64, number(), number());
        let index = slice(bytes, offset, index_bytes).map_err(|detail| corrupt(&detail))?;
        if u64::from(crc32c::crc32c(index)) != sums & u64::from(u32::MAX) {
            return Err(corrupt("checksum of the index is wrong"));
        }
        let footer = Footer { series, samples, min_ms, max_ms, ..Footer::default() };
        let old = Self {
            offset,
            bytes: index_bytes,
            raw_bytes,
            decoded: Mutex::default(),
            was_used: AtomicBool::new(false),
        };
        Ok((old, footer))
    }

    /// The decoded index.
    pub(super) fn get(&self, path: &Path, file: &[u8], footer: &Footer) -> Result<Arc<Decoded>, Error> {
        self.was_used.store(true, Ordering::Relaxed);
        let mut slot = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(decoded) = &*slot {
            return Ok(Arc::clone(decoded));
        }
        let decoded = self.decode(file, footer).map_err(|detail| Error::corrupt(path, detail))?;
        let decoded = Arc::new(decoded);
        *slot = Some(Arc::clone(&decoded));
        Ok(decoded)
    }

    /// Forgets the decoded index if nobody asked since the last call.
    pub(super) fn forget_idle(&self) {
        if !self.was_used.swap(false, Ordering::Relaxed) {
            *self.decoded.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn decode(&self, file: &[u8], footer: &Footer) -> Result<Decoded, String> {
        let raw_bytes = self.raw_bytes;
        let capacity = usize::try_from(raw_bytes).ok().filter(|_| raw_bytes <= INDEX_RAW_BYTES_MAX);
        let capacity = capacity.ok_or_else(|| format!("index of {raw_bytes} bytes is too large"))?;
        let compressed = slice(file, self.offset, self.bytes)?;
        let raw = zstd::bulk::decompress(compressed, capacity).map_err(|error| error.to_string())?;
        let mut decoder = Decoder {
            file,
            offset: HEADER_BYTES as u64,
            labels: Vec::new(),
            page: Page::default(),
            count: 0,
            decoded: Decoded { labels: LabelIndex::default(), pages: Vec::new() },
        };
        let mut cursor = Cursor::new(&raw);
        while !cursor.is_empty() {
            decoder.series(&mut cursor)?;
        }
        if u64::from(decoder.count) != footer.series {
            return Err("the index has another number of series than the footer says".into());
        }
        decoder.close_page();
        Ok(decoder.decoded)
    }
}

fn is_whole(footer: &[u8; FOOTER_BYTES]) -> bool {
    let (body, tail) = footer.split_at(68);
    let sum = tail.first_chunk::<4>().map(|sum| u32::from_le_bytes(*sum));
    sum == Some(crc32c::crc32c(body)) && footer.ends_with(END_MAGIC)
}

struct Decoder<'f> {
    file: &'f [u8],
    offset: u64,
    labels: Vec<u8>,
    page: Page,
    count: u32,
    decoded: Decoded,
}

impl Decoder<'_> {
    fn series(&mut self, cursor: &mut Cursor<'_>) -> Result<(), String> {
        let short = |error: codec::Error| error.to_string();
        let shared = usize::try_from(cursor.varint().map_err(short)?).unwrap_or(usize::MAX);
        if shared > self.labels.len() {
            return Err(format!("series {} shares more than its predecessor has", self.count));
        }
        self.labels.truncate(shared);
        self.labels.extend_from_slice(cursor.bytes().map_err(short)?);
        let labels = LabelSet::from_canonical(&self.labels).map_err(|error| error.to_string())?;
        let sum = u32::from_le_bytes(cursor.array().map_err(short)?);
        let start = self.offset;
        let mut chunks = Vec::new();
        for _ in 0..cursor.varint().map_err(short)? {
            let min_ms = cursor.signed_varint().map_err(short)?;
            let max_ms = min_ms.wrapping_add(cursor.varint().map_err(short)? as i64);
            let bytes = cursor.varint().map_err(short)?;
            let chunk = slice(self.file, self.offset, bytes)?;
            // A chunk that can't be described is damaged: whoever reads it finds its checksum wrong.
            let (samples, kind) = describe(chunk).unwrap_or_default();
            self.offset = self.offset.checked_add(bytes).ok_or("chunk lengths overflow")?;
            let bytes = u32::try_from(bytes).map_err(|error| error.to_string())?;
            chunks.push(ChunkEntry { min_ms, max_ms, bytes, samples, kind });
        }
        self.decoded.labels.insert(self.count, labels.as_ref());
        self.page.push(labels, start, sum, &chunks);
        self.count = self.count.checked_add(1).ok_or("too many series")?;
        if self.page.series.len() == PAGE_SERIES {
            self.close_page();
        }
        Ok(())
    }

    fn close_page(&mut self) {
        if !self.page.series.is_empty() {
            self.decoded.pages.push(Arc::new(std::mem::take(&mut self.page)));
        }
    }
}

/// Number of samples and kind of a chunk, which the index does not say.
fn describe(bytes: &[u8]) -> Option<(u32, ChunkKind)> {
    let kind = chunk::kind(bytes).ok()?;
    let before_count = match kind {
        chunk::Kind::Floats => 0,
        chunk::Kind::FloatsSince => 2,
        chunk::Kind::Histograms => 3,
    };
    let samples = Cursor::new(bytes.get(before_count..)?).varint().ok()?;
    Some((u32::try_from(samples).ok()?, ChunkKind::new(kind, 0)))
}
