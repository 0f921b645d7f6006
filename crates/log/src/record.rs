//! Framing of headers and records, without files.
//!
//! ```text
//! header := "eino.log" | version u32 | crc32c u32          record := len u32 | crc32c u32 | payload[len]
//! ```
//! The checksum of a record covers its length too, so that a run of zero bytes is not a record.
#![warn(clippy::indexing_slicing)]

/// Longest payload, in bytes.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

pub(crate) const VERSION: u32 = 1;
pub(crate) const SEGMENT_HEADER_BYTES: usize = 16;
pub(crate) const RECORD_HEADER_BYTES: usize = 8;

const MAGIC: &[u8; 8] = b"eino.log";

/// What the first 16 bytes of a segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Ours,
    Newer(u32),
    Bad,
}

pub(crate) fn segment_header() -> [u8; SEGMENT_HEADER_BYTES] {
    header_of_version(VERSION)
}

pub(crate) fn header_of_version(version: u32) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    let (magic, rest) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    let (version_bytes, checksum) = rest.split_at_mut(4);
    version_bytes.copy_from_slice(&version.to_le_bytes());
    checksum.copy_from_slice(&crc32c::crc32c_append(crc32c::crc32c(MAGIC), version_bytes).to_le_bytes());
    header
}

pub(crate) fn read_segment_header(header: &[u8; SEGMENT_HEADER_BYTES]) -> Header {
    let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *header;
    let version = u32::from_le_bytes([a, b, c, d]);
    if *header != header_of_version(version) {
        Header::Bad
    } else if version > VERSION {
        Header::Newer(version)
    } else {
        Header::Ours
    }
}

/// Replaces `out` by the framed `payload`, which is at most [`RECORD_BYTES_MAX`] long.
pub(crate) fn frame(payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(payload.len() <= RECORD_BYTES_MAX, "BUG: the caller checks the length");
    let len = (payload.len() as u32).to_le_bytes();
    out.clear();
    out.reserve(RECORD_HEADER_BYTES + payload.len());
    out.extend_from_slice(&len);
    out.extend_from_slice(&checksum(len, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Length and checksum of a record header.
pub(crate) fn read_record_header(header: [u8; RECORD_HEADER_BYTES]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = header;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

/// Whether `payload` is what the header with `len` and `sum` announced.
pub(crate) fn is_intact(len: u32, sum: u32, payload: &[u8]) -> bool {
    checksum(len.to_le_bytes(), payload) == sum
}

fn checksum(len: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len), payload)
}
