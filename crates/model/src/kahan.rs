//! Sums that carry their rounding error.

/// A sum of floats with the part that rounding took from it (Kahan's summation in Neumaier's form, as Prometheus
/// has it).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KahanSum {
    pub sum: f64,
    pub carry: f64,
}

impl KahanSum {
    /// A sum of one value.
    pub fn of(value: f64) -> Self {
        Self { sum: value, carry: 0.0 }
    }

    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.carry = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.carry += (self.sum - total) + value;
        } else {
            self.carry += (value - total) + self.sum;
        }
        self.sum = total;
    }

    /// Adds another sum.
    pub fn add_sum(&mut self, other: Self) {
        self.add(other.sum);
        self.add(other.carry);
    }

    /// The sum times a factor.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, carry: self.carry * factor }
    }

    /// The sum, its carry added.
    pub fn total(self) -> f64 {
        self.sum + self.carry
    }
}
