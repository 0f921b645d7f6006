//! Native histograms as protobuf messages carry them, before they are one.
//!
//! ```text
//! spans   [offset 2, length 3][offset 1, length 1]
//! deltas   +5  -2  +1          0                    integers: each count as the difference from the one before
//! counts    5   3   4          4                    floats: absolute
//! ```
//! Four formats share this: remote write 1.0 and 2.0, remote read, and the protobuf exposition; OTLP's dense buckets
//! become it. A schema finer than 8 is brought down to 8 by merging neighbours, as Prometheus does.

use std::collections::BTreeMap;

use model::{BUCKETS_MAX, BucketSpan, Buckets, EXPONENTIAL_SCHEMA_MAX, Histogram, ResetHint};

use crate::DecodeError;
use crate::protobuf::{Field, put_message, put_sint, put_uint};

/// Finest exponential schema that senders may use.
const SCHEMA_SENT_MAX: i32 = 52;

/// Longest run of empty buckets that is written as zeros instead of a new span, as Prometheus's own converter does.
const FILLED_GAP_MAX: i64 = 2;

/// What a message said so far.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) schema: i32,
    pub(crate) is_float: bool,
    pub(crate) reset_hint: ResetHint,
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) zero_threshold: f64,
    pub(crate) zero_count: f64,
    pub(crate) positive: SideParts,
    pub(crate) negative: SideParts,
    /// Upper bounds of schema -53, as bits of `f64`.
    pub(crate) custom_bounds: Vec<u64>,
}

/// The buckets of one sign.
#[derive(Default)]
pub(crate) struct SideParts {
    pub(crate) spans: Vec<BucketSpan>,
    pub(crate) deltas: Vec<i64>,
    /// As bits of `f64`.
    pub(crate) counts: Vec<u64>,
}

impl Parts {
    /// The histogram, checked.
    ///
    /// # Errors
    /// A sentence on what makes no sense.
    pub(crate) fn build(self) -> Result<Histogram, String> {
        let is_float = self.is_float;
        let mut histogram = Histogram {
            schema: self.schema,
            is_float,
            reset_hint: self.reset_hint,
            count: self.count,
            sum: self.sum,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            positive: self.positive.build(is_float)?,
            negative: self.negative.build(is_float)?,
            custom_bounds: self.custom_bounds.into_iter().map(f64::from_bits).collect(),
        };
        if (EXPONENTIAL_SCHEMA_MAX + 1..=SCHEMA_SENT_MAX).contains(&histogram.schema) {
            let by = (histogram.schema - EXPONENTIAL_SCHEMA_MAX).unsigned_abs();
            histogram.positive = coarser(&histogram.positive, by);
            histogram.negative = coarser(&histogram.negative, by);
            histogram.schema = EXPONENTIAL_SCHEMA_MAX;
        }
        histogram.validate().map_err(|error| error.to_string())?;
        Ok(histogram)
    }
}

impl SideParts {
    fn build(self, is_float: bool) -> Result<Buckets, String> {
        if is_float {
            let counts = self.counts.into_iter().map(f64::from_bits).collect();
            return Ok(Buckets { spans: self.spans, counts });
        }
        let mut count = 0_i64;
        let absolute = |delta: i64| {
            count = count.checked_add(delta).ok_or("bucket deltas add up to more than 2^63")?;
            Ok(count as f64)
        };
        let counts = self.deltas.into_iter().map(absolute).collect::<Result<_, &str>>()?;
        Ok(Buckets { spans: self.spans, counts })
    }
}

/// The same observations in buckets `2^by` times as wide.
pub(crate) fn coarser(buckets: &Buckets, by: u32) -> Buckets {
    let by = by.min(31);
    let mut merged = BucketsBuilder::default();
    for (index, count) in buckets.iter() {
        // Bucket i ends at base^i: 1 and 2 become 1, 3 and 4 become 2.
        merged.add(((i64::from(index) - 1) >> by) + 1, count);
    }
    merged.finish()
}

/// The histogram in the buckets of `schema`, which is not finer than its own; both are exponential.
pub fn at_schema(histogram: &Histogram, schema: i32) -> Histogram {
    let by = histogram.schema.abs_diff(schema);
    let [positive, negative] = [&histogram.positive, &histogram.negative].map(|side| coarser(side, by));
    Histogram { schema, positive, negative, ..histogram.clone() }
}

/// The observations of both, in the buckets of the coarser one. Both are exponential. `a` gives the rest.
pub(crate) fn sum(a: &Histogram, b: &Histogram) -> Histogram {
    let schema = a.schema.min(b.schema);
    let (mut a, mut b) = (at_schema(a, schema), at_schema(b, schema));
    // A bucket that reaches into the zero bucket becomes part of it, whole; so the zero bucket may grow once more.
    while a.zero_threshold != b.zero_threshold {
        let threshold = a.zero_threshold.max(b.zero_threshold);
        a = with_zero_threshold(a, threshold);
        b = with_zero_threshold(b, threshold);
    }
    Histogram {
        is_float: a.is_float || b.is_float,
        count: a.count + b.count,
        sum: a.sum + b.sum,
        zero_count: a.zero_count + b.zero_count,
        positive: union(&a.positive, &b.positive),
        negative: union(&a.negative, &b.negative),
        ..a
    }
}

fn union(a: &Buckets, b: &Buckets) -> Buckets {
    let mut counts: BTreeMap<i64, f64> = BTreeMap::new();
    for (index, count) in a.iter().chain(b.iter()) {
        *counts.entry(i64::from(index)).or_default() += count;
    }
    let mut builder = BucketsBuilder::default();
    counts.into_iter().for_each(|(index, count)| builder.add(index, count));
    builder.finish()
}

fn with_zero_threshold(mut histogram: Histogram, threshold: f64) -> Histogram {
    let upper = |index: i32| (f64::from(index) * (-f64::from(histogram.schema)).exp2()).exp2();
    let (mut reached, mut moved) = (threshold, 0.0);
    let mut keep = |buckets: &Buckets| {
        let mut builder = BucketsBuilder::default();
        for (index, count) in buckets.iter().filter(|(_, count)| *count != 0.0) {
            if upper(index.saturating_sub(1)) < threshold {
                reached = reached.max(upper(index));
                moved += count;
            } else {
                builder.add(i64::from(index), count);
            }
        }
        builder.finish()
    };
    let (positive, negative) = (keep(&histogram.positive), keep(&histogram.negative));
    histogram.zero_count += moved;
    Histogram { zero_threshold: reached, positive, negative, ..histogram }
}

/// Collects buckets in ascending order of their index and lays the spans.
#[derive(Default)]
pub(crate) struct BucketsBuilder {
    out: Buckets,
    /// Index after the last bucket that stands in `out`.
    end: i64,
    /// The bucket that may still grow.
    last: Option<(i64, f64)>,
}

impl BucketsBuilder {
    /// Adds to the bucket `index`, which is not below the one before.
    pub(crate) fn add(&mut self, index: i64, count: f64) {
        match &mut self.last {
            Some((last, sum)) if *last == index => *sum += count,
            _ => {
                self.flush();
                self.last = Some((index, count));
            }
        }
    }

    fn flush(&mut self) {
        let Some((index, count)) = self.last.take().filter(|(_, count)| *count != 0.0) else { return };
        let gap = index - self.end;
        match self.out.spans.last_mut() {
            Some(span) if (0..=FILLED_GAP_MAX).contains(&gap) => {
                span.length = span.length.saturating_add(u32::try_from(gap + 1).unwrap_or(1));
                self.out.counts.extend((0..gap).map(|_| 0.0));
            }
            _ => {
                let offset = i32::try_from(gap).unwrap_or(i32::MAX);
                self.out.spans.push(BucketSpan { offset, length: 1 });
            }
        }
        self.out.counts.push(count);
        self.end = index + 1;
    }

    pub(crate) fn finish(mut self) -> Buckets {
        self.flush();
        self.out
    }
}

/// Reads a `BucketSpan { 1 offset sint32 · 2 length uint32 }`.
pub(crate) fn read_span(field: &Field<'_>, spans: &mut Vec<BucketSpan>) -> Result<(), DecodeError> {
    if spans.len() >= BUCKETS_MAX {
        return Err(field.malformed(format!("more bucket spans than the limit of {BUCKETS_MAX}")));
    }
    let mut span = BucketSpan { offset: 0, length: 0 };
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => span.offset = field.sint32()?,
            2 => span.length = field.uint32()?,
            _ => {}
        }
    }
    spans.push(span);
    Ok(())
}

/// Writes spans as `BucketSpan` messages of field `number`.
pub(crate) fn put_spans(out: &mut Vec<u8>, number: u32, spans: &[BucketSpan]) {
    for span in spans {
        put_message(out, number, |out| {
            put_sint(out, 1, i64::from(span.offset));
            put_uint(out, 2, u64::from(span.length));
        });
    }
}

/// Counts as the difference of each from the one before.
pub(crate) fn deltas(counts: &[f64]) -> impl Iterator<Item = i64> + '_ {
    let before = std::iter::once(0).chain(counts.iter().map(|count| *count as i64));
    counts.iter().zip(before).map(|(count, before)| (*count as i64).wrapping_sub(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finer_schemas_come_down_to_eight() {
        let parts = Parts {
            schema: 10,
            count: 6.0,
            positive: SideParts {
                spans: vec![BucketSpan { offset: 1, length: 5 }],
                deltas: vec![1, 0, 0, 0, 1],
                counts: vec![],
            },
            ..Parts::default()
        };
        let built = parts.build().expect("valid");
        assert_eq!(built.schema, 8);
        assert_eq!(built.positive.iter().collect::<Vec<_>>(), [(1, 4.0), (2, 2.0)]);
    }

    #[test]
    fn short_gaps_are_filled_and_long_ones_are_spans() {
        let mut builder = BucketsBuilder::default();
        for (index, count) in [(-3, 1.0), (-2, 0.0), (0, 2.0), (4, 3.0)] {
            builder.add(index, count);
        }
        let buckets = builder.finish();
        let spans: Vec<_> = buckets.spans.iter().map(|span| (span.offset, span.length)).collect();
        assert_eq!((spans, buckets.counts), (vec![(-3, 4), (3, 1)], vec![1.0, 0.0, 0.0, 2.0, 3.0]));
    }

    #[test]
    fn sums_have_the_coarser_schema_and_the_wider_zero_bucket() {
        let histogram = |schema, zero_threshold, buckets: &[(i64, f64)]| {
            let mut builder = BucketsBuilder::default();
            buckets.iter().for_each(|(index, count)| builder.add(*index, *count));
            let count = buckets.iter().map(|(_, count)| count).sum();
            Histogram { schema, zero_threshold, count, positive: builder.finish(), ..Histogram::default() }
        };
        // Schema 0: bucket 1 is (1, 2], bucket 2 is (2, 4]. Schema 1: buckets 3 and 4 are (2, 4].
        let total = sum(&histogram(1, 0.0, &[(1, 1.0), (3, 2.0), (4, 3.0)]), &histogram(0, 0.0, &[(2, 4.0)]));
        assert_eq!((total.schema, total.count), (0, 10.0));
        assert_eq!(total.positive.iter().collect::<Vec<_>>(), [(1, 1.0), (2, 9.0)]);
        assert_eq!(total.validate(), Ok(()));
        // 1.5 lies in (1, 2], so the zero bucket reaches 2.
        let total = sum(&histogram(0, 1.5, &[]), &histogram(0, 0.0, &[(0, 1.0), (1, 2.0), (2, 4.0)]));
        assert_eq!((total.zero_threshold, total.zero_count), (2.0, 3.0));
        assert_eq!(total.positive.iter().collect::<Vec<_>>(), [(2, 4.0)]);
        assert_eq!(total.validate(), Ok(()));
    }

    #[test]
    fn deltas_that_overflow_are_refused() {
        let positive = SideParts {
            spans: vec![BucketSpan { offset: 0, length: 2 }],
            deltas: vec![i64::MAX, 1],
            counts: vec![],
        };
        assert!(Parts { positive, ..Parts::default() }.build().is_err_and(|why| why.contains("2^63")));
    }
}
