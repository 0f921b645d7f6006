//! Reading a block.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use codec::Cursor;
use model::{LabelSet, SampleColumns, TimeRange};

use super::file::MappedFile;
use super::{FOOTER_BYTES, Footer, HEADER_BYTES, MAGIC, VERSION, header};
use crate::index::LabelIndex;
use crate::{Error, chunk};

/// Longest decoded index: bounds what a forged footer can make us allocate.
const INDEX_RAW_BYTES_MAX: u64 = 8 << 30;

/// A block on disk.
pub(crate) struct Block {
    pub(crate) path: PathBuf,
    file: MappedFile,
    footer: Footer,
    /// Decoded when first asked, forgotten when idle. Protects only the pointer.
    index: Mutex<Option<Arc<BlockIndex>>>,
    was_used: AtomicBool,
}

/// Series of a block, ascending by labels. The position of a series is its id in `labels`.
pub(crate) struct BlockIndex {
    pub(crate) series: Vec<BlockSeries>,
    pub(crate) labels: LabelIndex,
    chunks: Vec<ChunkEntry>,
}

pub(crate) struct BlockSeries {
    pub(crate) labels: LabelSet,
    offset: u64,
    sum: u32,
    /// Chunks in `BlockIndex::chunks`.
    chunks_start: u32,
    chunks_end: u32,
}

struct ChunkEntry {
    min_ms: i64,
    max_ms: i64,
    bytes: u32,
}

impl Block {
    /// Maps a block and checks header, footer and index.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = MappedFile::open(path)?;
        let bytes = file.bytes();
        check_header(path, bytes)?;
        let footer = bytes.last_chunk::<FOOTER_BYTES>().and_then(Footer::decode);
        let footer =
            footer.ok_or_else(|| Error::corrupt(path, "no footer: the file is cut short or damaged"))?;
        let block = Self {
            path: path.to_owned(),
            footer,
            index: Mutex::default(),
            was_used: AtomicBool::new(false),
            file,
        };
        if crc32c::crc32c(block.index_bytes()?) != footer.index_sum {
            return Err(Error::corrupt(path, "checksum of the index is wrong"));
        }
        Ok(block)
    }

    /// `[first, last]` as a half-open range.
    pub(crate) fn range_ms(&self) -> TimeRange {
        TimeRange::new(self.footer.min_ms, self.footer.max_ms.saturating_add(1))
    }

    pub(crate) fn samples(&self) -> u64 {
        self.footer.samples
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.file.bytes().len() as u64
    }

    /// The decoded index.
    pub(crate) fn index(&self) -> Result<Arc<BlockIndex>, Error> {
        self.was_used.store(true, Ordering::Relaxed);
        let mut slot = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*slot {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(self.decode_index()?);
        *slot = Some(Arc::clone(&index));
        Ok(index)
    }

    /// Forgets the decoded index if nobody asked since the last call.
    pub(crate) fn forget_idle_index(&self) {
        if !self.was_used.swap(false, Ordering::Relaxed) {
            *self.index.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Appends the samples of the chunks that overlap `range_ms`, strictly ascending.
    pub(crate) fn read(
        &self,
        index: &BlockIndex,
        series: &BlockSeries,
        range_ms: TimeRange,
        out: &mut SampleColumns,
    ) -> Result<(), Error> {
        let chunks = index.chunks_of(series);
        let len: u64 = chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum();
        let bytes = self.slice(series.offset, len)?;
        if crc32c::crc32c(bytes) != series.sum {
            let detail = format!("checksum of the samples of {} is wrong", series.labels);
            return Err(Error::corrupt(&self.path, detail));
        }
        let mut rest = bytes;
        for entry in chunks {
            let (chunk, after) = rest.split_at(entry.bytes as usize);
            rest = after;
            if entry.min_ms < range_ms.end && range_ms.start <= entry.max_ms {
                chunk::decode(chunk, out).map_err(|error| Error::corrupt(&self.path, error))?;
            }
        }
        Ok(())
    }

    fn index_bytes(&self) -> Result<&[u8], Error> {
        self.slice(self.footer.index_offset, self.footer.index_bytes)
    }

    fn slice(&self, offset: u64, len: u64) -> Result<&[u8], Error> {
        let range =
            usize::try_from(offset).ok().zip(offset.checked_add(len).and_then(|end| end.try_into().ok()));
        let slice = range.and_then(|(start, end): (usize, usize)| self.file.bytes().get(start..end));
        slice.ok_or_else(|| Error::corrupt(&self.path, format!("bytes {offset}+{len} are outside the file")))
    }

    fn decode_index(&self) -> Result<BlockIndex, Error> {
        let raw_bytes = self.footer.index_raw_bytes;
        let capacity = usize::try_from(raw_bytes).ok().filter(|_| raw_bytes <= INDEX_RAW_BYTES_MAX);
        let capacity = capacity
            .ok_or_else(|| Error::corrupt(&self.path, format!("index of {raw_bytes} bytes is too large")))?;
        let raw = zstd::bulk::decompress(self.index_bytes()?, capacity)
            .map_err(|error| Error::corrupt(&self.path, error))?;
        let corrupt = |error: &dyn ToString| Error::corrupt(&self.path, error.to_string());
        let mut decoder = Decoder::default();
        let mut cursor = Cursor::new(&raw);
        while !cursor.is_empty() {
            decoder.series(&mut cursor).map_err(|error| corrupt(&error))?;
        }
        if decoder.index.series.len() as u64 != self.footer.series {
            return Err(corrupt(&"the index has another number of series than the footer says"));
        }
        Ok(decoder.index)
    }
}

impl BlockIndex {
    /// Whether a chunk of the series overlaps `range_ms`.
    pub(crate) fn overlaps(&self, series: &BlockSeries, range_ms: TimeRange) -> bool {
        let mut chunks = self.chunks_of(series).iter();
        chunks.any(|chunk| chunk.min_ms < range_ms.end && range_ms.start <= chunk.max_ms)
    }

    fn chunks_of(&self, series: &BlockSeries) -> &[ChunkEntry] {
        self.chunks.get(series.chunks_start as usize..series.chunks_end as usize).unwrap_or_default()
    }
}

struct Decoder {
    index: BlockIndex,
    labels: Vec<u8>,
    offset: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        let index = BlockIndex { series: Vec::new(), labels: LabelIndex::default(), chunks: Vec::new() };
        Self { index, labels: Vec::new(), offset: HEADER_BYTES as u64 }
    }
}

impl Decoder {
    fn series(&mut self, cursor: &mut Cursor<'_>) -> Result<(), String> {
        let short = |error: codec::Error| error.to_string();
        let shared = usize::try_from(cursor.varint().map_err(short)?).unwrap_or(usize::MAX);
        if shared > self.labels.len() {
            return Err(format!("series {} shares more than its predecessor has", self.index.series.len()));
        }
        self.labels.truncate(shared);
        self.labels.extend_from_slice(cursor.bytes().map_err(short)?);
        let labels = LabelSet::from_canonical(&self.labels).map_err(|error| error.to_string())?;
        let sum = u32::from_le_bytes(cursor.array().map_err(short)?);
        let chunks_start = self.index.chunks.len() as u32;
        let offset = self.offset;
        for _ in 0..cursor.varint().map_err(short)? {
            let min_ms = cursor.signed_varint().map_err(short)?;
            let max_ms = min_ms.wrapping_add(cursor.varint().map_err(short)? as i64);
            let bytes = cursor.varint().map_err(short)?;
            self.offset = self.offset.checked_add(bytes).ok_or("chunk lengths overflow")?;
            let bytes = u32::try_from(bytes).map_err(|error| error.to_string())?;
            self.index.chunks.push(ChunkEntry { min_ms, max_ms, bytes });
        }
        let chunks_end = self.index.chunks.len() as u32;
        self.index.labels.insert(self.index.series.len() as u32, labels.as_ref());
        self.index.series.push(BlockSeries { labels, offset, sum, chunks_start, chunks_end });
        Ok(())
    }
}

fn check_header(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let found = bytes.first_chunk::<HEADER_BYTES>();
    let found = found.ok_or_else(|| Error::corrupt(path, "shorter than a header"))?;
    let version = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
    if *found != header(version) || !found.starts_with(MAGIC) {
        return Err(Error::corrupt(path, "no header of a block"));
    }
    if version > VERSION {
        return Err(Error::NewerVersion { path: path.to_owned(), version, known: VERSION });
    }
    Ok(())
}
