//! Base-2 exponential histogram: the structure of native histograms and of OTLP, mergeable and subtractable.
//!
//! ```text
//!  bucket i holds (2^((i-1)/s), 2^(i/s)]     s = 32 buckets per doubling: at most 1.1 % off in the middle
//!
//!  value's bits:  exponent │ mantissa         index = exponent · 32 + first k with mantissa ≤ 2^(k/32)
//!                 no logarithm: a table of 32 bounds
//! ```
//! Counts are dense from the lowest to the highest bucket used. A histogram that would need more than 640 buckets
//! halves its resolution, as often as needed.

use std::sync::LazyLock;

const SCALE: u32 = 5;
const BUCKETS_MAX: i32 = 640;

/// `2^(k/32)` for `k` in `0..=32`.
static BOUNDS: LazyLock<[f64; 33]> = LazyLock::new(|| std::array::from_fn(|k| 2_f64.powf(k as f64 / 32.0)));

/// Counts durations in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct ExpHistogram {
    /// Resolution: `2^(SCALE - coarser)` buckets per doubling.
    coarser: u32,
    first_index: i32,
    buckets: Vec<u64>,
    zeros: u64,
    count: u64,
    sum_ns: u128,
}

impl ExpHistogram {
    /// Counts one duration.
    pub fn observe(&mut self, ns: u64) {
        self.count += 1;
        self.sum_ns += u128::from(ns);
        if ns == 0 {
            self.zeros += 1;
        } else {
            self.add(index_of(ns), 1);
        }
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        while self.coarser < other.coarser {
            self.halve();
        }
        for (offset, count) in (0..).zip(&other.buckets) {
            let index = other.first_index + offset;
            // Any index of the coarser bucket at full resolution that is its upper bound.
            self.add(index << other.coarser, *count);
        }
        self.zeros += other.zeros;
        self.count += other.count;
        self.sum_ns += other.sum_ns;
    }

    /// Durations counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of durations in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// Durations of at most `ns`, where a bucket counts if its upper bound is nearer to `ns` than its lower one:
    /// monotonic in `ns` and in time, at most half a bucket off.
    pub fn count_at_most(&self, ns: u64) -> u64 {
        if ns == 0 {
            return self.zeros;
        }
        let limit = ns as f64 * self.growth().sqrt();
        let counted = (0..).zip(&self.buckets).take_while(|(i, _)| self.upper(self.first_index + i) <= limit);
        self.zeros + counted.map(|(_, count)| count).sum::<u64>()
    }

    /// Quantile `q` (0 to 1) in nanoseconds: the geometric middle of its bucket; 0 when nothing was counted.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut below = self.zeros;
        if rank <= below {
            return 0.0;
        }
        for (offset, count) in (0..).zip(&self.buckets) {
            below += count;
            if rank <= below {
                return self.upper(self.first_index + offset) / self.growth().sqrt();
            }
        }
        0.0
    }

    fn growth(&self) -> f64 {
        2_f64.powf(f64::from(1 << self.coarser) / f64::from(1 << SCALE))
    }

    fn upper(&self, index: i32) -> f64 {
        2_f64.powf(f64::from(index) * f64::from(1 << self.coarser) / f64::from(1 << SCALE))
    }

    /// `index` is at full resolution.
    fn add(&mut self, index: i32, count: u64) {
        loop {
            let index = coarsen(index, self.coarser);
            if self.buckets.is_empty() {
                self.first_index = index;
            }
            let end = self.first_index + self.buckets.len() as i32;
            let (low, high) = (self.first_index.min(index), end.max(index + 1));
            if high - low > BUCKETS_MAX {
                self.halve();
                continue;
            }
            let grow_front = (self.first_index - low) as usize;
            self.buckets.splice(0..0, std::iter::repeat_n(0, grow_front));
            self.first_index = low;
            self.buckets.resize((high - low) as usize, 0);
            self.buckets[(index - low) as usize] += count;
            return;
        }
    }

    fn halve(&mut self) {
        let old = std::mem::take(&mut self.buckets);
        let first = coarsen(self.first_index, 1);
        let last = coarsen(self.first_index + old.len() as i32 - 1, 1);
        self.buckets = vec![0; (last - first + 1).max(0) as usize];
        for (index, count) in (self.first_index..).zip(old) {
            self.buckets[(coarsen(index, 1) - first) as usize] += count;
        }
        self.first_index = first;
        self.coarser += 1;
    }
}

/// The bucket, `by` halvings coarser, that holds bucket `index`: upper bounds are inclusive, so round up.
fn coarsen(index: i32, by: u32) -> i32 {
    (index + (1 << by) - 1) >> by
}

fn index_of(ns: u64) -> i32 {
    let bits = (ns as f64).to_bits();
    let exponent = (bits >> 52) as i32 - 1023;
    let mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | 1.0_f64.to_bits());
    exponent * (1 << SCALE) + BOUNDS.partition_point(|bound| *bound < mantissa) as i32
}

#[cfg(test)]
mod tests;
