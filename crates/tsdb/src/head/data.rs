//! Samples of one series in memory.
//!
//! ```text
//! sealed [chunk][chunk]…   open [s s s …]   late [s s]
//!        compressed, 64 each    ascending        ascending; came after a newer sample of the series
//! ```
//! No time occurs twice, but times of `late` and of chunks made of it lie among those of the others.

use std::sync::Arc;

use model::{SampleColumns, SourceError, TimeRange};

use crate::chunk;
use crate::sample::Sample;

/// A full open column is sealed. Blocks regroup samples into longer chunks.
const SEAL_SAMPLES: usize = 64;

#[derive(Clone, Default)]
pub(crate) struct Data {
    sealed: Vec<Sealed>,
    open: Vec<Sample>,
    late: Vec<Sample>,
}

#[derive(Clone)]
struct Sealed {
    min_ms: i64,
    max_ms: i64,
    count: u32,
    bytes: Arc<[u8]>,
}

impl Data {
    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.open.is_empty() && self.late.is_empty()
    }

    pub(crate) fn sample_count(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|chunk| u64::from(chunk.count)).sum();
        sealed + (self.open.len() + self.late.len()) as u64
    }

    /// First and last time.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let sealed = self.sealed.iter().map(|chunk| (chunk.min_ms, chunk.max_ms));
        let bounds = sealed.chain(column_bounds(&self.open)).chain(column_bounds(&self.late));
        bounds.reduce(|(min, max), (other_min, other_max)| (min.min(other_min), max.max(other_max)))
    }

    /// Adds a sample that is newer than all others.
    #[inline]
    pub(super) fn push(&mut self, sample: Sample) {
        if self.open.len() >= SEAL_SAMPLES {
            self.sealed.push(seal(&self.open));
            self.open.clear();
        }
        self.open.push(sample);
    }

    /// Adds a sample whose time is taken by no other.
    pub(super) fn insert_late(&mut self, sample: Sample) {
        let at = self.late.partition_point(|other| other.ts_ms < sample.ts_ms);
        self.late.insert(at, sample);
        if self.late.len() >= SEAL_SAMPLES {
            self.sealed.push(seal(&self.late));
            self.late = Vec::new();
        }
    }

    /// The value at a time. Decodes chunks: for samples that come late.
    pub(super) fn find(&self, ts_ms: i64) -> Option<f64> {
        for column in [&self.open, &self.late] {
            if let Ok(index) = column.binary_search_by_key(&ts_ms, |sample| sample.ts_ms) {
                return column.get(index).map(|sample| sample.value);
            }
        }
        let mut columns = SampleColumns::default();
        for chunk in self.sealed.iter().filter(|chunk| chunk.min_ms <= ts_ms && ts_ms <= chunk.max_ms) {
            columns.clear();
            let decoded = chunk::decode(&chunk.bytes, &mut columns);
            debug_assert!(decoded.is_ok(), "BUG: a chunk made here does not decode");
            if let Ok(index) = columns.ts_ms.binary_search(&ts_ms) {
                return columns.values.get(index).copied();
            }
        }
        None
    }

    /// A copy of what lies in `range_ms`; sealed chunks whole and shared.
    pub(super) fn clipped(&self, range_ms: TimeRange) -> Self {
        let overlapping = self.sealed.iter().filter(|chunk| chunk.overlaps(range_ms));
        Self {
            sealed: overlapping.cloned().collect(),
            open: column_in(&self.open, range_ms).to_vec(),
            late: column_in(&self.late, range_ms).to_vec(),
        }
    }

    /// Whether a sample may lie in `range_ms`.
    pub(super) fn overlaps(&self, range_ms: TimeRange) -> bool {
        !column_in(&self.open, range_ms).is_empty()
            || self.sealed.iter().any(|chunk| chunk.overlaps(range_ms))
            || !column_in(&self.late, range_ms).is_empty()
    }

    /// Moves all samples of `other` here.
    pub(super) fn absorb(&mut self, other: Self) {
        for column in [&other.open, &other.late] {
            if !column.is_empty() {
                self.sealed.push(seal(column));
            }
        }
        self.sealed.extend(other.sealed);
    }

    /// Appends the samples of `range_ms`, and maybe others of the same chunks, to `out`: ascending only piecewise.
    pub(crate) fn read(&self, range_ms: TimeRange, out: &mut SampleColumns) -> Result<(), SourceError> {
        for chunk in self.sealed.iter().filter(|chunk| chunk.overlaps(range_ms)) {
            chunk::decode(&chunk.bytes, out)
                .map_err(|error| SourceError::Corrupt { path: "head".into(), detail: error.to_string() })?;
        }
        for column in [&self.open, &self.late] {
            for sample in column_in(column, range_ms) {
                out.push(sample.ts_ms, sample.value);
            }
        }
        Ok(())
    }
}

impl Sealed {
    fn overlaps(&self, range_ms: TimeRange) -> bool {
        self.min_ms < range_ms.end && range_ms.start <= self.max_ms
    }
}

fn seal(samples: &[Sample]) -> Sealed {
    let mut bytes = Vec::with_capacity(256);
    let ts_ms: Vec<_> = samples.iter().map(|sample| sample.ts_ms).collect();
    let values: Vec<_> = samples.iter().map(|sample| sample.value).collect();
    chunk::encode_floats(&ts_ms, &values, &[], &mut bytes);
    let (min_ms, max_ms) = column_bounds(samples).unwrap_or_default();
    Sealed { min_ms, max_ms, count: samples.len() as u32, bytes: bytes.into() }
}

fn column_bounds(column: &[Sample]) -> Option<(i64, i64)> {
    Some((column.first()?.ts_ms, column.last()?.ts_ms))
}

fn column_in(column: &[Sample], range_ms: TimeRange) -> &[Sample] {
    let start = column.partition_point(|sample| sample.ts_ms < range_ms.start);
    let end = column.partition_point(|sample| sample.ts_ms < range_ms.end);
    column.get(start..end).unwrap_or_default()
}
