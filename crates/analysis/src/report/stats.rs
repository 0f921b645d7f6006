//! Rank correlation.

/// Spearman's rank correlation of pairs, -1 to 1; `None` for fewer than 30 pairs or when one side never changes.
pub(super) fn spearman(pairs: &[(u64, u64)]) -> Option<f64> {
    if pairs.len() < 30 {
        return None;
    }
    let x = ranks(pairs.iter().map(|pair| pair.0).collect());
    let y = ranks(pairs.iter().map(|pair| pair.1).collect());
    let mean = (pairs.len() as f64 - 1.0) / 2.0;
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(&y) {
        xy += (x - mean) * (y - mean);
        xx += (x - mean) * (x - mean);
        yy += (y - mean) * (y - mean);
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

/// Rank of each value from 0; equal values share the mean of their ranks.
fn ranks(values: Vec<u64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|index| values[*index]);
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for group in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let shared = first as f64 + (group.len() as f64 - 1.0) / 2.0;
        group.iter().for_each(|index| ranks[*index] = shared);
        first += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_is_one_reversed_is_minus_one() {
        let up: Vec<_> = (0..40).map(|i| (i, i * i)).collect();
        let down: Vec<_> = (0..40).map(|i| (i, 100 - i)).collect();
        let flat: Vec<_> = (0..40).map(|i| (i, 7)).collect();
        assert!((spearman(&up).unwrap() - 1.0).abs() < 1e-12);
        assert!((spearman(&down).unwrap() + 1.0).abs() < 1e-12);
        assert_eq!((spearman(&flat), spearman(&up[..29])), (None, None));
    }

    #[test]
    fn ties_share_their_rank() {
        assert_eq!(ranks(vec![5, 1, 5, 9]), [1.5, 0.0, 1.5, 3.0]);
    }
}
