//! Exact quantiles of a few values: nearest rank, so that the answer is one of the values.

/// Index of quantile `q` (0 to 1) among `count` sorted values; 0 when there are none.
pub(crate) fn rank(q: f64, count: usize) -> usize {
    let rank = (q * count as f64).ceil() as usize;
    rank.clamp(1, count.max(1)) - 1
}

/// Quantile `q` of values ascending; 0 when there are none.
pub(crate) fn of_sorted(q: f64, sorted: &[u64]) -> u64 {
    sorted.get(rank(q, sorted.len())).copied().unwrap_or(0)
}

/// Quantile `q` of values in any order, which it reorders; 0 when there are none. O(n).
pub(crate) fn of_unsorted(q: f64, values: &mut [u64]) -> u64 {
    if values.is_empty() {
        return 0;
    }
    let rank = rank(q, values.len());
    *values.select_nth_unstable(rank).1
}

/// Nanoseconds as milliseconds.
pub(crate) fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!(
            (of_sorted(0.5, &sorted), of_sorted(0.99, &sorted), of_sorted(1.0, &sorted)),
            (50, 99, 100)
        );
        assert_eq!((of_sorted(0.0, &sorted), of_sorted(0.5, &[]), of_unsorted(0.5, &mut [])), (1, 0, 0));
        assert_eq!(of_unsorted(0.95, &mut [9, 1, 5]), 9);
    }
}
