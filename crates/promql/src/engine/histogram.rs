//! Quantiles and fractions of classic histograms: cumulative counts under upper bounds.

use super::math::almost_equal;

/// Differences of counts below this ratio are rounding.
const ROUNDING: f64 = 1e-12;

/// One bucket: how many observations were at most `upper_bound`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) upper_bound: f64,
    pub(crate) count: f64,
}

/// Buckets whose counts fell and had to be raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Raised {
    /// Bounds of the lowest and the highest of them.
    pub(crate) bucket_min: f64,
    pub(crate) bucket_max: f64,
    /// Most that a count was raised by.
    pub(crate) difference_max: f64,
}

/// A quantile, and the counts that were raised for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantile {
    pub(crate) value: f64,
    pub(crate) raised: Option<Raised>,
}

/// The φ-quantile, linear inside its bucket. `buckets` are ascending by bound.
pub(crate) fn quantile(phi: f64, buckets: &mut Vec<Bucket>) -> Quantile {
    let plain = |value| Quantile { value, raised: None };
    if phi.is_nan() {
        return plain(f64::NAN);
    }
    if phi < 0.0 {
        return plain(f64::NEG_INFINITY);
    }
    if phi > 1.0 {
        return plain(f64::INFINITY);
    }
    if buckets.last().is_none_or(|last| last.upper_bound != f64::INFINITY) {
        return plain(f64::NAN);
    }
    merge_equal_bounds(buckets);
    let raised = make_monotonic(buckets);
    let value = if buckets.len() < 2 { f64::NAN } else { interpolate(phi, buckets) };
    Quantile { value, raised }
}

fn interpolate(phi: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    let mut rank = phi * observations;
    let index = buckets[..last].iter().position(|bucket| bucket.count >= rank).unwrap_or(last);
    if index == last {
        return buckets[last - 1].upper_bound;
    }
    if index == 0 && buckets[0].upper_bound <= 0.0 {
        return buckets[0].upper_bound;
    }
    let end = buckets[index].upper_bound;
    let mut count = buckets[index].count;
    let mut start = 0.0;
    if index > 0 {
        start = buckets[index - 1].upper_bound;
        count -= buckets[index - 1].count;
        rank -= buckets[index - 1].count;
    }
    start + (end - start) * (rank / count)
}

/// The share of observations between `lower` and `upper`. `buckets` are ascending by bound.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|last| last.upper_bound != f64::INFINITY) {
        return f64::NAN;
    }
    merge_equal_bounds(buckets);
    let count = buckets.last().map_or(0.0, |last| last.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets).min(count) - rank_of(lower, buckets).min(count)) / count
}

/// How many observations are below `value`.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let mut rank = 0.0;
    let mut start = if buckets[0].upper_bound > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    for bucket in buckets {
        if start >= value {
            return rank;
        }
        if bucket.upper_bound > value {
            let share = if bucket.upper_bound == f64::INFINITY || start == f64::NEG_INFINITY {
                // Nothing is known of an open bucket: all of it counts at its closed end.
                f64::from(u8::from(start == f64::NEG_INFINITY))
            } else {
                (value - start) / (bucket.upper_bound - start)
            };
            return rank + (bucket.count - rank) * share;
        }
        rank = bucket.count;
        start = bucket.upper_bound;
    }
    rank
}

/// Adds up buckets of the same bound.
fn merge_equal_bounds(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let equal = next.upper_bound == kept.upper_bound;
        if equal {
            kept.count += next.count;
        }
        equal
    });
}

/// Raises counts that fall; small differences in either direction are levelled and not spoken of.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Raised> {
    let mut previous = buckets.first()?.count;
    let mut raised: Option<Raised> = None;
    for bucket in &mut buckets[1..] {
        if almost_equal(previous, bucket.count, ROUNDING) {
            bucket.count = previous;
        } else if bucket.count < previous {
            let (bound, difference) = (bucket.upper_bound, previous - bucket.count);
            raised = Some(match raised {
                None => Raised { bucket_min: bound, bucket_max: bound, difference_max: difference },
                Some(raised) => Raised {
                    bucket_max: bound,
                    difference_max: raised.difference_max.max(difference),
                    ..raised
                },
            });
            bucket.count = previous;
        } else {
            previous = bucket.count;
        }
    }
    raised
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(upper_bound, count)| Bucket { upper_bound: *upper_bound, count: *count }).collect()
    }

    #[test]
    fn quantile_is_linear_in_its_bucket() {
        let cases = [(0.5, 1.0), (0.25, 0.5), (1.0, 2.0), (0.0, 0.0)];
        for (phi, want) in cases {
            let mut input = buckets(&[(1.0, 2.0), (2.0, 4.0), (f64::INFINITY, 4.0)]);
            assert_eq!(quantile(phi, &mut input).value, want, "phi {phi}");
        }
    }

    #[test]
    fn falling_counts_are_raised_and_said() {
        let mut input = buckets(&[(1.0, 3.0), (2.0, 2.0), (f64::INFINITY, 4.0)]);
        let raised = Raised { bucket_min: 2.0, bucket_max: 2.0, difference_max: 1.0 };
        assert_eq!(quantile(0.5, &mut input).raised, Some(raised));
        let mut input = buckets(&[(1.0, 3.0), (2.0, 3.0 - 1e-13), (f64::INFINITY, 4.0)]);
        assert_eq!(quantile(0.5, &mut input).raised, None);
    }

    #[test]
    fn without_the_infinite_bucket_nothing_is_known() {
        assert!(quantile(0.5, &mut buckets(&[(1.0, 3.0), (2.0, 4.0)])).value.is_nan());
        assert!(fraction(0.0, 1.0, &mut buckets(&[(1.0, 3.0)])).is_nan());
    }

    #[test]
    fn fraction_between_bounds() {
        let mut input = buckets(&[(1.0, 2.0), (2.0, 4.0), (f64::INFINITY, 8.0)]);
        assert_eq!(fraction(0.5, 1.5, &mut input), 0.25);
    }
}
