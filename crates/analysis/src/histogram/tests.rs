use super::*;

fn of(values: impl IntoIterator<Item = u64>) -> ExpHistogram {
    let mut histogram = ExpHistogram::default();
    values.into_iter().for_each(|ns| histogram.observe(ns));
    histogram
}

/// Two humps, 50 µs and 20 ms apart by 400: as services with a cache have them.
fn bimodal() -> Vec<u64> {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut value = |_| {
        let median = if rng.bool() { 5e4 } else { 2e7 };
        (median * (0.5 * (rng.f64() + rng.f64() + rng.f64() - 1.5)).exp()) as u64
    };
    (0..20_000).map(&mut value).collect()
}

#[test]
fn quantiles_are_within_their_error() {
    let mut values = bimodal();
    let histogram = of(values.iter().copied());
    values.sort_unstable();
    for q in [0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0] {
        let exact = values[((q * values.len() as f64).ceil() as usize).max(1) - 1] as f64;
        let error = (histogram.quantile(q) / exact - 1.0).abs();
        assert!(error <= 0.0109, "q {q}: {error}");
    }
}

#[test]
fn bounds_are_inclusive_above() {
    for power in 0..63 {
        let value = 1_u64 << power;
        assert_eq!(index_of(value), power * 32, "2^{power} is the upper bound of its bucket");
        assert!(index_of(value + 1) >= power * 32);
    }
    assert_eq!(index_of(3), 32 + 19);
}

#[test]
fn counts_at_most_are_close_and_grow() {
    let values = bimodal();
    let histogram = of(values.iter().copied());
    let mut previous = 0;
    for bound in [1_u64, 40_000, 50_000, 1_000_000, 16_000_000, 32_000_000, 1 << 40] {
        let got = histogram.count_at_most(bound);
        let at_most = |ns: f64| values.iter().filter(|value| **value as f64 <= ns).count() as u64;
        assert!(
            got >= previous && at_most(bound as f64 / 1.023) <= got && got <= at_most(bound as f64 * 1.023)
        );
        previous = got;
    }
    assert_eq!(previous, histogram.count());
}

#[test]
fn merged_is_counted_together() {
    let values = bimodal();
    let mut merged = of(values[..5_000].iter().copied());
    merged.merge(&of(values[5_000..].iter().copied()));
    merged.merge(&ExpHistogram::default());
    let together = of(values.iter().copied());
    assert_eq!((merged.count(), merged.sum_seconds()), (together.count(), together.sum_seconds()));
    assert_eq!(merged.buckets, together.buckets);
    let mut into_empty = ExpHistogram::default();
    into_empty.merge(&together);
    assert_eq!(into_empty.quantile(0.5), together.quantile(0.5));
}

#[test]
fn a_wide_range_halves_the_resolution() {
    let wide = of([1, 1_000, 1_000_000, 1_000_000_000, u64::MAX]);
    assert!(wide.coarser > 0 && wide.buckets.len() as i32 <= BUCKETS_MAX);
    assert!((wide.quantile(0.5) / 1e6 - 1.0).abs() < 0.05, "{}", wide.quantile(0.5));
    let mut merged = of([5, 6, 7]);
    merged.merge(&wide);
    assert_eq!((merged.count(), merged.coarser), (8, wide.coarser));
    assert_eq!(merged.count_at_most(8), 4);
}

#[test]
fn nothing_and_zero() {
    let mut histogram = ExpHistogram::default();
    assert_eq!(
        (histogram.quantile(0.99), histogram.count_at_most(5), histogram.sum_seconds()),
        (0.0, 0, 0.0)
    );
    histogram.observe(0);
    assert_eq!((histogram.quantile(0.99), histogram.count_at_most(0), histogram.count()), (0.0, 1, 1));
}
