//! Quantiles, fractions and variances of native histograms.
//!
//! ```text
//! exponential buckets   interpolated on a logarithmic scale: all are equally wide there
//! custom, zero bucket   linear; a zero bucket reaches only to the side where other observations are
//! NaN observations      in no bucket: they count as larger than all others
//! ```
//! Definitions: <https://prometheus.io/docs/specs/native_histograms/#promql>.

use model::{Bucket, Buckets, Histogram, KahanSum};

use super::annotations::Note;
use crate::functions::Statistic;

/// The φ-quantile, and what has to be said of it.
pub(crate) fn quantile(phi: f64, histogram: &Histogram, metric: &str) -> (f64, Option<Note>) {
    if phi < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if phi > 1.0 {
        return (f64::INFINITY, None);
    }
    if histogram.count == 0.0 || phi.is_nan() {
        return (f64::NAN, None);
    }
    // From below where NaN observations make the distance to the top unknown, else from the nearer end.
    let from_below = histogram.sum.is_nan() || phi < 0.5;
    let buckets: Vec<Bucket> = histogram.all_buckets().filter(|bucket| bucket.count != 0.0).collect();
    let rank = if from_below { phi } else { 1.0 - phi } * histogram.count;
    let found = if from_below { find(buckets.iter(), rank) } else { find(buckets.iter().rev(), rank) };
    let Some((bucket, count)) = found else {
        let note = histogram.sum.is_nan().then(|| Note::quantile_is_nan(metric));
        return (if note.is_some() { f64::NAN } else { 0.0 }, note);
    };
    let bucket = match bounded(bucket, histogram) {
        Ok(bucket) => bucket,
        Err(value) => return (value, None),
    };
    let count = count.min(histogram.count);
    if count < rank {
        // Only NaN observations are beyond the last bucket.
        return if histogram.sum.is_nan() {
            (f64::NAN, Some(Note::quantile_is_nan(metric)))
        } else {
            (bucket.upper, None)
        };
    }
    let observed: f64 = buckets.iter().map(|bucket| bucket.count).sum();
    let is_skewed = histogram.sum.is_nan() && observed < histogram.count;
    let note = is_skewed.then(|| Note::quantile_is_skewed(metric));
    let into_bucket = if from_below { rank - (count - bucket.count) } else { count - rank };
    (interpolate(&bucket, into_bucket / bucket.count, histogram.has_custom_bounds()), note)
}

/// The bucket that `rank` falls into, or the last, with the count up to its end.
fn find<'b>(buckets: impl Iterator<Item = &'b Bucket>, rank: f64) -> Option<(Bucket, f64)> {
    let mut found = None;
    let mut count = 0.0;
    for bucket in buckets {
        count += bucket.count;
        found = Some((*bucket, count));
        if count >= rank {
            break;
        }
    }
    found
}

/// The bucket with finite bounds, or the only value that can be said of it.
fn bounded(mut bucket: Bucket, histogram: &Histogram) -> Result<Bucket, f64> {
    if !histogram.has_custom_bounds() {
        if bucket.lower < 0.0 && bucket.upper > 0.0 {
            narrow_zero_bucket(&mut bucket, histogram);
        }
        return Ok(bucket);
    }
    if bucket.lower == f64::NEG_INFINITY {
        if bucket.upper <= 0.0 {
            return Err(bucket.upper);
        }
        bucket.lower = 0.0;
    } else if bucket.upper == f64::INFINITY {
        return Err(bucket.lower);
    }
    Ok(bucket)
}

/// Without observations on one side, the zero bucket ends at zero there.
fn narrow_zero_bucket(bucket: &mut Bucket, histogram: &Histogram) {
    let is_empty = |buckets: &Buckets| buckets.counts.is_empty();
    match (is_empty(&histogram.negative), is_empty(&histogram.positive)) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}

fn interpolate(bucket: &Bucket, fraction: f64, is_custom: bool) -> f64 {
    if is_custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        (lower + (upper - lower) * fraction).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - fraction)).exp2()
    }
}

/// The share of observations between `lower` and `upper`, and what has to be said of it.
pub(crate) fn fraction(lower: f64, upper: f64, histogram: &Histogram, metric: &str) -> (f64, Option<Note>) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, None);
    }
    if lower >= upper {
        return (0.0, None);
    }
    let buckets: Vec<Bucket> = histogram.all_buckets().collect();
    let mut observed = histogram.count;
    let mut note = None;
    if histogram.sum.is_nan() {
        observed = buckets.iter().map(|bucket| bucket.count).sum();
        note = (observed < histogram.count).then(|| Note::fraction_excludes_nan(metric));
    }
    let rank = |value: f64| rank_of(value, &buckets, histogram).map_or(observed, |rank| rank.min(observed));
    ((rank(upper) - rank(lower)) / histogram.count, note)
}

/// How many observations are below `value`; nothing when it is above all buckets.
fn rank_of(value: f64, buckets: &[Bucket], histogram: &Histogram) -> Option<f64> {
    let mut rank = 0.0;
    for bucket in buckets {
        let mut bucket = *bucket;
        let is_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        if is_zero {
            narrow_zero_bucket(&mut bucket, histogram);
        }
        if bucket.lower >= value {
            return Some(rank);
        }
        if bucket.upper > value {
            // Nothing is known of the open first bucket: all of it counts.
            return Some(if bucket.lower == f64::NEG_INFINITY {
                bucket.count
            } else {
                let linear = histogram.has_custom_bounds() || is_zero;
                rank + bucket.count * bucket.fraction_below(value, linear)
            });
        }
        rank += bucket.count;
    }
    None
}

/// What is read off a histogram.
pub(crate) fn statistic(statistic: Statistic, histogram: &Histogram) -> f64 {
    match statistic {
        Statistic::Count => histogram.count,
        Statistic::Sum => histogram.sum,
        Statistic::Average => histogram.sum / histogram.count,
        Statistic::Variance => variance(histogram),
        Statistic::Deviation => variance(histogram).sqrt(),
    }
}

/// Each bucket stands for its middle: the geometric mean of its bounds, the arithmetic one in custom buckets, zero in
/// the zero bucket.
fn variance(histogram: &Histogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut squares = KahanSum::default();
    for bucket in histogram.all_buckets().filter(|bucket| bucket.count != 0.0) {
        let middle = if histogram.has_custom_bounds() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt() * if bucket.upper < 0.0 { -1.0 } else { 1.0 }
        };
        let delta = middle - mean;
        squares.add(bucket.count * delta * delta);
    }
    squares.total() / histogram.count
}
