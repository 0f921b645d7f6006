//! Columns of any length and of both kinds into chunks.

use model::SampleColumns;

use super::{SAMPLES_MAX, encode_floats, encode_histograms};

/// A chunk that was made: its samples' first and last time, their number, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) samples: u32,
    pub(crate) bytes: usize,
}

/// Appends the chunks of all samples of `columns`, first those of floats, and describes them in the order in which
/// they stand. Chunks of one kind ascend in time; those of floats and of histograms may overlap.
pub(crate) fn encode_columns(columns: &SampleColumns, out: &mut Vec<u8>) -> Vec<Encoded> {
    let mut chunks = Vec::new();
    // Chunks of about equal length compress better than full ones and a stub.
    let count = columns.ts_ms.len().div_ceil(SAMPLES_MAX).max(1);
    let chunk_samples = columns.ts_ms.len().div_ceil(count).max(1);
    let mut starts = columns.start_ms.chunks(chunk_samples);
    for (ts_ms, values) in columns.ts_ms.chunks(chunk_samples).zip(columns.values.chunks(chunk_samples)) {
        let before = out.len();
        encode_floats(ts_ms, values, starts.next().unwrap_or_default(), out);
        if let (Some(&min_ms), Some(&max_ms)) = (ts_ms.first(), ts_ms.last()) {
            let samples = ts_ms.len() as u32;
            chunks.push(Encoded { min_ms, max_ms, samples, bytes: out.len() - before });
        }
    }
    let mut rest = columns.histograms.as_slice();
    while let Some(first) = rest.first() {
        let before = out.len();
        let taken = encode_histograms(rest, out);
        let (done, left) = rest.split_at(taken);
        rest = left;
        let max_ms = done.last().map_or(first.ts_ms, |last| last.ts_ms);
        let samples = done.len() as u32;
        chunks.push(Encoded { min_ms: first.ts_ms, max_ms, samples, bytes: out.len() - before });
    }
    chunks
}
