//! Arithmetic on floats as Prometheus does it, to the bit.

pub(crate) use model::KahanSum;

/// A mean: sum over count, until the sum overflows; from then on incremental.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    state: KahanSum,
    pub(crate) count: f64,
    incremental: bool,
}

impl Mean {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.state;
            next.add(value);
            if self.count == 1.0 || !next.sum.is_infinite() {
                self.state = if self.count == 1.0 { KahanSum { sum: value, carry: 0.0 } } else { next };
                return;
            }
            self.incremental = true;
            let before = self.count - 1.0;
            self.state = KahanSum { sum: self.state.sum / before, carry: self.state.carry / before };
        }
        let kept = (self.count - 1.0) / self.count;
        self.state = KahanSum { sum: kept * self.state.sum, carry: kept * self.state.carry };
        self.state.add(value / self.count);
    }

    pub(crate) fn mean(self) -> f64 {
        if self.incremental {
            self.state.total()
        } else {
            self.state.sum / self.count + self.state.carry / self.count
        }
    }
}

/// The φ-quantile of sorted values, linear between neighbours; −Inf or +Inf outside 0 ≤ φ ≤ 1.
pub(crate) fn quantile_sorted(phi: f64, sorted: &[f64]) -> f64 {
    if sorted.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    let last = sorted.len() - 1;
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
    let rank = phi * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ rank ≤ last")]
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    sorted[lower] * (1.0 - weight) + sorted[upper] * weight
}

/// Sorts with NaN first, as quantiles want it.
pub(crate) fn sort_nan_first(values: &mut [f64]) {
    values.sort_by(|left, right| match (left.is_nan(), right.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        (false, false) => left.total_cmp(right),
    });
}

pub(crate) fn sgn(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

pub(crate) fn deg(value: f64) -> f64 {
    value * 180.0 / std::f64::consts::PI
}

pub(crate) fn rad(value: f64) -> f64 {
    value * std::f64::consts::PI / 180.0
}

/// Whether two floats are equal but for rounding: relative difference below `epsilon`.
pub(crate) fn almost_equal(left: f64, right: f64, epsilon: f64) -> bool {
    if left == right {
        return true;
    }
    let sum = left.abs() + right.abs();
    let difference = (left - right).abs();
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < epsilon * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < epsilon
}
