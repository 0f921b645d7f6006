//! Blocks: immutable files of spans sorted by (trace id, start, span id).
//!
//! ```text
//! 0000000001-0000000008.blk            made of the memtables 1 to 8
//! block  := header | page* | footer | tail                       fixed numbers are little-endian
//! header := "eino.trc" | version u32 | crc32c of both u32
//! footer := one section, see [`footer`]
//! tail   := footer offset u64 | footer bytes u32 | crc32c of the footer u32 | "eino.end"
//! ```
//! - Written to `.tmp`, synced, renamed, directory synced: a block is whole or absent. The tail comes last, so a
//!   torn file shows.
//! - A block that covers the numbers of another one was merged from it; the smaller one is a leftover.
//! - A page has its checksum in the footer. A damaged page is left out of answers, counted and said once; a block
//!   whose header, tail or footer is damaged is set aside as `.bad`.

mod bloom;
mod files;
mod footer;
mod merge;
mod read;
mod write;

pub(crate) use files::{BlockId, open_all, quarantine, sync_dir};
pub(crate) use merge::{choose_merge, merge};
pub(crate) use read::Block;
pub(crate) use write::{BlockWriter, order_key};

const MAGIC: &[u8; 8] = b"eino.trc";
const END_MAGIC: &[u8; 8] = b"eino.end";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
const TAIL_BYTES: usize = 24;

/// The first bytes of a block.
fn header(version: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let (magic, rest) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    let (number, checksum) = rest.split_at_mut(4);
    number.copy_from_slice(&version.to_le_bytes());
    checksum.copy_from_slice(&crc32c::crc32c_append(crc32c::crc32c(MAGIC), number).to_le_bytes());
    header
}
