//! A histogram times a number.

use super::{Buckets, Histogram, ResetHint};

impl Histogram {
    /// Everything times `factor`. What is multiplied by a negative number is no counter any more.
    #[must_use]
    pub fn multiplied(&self, factor: f64) -> Self {
        self.map_counts(factor, |value| value * factor)
    }

    /// Everything divided by `divisor`. Division by zero leaves no buckets.
    #[must_use]
    pub fn divided(&self, divisor: f64) -> Self {
        let mut histogram = self.map_counts(divisor, |value| value / divisor);
        if divisor == 0.0 {
            histogram.positive = Buckets::default();
            histogram.negative = Buckets::default();
        }
        histogram
    }

    fn map_counts(&self, by: f64, function: impl Fn(f64) -> f64) -> Self {
        let map = |buckets: &Buckets| Buckets {
            spans: buckets.spans.clone(),
            counts: buckets.counts.iter().map(|count| function(*count)).collect(),
        };
        Self {
            is_float: true,
            reset_hint: if by < 0.0 { ResetHint::Gauge } else { self.reset_hint },
            count: function(self.count),
            sum: function(self.sum),
            zero_count: function(self.zero_count),
            positive: map(&self.positive),
            negative: map(&self.negative),
            ..self.clone()
        }
    }

    /// Without the buckets that hold nothing.
    #[must_use]
    pub fn compacted(mut self) -> Self {
        self.positive = self.positive.compacted();
        self.negative = self.negative.compacted();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling() {
        let histogram = Histogram {
            count: 4.0,
            sum: 2.0,
            zero_count: 1.0,
            positive: Buckets::from_ascending([(1, 3.0), (2, 0.0)]),
            ..Histogram::default()
        };
        assert_eq!(histogram.multiplied(2.0).to_string(), "{count:8, sum:4, [-0,0]:2, (1,2]:6}");
        assert_eq!(histogram.multiplied(-1.0).reset_hint, ResetHint::Gauge);
        assert_eq!(histogram.divided(0.0).to_string(), "{count:+Inf, sum:+Inf, [-0,0]:+Inf}");
        assert_eq!(histogram.compacted().positive.counts, [3.0]);
    }
}
