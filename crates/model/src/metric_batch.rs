//! Samples on their way into a store, and columns on their way out.
//!
//! A [`MetricBatch`] is columnar and allocates nothing per series or label:
//! ```text
//! labels   [canonical bytes of series 0 | of series 1 | …]
//! series   [(labels 0..41, samples 0..3), (labels 41..80, samples 3..4), …]
//! ts_ms    [ t t t | t | … ]
//! values   [ v v v | v | … ]
//! start_ms [ s s s | s | … ]            empty as long as no sample of the batch has one
//! ```
//! Histograms are columns of their own, and a series may have both kinds of sample.

use std::ops::Range;
use std::sync::Arc;

use crate::{Histogram, LabelError, LabelSet, LabelSetRef, encode_labels};

/// Bits of the NaN that marks a series as gone stale (Prometheus's value).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the stale marker (an ordinary NaN is not).
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Kind of a metric family, in Prometheus's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
    Unknown,
}

/// What is known of a metric family.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MetricMetadata {
    #[serde(skip)]
    pub family: String,
    #[serde(rename = "type")]
    pub kind: MetricKind,
    pub help: String,
    pub unit: String,
}

/// Samples of many series, as one request or scrape delivers them. A series may occur more than once.
#[derive(Clone, Debug, Default)]
pub struct MetricBatch {
    labels: Vec<u8>,
    series: Vec<SeriesEntry>,
    ts_ms: Vec<i64>,
    values: Vec<f64>,
    /// Empty, or as long as `ts_ms`.
    start_ms: Vec<i64>,
    histograms: Vec<HistogramSample>,
    exemplars: Vec<Exemplar>,
    /// Metadata that came along.
    pub metadata: Vec<MetricMetadata>,
}

#[derive(Clone, Debug)]
struct SeriesEntry {
    labels: Range<usize>,
    samples: Range<usize>,
    histograms: Range<usize>,
    exemplars: Range<usize>,
}

/// A native histogram at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    pub ts_ms: i64,
    /// When the counter began, 0 when nobody knows.
    pub start_ms: i64,
    pub histogram: Arc<Histogram>,
}

/// One observation that stands for many, with labels that lead to its trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: LabelSet,
    pub value: f64,
    pub ts_ms: i64,
}

/// One series of a batch.
#[derive(Clone, Copy, Debug)]
pub struct SeriesRef<'a> {
    pub labels: LabelSetRef<'a>,
    pub ts_ms: &'a [i64],
    pub values: &'a [f64],
    /// When the counter began at each sample, 0 = unknown; empty when unknown for all.
    pub start_ms: &'a [i64],
    pub histograms: &'a [HistogramSample],
    pub exemplars: &'a [Exemplar],
}

impl SeriesRef<'_> {
    /// Number of samples of both kinds.
    pub fn sample_count(&self) -> usize {
        self.ts_ms.len() + self.histograms.len()
    }
}

impl MetricBatch {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a series; [`push_sample`](Self::push_sample) adds to it. Sorts `pairs` in place.
    ///
    /// # Errors
    /// [`LabelError`] on an empty or repeated label name; the batch is then unchanged.
    pub fn start_series(&mut self, pairs: &mut [(&str, &str)]) -> Result<(), LabelError> {
        let start = self.labels.len();
        encode_labels(pairs, &mut self.labels)?;
        self.push_entry(start);
        Ok(())
    }

    /// Starts a series whose canonical label bytes are at hand.
    pub fn start_series_canonical(&mut self, labels: LabelSetRef<'_>) {
        let start = self.labels.len();
        self.labels.extend_from_slice(labels.as_bytes());
        self.push_entry(start);
    }

    fn push_entry(&mut self, labels_start: usize) {
        let nothing_from = |len: usize| len..len;
        self.series.push(SeriesEntry {
            labels: labels_start..self.labels.len(),
            samples: nothing_from(self.ts_ms.len()),
            histograms: nothing_from(self.histograms.len()),
            exemplars: nothing_from(self.exemplars.len()),
        });
    }

    /// Adds a sample to the series started last.
    ///
    /// # Panics
    /// When no series was started.
    pub fn push_sample(&mut self, ts_ms: i64, value: f64) {
        self.ts_ms.push(ts_ms);
        self.values.push(value);
        if !self.start_ms.is_empty() {
            self.start_ms.push(0);
        }
        let entry = self.series.last_mut().expect("BUG: sample before any series");
        entry.samples.end = self.ts_ms.len();
    }

    /// Adds a sample whose counter began at `start_ms`, 0 = unknown.
    ///
    /// # Panics
    /// When no series was started.
    pub fn push_sample_since(&mut self, ts_ms: i64, value: f64, start_ms: i64) {
        if start_ms != 0 && self.start_ms.is_empty() {
            self.start_ms.resize(self.ts_ms.len(), 0);
        }
        let is_first = self.start_ms.is_empty() && start_ms != 0;
        self.push_sample(ts_ms, value);
        if is_first {
            self.start_ms.push(start_ms);
        } else if let Some(last) = self.start_ms.last_mut() {
            *last = start_ms;
        }
    }

    /// Adds a histogram to the series started last.
    ///
    /// # Panics
    /// When no series was started.
    pub fn push_histogram(&mut self, sample: HistogramSample) {
        self.histograms.push(sample);
        let entry = self.series.last_mut().expect("BUG: histogram before any series");
        entry.histograms.end = self.histograms.len();
    }

    /// Adds an exemplar to the series started last.
    ///
    /// # Panics
    /// When no series was started.
    pub fn push_exemplar(&mut self, exemplar: Exemplar) {
        self.exemplars.push(exemplar);
        let entry = self.series.last_mut().expect("BUG: exemplar before any series");
        entry.exemplars.end = self.exemplars.len();
    }

    /// Adds a series with one sample.
    ///
    /// # Errors
    /// As [`start_series`](Self::start_series).
    pub fn push(&mut self, pairs: &mut [(&str, &str)], ts_ms: i64, value: f64) -> Result<(), LabelError> {
        self.start_series(pairs)?;
        self.push_sample(ts_ms, value);
        Ok(())
    }

    /// Series in the order they were added.
    pub fn series(&self) -> impl ExactSizeIterator<Item = SeriesRef<'_>> {
        self.series.iter().map(|entry| self.entry(entry))
    }

    /// Series number `index`, in the order they were added.
    #[inline]
    pub fn get(&self, index: usize) -> Option<SeriesRef<'_>> {
        self.series.get(index).map(|entry| self.entry(entry))
    }

    #[inline]
    fn entry(&self, entry: &SeriesEntry) -> SeriesRef<'_> {
        SeriesRef {
            labels: LabelSetRef::from_canonical_trusted(&self.labels[entry.labels.clone()]),
            ts_ms: &self.ts_ms[entry.samples.clone()],
            values: &self.values[entry.samples.clone()],
            start_ms: self.start_ms.get(entry.samples.clone()).unwrap_or_default(),
            histograms: &self.histograms[entry.histograms.clone()],
            exemplars: &self.exemplars[entry.exemplars.clone()],
        }
    }

    /// Number of series entries.
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Number of samples of both kinds.
    pub fn sample_count(&self) -> usize {
        self.ts_ms.len() + self.histograms.len()
    }

    /// Number of exemplars.
    pub fn exemplar_count(&self) -> usize {
        self.exemplars.len()
    }

    /// Whether there is neither sample nor exemplar nor metadata.
    pub fn is_empty(&self) -> bool {
        self.sample_count() == 0 && self.exemplars.is_empty() && self.metadata.is_empty()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.labels.clear();
        self.series.clear();
        self.ts_ms.clear();
        self.values.clear();
        self.start_ms.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.metadata.clear();
    }
}

/// Samples of one series, ascending in time. `ts_ms` and `values` are equally long and hold the floats; no time
/// occurs among both floats and histograms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampleColumns {
    pub ts_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// When the counter began at each float, 0 = unknown; empty (unknown for all) or as long as `ts_ms`.
    pub start_ms: Vec<i64>,
    /// Ascending in time.
    pub histograms: Vec<HistogramSample>,
}

impl SampleColumns {
    /// Empties all columns and keeps their memory.
    pub fn clear(&mut self) {
        self.ts_ms.clear();
        self.values.clear();
        self.start_ms.clear();
        self.histograms.clear();
    }

    /// Adds a float at the end.
    pub fn push(&mut self, ts_ms: i64, value: f64) {
        self.ts_ms.push(ts_ms);
        self.values.push(value);
        if !self.start_ms.is_empty() {
            self.start_ms.push(0);
        }
    }

    /// Moves all samples of `other` behind those that are here.
    pub fn append(&mut self, other: &mut Self) {
        if !other.start_ms.is_empty() {
            self.start_ms.resize(self.ts_ms.len(), 0);
        }
        self.ts_ms.append(&mut other.ts_ms);
        self.values.append(&mut other.values);
        self.start_ms.append(&mut other.start_ms);
        if !self.start_ms.is_empty() {
            self.start_ms.resize(self.ts_ms.len(), 0);
        }
        self.histograms.append(&mut other.histograms);
    }

    /// Number of samples of both kinds.
    pub fn len(&self) -> usize {
        self.ts_ms.len() + self.histograms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.ts_ms.is_empty() && self.histograms.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_and_samples_stay_together() {
        let mut batch = MetricBatch::new();
        batch.start_series(&mut [("job", "a"), ("__name__", "up")]).expect("valid");
        batch.push_sample(1, 1.0);
        batch.push_sample(2, 0.0);
        batch.push(&mut [("__name__", "down")], 3, 9.0).expect("valid");
        let seen: Vec<_> =
            batch.series().map(|s| (s.labels.to_string(), s.ts_ms.to_vec(), s.values.to_vec())).collect();
        assert_eq!(
            seen,
            [
                ("up{job=\"a\"}".to_owned(), vec![1, 2], vec![1.0, 0.0]),
                ("down".to_owned(), vec![3], vec![9.0])
            ]
        );
    }

    #[test]
    fn refused_labels_leave_the_batch_unchanged() {
        let mut batch = MetricBatch::new();
        batch.push(&mut [("__name__", "a")], 1, 1.0).expect("valid");
        assert!(batch.start_series(&mut [("x", "1"), ("x", "2")]).is_err());
        assert_eq!((batch.series_count(), batch.sample_count()), (1, 1));
    }

    #[test]
    fn start_times_stand_beside_their_samples() {
        let mut batch = MetricBatch::new();
        batch.push(&mut [("__name__", "a")], 1, 1.0).expect("valid");
        assert!(batch.series().all(|series| series.start_ms.is_empty()));
        batch.start_series(&mut [("__name__", "b")]).expect("valid");
        batch.push_sample(2, 2.0);
        batch.push_sample_since(3, 3.0, 1);
        batch.push_sample_since(4, 4.0, 0);
        let starts: Vec<_> = batch.series().map(|series| series.start_ms.to_vec()).collect();
        assert_eq!(starts, [vec![0], vec![0, 1, 0]]);
        let mut first = MetricBatch::new();
        first.start_series(&mut [("__name__", "c")]).expect("valid");
        first.push_sample_since(3, 3.0, 2);
        assert_eq!(first.series().next().map(|series| series.start_ms.to_vec()), Some(vec![2]));
    }

    #[test]
    fn histograms_and_exemplars_stay_with_their_series() {
        let mut batch = MetricBatch::new();
        batch.push(&mut [("__name__", "a")], 1, 1.0).expect("valid");
        batch.start_series(&mut [("__name__", "b")]).expect("valid");
        let histogram = Arc::new(Histogram::default());
        batch.push_histogram(HistogramSample { ts_ms: 2, start_ms: 0, histogram });
        batch.push_exemplar(Exemplar { labels: LabelSet::empty(), value: 1.0, ts_ms: 2 });
        let counts: Vec<_> =
            batch.series().map(|s| (s.ts_ms.len(), s.histograms.len(), s.exemplars.len())).collect();
        assert_eq!(counts, [(1, 0, 0), (0, 1, 1)]);
        assert_eq!((batch.sample_count(), batch.exemplar_count()), (2, 1));
    }

    #[test]
    fn stale_marker_is_its_own_nan() {
        assert!(is_stale_nan(stale_nan()) && !is_stale_nan(f64::NAN));
    }
}
