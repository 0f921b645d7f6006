//! Native histograms.
//!
//! ```text
//! bucket i of schema s      (base^(i-1), base^i]   with base = 2^(2^-s), s in -4..=8; negative ones mirrored
//! zero bucket               [-zero_threshold, zero_threshold]
//! schema -53                bucket i = (bounds[i-1], bounds[i]], ends open: custom bounds, positive buckets only
//! spans                     [offset 2, length 3][offset 1, length 1]  =  buckets 2 3 4 . 6
//! counts                    [   c2     c3    c4][      c6         ]      absolute, not cumulative
//! ```
//! - Sparse as Prometheus has them: spans say which buckets exist, `counts` what is in them, one number for each.
//! - Counts are floats, exact up to 2^53; `is_float` says whether they were integers on the wire.
//! - Source: <https://prometheus.io/docs/specs/native_histograms/>.

mod bounds;
mod compare;
mod scale;
mod sum;
mod trim;

use std::sync::Arc;

use crate::{is_stale_nan, stale_nan};

pub use bounds::{Bucket, exponential_bound};
pub use sum::{HistogramSum, IncompatibleSchemas, Reconciled};
pub use trim::Trim;

/// Schema number of histograms with custom bounds.
pub const CUSTOM_BOUNDS_SCHEMA: i32 = -53;
/// Coarsest exponential schema.
pub const EXPONENTIAL_SCHEMA_MIN: i32 = -4;
/// Finest exponential schema.
pub const EXPONENTIAL_SCHEMA_MAX: i32 = 8;
/// Most buckets of one sign that [`Histogram::validate`] lets pass.
pub const BUCKETS_MAX: usize = 65_536;

/// What is known of a counter reset between a histogram and its predecessor in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ResetHint {
    /// Nobody looked.
    #[default]
    Unknown,
    /// The counter began anew.
    Reset,
    /// It did not.
    NotReset,
    /// Not a counter: there is nothing to reset.
    Gauge,
}

/// A run of neighbouring buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    /// Buckets left out since the end of the previous span; in the first span the index of its first bucket.
    pub offset: i32,
    /// Buckets in the run.
    pub length: u32,
}

/// The buckets of one sign: as many counts as the spans' lengths add up to.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Buckets {
    pub spans: Vec<BucketSpan>,
    /// Absolute count of each bucket.
    pub counts: Vec<f64>,
}

impl Buckets {
    /// `(index, count)` of each bucket, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        let mut next = 0_i32;
        let indexes = self.spans.iter().flat_map(move |span| {
            let start = next.wrapping_add(span.offset);
            next = start.wrapping_add(i32::try_from(span.length).unwrap_or(i32::MAX));
            start..next
        });
        indexes.zip(self.counts.iter().copied())
    }

    /// Whether there is no bucket.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// One native histogram.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Histogram {
    /// `-4..=8`, or [`CUSTOM_BOUNDS_SCHEMA`].
    pub schema: i32,
    /// Whether the sender's counts were floats.
    pub is_float: bool,
    pub reset_hint: ResetHint,
    /// Observations, those that are NaN included.
    pub count: f64,
    /// Sum of the observations; the stale marker makes the whole sample one.
    pub sum: f64,
    /// Width of the zero bucket, at least 0.
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub positive: Buckets,
    pub negative: Buckets,
    /// Upper bounds of schema -53, ascending, without `+Inf`; else empty. Shared: a series rarely changes them.
    pub custom_bounds: Arc<[f64]>,
}

/// Why a histogram makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HistogramError {
    #[error("schema {0} is neither -53 nor within -4..=8")]
    Schema(i32),
    #[error("spans have room for {room} {sign} buckets, {given} are given")]
    BucketCount { sign: &'static str, room: u64, given: usize },
    #[error("span {span} of the {sign} buckets has the negative offset {offset}")]
    SpanOffset { sign: &'static str, span: usize, offset: i32 },
    #[error("{given} {sign} buckets are over the limit of {BUCKETS_MAX}")]
    TooManyBuckets { sign: &'static str, given: u64 },
    #[error("{what} is {value}: counts must be finite and at least 0")]
    Count { what: &'static str, value: f64 },
    #[error("{observed} observations are in the buckets, but the count is {count}")]
    CountMismatch { observed: f64, count: f64 },
    #[error("zero threshold {0} is negative or not a number")]
    ZeroThreshold(f64),
    #[error("custom bounds must ascend and be finite, bound {index} is {value}")]
    CustomBounds { index: usize, value: f64 },
    #[error("custom bounds have {bounds} bounds, so {room} buckets; the spans reach bucket {reached}")]
    BeyondCustomBounds { bounds: usize, room: usize, reached: i64 },
    #[error("a histogram with custom bounds has a {0}")]
    CustomBoundsWith(&'static str),
    #[error("custom bounds belong to schema -53, the schema is {0}")]
    BoundsWithoutSchema(i32),
}

impl Histogram {
    /// A histogram sample that says that its series has gone stale.
    pub fn stale() -> Self {
        Self { sum: stale_nan(), ..Self::default() }
    }

    /// Whether it is a stale marker.
    pub fn is_stale(&self) -> bool {
        is_stale_nan(self.sum)
    }

    /// Whether bounds are custom.
    pub fn has_custom_bounds(&self) -> bool {
        self.schema == CUSTOM_BOUNDS_SCHEMA
    }

    /// Checks what a sender claims. Everything else here may assume a valid histogram, but never panics on another.
    ///
    /// # Errors
    /// [`HistogramError`]: the first thing that is wrong.
    pub fn validate(&self) -> Result<(), HistogramError> {
        let is_exponential = (EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX).contains(&self.schema);
        if !is_exponential && !self.has_custom_bounds() {
            return Err(HistogramError::Schema(self.schema));
        }
        if self.is_stale() {
            return Ok(());
        }
        if self.has_custom_bounds() {
            self.validate_custom()?;
        } else if !self.custom_bounds.is_empty() {
            return Err(HistogramError::BoundsWithoutSchema(self.schema));
        }
        if self.zero_threshold.is_nan() || self.zero_threshold < 0.0 {
            return Err(HistogramError::ZeroThreshold(self.zero_threshold));
        }
        let positive = validate_buckets("positive", &self.positive)?;
        let negative = validate_buckets("negative", &self.negative)?;
        valid_count("the count", self.count)?;
        valid_count("the zero bucket", self.zero_count)?;
        let observed = positive + negative + self.zero_count;
        // Observations of NaN are in no bucket, so with a NaN sum the count may be larger. Float counts add up only
        // about, and are not compared.
        let is_wrong =
            !self.is_float && if self.sum.is_nan() { observed > self.count } else { observed != self.count };
        if is_wrong {
            return Err(HistogramError::CountMismatch { observed, count: self.count });
        }
        Ok(())
    }

    fn validate_custom(&self) -> Result<(), HistogramError> {
        for (index, &value) in self.custom_bounds.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| self.custom_bounds.get(before));
            if !value.is_finite() || before.is_some_and(|before| *before >= value) {
                return Err(HistogramError::CustomBounds { index, value });
            }
        }
        if self.zero_count != 0.0 {
            return Err(HistogramError::CustomBoundsWith("zero bucket"));
        }
        if self.zero_threshold != 0.0 {
            return Err(HistogramError::CustomBoundsWith("zero threshold"));
        }
        if !self.negative.spans.is_empty() || !self.negative.counts.is_empty() {
            return Err(HistogramError::CustomBoundsWith("negative bucket"));
        }
        let reached = self.positive.spans.iter().try_fold(0_i64, |end, span| {
            end.checked_add(i64::from(span.offset))?.checked_add(i64::from(span.length))
        });
        let (bounds, room) = (self.custom_bounds.len(), self.custom_bounds.len() + 1);
        let reached = reached.unwrap_or(i64::MAX);
        if usize::try_from(reached).map_or(reached > 0, |reached| reached > room) {
            return Err(HistogramError::BeyondCustomBounds { bounds, room, reached });
        }
        if self.positive.spans.first().is_some_and(|span| span.offset < 0) {
            return Err(HistogramError::BeyondCustomBounds { bounds, room, reached: -1 });
        }
        Ok(())
    }
}

fn valid_count(what: &'static str, value: f64) -> Result<(), HistogramError> {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { Err(HistogramError::Count { what, value }) }
}

/// Answers how much is in the buckets.
fn validate_buckets(sign: &'static str, buckets: &Buckets) -> Result<f64, HistogramError> {
    let mut room = 0_u64;
    for (index, span) in buckets.spans.iter().enumerate() {
        if index > 0 && span.offset < 0 {
            return Err(HistogramError::SpanOffset { sign, span: index, offset: span.offset });
        }
        room += u64::from(span.length);
    }
    if room > BUCKETS_MAX as u64 {
        return Err(HistogramError::TooManyBuckets { sign, given: room });
    }
    if room != buckets.counts.len() as u64 {
        return Err(HistogramError::BucketCount { sign, room, given: buckets.counts.len() });
    }
    for &count in &buckets.counts {
        valid_count("a bucket", count)?;
    }
    Ok(buckets.counts.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(spans: &[(i32, u32)], counts: &[f64]) -> Buckets {
        let spans = spans.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect();
        Buckets { spans, counts: counts.to_vec() }
    }

    fn valid() -> Histogram {
        Histogram {
            schema: 1,
            count: 7.0,
            sum: 18.4,
            zero_threshold: 0.001,
            zero_count: 2.0,
            positive: buckets(&[(2, 2), (1, 1)], &[1.0, 2.0, 1.0]),
            negative: buckets(&[(0, 1)], &[1.0]),
            ..Histogram::default()
        }
    }

    #[test]
    fn buckets_know_their_indexes() {
        let found: Vec<_> = valid().positive.iter().collect();
        assert_eq!(found, [(2, 1.0), (3, 2.0), (5, 1.0)]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        type Change = fn(&mut Histogram);
        let cases: &[(Change, &str)] = &[
            (|h| h.schema = 9, "schema 9 is neither -53 nor within -4..=8"),
            (|h| h.count = 8.0, "7 observations are in the buckets, but the count is 8"),
            (|h| h.zero_threshold = -1.0, "zero threshold -1 is negative or not a number"),
            (
                |h| h.positive.spans[1].offset = -1,
                "span 1 of the positive buckets has the negative offset -1",
            ),
            (|h| h.negative.counts.push(0.0), "spans have room for 1 negative buckets, 2 are given"),
            (|h| h.positive.counts[0] = -1.0, "a bucket is -1: counts must be finite and at least 0"),
            (|h| h.custom_bounds = [1.0].into(), "custom bounds belong to schema -53, the schema is 1"),
            (
                |h| h.positive.spans[0].length = u32::MAX,
                "4294967296 positive buckets are over the limit of 65536",
            ),
        ];
        assert_eq!(valid().validate(), Ok(()));
        for (change, want) in cases {
            let mut histogram = valid();
            change(&mut histogram);
            assert_eq!(histogram.validate().expect_err("invalid").to_string(), *want);
        }
    }

    #[test]
    fn custom_bounds_are_checked() {
        let custom = |bounds: &[f64], spans: &[(i32, u32)], counts: &[f64]| Histogram {
            schema: CUSTOM_BOUNDS_SCHEMA,
            count: counts.iter().sum(),
            custom_bounds: bounds.into(),
            positive: buckets(spans, counts),
            ..Histogram::default()
        };
        assert_eq!(custom(&[1.0, 2.0], &[(0, 3)], &[1.0, 0.0, 2.0]).validate(), Ok(()));
        let beyond = custom(&[1.0, 2.0], &[(1, 3)], &[1.0, 0.0, 2.0]).validate();
        assert_eq!(beyond, Err(HistogramError::BeyondCustomBounds { bounds: 2, room: 3, reached: 4 }));
        let descending = custom(&[2.0, 1.0], &[], &[]).validate();
        assert_eq!(descending, Err(HistogramError::CustomBounds { index: 1, value: 1.0 }));
    }

    #[test]
    fn stale_histograms_are_no_other() {
        assert!(Histogram::stale().is_stale() && Histogram::stale().validate().is_ok());
        assert!(!valid().is_stale());
        assert!(!Histogram { sum: f64::NAN, ..valid() }.is_stale());
    }
}
