//! Labels of a point's series, and its samples on their way into the batch.

use std::sync::Arc;

use model::{Attributes, Exemplar, Histogram, HistogramSample, METRIC_NAME, MetricBatch, encode_labels};

use super::naming::label_name;
use super::options::MetricOptions;

/// Name and value, owned.
pub(super) type Label = (String, String);

/// The samples of one data point: several series that differ in name suffix and one label.
pub(super) struct PointSeries {
    pub(super) family: String,
    pub(super) labels: Vec<Label>,
    pub(super) ts_ms: i64,
    /// 0 = unknown.
    pub(super) start_ms: i64,
    samples: Vec<PointSample>,
}

struct PointSample {
    suffix: &'static str,
    extra: Option<Label>,
    value: Value,
    exemplars: Vec<Exemplar>,
}

enum Value {
    Float(f64),
    Native(Arc<Histogram>),
}

impl PointSeries {
    pub(super) fn new(family: &str, labels: Vec<Label>, ts_ms: i64, start_ms: i64) -> Self {
        Self { family: family.to_owned(), labels, ts_ms, start_ms, samples: Vec::new() }
    }

    /// Adds a float under the family's name with `suffix`, and with one more label.
    pub(super) fn push(&mut self, suffix: &'static str, extra: Option<(&'static str, String)>, value: f64) {
        let extra = extra.map(|(name, value)| (name.to_owned(), value));
        self.samples.push(PointSample { suffix, extra, value: Value::Float(value), exemplars: Vec::new() });
    }

    pub(super) fn push_histogram(&mut self, histogram: Histogram) {
        let value = Value::Native(Arc::new(histogram));
        self.samples.push(PointSample { suffix: "", extra: None, value, exemplars: Vec::new() });
    }

    /// Gives exemplars to the sample added last.
    pub(super) fn attach(&mut self, exemplars: impl IntoIterator<Item = Exemplar>) {
        let Some(sample) = self.samples.last_mut() else { return };
        // An exemplar without a time of its own has the point's.
        let ts_ms = self.ts_ms;
        sample.exemplars.extend(exemplars.into_iter().map(|exemplar| Exemplar {
            ts_ms: if exemplar.ts_ms == 0 { ts_ms } else { exemplar.ts_ms },
            ..exemplar
        }));
    }

    /// Bytes that tell this point's stream from all others.
    ///
    /// # Errors
    /// What is wrong with the labels.
    pub(super) fn key(&self) -> Result<Vec<u8>, String> {
        let mut key = Vec::new();
        encode_labels(&mut self.pairs(&self.family, None), &mut key)
            .map_err(|error| format!("{error} in {:?}", self.family))?;
        Ok(key)
    }

    /// Moves the samples into the batch.
    ///
    /// # Errors
    /// What is wrong with the labels.
    pub(super) fn add_to(&mut self, batch: &mut MetricBatch) -> Result<(), String> {
        let samples = std::mem::take(&mut self.samples);
        let (ts_ms, start_ms) = (self.ts_ms, self.start_ms);
        for sample in samples {
            let name = format!("{}{}", self.family, sample.suffix);
            let mut pairs = self.pairs(&name, sample.extra.as_ref());
            batch.start_series(&mut pairs).map_err(|error| format!("{error} in {name:?}"))?;
            match sample.value {
                Value::Float(value) => batch.push_sample_since(ts_ms, value, start_ms),
                Value::Native(histogram) => {
                    batch.push_histogram(HistogramSample { ts_ms, start_ms, histogram });
                }
            }
            sample.exemplars.into_iter().for_each(|exemplar| batch.push_exemplar(exemplar));
        }
        Ok(())
    }

    fn pairs<'p>(&'p self, name: &'p str, extra: Option<&'p Label>) -> Vec<(&'p str, &'p str)> {
        let own = self.labels.iter().filter(|(name, _)| extra.is_none_or(|(taken, _)| name != taken));
        let text = |(name, value): &'p Label| (name.as_str(), value.as_str());
        own.map(text).chain([(METRIC_NAME, name)]).chain(extra.map(text)).collect()
    }
}

/// Attributes as labels. Keys that become the same label name share it: their values are joined with `;`, in the order
/// of the keys.
pub(super) fn point_labels<'k>(
    attributes: impl IntoIterator<Item = &'k (Arc<str>, model::AttributeValue)>,
    options: &MetricOptions,
) -> Vec<Label> {
    let mut sorted: Vec<_> = attributes.into_iter().collect();
    sorted.sort_by(|(left, _), (right, _)| left.cmp(right));
    sorted.dedup_by(|(later, _), (first, _)| later == first);
    let mut labels: Vec<Label> = Vec::with_capacity(sorted.len() + 4);
    for (key, value) in sorted {
        let name = label_name(key, options);
        match labels.iter_mut().find(|(taken, _)| *taken == *name) {
            Some((_, joined)) => *joined = format!("{joined};{value}"),
            None => labels.push((name.into_owned(), value.to_string())),
        }
    }
    labels.retain(|(name, _)| name != METRIC_NAME);
    labels
}

/// Sets a label over whatever had its name; an empty value leaves things as they are.
pub(super) fn set(labels: &mut Vec<Label>, name: &str, value: &str) {
    if !value.is_empty() {
        labels.retain(|(taken, _)| taken != name);
        labels.push((name.to_owned(), value.to_owned()));
    }
}

/// The resource attributes that settings make labels of every series.
pub(super) fn promoted(attributes: &Attributes, options: &MetricOptions) -> Vec<Label> {
    let is_promoted = |key: &str| {
        if options.promote_all_resource_attributes {
            !options.ignore_resource_attributes.iter().any(|ignored| ignored == key)
        } else {
            options.promote_resource_attributes.iter().any(|promoted| promoted == key)
        }
    };
    point_labels(attributes.iter().filter(|(key, _)| is_promoted(key)), options)
}
