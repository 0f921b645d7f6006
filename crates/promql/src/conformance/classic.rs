//! Classic histograms to native ones with custom bounds: what `load_with_nhcb` stores beside what it loads.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Buckets, CUSTOM_BOUNDS_SCHEMA, Histogram, LabelSet, METRIC_NAME};

/// Collects `…_bucket`, `…_count` and `…_sum` of all histograms.
#[derive(Debug, Default)]
pub(super) struct ClassicHistograms(BTreeMap<(LabelSet, i64), Parts>);

/// One histogram at one time.
#[derive(Debug, Default)]
struct Parts {
    /// Ascending: (upper bound, cumulative count).
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl ClassicHistograms {
    /// Takes a sample, if it is part of a histogram.
    pub(super) fn add(&mut self, labels: &LabelSet, ts_ms: i64, value: f64) {
        let name = labels.metric_name();
        let base = |suffix: &str| {
            let family = name.strip_suffix(suffix)?;
            let mut builder = labels.to_builder();
            builder.set(METRIC_NAME, family).remove("le");
            Some((builder.build(), ts_ms))
        };
        if let Some(key) = base("_bucket") {
            let bound = labels.get("le").unwrap_or_default();
            let Ok(bound) = crate::series::parse_value(bound) else { return };
            let buckets = &mut self.0.entry(key).or_default().buckets;
            let position = buckets.partition_point(|(other, _)| *other < bound);
            if buckets.get(position).is_none_or(|(other, _)| *other != bound) {
                buckets.insert(position, (bound, value));
            }
        } else if let Some(key) = base("_count") {
            self.0.entry(key).or_default().count = Some(value);
        } else if let Some(key) = base("_sum") {
            self.0.entry(key).or_default().sum = value;
        }
    }

    /// The native histograms, ascending by labels and time.
    pub(super) fn into_native(self) -> impl Iterator<Item = (LabelSet, i64, Arc<Histogram>)> {
        self.0.into_iter().map(|((labels, ts_ms), parts)| (labels, ts_ms, Arc::new(parts.native())))
    }
}

impl Parts {
    fn native(mut self) -> Histogram {
        let last = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let count = self.count.unwrap_or(last);
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let counts = self.buckets.iter().enumerate().map(|(index, (_, count))| {
            let own = count - before;
            before = *count;
            (i32::try_from(index).unwrap_or(i32::MAX), own)
        });
        let positive = Buckets::from_ascending(counts).compacted();
        let bounds = self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite());
        Histogram {
            schema: CUSTOM_BOUNDS_SCHEMA,
            is_float: true,
            count,
            sum: self.sum,
            positive,
            custom_bounds: bounds.collect(),
            ..Histogram::default()
        }
    }
}
