//! Series and pairs in a snapshot.
//!
//! ```text
//! pairs    := (id varint, pair bytes)*
//! shard    := series*
//! series   := n varint, pair id varint*n | newest time zigzag | last histogram chunk bytes (empty: none)
//!           | tail | n varint, chunk*n | histograms | late
//! tail     := last time zigzag | last value u64 | last start zigzag | step varint | exponent u8 | count u8 | bytes
//! chunk    := min zigzag | max - min varint | samples varint | bytes
//! histograms, late := n varint, chunk bytes*n
//! ```

use std::sync::Arc;

use codec::{Cursor, put_bytes, put_varint, zigzag};
use disk::Map;
use model::SampleColumns;

use super::super::data::{ChunkBytes, Data, Rare, Sealed};
use super::super::series::Series;
use super::super::tail::Tail;
use crate::chunk::{self, ChunkError};
use crate::index::PairId;

/// Most pairs of a series: bounds what a forged count makes us allocate.
const PAIRS_MAX: u64 = 1 << 16;

pub(super) fn put_series(pairs: &[PairId], series: &Series, out: &mut Vec<u8>) {
    put_varint(out, pairs.len() as u64);
    pairs.iter().for_each(|id| put_varint(out, u64::from(*id)));
    put_varint(out, zigzag(series.newest_ms));
    let histograms = series.last_histogram.iter().map(|last| last.as_ref().clone()).collect();
    put_bytes(out, &encoded(&SampleColumns { histograms, ..SampleColumns::default() }));
    match &series.frozen {
        Some(frozen) => {
            let mut all = frozen.as_ref().clone();
            all.absorb(series.live.clone());
            // The tail of the live data is where the newest sample is known from.
            put_data(&Data { tail: series.live.tail.clone().take_last(), ..all }, out);
        }
        None => put_data(&series.live, out),
    }
}

fn put_data(data: &Data, out: &mut Vec<u8>) {
    data.tail.put(out);
    put_varint(out, data.sealed.len() as u64);
    for chunk in &data.sealed {
        put_varint(out, zigzag(chunk.min_ms));
        put_varint(out, chunk.max_ms.wrapping_sub(chunk.min_ms) as u64);
        put_varint(out, u64::from(chunk.count));
        put_bytes(out, chunk.bytes.as_slice());
    }
    let none = Rare::default();
    let rare = data.rare.as_deref().unwrap_or(&none);
    put_columns(&SampleColumns { histograms: rare.histograms.clone(), ..SampleColumns::default() }, out);
    put_columns(&rare.late, out);
}

fn put_columns(columns: &SampleColumns, out: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    let chunks = chunk::encode_columns(columns, &mut bytes);
    put_varint(out, chunks.len() as u64);
    let mut rest = bytes.as_slice();
    for chunk in chunks {
        let (bytes, after) = rest.split_at(chunk.bytes);
        rest = after;
        put_bytes(out, bytes);
    }
}

/// One chunk, or nothing when there is no sample.
fn encoded(columns: &SampleColumns) -> Vec<u8> {
    let mut bytes = Vec::new();
    chunk::encode_columns(columns, &mut bytes);
    bytes
}

/// A series as it stands in a snapshot.
pub(super) struct Stored {
    pub(super) pairs: Vec<PairId>,
    pub(super) newest_ms: i64,
    pub(super) last_histogram: Option<model::HistogramSample>,
    pub(super) data: Data,
}

/// Reads the series at `cursor`, which runs over `map` from `offset` on.
pub(super) fn read_series(
    cursor: &mut Cursor<'_>,
    map: &Arc<Map>,
    offset: u64,
) -> Result<Stored, ChunkError> {
    let count = cursor.varint()?;
    if count > PAIRS_MAX {
        return Err(ChunkError::Invalid("too many labels"));
    }
    let mut pairs = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let id = u32::try_from(cursor.varint()?).map_err(|_| ChunkError::Invalid("pair id out of range"))?;
        pairs.push(id);
    }
    let newest_ms = cursor.signed_varint()?;
    let mut last = SampleColumns::default();
    let last_bytes = cursor.bytes()?;
    if !last_bytes.is_empty() {
        chunk::decode(last_bytes, &mut last)?;
    }
    let tail = Tail::read(cursor)?;
    let mut sealed = Vec::new();
    for _ in 0..cursor.varint()? {
        sealed.push(read_sealed(cursor, map, offset)?);
    }
    sealed.shrink_to_fit();
    let histograms = read_columns(cursor)?.histograms;
    let late = read_columns(cursor)?;
    let has_rare = !histograms.is_empty() || !late.is_empty();
    let rare = has_rare.then(|| Box::new(Rare { histograms, late }));
    Ok(Stored { pairs, newest_ms, last_histogram: last.histograms.pop(), data: Data { sealed, tail, rare } })
}

fn read_sealed(cursor: &mut Cursor<'_>, map: &Arc<Map>, offset: u64) -> Result<Sealed, ChunkError> {
    let min_ms = cursor.signed_varint()?;
    let max_ms = min_ms.wrapping_add(cursor.varint()? as i64);
    let count =
        u32::try_from(cursor.varint()?).map_err(|_| ChunkError::Invalid("sample count out of range"))?;
    let len = u32::try_from(cursor.bytes()?.len()).map_err(|_| ChunkError::Invalid("chunk too long"))?;
    let end = offset + cursor.offset() as u64;
    let bytes = ChunkBytes::Mapped { map: Arc::clone(map), offset: end - u64::from(len), len };
    Ok(Sealed { min_ms, max_ms, count, bytes })
}

fn read_columns(cursor: &mut Cursor<'_>) -> Result<SampleColumns, ChunkError> {
    let mut columns = SampleColumns::default();
    for _ in 0..cursor.varint()? {
        chunk::decode(cursor.bytes()?, &mut columns)?;
    }
    Ok(columns)
}
