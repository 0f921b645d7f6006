//! Chunks of samples as Prometheus encodes them, for remote read.
//!
//! ```text
//! chunk           := samples u16 (big-endian) · [header u8, histograms only] · bits
//! XOR             t, v · Δt, v⊕v · ΔΔt, v⊕v …                        Gorilla, with buckets of 14, 17 and 20 bits for ΔΔt
//! histogram       layout · t, count, zero, sum, bucket… · Δ, then ΔΔ of all but the sum, which is XORed
//! float histogram layout · the same, every number XORed with its predecessor
//! layout          zero threshold · schema · positive spans · negative spans · [custom bounds]
//! ```
//! A histogram chunk has one layout, and no counter reset after its first sample: the encoder begins a new chunk where
//! one of these would break. Source: Prometheus's `tsdb/docs/format/chunks.md`.

mod bits;
mod decode;
mod encode;
mod layout;

pub use decode::decode;
pub use encode::encode;

/// Bytes and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub encoding: Encoding,
    /// Times of the first and the last sample.
    pub min_ms: i64,
    pub max_ms: i64,
    pub data: Vec<u8>,
}

/// How a chunk is encoded; the numbers are Prometheus's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Xor = 1,
    Histogram = 2,
    FloatHistogram = 3,
}

impl Encoding {
    /// The encoding of this number.
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::Xor, Self::Histogram, Self::FloatHistogram].into_iter().find(|known| *known as u64 == number)
    }
}

/// Most samples of a chunk that we write, as Prometheus has it.
const SAMPLES_MAX: usize = 120;

/// The first byte of a histogram chunk's header, two bits of it.
const RESET: u8 = 0b1000_0000;
const NOT_RESET: u8 = 0b0100_0000;
const GAUGE: u8 = 0b1100_0000;

#[cfg(test)]
mod tests;
