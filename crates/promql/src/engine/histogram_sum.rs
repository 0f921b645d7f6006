//! Sums and means of histograms, with what has to be said of them.

use model::{Histogram, HistogramSum, IncompatibleSchemas, ResetHint};

/// A sum or a mean that grows. The mean is sum over count until the sum overflows, from then on incremental, as that
/// of floats is.
#[derive(Clone, Debug)]
pub(crate) struct HistogramMean {
    sum: HistogramSum,
    count: f64,
    is_incremental: bool,
    reset_seen: bool,
    no_reset_seen: bool,
    bounds_differed: bool,
}

impl HistogramMean {
    pub(crate) fn new(first: &Histogram) -> Self {
        let mut mean = Self {
            sum: HistogramSum::new(first),
            count: 1.0,
            is_incremental: false,
            reset_seen: false,
            no_reset_seen: false,
            bounds_differed: false,
        };
        mean.see_hint(first);
        mean
    }

    fn see_hint(&mut self, histogram: &Histogram) {
        self.reset_seen |= histogram.reset_hint == ResetHint::Reset;
        self.no_reset_seen |= histogram.reset_hint == ResetHint::NotReset;
    }

    /// Adds to a sum.
    pub(crate) fn add(&mut self, histogram: &Histogram) -> Result<(), IncompatibleSchemas> {
        self.see_hint(histogram);
        self.bounds_differed |= self.sum.add(histogram)?.custom_bounds_differed;
        Ok(())
    }

    /// Adds to a mean.
    pub(crate) fn add_to_mean(&mut self, histogram: &Histogram) -> Result<(), IncompatibleSchemas> {
        self.see_hint(histogram);
        self.count += 1.0;
        if !self.is_incremental {
            let mut next = self.sum.clone();
            self.bounds_differed |= next.add(histogram)?.custom_bounds_differed;
            if !next.has_overflow() {
                self.sum = next;
                return Ok(());
            }
            self.is_incremental = true;
            self.sum.divide(self.count - 1.0);
        }
        self.sum.scale((self.count - 1.0) / self.count);
        self.bounds_differed |= self.sum.add(&histogram.divided(self.count))?.custom_bounds_differed;
        Ok(())
    }

    pub(crate) fn total(&self) -> Histogram {
        self.sum.total().compacted()
    }

    pub(crate) fn mean(&self) -> Histogram {
        let mut mean = self.sum.clone();
        if !self.is_incremental {
            mean.divide(self.count);
        }
        mean.total().compacted()
    }

    /// Whether some hints said "reset" and others "no reset".
    pub(crate) fn reset_hints_collided(&self) -> bool {
        self.reset_seen && self.no_reset_seen
    }

    /// Whether custom bounds had to be reconciled.
    pub(crate) fn bounds_differed(&self) -> bool {
        self.bounds_differed
    }
}
