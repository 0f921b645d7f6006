//! Histograms on their way in: classic ones become native, native ones are kept within bounds.
//!
//! ```text
//! h_bucket{a, le="1"} 2   h_bucket{a, le="+Inf"} 5   h_sum{a} 9   h_count{a} 5
//!                      └─▶ h{a} = schema -53, bounds [1], buckets [2 3], count 5, sum 9
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{
    BucketSpan, Buckets, CUSTOM_BOUNDS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, Exemplar,
    Histogram, LabelSet,
};
use wire::exposition::{at_schema, parse_go_float};
use wire::text::Series;

use crate::config::HistogramSettings;
use crate::created::family_labels;

/// Classic histograms of one page, until all of their samples are seen.
#[derive(Debug, Default)]
pub(crate) struct ClassicHistograms {
    places: HashMap<LabelSet, usize>,
    entries: Vec<Classic>,
    /// Those that the page shows natively too.
    native: HashSet<LabelSet>,
}

/// The samples of one.
#[derive(Debug)]
pub(crate) struct Classic {
    /// With the family's name.
    pub(crate) labels: LabelSet,
    /// Its own time, if it has one.
    pub(crate) ts_ms: Option<i64>,
    pub(crate) start_ms: i64,
    pub(crate) exemplars: Vec<Exemplar>,
    /// Upper bound and cumulative count.
    buckets: Vec<(f64, f64)>,
    sum: f64,
    count: Option<f64>,
}

impl ClassicHistograms {
    /// Takes a sample of a histogram family; `false` when it is none of a classic histogram.
    pub(crate) fn take(
        &mut self,
        series: Series<'_>,
        value: f64,
        (ts_ms, start_ms): (Option<i64>, i64),
        exemplars: &[Exemplar],
    ) -> bool {
        let Ok(labels) = series.label_set() else { return false };
        let name = labels.metric_name();
        let bound = labels.get("le").and_then(parse_go_float);
        let is_bucket = name.ends_with("_bucket") && bound.is_some();
        let (is_sum, is_count) = (name.ends_with("_sum"), name.ends_with("_count"));
        if !(is_bucket || is_sum || is_count) {
            return false;
        }
        let Some(labels) = family_labels(series) else { return false };
        if self.native.contains(&labels) {
            return true;
        }
        let entry = self.entry(labels);
        entry.ts_ms = ts_ms;
        entry.start_ms = start_ms;
        entry.exemplars.extend_from_slice(exemplars);
        match bound {
            Some(bound) if is_bucket => entry.buckets.push((bound, value)),
            _ if is_sum => entry.sum = value,
            _ => entry.count = Some(value),
        }
        true
    }

    /// A histogram that the page shows natively: its classic samples, which follow, become nothing.
    pub(crate) fn leave_out(&mut self, series: Series<'_>) {
        self.native.extend(family_labels(series));
    }

    fn entry(&mut self, labels: LabelSet) -> &mut Classic {
        let next = self.entries.len();
        let place = *self.places.entry(labels.clone()).or_insert(next);
        if place == next {
            self.entries.push(Classic {
                labels,
                ts_ms: None,
                start_ms: 0,
                exemplars: Vec::new(),
                buckets: Vec::new(),
                sum: 0.0,
                count: None,
            });
        }
        &mut self.entries[place]
    }

    /// All of them, in the order they began.
    pub(crate) fn into_entries(self) -> Vec<Classic> {
        self.entries
    }
}

impl Classic {
    /// The native form.
    ///
    /// # Errors
    /// What makes no sense about it.
    pub(crate) fn native(&mut self) -> Result<Histogram, String> {
        self.buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
        self.buckets.dedup_by(|later, first| later.0 == first.0);
        let bounded = self.buckets.iter().filter(|(bound, _)| bound.is_finite());
        let at_infinity =
            self.buckets.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|(_, count)| *count);
        let last_bounded = bounded.clone().next_back().map_or(0.0, |(_, count)| *count);
        let count = self.count.or(at_infinity).unwrap_or(last_bounded);
        let mut before = 0.0;
        let mut counts: Vec<f64> = Vec::with_capacity(self.buckets.len() + 1);
        for cumulative in bounded.clone().map(|(_, cumulative)| *cumulative).chain([count]) {
            counts.push(cumulative - before);
            before = cumulative;
        }
        let length = u32::try_from(counts.len()).map_err(|_| "too many buckets".to_owned())?;
        let histogram = Histogram {
            schema: CUSTOM_BOUNDS_SCHEMA,
            is_float: counts.iter().any(|count| count.fract() != 0.0),
            count,
            sum: self.sum,
            custom_bounds: bounded.map(|(bound, _)| *bound).collect(),
            positive: Buckets { spans: vec![BucketSpan { offset: 0, length }], counts },
            ..Histogram::default()
        };
        histogram.validate().map_err(|error| format!("{}: {error}", self.labels))?;
        Ok(histogram)
    }
}

/// The histogram within the bounds of the settings: a finer one is merged down.
///
/// # Errors
/// A sentence that names the limit, when it cannot be merged down far enough.
pub(crate) fn bounded(
    histogram: Arc<Histogram>,
    settings: &HistogramSettings,
) -> Result<Arc<Histogram>, String> {
    if histogram.is_stale() {
        return Ok(histogram);
    }
    let mut bounded = histogram;
    let finest = finest_schema(settings.bucket_factor_min);
    if !bounded.has_custom_bounds() && bounded.schema > finest {
        bounded = Arc::new(at_schema(&bounded, finest));
    }
    let count =
        |histogram: &Histogram| (histogram.positive.counts.len() + histogram.negative.counts.len()) as u64;
    let limit = settings.buckets_max;
    while limit > 0 && count(&bounded) > limit {
        if bounded.has_custom_bounds() || bounded.schema == EXPONENTIAL_SCHEMA_MIN {
            return Err(format!(
                "histogram bucket limit exceeded: {} buckets, native_histogram_bucket_limit = {limit}",
                count(&bounded)
            ));
        }
        bounded = Arc::new(at_schema(&bounded, bounded.schema - 1));
    }
    Ok(bounded)
}

/// The finest schema whose buckets grow by at least `factor`.
fn finest_schema(factor: f64) -> i32 {
    if factor <= 1.0 {
        return EXPONENTIAL_SCHEMA_MAX;
    }
    let schema = (-factor.log2().log2()).floor();
    schema.clamp(f64::from(EXPONENTIAL_SCHEMA_MIN), f64::from(EXPONENTIAL_SCHEMA_MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_choose_schemas() {
        for (factor, want) in [(0.0, 8), (1.0, 8), (1.1, 2), (1.2, 1), (2.0, 0), (4.0, -1), (1e300, -4)] {
            assert_eq!(finest_schema(factor), want, "{factor}");
        }
    }

    #[test]
    fn too_many_buckets_are_merged_or_refused() {
        let positive = Buckets { spans: vec![BucketSpan { offset: 1, length: 16 }], counts: vec![1.0; 16] };
        let histogram = Arc::new(Histogram { schema: 3, count: 16.0, positive, ..Histogram::default() });
        let at_most = |buckets_max| HistogramSettings { buckets_max, ..HistogramSettings::default() };
        let merged = bounded(Arc::clone(&histogram), &at_most(4)).expect("can be merged");
        assert_eq!((merged.schema, &*merged.positive.counts), (1, &[4.0; 4][..]));
        let custom = Histogram {
            schema: CUSTOM_BOUNDS_SCHEMA,
            custom_bounds: (0..15).map(f64::from).collect(),
            positive: Buckets { spans: vec![BucketSpan { offset: 0, length: 16 }], counts: vec![1.0; 16] },
            ..Histogram::default()
        };
        let refused = bounded(Arc::new(custom), &at_most(4)).expect_err("cannot be merged");
        assert_eq!(refused, "histogram bucket limit exceeded: 16 buckets, native_histogram_bucket_limit = 4");
    }
}
