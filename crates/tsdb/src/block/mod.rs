//! Blocks: immutable files with the samples of all series over some time.
//!
//! ```text
//! block     := header | chunk groups | pages | label sections | directory | footer           00000012.blk
//!              16 B     by series      128     one per label     where they   112 B
//!                                      series  name              all are
//! series id    position in the order of labels; page = id / 128
//! matchers ──▶ label sections: value → postings (roaring) ──▶ ids ──▶ pages: labels, chunk table ──▶ chunk group
//! ```
//! - Opening reads header, footer and directory: a few bytes per 128 series and per label name. Pages and label sections
//!   are read from the map when a query needs them; decoded pages stay in a cache of bounded size.
//! - Every byte is under a checksum: groups in their page, pages and label sections in the directory, the directory in
//!   the footer, header and footer in themselves. Each is checked before it is used for the first time.
//! - Written to a `.tmp` file, synced, renamed: a name that ends in `.blk` is a whole block, and the footer shows it.
//! - A block names those it was made of, so that a crash before their removal leaves nothing twice.
//! - Versions 1 and 2 (one compressed index, no sources) are read, not written.
//!
//! Byte by byte: `docs/format/metrics.md`.

mod cache;
mod directory;
mod footer;
mod labels;
mod old;
mod page;
mod read;
mod set;
mod write;

pub(crate) use cache::PageBudget;
pub(crate) use page::{PAGE_SERIES, Page, PageSeries};
pub(crate) use read::Block;
pub(crate) use set::{BlockSet, Held, NewBlock, State};
pub(crate) use write::BlockWriter;

const MAGIC: &[u8; 8] = b"eino.blk";
const END_MAGIC: &[u8; 8] = b"eino.end";
/// 1 and 2 have one index that is decoded as a whole; 2 has chunks of histograms and with start times, which 1 has not.
const VERSION: u32 = 3;
const HEADER_BYTES: usize = 16;

/// How far apart the samples of a block are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Resolution {
    /// As they came.
    #[default]
    Raw,
    FiveMinutes,
    OneHour,
}

impl Resolution {
    /// Width of a window; 0 for raw samples.
    pub(crate) fn window_ms(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::FiveMinutes => 300_000,
            Self::OneHour => 3_600_000,
        }
    }

    fn from_window_ms(window_ms: u64) -> Option<Self> {
        [Self::Raw, Self::FiveMinutes, Self::OneHour]
            .into_iter()
            .find(|resolution| u64::try_from(resolution.window_ms()) == Ok(window_ms))
    }
}

fn header(version: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&version.to_le_bytes());
    let sum = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&sum.to_le_bytes());
    header
}
