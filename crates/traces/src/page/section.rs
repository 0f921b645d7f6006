//! Sections: compressed byte strings whose size is known before they are unpacked.

use std::borrow::Cow;

use codec::{Cursor, put_varint};

use super::PageError;

/// Largest unpacked section. Pages are cut at a few MiB, so that only damaged bytes reach it.
const SECTION_BYTES_MAX: u64 = 64 << 20;

/// Below this size compression does not pay for its header.
const COMPRESS_FROM_BYTES: usize = 64;

/// Appends `raw`, compressed when that is smaller.
pub(crate) fn put_section(out: &mut Vec<u8>, raw: &[u8], level: i32) {
    put_varint(out, raw.len() as u64);
    let packed = if raw.len() < COMPRESS_FROM_BYTES { None } else { zstd::bulk::compress(raw, level).ok() };
    let payload = match &packed {
        Some(packed) if packed.len() < raw.len() => packed,
        _ => raw,
    };
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// A section not unpacked yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'a> {
    raw_len: usize,
    payload: &'a [u8],
}

impl<'a> Section<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, PageError> {
        let raw_len = cursor.varint()?;
        if raw_len > SECTION_BYTES_MAX {
            return Err(PageError::Invalid("section is larger than 64 MiB"));
        }
        let payload = cursor.bytes()?;
        Ok(Self { raw_len: raw_len as usize, payload })
    }

    pub(super) fn unpack(&self) -> Result<Cow<'a, [u8]>, PageError> {
        if self.payload.len() == self.raw_len {
            return Ok(Cow::Borrowed(self.payload));
        }
        let raw = zstd::bulk::decompress(self.payload, self.raw_len);
        let raw = raw.map_err(|_| PageError::Invalid("section does not unpack"))?;
        if raw.len() != self.raw_len {
            return Err(PageError::Invalid("section unpacks to another size"));
        }
        Ok(Cow::Owned(raw))
    }
}

/// Unpacks a section that fills `bytes`.
pub(crate) fn read_section(bytes: &[u8]) -> Result<Cow<'_, [u8]>, PageError> {
    let mut cursor = Cursor::new(bytes);
    let section = Section::read(&mut cursor)?;
    if cursor.is_empty() { section.unpack() } else { Err(PageError::Invalid("bytes after the section")) }
}
