//! Series in memory: what scripts load, and a source for tests.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    LabelSet, Matcher, MetricMetadata, MetricSource, SampleColumns, SeriesSet, SourceError, TimeRange,
};

/// Series by labels, each with its samples by time.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    series: BTreeMap<LabelSet, BTreeMap<i64, f64>>,
    /// Series that hold native histograms. Selecting one is an error, because its answer would be wrong.
    histograms: BTreeSet<LabelSet>,
}

impl MemorySource {
    /// Adds or replaces a sample.
    pub fn insert(&mut self, labels: &LabelSet, ts_ms: i64, value: f64) {
        self.series.entry(labels.clone()).or_default().insert(ts_ms, value);
    }

    /// Notes that a series holds native histograms.
    pub fn insert_histogram(&mut self, labels: &LabelSet) {
        self.histograms.insert(labels.clone());
    }
}

struct MemorySeries(Vec<(LabelSet, SampleColumns)>);

impl SeriesSet for MemorySeries {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> &LabelSet {
        &self.0[index].0
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        out.clone_from(&self.0[index].1);
        Ok(())
    }
}

fn passes(labels: &LabelSet, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}

impl MemorySource {
    fn selected<'s>(&'s self, selectors: &'s [Vec<Matcher>]) -> impl Iterator<Item = &'s LabelSet> {
        self.series.keys().filter(move |labels| {
            selectors.is_empty() || selectors.iter().any(|matchers| passes(labels, matchers))
        })
    }
}

impl MetricSource for MemorySource {
    fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError> {
        if let Some(labels) = self.histograms.iter().find(|labels| passes(labels, matchers)) {
            return Err(SourceError::LimitExceeded(format!(
                "native histograms are not supported yet (series {labels})"
            )));
        }
        let mut selected = Vec::new();
        for (labels, samples) in self.series.iter().filter(|(labels, _)| passes(labels, matchers)) {
            let mut columns = SampleColumns::default();
            if !range_ms.is_empty() {
                for (ts_ms, value) in samples.range(range_ms.start..range_ms.end) {
                    columns.push(*ts_ms, *value);
                }
            }
            if !columns.is_empty() {
                selected.push((labels.clone(), columns));
            }
        }
        Ok(Box::new(MemorySeries(selected)))
    }

    fn label_names(&self, selectors: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<String>, SourceError> {
        let names: BTreeSet<String> = self
            .selected(selectors)
            .flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
            .collect();
        Ok(names.into_iter().collect())
    }

    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        _: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        let values: BTreeSet<String> =
            self.selected(selectors).filter_map(|labels| labels.get(name).map(str::to_owned)).collect();
        Ok(values.into_iter().collect())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError> {
        Ok(Vec::new())
    }
}
