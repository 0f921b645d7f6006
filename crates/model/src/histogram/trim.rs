//! Cutting a histogram off at a value: PromQL's `</` and `>/`.
//!
//! ```text
//! h </ 3     (1,2]:4  (2,4]:4   →   (1,2]:4  (2,4]:2.34      a cut bucket is interpolated, as quantiles are:
//! h >/ 3     (1,2]:4  (2,4]:4   →            (2,4]:1.66      on a logarithmic scale, linear in custom ones
//! ```
//! Count and sum are estimated anew from what remains, but only if anything was cut.

use super::{Bucket, Buckets, Histogram};

/// Which observations stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// Those at or below the value (`</`).
    KeepBelow,
    /// Those above it (`>/`).
    KeepAbove,
}

/// How much of a bucket stays, and the value that stands for it.
#[derive(Clone, Copy)]
struct Kept {
    count: f64,
    midpoint: f64,
}

impl Bucket {
    /// The share of the bucket's width at or below `value`, which is inside its finite bounds: linear, or on a
    /// logarithmic scale.
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper) = (self.lower.abs().log2(), self.upper.abs().log2());
        let at = value.abs().log2();
        if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

impl Histogram {
    /// Cuts off what is above or below `at`.
    #[must_use]
    pub fn trimmed(&self, trim: Trim, at: f64) -> Self {
        let cut = Cut { trim, at, linear: self.has_custom_bounds() };
        let mut totals = Totals::default();
        let positive = cut.side(self.positive.iter().zip(self.positive_buckets()), true, &mut totals);
        let mut negative: Vec<(i32, f64)> = self.negative.iter().collect();
        negative.reverse();
        let mut negative = cut.side(negative.into_iter().zip(self.negative_buckets()), false, &mut totals);
        negative.reverse();
        let zero_count = self.zero_bucket().map_or(self.zero_count, |bucket| {
            let any = |buckets: &Buckets| buckets.counts.iter().any(|count| *count != 0.0);
            let kept = cut.zero(&bucket, any(&self.negative), any(&self.positive));
            totals.add(bucket.count, kept);
            kept.count
        });
        if !totals.is_changed {
            return self.clone();
        }
        Self {
            is_float: true,
            count: totals.count,
            sum: totals.sum,
            zero_count,
            positive: Buckets::from_ascending(positive).compacted(),
            negative: Buckets::from_ascending(negative).compacted(),
            ..self.clone()
        }
    }
}

#[derive(Default)]
struct Totals {
    count: f64,
    sum: f64,
    is_changed: bool,
}

impl Totals {
    fn add(&mut self, before: f64, kept: Kept) {
        self.count += kept.count;
        self.sum += kept.midpoint * kept.count;
        self.is_changed |= kept.count != before;
    }
}

#[derive(Clone, Copy)]
struct Cut {
    trim: Trim,
    at: f64,
    linear: bool,
}

impl Cut {
    fn side(
        self,
        buckets: impl Iterator<Item = ((i32, f64), Bucket)>,
        is_positive: bool,
        totals: &mut Totals,
    ) -> Vec<(i32, f64)> {
        let mut kept = Vec::new();
        for ((index, count), bucket) in buckets {
            if count == 0.0 {
                continue;
            }
            let part = self.bucket(&bucket, is_positive);
            totals.add(count, part);
            kept.push((index, part.count));
        }
        kept
    }

    fn bucket(self, bucket: &Bucket, is_positive: bool) -> Kept {
        let (keeps_all, keeps_part) = match self.trim {
            Trim::KeepBelow => (bucket.upper <= self.at, bucket.lower < self.at),
            Trim::KeepAbove => (bucket.lower >= self.at, bucket.upper > self.at),
        };
        let midpoint = |lower, upper| self.midpoint(lower, upper, is_positive);
        if keeps_all {
            return Kept { count: bucket.count, midpoint: midpoint(bucket.lower, bucket.upper) };
        }
        if !keeps_part {
            return Kept { count: 0.0, midpoint: 0.0 };
        }
        if bucket.lower == f64::NEG_INFINITY {
            return self.open_below(bucket);
        }
        if bucket.upper == f64::INFINITY {
            return self.open_above(bucket);
        }
        let below = if self.at <= bucket.lower {
            0.0
        } else if self.at >= bucket.upper {
            bucket.count
        } else {
            bucket.count * bucket.fraction_below(self.at, self.linear)
        };
        match self.trim {
            Trim::KeepBelow => Kept { count: below, midpoint: midpoint(bucket.lower, self.at) },
            Trim::KeepAbove => {
                Kept { count: bucket.count - below, midpoint: midpoint(self.at, bucket.upper) }
            }
        }
    }

    /// The first custom bucket. With a positive bound it is taken to begin at zero; else nothing is known of it.
    fn open_below(self, bucket: &Bucket) -> Kept {
        let finite = |value: f64| if value.is_infinite() { 0.0 } else { value };
        let begins_at_zero = bucket.upper > 0.0 && bucket.upper.is_finite();
        match self.trim {
            Trim::KeepBelow if self.at > 0.0 && begins_at_zero => {
                Kept { count: bucket.count * self.at / bucket.upper, midpoint: self.at / 2.0 }
            }
            Trim::KeepBelow if bucket.upper <= 0.0 => Kept { count: bucket.count, midpoint: self.at },
            Trim::KeepAbove if self.at >= 0.0 && begins_at_zero => Kept {
                count: bucket.count * (1.0 - self.at / bucket.upper),
                midpoint: (self.at + bucket.upper) / 2.0,
            },
            _ => Kept { count: 0.0, midpoint: finite(bucket.upper) },
        }
    }

    /// The last bucket: nothing is known of where in it observations are.
    fn open_above(self, bucket: &Bucket) -> Kept {
        match self.trim {
            Trim::KeepAbove if self.at >= bucket.lower => Kept { count: bucket.count, midpoint: self.at },
            _ => Kept { count: 0.0, midpoint: 0.0 },
        }
    }

    /// The zero bucket reaches only to the side where other observations are.
    fn zero(self, bucket: &Bucket, has_negative: bool, has_positive: bool) -> Kept {
        let lower = if has_positive && !has_negative { 0.0 } else { bucket.lower };
        let upper = if has_negative && !has_positive { 0.0 } else { bucket.upper };
        let all = Kept { count: bucket.count, midpoint: (lower + upper) / 2.0 };
        let nothing = Kept { count: 0.0, midpoint: 0.0 };
        let part = |from: f64, to: f64| Kept {
            count: bucket.count * ((to - from) / (upper - lower)),
            midpoint: (from + to) / 2.0,
        };
        match self.trim {
            Trim::KeepBelow if self.at <= lower => nothing,
            Trim::KeepBelow if self.at >= upper => all,
            Trim::KeepBelow => part(lower, self.at),
            Trim::KeepAbove if self.at <= lower => all,
            Trim::KeepAbove if self.at >= upper => nothing,
            Trim::KeepAbove => part(self.at, upper),
        }
    }

    fn midpoint(self, lower: f64, upper: f64, is_positive: bool) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) if upper > 0.0 => upper / 2.0,
            (true, false) => upper,
            (false, true) => lower,
            (false, false) if self.linear => (lower + upper) / 2.0,
            (false, false) => {
                let mean = (lower * upper).abs().sqrt();
                if is_positive { mean } else { -mean }
            }
        }
    }
}
