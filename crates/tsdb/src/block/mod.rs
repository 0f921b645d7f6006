//! Blocks: immutable files with the samples of all series over some time.
//!
//! ```text
//! block  := header[16] | data | index | footer[80]            00000003-00000005.blk: cuts 3 to 5, merged
//! header := "eino.blk" | version u32 | crc32c u32
//! data   := chunk*                                            all chunks of one series are neighbours
//! index  := zstd( series* )                                   ascending by labels
//! series := shared varint | rest bytes                        canonical labels: bytes shared with the previous ones
//!           | crc32c u32 of the chunks | n varint | (min_ms zigzag | max - min varint | len varint)*n
//! footer := index_offset | index_bytes | index_raw_bytes | series | samples | min_ms | max_ms | zero   8 bytes each
//!           | crc32c u32 of the index | crc32c u32 of the footer before it | "eino.end"
//! ```
//! - Written to a `.tmp` file, synced, renamed: a name that ends in `.blk` is a whole block, and the footer shows it.
//! - The index is checked on open and decoded when first asked; the chunks of a series are checked when read.
//! - A block whose range of cuts lies within another's is what that one was merged from.

mod file;
mod index;
mod set;
mod write;

pub(crate) use index::{Block, BlockIndex};
pub(crate) use set::{BlockSet, Cuts};
pub(crate) use write::BlockWriter;

const MAGIC: &[u8; 8] = b"eino.blk";
const END_MAGIC: &[u8; 8] = b"eino.end";
/// 2 has chunks of floats with start times and of histograms, which 1 has not.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 16;
const FOOTER_BYTES: usize = 80;

/// The footer's numbers, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Footer {
    index_offset: u64,
    index_bytes: u64,
    index_raw_bytes: u64,
    series: u64,
    samples: u64,
    min_ms: i64,
    max_ms: i64,
    index_sum: u32,
}

fn header(version: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&version.to_le_bytes());
    let sum = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&sum.to_le_bytes());
    header
}

impl Footer {
    fn encode(&self) -> [u8; FOOTER_BYTES] {
        let numbers = [
            self.index_offset,
            self.index_bytes,
            self.index_raw_bytes,
            self.series,
            self.samples,
            self.min_ms as u64,
            self.max_ms as u64,
            0,
        ];
        let mut out = [0; FOOTER_BYTES];
        for (place, number) in out.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        out[64..68].copy_from_slice(&self.index_sum.to_le_bytes());
        let sum = crc32c::crc32c(&out[..68]);
        out[68..72].copy_from_slice(&sum.to_le_bytes());
        out[72..].copy_from_slice(END_MAGIC);
        out
    }

    /// `None` when the bytes are no footer.
    fn decode(bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let number =
            |index: usize| bytes.as_chunks::<8>().0.get(index).map(|place| u64::from_le_bytes(*place));
        let footer = Self {
            index_offset: number(0)?,
            index_bytes: number(1)?,
            index_raw_bytes: number(2)?,
            series: number(3)?,
            samples: number(4)?,
            min_ms: number(5)? as i64,
            max_ms: number(6)? as i64,
            index_sum: (number(8)? & u64::from(u32::MAX)) as u32,
        };
        (footer.encode() == *bytes).then_some(footer)
    }
}
