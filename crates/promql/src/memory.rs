//! Series in memory: what scripts load, and a source for tests.
//!
//! Reset hints are answered as a store of chunks answers them: nothing is known of the first histogram of a run,
//! each further one of the run was not preceded by a reset. A reset, a change of layout or a float ends a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    Histogram, HistogramSample, LabelSet, Matcher, MetricMetadata, MetricSource, ResetHint, SampleColumns,
    SeriesSet, SourceError, TimeRange,
};

use crate::value::SampleValue;

/// Series by labels, each with its samples by time.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    series: BTreeMap<LabelSet, BTreeMap<i64, Sample>>,
}

#[derive(Clone, Debug)]
struct Sample {
    value: SampleValue,
    /// When the counter began, 0 when nobody knows.
    start_ms: i64,
}

impl MemorySource {
    /// Adds or replaces a float.
    pub fn insert(&mut self, labels: &LabelSet, ts_ms: i64, value: f64) {
        self.insert_since(labels, ts_ms, SampleValue::Float(value), 0);
    }

    /// Adds or replaces a histogram.
    pub fn insert_histogram(&mut self, labels: &LabelSet, ts_ms: i64, histogram: Arc<Histogram>) {
        self.insert_since(labels, ts_ms, SampleValue::Histogram(histogram), 0);
    }

    /// Adds or replaces a sample whose counter began at `start_ms`, 0 when nobody knows. The stale marker after a histogram is
    /// a stale histogram.
    pub fn insert_since(&mut self, labels: &LabelSet, ts_ms: i64, value: SampleValue, start_ms: i64) {
        let samples = self.series.entry(labels.clone()).or_default();
        let is_stale = matches!(value, SampleValue::Float(value) if model::is_stale_nan(value));
        let before = samples.range(..ts_ms).next_back().map(|(_, sample)| &sample.value);
        let value = if is_stale && matches!(before, Some(SampleValue::Histogram(_))) {
            SampleValue::Histogram(Arc::new(Histogram::stale()))
        } else {
            value
        };
        samples.insert(ts_ms, Sample { value, start_ms });
    }
}

/// The samples of `range_ms`, with the hints of the whole series.
fn columns(samples: &BTreeMap<i64, Sample>, range_ms: TimeRange) -> SampleColumns {
    let mut columns = SampleColumns::default();
    if range_ms.is_empty() {
        return columns;
    }
    let knows_starts = samples.values().any(|sample| sample.start_ms != 0);
    let mut before: Option<&Arc<Histogram>> = None;
    for (&ts_ms, sample) in samples.range(..range_ms.end) {
        let is_inside = ts_ms >= range_ms.start;
        match &sample.value {
            SampleValue::Float(value) => {
                before = None;
                if is_inside {
                    columns.push(ts_ms, *value);
                    if knows_starts {
                        columns.start_ms.resize(columns.ts_ms.len() - 1, 0);
                        columns.start_ms.push(sample.start_ms);
                    }
                }
            }
            SampleValue::Histogram(histogram) => {
                if is_inside {
                    let histogram = with_hint(histogram, before);
                    columns.histograms.push(HistogramSample { ts_ms, start_ms: sample.start_ms, histogram });
                }
                before = Some(histogram);
            }
        }
    }
    columns
}

fn with_hint(histogram: &Arc<Histogram>, before: Option<&Arc<Histogram>>) -> Arc<Histogram> {
    let reset_hint = match histogram.reset_hint {
        ResetHint::Gauge => ResetHint::Gauge,
        _ if before.is_some_and(|before| continues(histogram, before)) => ResetHint::NotReset,
        _ => ResetHint::Unknown,
    };
    if reset_hint == histogram.reset_hint {
        histogram.clone()
    } else {
        Arc::new(Histogram { reset_hint, ..Histogram::clone(histogram) })
    }
}

/// Whether a histogram goes into the run of the one before it.
fn continues(histogram: &Histogram, before: &Histogram) -> bool {
    if before.reset_hint == ResetHint::Gauge || histogram.reset_hint == ResetHint::Reset {
        return false;
    }
    if histogram.is_stale() {
        return true;
    }
    let unhinted = Histogram { reset_hint: ResetHint::Unknown, ..histogram.clone() };
    !before.is_stale()
        && histogram.schema == before.schema
        && histogram.zero_threshold == before.zero_threshold
        && histogram.custom_bounds == before.custom_bounds
        && !unhinted.is_reset_after(before)
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
        let passing = self.series.iter().filter(|(labels, _)| passes(labels, matchers));
        let selected = passing.map(|(labels, samples)| (labels.clone(), columns(samples, range_ms)));
        Ok(Box::new(MemorySeries(selected.filter(|(_, columns)| !columns.is_empty()).collect())))
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
