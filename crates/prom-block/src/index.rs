//! The index of a block: symbols, and the entry of every series.
//!
//! ```text
//! index  := 0xBAAAD700 u32 | version u8 | … | table of contents: 6 offsets u64, crc32c u32
//! series := length uvarint | labels, chunks | crc32c u32                          at a multiple of 16
//! ```

use model::LabelSet;

use crate::bytes::{Bytes, Detail};

const MAGIC: u32 = 0xBAAA_D700;
const TOC_BYTES: usize = 6 * 8 + 4;

/// A chunk as the index describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkMeta {
    /// Number of the segment file, from 0.
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

/// The index, over the bytes of its file.
pub(crate) struct Index<'f> {
    file: &'f [u8],
    symbols: Symbols<'f>,
    postings_table: u64,
}

/// Texts by their number, or, in version 1, by their place in the file.
enum Symbols<'f> {
    ByNumber(Vec<&'f str>),
    ByOffset(&'f [u8]),
}

/// What is wrong with an index.
pub(crate) enum IndexError {
    Corrupt(Detail),
    Version(u8),
}

impl From<Detail> for IndexError {
    fn from(detail: Detail) -> Self {
        Self::Corrupt(detail)
    }
}

impl<'f> Index<'f> {
    pub(crate) fn parse(file: &'f [u8]) -> Result<Self, IndexError> {
        let mut header = Bytes::new(file);
        if header.u32()? != MAGIC {
            return Err(Detail::from("no index of Prometheus").into());
        }
        let version = header.u8()?;
        if !(1..=2).contains(&version) {
            return Err(IndexError::Version(version));
        }
        let toc = file.len().checked_sub(TOC_BYTES).and_then(|start| file.get(start..));
        let mut toc = Bytes::new(toc.ok_or_else(|| Detail::from("shorter than a table of contents"))?);
        let mut toc = Bytes::new(toc.checked(TOC_BYTES - 4)?);
        let symbols_offset = toc.u64()?;
        toc.take(4 * 8)?;
        let postings_table = toc.u64()?;
        let symbols = if version == 1 {
            Symbols::ByOffset(file)
        } else {
            let mut section = Bytes::at(file, symbols_offset)?.section()?;
            let count = section.u32()?;
            let mut texts = Vec::new();
            for _ in 0..count {
                texts.push(section.text()?);
            }
            Symbols::ByNumber(texts)
        };
        Ok(Self { file, symbols, postings_table })
    }

    /// References of all series.
    pub(crate) fn series_refs(&self) -> Result<Vec<u32>, Detail> {
        let mut table = Bytes::at(self.file, self.postings_table)?.section()?;
        for _ in 0..table.u32()? {
            let mut is_all = true;
            for _ in 0..table.uvarint()? {
                is_all &= table.text()?.is_empty();
            }
            let offset = table.uvarint()?;
            if is_all {
                let mut postings = Bytes::at(self.file, offset)?.section()?;
                let count = postings.u32()?;
                let mut refs = Vec::new();
                for _ in 0..count {
                    refs.push(postings.u32()?);
                }
                return Ok(refs);
            }
        }
        Err("no postings of all series".into())
    }

    /// Labels and chunks of a series.
    pub(crate) fn series(&self, reference: u32) -> Result<(LabelSet, Vec<ChunkMeta>), Detail> {
        let mut entry = Bytes::at(self.file, u64::from(reference) * 16)?;
        let len = usize::try_from(entry.uvarint()?).unwrap_or(usize::MAX);
        let mut entry = Bytes::new(entry.checked(len)?);
        let mut pairs = Vec::new();
        for _ in 0..entry.uvarint()? {
            let (name, value) = (entry.uvarint()?, entry.uvarint()?);
            pairs.push((self.symbols.get(name)?, self.symbols.get(value)?));
        }
        let labels = LabelSet::from_pairs(pairs).map_err(|error| error.to_string())?;
        let mut chunks = Vec::new();
        let mut place = 0_i64;
        for number in 0..entry.uvarint()? {
            // First and last time: the samples themselves say them.
            if number == 0 {
                entry.varint().map(drop)?
            } else {
                entry.uvarint().map(drop)?
            }
            entry.uvarint()?;
            place = match number {
                0 => entry.uvarint()? as i64,
                _ => place.wrapping_add(entry.varint()?),
            };
            let place = place as u64;
            chunks.push(ChunkMeta { segment: (place >> 32) as u32, offset: place as u32 });
        }
        Ok((labels, chunks))
    }
}

impl<'f> Symbols<'f> {
    fn get(&self, symbol: u64) -> Result<&'f str, Detail> {
        match self {
            Self::ByNumber(texts) => {
                let text = usize::try_from(symbol).ok().and_then(|number| texts.get(number));
                text.copied().ok_or_else(|| format!("no symbol {symbol}"))
            }
            Self::ByOffset(file) => Bytes::at(file, symbol)?.text(),
        }
    }
}
