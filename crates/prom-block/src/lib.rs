//! Reads the blocks of a Prometheus data directory: what an import needs, and no more.
//!
//! ```text
//! <dir>/01HX…/meta.json             times and version
//!             index                 symbols | series | postings of all series | table of contents     (big-endian)
//!             chunks/000001 …       length | encoding | data | crc32c
//!             tombstones            deleted times of series
//! series entry: labels as symbol numbers, chunks as [first, last] time and place ──▶ chunk ──▶ samples − tombstones
//! ```
//! - Index versions 1 and 2; chunks of floats (XOR), native histograms and float histograms. Another encoding is an error
//!   that names it.
//! - Every checksum on the way is checked. Nothing that a file says makes it panic or allocate more than the file holds.
//! - It reads neither the write-ahead log nor the head's chunks: ask Prometheus for a snapshot to have those in blocks.
//!
//! Formats: <https://github.com/prometheus/prometheus/tree/main/tsdb/docs/format>.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod bits;
mod block;
mod bytes;
mod float_chunk;
mod histogram_chunk;
mod index;
mod tombstones;

use std::io;
use std::path::PathBuf;

pub use block::{Block, BlockMeta, Series, block_dirs};

/// Why a block can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk said no.
    #[error("cannot read {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The bytes are damaged or no block's.
    #[error("{} is damaged: {detail}", .path.display())]
    Corrupt { path: PathBuf, detail: String },
    /// A newer Prometheus wrote it.
    #[error("{}: {what} {found} is not known here", .path.display())]
    Unsupported { path: PathBuf, what: &'static str, found: u64 },
}

#[cfg(test)]
mod tests;
