//! Samples of one series in memory.
//!
//! ```text
//! sealed [chunk][chunk]…   tail [floats as bytes]   histograms [h h h]   late [s s] [h h]
//!        compressed, 120        ascending                ascending            ascending; came after a newer sample
//! ```
//! No time occurs twice, but times of `late` and of chunks made of it lie among those of the others.

use std::sync::Arc;

use disk::Map;
use model::{Histogram, HistogramSample, SampleColumns, TimeRange};

use super::tail::{self, Tail};
use crate::chunk::{self, ChunkError};
use crate::sample::Sample;

/// Floats are sealed into a chunk when there are so many. Blocks regroup samples into longer chunks.
const SEAL_FLOATS: usize = 120;
/// The same for histograms, which are large while they are open.
const SEAL_HISTOGRAMS: usize = 30;
/// The same for samples that came late.
const SEAL_LATE: usize = 64;

#[derive(Clone, Default)]
pub(crate) struct Data {
    pub(super) sealed: Vec<Sealed>,
    pub(super) tail: Tail,
    /// What few series have.
    pub(super) rare: Option<Box<Rare>>,
}

#[derive(Clone, Default)]
pub(crate) struct Rare {
    pub(super) histograms: Vec<HistogramSample>,
    pub(super) late: SampleColumns,
}

/// A chunk in memory or in the head's snapshot.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    pub(super) count: u32,
    pub(super) bytes: ChunkBytes,
}

#[derive(Clone)]
pub(super) enum ChunkBytes {
    Owned(Arc<[u8]>),
    Mapped { map: Arc<Map>, offset: u64, len: u32 },
}

/// What a series has at a time.
pub(super) enum Known {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Data {
    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.tail.is_empty() && self.rare.is_none()
    }

    pub(crate) fn sample_count(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|chunk| u64::from(chunk.count)).sum();
        let rare = self.rare.as_ref().map_or(0, |rare| rare.histograms.len() + rare.late.len());
        sealed + (self.tail.len() + rare) as u64
    }

    /// First and last time.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let sealed = self.sealed.iter().map(|chunk| (chunk.min_ms, chunk.max_ms));
        let bounds = sealed.chain(self.tail.bounds());
        let bounds = bounds.chain(self.rare.iter().flat_map(|rare| rare.bounds()));
        bounds.reduce(|(min, max), (other_min, other_max)| (min.min(other_min), max.max(other_max)))
    }

    /// Adds a float that is newer than all other samples.
    #[inline]
    pub(super) fn push(&mut self, sample: Sample) {
        if self.tail.len() >= SEAL_FLOATS {
            self.seal_tail();
        }
        self.tail.push(sample);
    }

    fn seal_tail(&mut self) {
        let mut columns = SampleColumns::default();
        let decoded = tail::read(self.tail.bytes(), TimeRange::ALL, &mut columns);
        debug_assert!(decoded.is_ok(), "BUG: a tail made here does not decode");
        seal(&columns, &mut self.sealed);
        self.tail.clear();
    }

    /// Adds a histogram that is newer than all other samples.
    pub(super) fn push_histogram(&mut self, sample: HistogramSample) {
        let rare = self.rare.get_or_insert_default();
        rare.histograms.push(sample);
        if rare.histograms.len() >= SEAL_HISTOGRAMS {
            let histograms = std::mem::take(&mut rare.histograms);
            seal(&SampleColumns { histograms, ..SampleColumns::default() }, &mut self.sealed);
            self.tidy_rare();
        }
    }

    /// Adds a float whose time is taken by no other sample.
    pub(super) fn insert_late(&mut self, sample: Sample) {
        let late = &mut self.rare.get_or_insert_default().late;
        let at = late.ts_ms.partition_point(|ts_ms| *ts_ms < sample.ts_ms);
        if sample.start_ms != 0 && late.start_ms.is_empty() {
            late.start_ms.resize(late.ts_ms.len(), 0);
        }
        if sample.start_ms != 0 || !late.start_ms.is_empty() {
            late.start_ms.insert(at, sample.start_ms);
        }
        late.ts_ms.insert(at, sample.ts_ms);
        late.values.insert(at, sample.value);
        self.seal_late(SEAL_LATE);
    }

    /// Adds a histogram whose time is taken by no other sample.
    pub(super) fn insert_late_histogram(&mut self, sample: HistogramSample) {
        let late = &mut self.rare.get_or_insert_default().late.histograms;
        let at = late.partition_point(|other| other.ts_ms < sample.ts_ms);
        late.insert(at, sample);
        self.seal_late(SEAL_LATE);
    }

    fn seal_late(&mut self, count: usize) {
        if let Some(rare) = &mut self.rare
            && rare.late.len() >= count
        {
            seal(&std::mem::take(&mut rare.late), &mut self.sealed);
            self.tidy_rare();
        }
    }

    fn tidy_rare(&mut self) {
        if self.rare.as_ref().is_some_and(|rare| rare.histograms.is_empty() && rare.late.is_empty()) {
            self.rare = None;
        }
    }

    /// What is there at a time. Decodes chunks: for samples that come late.
    pub(super) fn find(&self, ts_ms: i64) -> Option<Known> {
        let at = TimeRange::new(ts_ms, ts_ms.saturating_add(1));
        let mut columns = SampleColumns::default();
        let read = self.read(at, &mut columns);
        debug_assert!(read.is_ok(), "BUG: samples of the head do not decode");
        let float = columns.ts_ms.iter().position(|other| *other == ts_ms);
        if let Some(value) = float.and_then(|index| columns.values.get(index)) {
            return Some(Known::Float(*value));
        }
        let histogram = columns.histograms.into_iter().find(|sample| sample.ts_ms == ts_ms);
        histogram.map(|sample| Known::Histogram(sample.histogram))
    }

    /// Moves all samples of `other` here.
    pub(super) fn absorb(&mut self, other: Self) {
        let Self { sealed, mut tail, rare } = other;
        self.sealed.extend(sealed);
        if !tail.is_empty() {
            let taken = tail.take();
            let mut closed = Self { tail: taken, ..Self::default() };
            closed.seal_tail();
            self.sealed.append(&mut closed.sealed);
        }
        if let Some(rare) = rare {
            let Rare { histograms, late } = *rare;
            seal(&SampleColumns { histograms, ..SampleColumns::default() }, &mut self.sealed);
            seal(&late, &mut self.sealed);
        }
    }

    /// Moves all samples out.
    pub(super) fn take(&mut self) -> Self {
        Self { sealed: std::mem::take(&mut self.sealed), tail: self.tail.take(), rare: self.rare.take() }
    }

    /// Appends the samples of `range_ms`, and maybe others of the same chunks, to `out`: ascending only piecewise.
    pub(crate) fn read(&self, range_ms: TimeRange, out: &mut SampleColumns) -> Result<(), ChunkError> {
        for chunk in self.sealed.iter().filter(|chunk| chunk.overlaps(range_ms)) {
            chunk.read(out)?;
        }
        if self.tail.bounds().is_some_and(|bounds| overlaps(bounds, range_ms)) {
            tail::read(self.tail.bytes(), range_ms, out)?;
        }
        if let Some(rare) = &self.rare {
            rare.read(range_ms, out);
        }
        Ok(())
    }

    /// Whether a sample may lie in `range_ms`.
    pub(super) fn overlaps(&self, range_ms: TimeRange) -> bool {
        self.tail.bounds().is_some_and(|bounds| overlaps(bounds, range_ms))
            || self.sealed.iter().any(|chunk| chunk.overlaps(range_ms))
            || self.rare.iter().flat_map(|rare| rare.bounds()).any(|bounds| overlaps(bounds, range_ms))
    }
}

impl Rare {
    fn bounds(&self) -> impl Iterator<Item = (i64, i64)> {
        let floats = self.late.ts_ms.first().copied().zip(self.late.ts_ms.last().copied());
        let histograms = [&self.histograms, &self.late.histograms]
            .map(|column| column.first().zip(column.last()).map(|(first, last)| (first.ts_ms, last.ts_ms)));
        floats.into_iter().chain(histograms.into_iter().flatten())
    }

    /// Appends the samples of `range_ms`.
    pub(crate) fn read(&self, range_ms: TimeRange, out: &mut SampleColumns) {
        for column in [&self.histograms, &self.late.histograms] {
            out.histograms.extend(column.iter().filter(|sample| range_ms.contains(sample.ts_ms)).cloned());
        }
        for (index, &ts_ms) in
            self.late.ts_ms.iter().enumerate().filter(|(_, ts_ms)| range_ms.contains(**ts_ms))
        {
            let value = self.late.values.get(index).copied().unwrap_or_default();
            let start_ms = self.late.start_ms.get(index).copied().unwrap_or_default();
            tail::put(Sample { ts_ms, value, start_ms }, out);
        }
    }
}

impl Sealed {
    pub(super) fn overlaps(&self, range_ms: TimeRange) -> bool {
        overlaps((self.min_ms, self.max_ms), range_ms)
    }

    /// Appends all samples.
    pub(crate) fn read(&self, out: &mut SampleColumns) -> Result<(), ChunkError> {
        chunk::decode(self.bytes.as_slice(), out)
    }
}

impl ChunkBytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped { map, offset, len } => {
                let start = usize::try_from(*offset).unwrap_or(usize::MAX);
                map.get(start..start.saturating_add(*len as usize)).unwrap_or_default()
            }
        }
    }
}

/// `bounds` are first and last time.
fn overlaps((min_ms, max_ms): (i64, i64), range_ms: TimeRange) -> bool {
    min_ms < range_ms.end && range_ms.start <= max_ms
}

/// Makes chunks of `columns`.
fn seal(columns: &SampleColumns, sealed: &mut Vec<Sealed>) {
    let mut bytes = Vec::new();
    let mut rest = 0;
    for chunk in chunk::encode_columns(columns, &mut bytes) {
        let chunk_bytes = bytes.get(rest..rest + chunk.bytes).unwrap_or_default();
        rest += chunk.bytes;
        sealed.reserve_exact(1);
        sealed.push(Sealed {
            min_ms: chunk.min_ms,
            max_ms: chunk.max_ms,
            count: chunk.samples,
            bytes: ChunkBytes::Owned(chunk_bytes.into()),
        });
    }
}
