//! The directory of a block: where its pages and label sections are, and what it was made of.
//!
//! ```text
//! directory := n varint | (bytes varint, raw bytes varint, crc32c u32)*n                      pages, from `pages offset` on
//!            | pages offset varint
//!            | n varint | (name bytes, values varint, dictionary varint, bytes varint, crc32c u32)*n     label sections
//!            | n varint | (file stem bytes)*n                                                 sources
//! ```
//! Pages stand one behind the other, and the label sections, ascending by name, behind them.
#![warn(clippy::indexing_slicing)]

use codec::{Cursor, put_bytes, put_varint};

use super::page::PAGE_RAW_BYTES_MAX;

/// Where a page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PagePlace {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) raw_bytes: usize,
    pub(super) sum: u32,
}

/// Where the section of a label name is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LabelPlace {
    pub(super) name: Box<str>,
    pub(super) offset: u64,
    /// Distinct values.
    pub(super) values: u64,
    pub(super) dictionary_bytes: u64,
    /// All of the section.
    pub(super) bytes: u64,
    pub(super) sum: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) pages: Vec<PagePlace>,
    pub(super) labels: Vec<LabelPlace>,
    pub(super) sources: Vec<String>,
}

impl Directory {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.pages.len() * 10 + self.labels.len() * 32);
        put_varint(&mut out, self.pages.len() as u64);
        for page in &self.pages {
            put_varint(&mut out, page.bytes);
            put_varint(&mut out, page.raw_bytes as u64);
            out.extend_from_slice(&page.sum.to_le_bytes());
        }
        put_varint(&mut out, self.pages.first().map_or(0, |page| page.offset));
        put_varint(&mut out, self.labels.len() as u64);
        for label in &self.labels {
            put_bytes(&mut out, label.name.as_bytes());
            put_varint(&mut out, label.values);
            put_varint(&mut out, label.dictionary_bytes);
            put_varint(&mut out, label.bytes);
            out.extend_from_slice(&label.sum.to_le_bytes());
        }
        put_varint(&mut out, self.sources.len() as u64);
        for source in &self.sources {
            put_bytes(&mut out, source.as_bytes());
        }
        out
    }

    /// Reads a directory whose checksum was right; what is wrong all the same is named.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut cursor = Cursor::new(bytes);
        let text = |error: codec::Error| format!("directory: {error}");
        let mut directory = Self::default();
        for _ in 0..cursor.varint().map_err(text)? {
            let (bytes, raw) = (cursor.varint().map_err(text)?, cursor.varint().map_err(text)?);
            let raw_bytes = usize::try_from(raw).ok().filter(|raw| *raw <= PAGE_RAW_BYTES_MAX);
            let raw_bytes = raw_bytes
                .ok_or_else(|| format!("directory: a page of {raw} bytes is over {PAGE_RAW_BYTES_MAX}"))?;
            let sum = u32::from_le_bytes(cursor.array().map_err(text)?);
            directory.pages.push(PagePlace { offset: 0, bytes, raw_bytes, sum });
        }
        let mut offset = cursor.varint().map_err(text)?;
        let mut place = |bytes: u64| {
            let start = offset;
            offset = offset.checked_add(bytes)?;
            Some(start)
        };
        for page in &mut directory.pages {
            page.offset = place(page.bytes).ok_or("directory: page lengths overflow")?;
        }
        for _ in 0..cursor.varint().map_err(text)? {
            let name = std::str::from_utf8(cursor.bytes().map_err(text)?);
            let name = name.map_err(|_| "directory: a label name is not UTF-8")?.into();
            let values = cursor.varint().map_err(text)?;
            let dictionary_bytes = cursor.varint().map_err(text)?;
            let bytes = cursor.varint().map_err(text)?;
            let sum = u32::from_le_bytes(cursor.array().map_err(text)?);
            let offset = place(bytes).ok_or("directory: section lengths overflow")?;
            directory.labels.push(LabelPlace { name, offset, values, dictionary_bytes, bytes, sum });
        }
        for _ in 0..cursor.varint().map_err(text)? {
            let stem = std::str::from_utf8(cursor.bytes().map_err(text)?);
            directory.sources.push(stem.map_err(|_| "directory: a source is not UTF-8")?.to_owned());
        }
        if !directory.labels.is_sorted_by(|left, right| left.name < right.name) {
            return Err("directory: label names do not ascend".into());
        }
        Ok(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decode_of_encode_is_the_directory() {
        let page = |offset, bytes| PagePlace { offset, bytes, raw_bytes: 900, sum: 7 };
        let label = |name: &str, offset, bytes| LabelPlace {
            name: name.into(),
            offset,
            values: 3,
            dictionary_bytes: 20,
            bytes,
            sum: 9,
        };
        let directory = Directory {
            pages: vec![page(1_000, 50), page(1_050, 300)],
            labels: vec![label("__name__", 1_350, 40), label("job", 1_390, 10)],
            sources: vec!["00000001-00000002".into(), "00000003".into()],
        };
        assert_eq!(Directory::decode(&directory.encode()), Ok(directory));
        assert_eq!(Directory::decode(&Directory::default().encode()), Ok(Directory::default()));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _refused_or_not = Directory::decode(&bytes).is_err();
        }
    }
}
