//! Chunks: up to 480 samples of one series and one kind, compressed.
//!
//! ```text
//! chunk      := floats | 0 | 1 | floats | start times column | 0 | 2 | histograms       see `histogram`
//! floats     := count varint (1..=480) | times column | values
//! values     := 255 | xor                                    floats that are no short decimals
//!             | e (0..=15) | n varint | (index varint, bits[8])*n | mantissas column      value = mantissa / 10^e
//! ```
//! - Most metrics are integers or have few decimals, and their differences are small: see [`column`]. A value that
//!   is no such decimal (a NaN, a stale marker, -0.0) stands in the list of exceptions. Decoding gives back the very
//!   bits that were encoded.
//! - The first byte says the kind: a count is never 0, so that 0 announces another byte. Floats without start times are
//!   as they were before there were other kinds.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod bits;
mod column;
pub(crate) mod decimal;
mod encode;
mod histogram;
mod values;
mod xor;

use codec::{Cursor, put_varint};
use model::SampleColumns;

pub(crate) use encode::encode_columns;
pub(crate) use histogram::encode_histograms;

/// Most samples of a chunk.
pub(crate) const SAMPLES_MAX: usize = 480;

const ESCAPE: u8 = 0;
const FLOATS_SINCE: u8 = 1;
const HISTOGRAMS: u8 = 2;

/// Why bytes are not a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkError {
    #[error("{0}")]
    Codec(#[from] codec::Error),
    #[error("{0}")]
    Invalid(&'static str),
}

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Floats,
    /// Floats with the times at which their counters began.
    FloatsSince,
    Histograms,
}

/// What the first bytes of a chunk say it holds.
pub(crate) fn kind(bytes: &[u8]) -> Result<Kind, ChunkError> {
    match bytes {
        [ESCAPE, FLOATS_SINCE, ..] => Ok(Kind::FloatsSince),
        [ESCAPE, HISTOGRAMS, ..] => Ok(Kind::Histograms),
        [] | [ESCAPE, ..] => Err(ChunkError::Invalid("unknown kind of chunk")),
        _ => Ok(Kind::Floats),
    }
}

/// Appends the chunk of 1 to [`SAMPLES_MAX`] floats. `start_ms` is empty, or says since when each counts.
pub(crate) fn encode_floats(ts_ms: &[i64], values: &[f64], start_ms: &[i64], out: &mut Vec<u8>) {
    debug_assert!((1..=SAMPLES_MAX).contains(&ts_ms.len()), "BUG: chunk of {} samples", ts_ms.len());
    let has_starts = start_ms.iter().any(|start_ms| *start_ms != 0);
    if has_starts {
        out.extend_from_slice(&[ESCAPE, FLOATS_SINCE]);
    }
    put_varint(out, ts_ms.len() as u64);
    column::write_copy(ts_ms, out);
    values::write(values, out);
    if has_starts {
        column::write_copy(start_ms, out);
    }
}

/// Appends all samples of a chunk to `out`; on an error `out` is empty.
pub(crate) fn decode(bytes: &[u8], out: &mut SampleColumns) -> Result<(), ChunkError> {
    let decoded = kind(bytes).and_then(|kind| {
        let mut cursor = Cursor::new(bytes);
        cursor.take(if kind == Kind::Floats { 0 } else { 2 })?;
        match kind {
            Kind::Floats => decode_floats(&mut cursor, false, out),
            Kind::FloatsSince => decode_floats(&mut cursor, true, out),
            Kind::Histograms => histogram::decode(&mut cursor, &mut out.histograms),
        }
    });
    decoded.inspect_err(|_error| out.clear())
}

/// The newest float of a chunk of floats before `end_ms`, none when all are later. Costs a third of decoding all.
pub(crate) fn latest_float(bytes: &[u8], end_ms: i64) -> Result<Option<(i64, f64)>, ChunkError> {
    let mut cursor = Cursor::new(bytes);
    match kind(bytes)? {
        Kind::Floats => {}
        Kind::FloatsSince => drop(cursor.take(2)?),
        Kind::Histograms => return Err(ChunkError::Invalid("no floats")),
    }
    let mut integers = [0; SAMPLES_MAX];
    let (integers, _) = integers.split_at_mut(read_count(&mut cursor)?);
    column::read(&mut cursor, integers)?;
    let Some(index) = integers.partition_point(|ts_ms| *ts_ms < end_ms).checked_sub(1) else {
        return Ok(None);
    };
    let ts_ms = integers.get(index).copied().unwrap_or_default();
    values::read_one(&mut cursor, integers, index).map(|value| Some((ts_ms, value)))
}

fn decode_floats(
    cursor: &mut Cursor<'_>,
    has_starts: bool,
    out: &mut SampleColumns,
) -> Result<(), ChunkError> {
    let before = out.ts_ms.len();
    let mut integers = [0; SAMPLES_MAX];
    let (integers, _) = integers.split_at_mut(read_count(cursor)?);
    column::read(cursor, integers)?;
    out.ts_ms.extend_from_slice(integers);
    values::read(cursor, integers, &mut out.values)?;
    if has_starts {
        column::read(cursor, integers)?;
        out.start_ms.resize(before, 0);
        out.start_ms.extend_from_slice(integers);
    } else if !out.start_ms.is_empty() {
        out.start_ms.resize(out.ts_ms.len(), 0);
    }
    Ok(())
}

fn read_count(cursor: &mut Cursor<'_>) -> Result<usize, ChunkError> {
    let count = usize::try_from(cursor.varint()?).ok().filter(|count| (1..=SAMPLES_MAX).contains(count));
    count.ok_or(ChunkError::Invalid("sample count out of range"))
}

#[cfg(test)]
mod tests;
