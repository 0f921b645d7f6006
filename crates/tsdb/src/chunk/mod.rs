//! Chunks: up to 240 samples of one series, compressed.
//!
//! ```text
//! chunk  := count varint | times column | values
//! values := 255 | xor                                        floats that are no short decimals
//!         | e (0..=15) | n varint | (index varint, bits[8])*n | mantissas column      value = mantissa / 10^e
//! ```
//! Most metrics are integers or have few decimals, and their differences are small: see [`column`]. A value that
//! is no such decimal (a NaN, a stale marker, -0.0) stands in the list of exceptions. Decoding gives back the very
//! bits that were encoded.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod bits;
mod column;
mod decimal;
mod xor;

use codec::{Cursor, put_varint};
use model::SampleColumns;

use crate::sample::Sample;

/// Most samples of a chunk.
pub(crate) const SAMPLES_MAX: usize = 240;

const XOR: u8 = 255;

/// Why bytes are not a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkError {
    #[error("{0}")]
    Codec(#[from] codec::Error),
    #[error("{0}")]
    Invalid(&'static str),
}

/// Appends the encoding of 1 to [`SAMPLES_MAX`] samples.
pub(crate) fn encode(samples: &[Sample], out: &mut Vec<u8>) {
    debug_assert!((1..=SAMPLES_MAX).contains(&samples.len()), "BUG: chunk of {} samples", samples.len());
    put_varint(out, samples.len() as u64);
    let mut integers = [0; SAMPLES_MAX];
    let (integers, _) = integers.split_at_mut(samples.len());
    for (slot, sample) in integers.iter_mut().zip(samples) {
        *slot = sample.ts_ms;
    }
    column::write(integers, out);
    match decimal::scale(samples, integers) {
        Some(scaled) => {
            out.push(scaled.exponent);
            put_varint(out, scaled.exceptions.len() as u64);
            for (index, bits) in scaled.exceptions {
                put_varint(out, u64::from(index));
                out.extend_from_slice(&bits.to_le_bytes());
            }
            column::write(integers, out);
        }
        None => {
            out.push(XOR);
            xor::write(samples, out);
        }
    }
}

/// Appends all samples of a chunk to `out`.
pub(crate) fn decode(bytes: &[u8], out: &mut SampleColumns) -> Result<(), ChunkError> {
    let mut cursor = Cursor::new(bytes);
    let count = cursor.varint()?;
    let count = usize::try_from(count).ok().filter(|count| (1..=SAMPLES_MAX).contains(count));
    let count = count.ok_or(ChunkError::Invalid("sample count out of range"))?;
    let mut integers = [0; SAMPLES_MAX];
    let (integers, _) = integers.split_at_mut(count);
    column::read(&mut cursor, integers)?;
    out.ts_ms.extend_from_slice(integers);
    let outcome = decode_values(&mut cursor, integers, &mut out.values);
    if outcome.is_err() {
        out.clear();
    }
    outcome
}

fn decode_values(
    cursor: &mut Cursor<'_>,
    integers: &mut [i64],
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let start = out.len();
    let exponent = cursor.u8()?;
    if exponent == XOR {
        return xor::read(cursor, integers.len(), out);
    }
    let exception_count = cursor.varint()?;
    let mut exceptions = cursor.clone();
    for _ in 0..exception_count {
        cursor.varint()?;
        cursor.take(8)?;
    }
    column::read(cursor, integers)?;
    decimal::unscale(integers, exponent, out)?;
    for _ in 0..exception_count {
        let index = usize::try_from(exceptions.varint()?).unwrap_or(usize::MAX);
        let bits = u64::from_le_bytes(exceptions.array()?);
        let slot = start.checked_add(index).and_then(|index| out.get_mut(index));
        *slot.ok_or(ChunkError::Invalid("exception out of range"))? = f64::from_bits(bits);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
