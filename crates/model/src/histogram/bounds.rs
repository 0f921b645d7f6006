//! Which observations a bucket holds.
//!
//! ```text
//! all_buckets    [-4,-2) [-2,-1)   [-z,z]   (1,2] (2,4]        ascending; negative buckets are closed below
//! ```

use std::fmt;

use super::{Buckets, Histogram};

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub lower_inclusive: bool,
    pub upper_inclusive: bool,
    /// Observations in it, not cumulative.
    pub count: f64,
}

/// Upper bound of the positive bucket `index` of an exponential schema: `2^(index · 2^-schema)`. The bound that would
/// be 2^1024 is the largest float.
pub fn exponential_bound(schema: i32, index: i32) -> f64 {
    let bound = match u32::try_from(schema) {
        Ok(schema) => {
            let per_octave = 1_i32 << schema.min(30);
            let fraction = f64::from(index.rem_euclid(per_octave)) / f64::from(per_octave);
            scale(fraction.exp2(), index.div_euclid(per_octave))
        }
        Err(_) => scale(1.0, index.saturating_mul(1_i32 << schema.unsigned_abs().min(30))),
    };
    let is_first_infinite =
        bound.is_infinite() && f64::from(index) * f64::from(schema.saturating_neg()).exp2() <= 1024.0;
    if is_first_infinite { f64::MAX } else { bound }
}

/// `value · 2^exponent`, exact also where `2^exponent` itself is no float.
fn scale(value: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    value * f64::from(half).exp2() * f64::from(exponent - half).exp2()
}

impl Histogram {
    /// Upper bound of the positive bucket `index`; beyond the last custom bound it is +Inf, before the first −Inf.
    pub fn upper_bound(&self, index: i32) -> f64 {
        if !self.has_custom_bounds() {
            return exponential_bound(self.schema, index);
        }
        match usize::try_from(index) {
            Ok(index) => self.custom_bounds.get(index).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        }
    }

    fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        let (lower, upper) = (self.upper_bound(index.saturating_sub(1)), self.upper_bound(index));
        // The first custom bucket is open below, unless its bound says otherwise.
        let lower_inclusive = self.has_custom_bounds() && index <= 0;
        Bucket { lower, upper, lower_inclusive, upper_inclusive: true, count }
    }

    fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        let (lower, upper) = (-self.upper_bound(index), -self.upper_bound(index.saturating_sub(1)));
        Bucket { lower, upper, lower_inclusive: true, upper_inclusive: false, count }
    }

    /// The zero bucket, if anything is in it.
    pub fn zero_bucket(&self) -> Option<Bucket> {
        (self.zero_count > 0.0).then_some(Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        })
    }

    /// The positive buckets as they are, ascending.
    pub fn positive_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.positive.iter().map(|(index, count)| self.positive_bucket(index, count))
    }

    /// The negative buckets as they are, ascending by bound: from the last index down.
    pub fn negative_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let pairs: Vec<(i32, f64)> = self.negative.iter().collect();
        pairs.into_iter().rev().map(|(index, count)| self.negative_bucket(index, count))
    }

    /// All buckets, ascending by bound. One that reaches into the zero bucket is cut at its edge.
    pub fn all_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let zero = self.zero_threshold;
        let below = self.negative_buckets().map(move |mut bucket| {
            if bucket.upper < 0.0 && bucket.upper > -zero {
                bucket.upper = -zero;
            }
            bucket
        });
        let above = self.positive_buckets().map(move |mut bucket| {
            if bucket.lower > 0.0 && bucket.lower < zero {
                bucket.lower = zero;
            }
            bucket
        });
        below.chain(self.zero_bucket()).chain(above)
    }
}

impl Buckets {
    /// Buckets of `(index, count)` pairs that ascend by index.
    pub fn from_ascending(pairs: impl IntoIterator<Item = (i32, f64)>) -> Self {
        let mut buckets = Self::default();
        let mut end = 0_i32;
        for (index, count) in pairs {
            match buckets.spans.last_mut() {
                Some(span) if index == end => span.length += 1,
                _ => buckets.spans.push(super::BucketSpan { offset: index.wrapping_sub(end), length: 1 }),
            }
            buckets.counts.push(count);
            end = index.wrapping_add(1);
        }
        buckets
    }

    /// Without the buckets that hold nothing.
    #[must_use]
    pub fn compacted(&self) -> Self {
        Self::from_ascending(self.iter().filter(|(_, count)| *count != 0.0))
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) =
            (if self.lower_inclusive { '[' } else { '(' }, if self.upper_inclusive { ']' } else { ')' });
        let (lower, upper) = (Number(self.lower), Number(self.upper));
        write!(f, "{open}{lower},{upper}{close}:{}", Number(self.count))
    }
}

/// `{count:3, sum:4.5, [-1,-0.5):1, (1,2]:2}`: what `count_values` puts into labels.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", Number(self.count), Number(self.sum))?;
        let zero = self.zero_bucket();
        let buckets = self.negative_buckets().chain(zero).chain(self.positive_buckets());
        for bucket in buckets.filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

/// A float as Go's `%g` writes it: the exponent of large and small ones has a sign and two digits.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        if value == 0.0 || (1e-4..1e21).contains(&value.abs()) {
            return write!(f, "{value}");
        }
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        write!(f, "{mantissa}e{sign}{digits:0>2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::{BucketSpan, CUSTOM_BOUNDS_SCHEMA};

    #[test]
    fn bounds_of_every_schema() {
        let cases = [
            (0, 0, 1.0),
            (0, 3, 8.0),
            (0, -1, 0.5),
            (1, 1, std::f64::consts::SQRT_2),
            (-1, 2, 16.0),
            (-4, 1, 65536.0),
            (0, 1024, f64::MAX),
            (0, 1025, f64::INFINITY),
            (8, 256 * 1024, f64::MAX),
            (0, -1074, 5e-324),
        ];
        for (schema, index, want) in cases {
            assert_eq!(exponential_bound(schema, index), want, "schema {schema}, index {index}");
        }
    }

    #[test]
    fn buckets_ascend_and_read_well() {
        let buckets = |spans: &[(i32, u32)], counts: &[f64]| Buckets {
            spans: spans.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect(),
            counts: counts.to_vec(),
        };
        let histogram = Histogram {
            count: 7.0,
            sum: 1.5e-7,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive: buckets(&[(0, 2), (1, 1)], &[1.0, 0.0, 2.0]),
            negative: buckets(&[(1, 2)], &[1.0, 2.0]),
            ..Histogram::default()
        };
        let text = "{count:7, sum:1.5e-07, [-4,-2):2, [-2,-1):1, [-0.001,0.001]:1, (0.5,1]:1, (4,8]:2}";
        assert_eq!(histogram.to_string(), text);
        let custom = Histogram {
            schema: CUSTOM_BOUNDS_SCHEMA,
            count: 3.0,
            custom_bounds: [1.0, 2.0].into(),
            positive: buckets(&[(0, 1), (1, 1)], &[1.0, 2.0]),
            ..Histogram::default()
        };
        assert_eq!(custom.to_string(), "{count:3, sum:0, [-Inf,1]:1, (2,+Inf]:2}");
        assert_eq!(custom.positive.compacted(), custom.positive);
    }
}
