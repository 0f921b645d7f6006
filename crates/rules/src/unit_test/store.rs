//! The store of one test: input series that appear as time goes by, and what rules write.

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{
    Appended, LabelSet, Matcher, MetricBatch, MetricMetadata, MetricSink, MetricSource, SeriesSet, SinkError,
    SourceError, TimeRange,
};
use promql::MemorySource;

/// Samples in memory, behind both seams. The lock protects the samples and is held for one call.
#[derive(Debug, Default)]
pub(super) struct TestStore(Mutex<MemorySource>);

impl TestStore {
    pub(super) fn lock(&self) -> MutexGuard<'_, MemorySource> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetricSink for TestStore {
    fn append(&self, batch: &MetricBatch) -> Result<Appended, SinkError> {
        let mut source = self.lock();
        let mut appended = Appended::default();
        for series in batch.series() {
            let labels: LabelSet = series.labels.to_owned();
            for (ts_ms, value) in series.ts_ms.iter().zip(series.values) {
                source.insert(&labels, *ts_ms, *value);
            }
            for sample in series.histograms {
                source.insert_histogram(&labels, sample.ts_ms, sample.histogram.clone());
            }
            appended.accepted += series.sample_count() as u64;
        }
        Ok(appended)
    }
}

impl MetricSource for TestStore {
    fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError> {
        self.lock().select(matchers, range_ms)
    }

    fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        self.lock().label_names(selectors, range_ms)
    }

    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        self.lock().label_values(name, selectors, range_ms)
    }

    fn metadata(&self, family: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError> {
        self.lock().metadata(family)
    }
}
