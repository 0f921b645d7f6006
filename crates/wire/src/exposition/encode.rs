//! Families as protobuf, for whoever federates from us. Types are not known there, so floats are untyped.

use codec::put_varint;
use model::{Histogram, ResetHint};

use super::Value;
use crate::native::{deltas, put_spans};
use crate::protobuf::{
    put_blob, put_double, put_message, put_oneof_blob, put_oneof_fixed64, put_oneof_uint, put_packed_double,
    put_packed_sint, put_sint, put_uint,
};

/// A sample whose family's type is not known.
#[derive(Clone, Debug)]
pub struct Untyped<'s> {
    /// Without the metric name, which is the family's. An empty value is written too: it keeps the reader from putting
    /// its own.
    pub labels: &'s [(String, String)],
    pub value: Value,
    pub ts_ms: i64,
}

const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;
const GAUGE_HISTOGRAM: u64 = 5;

/// Appends the samples of one family, behind their length; a family whose samples are of several kinds becomes several.
pub fn encode_untyped(out: &mut Vec<u8>, name: &str, samples: &[Untyped<'_>]) {
    for kind in [UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM] {
        let mut samples = samples.iter().filter(|sample| kind_of(&sample.value) == kind).peekable();
        if samples.peek().is_none() {
            continue;
        }
        let mut family = Vec::new();
        put_blob(&mut family, 1, name.as_bytes());
        put_uint(&mut family, 3, kind);
        for sample in samples {
            put_message(&mut family, 4, |out| put_metric(out, sample));
        }
        put_varint(out, family.len() as u64);
        out.append(&mut family);
    }
}

fn kind_of(value: &Value) -> u64 {
    match value {
        Value::Float(_) => UNTYPED,
        Value::Histogram(histogram) if histogram.reset_hint == ResetHint::Gauge => GAUGE_HISTOGRAM,
        Value::Histogram(_) => HISTOGRAM,
    }
}

fn put_metric(out: &mut Vec<u8>, sample: &Untyped<'_>) {
    for (name, value) in sample.labels {
        put_message(out, 1, |out| {
            put_oneof_blob(out, 1, name.as_bytes());
            put_oneof_blob(out, 2, value.as_bytes());
        });
    }
    match &sample.value {
        Value::Float(value) => put_message(out, 5, |out| put_oneof_fixed64(out, 1, value.to_bits())),
        Value::Histogram(histogram) => put_message(out, 7, |out| put_histogram(out, histogram)),
    }
    put_oneof_uint(out, 6, sample.ts_ms.cast_unsigned());
}

fn put_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    if histogram.is_float {
        put_oneof_fixed64(out, 4, histogram.count.to_bits());
    } else {
        put_oneof_uint(out, 1, histogram.count as u64);
    }
    put_oneof_fixed64(out, 2, histogram.sum.to_bits());
    if histogram.has_custom_bounds() {
        put_classic_buckets(out, histogram);
    } else {
        put_native_buckets(out, histogram);
    }
}

/// The format has no field for custom bounds: their buckets are cumulative, as those of classic histograms.
fn put_classic_buckets(out: &mut Vec<u8>, histogram: &Histogram) {
    let put_bucket = |out: &mut Vec<u8>, upper_bound: f64, count: f64| {
        put_message(out, 3, |out| {
            if histogram.is_float {
                put_oneof_fixed64(out, 4, count.to_bits());
            } else {
                put_oneof_uint(out, 1, count as u64);
            }
            put_oneof_fixed64(out, 2, upper_bound.to_bits());
        });
    };
    let mut buckets = histogram.positive.iter().peekable();
    let mut cumulative = 0.0;
    for (index, bound) in (0_i32..).zip(histogram.custom_bounds.iter()) {
        while let Some((_, count)) = buckets.next_if(|(bucket, _)| *bucket <= index) {
            cumulative += count;
        }
        put_bucket(out, *bound, cumulative);
    }
    put_bucket(out, f64::INFINITY, histogram.count);
}

fn put_native_buckets(out: &mut Vec<u8>, histogram: &Histogram) {
    put_sint(out, 5, i64::from(histogram.schema));
    put_double(out, 6, histogram.zero_threshold);
    if histogram.is_float {
        put_oneof_fixed64(out, 8, histogram.zero_count.to_bits());
    } else {
        put_oneof_uint(out, 7, histogram.zero_count as u64);
    }
    for (buckets, first) in [(&histogram.negative, 9), (&histogram.positive, 12)] {
        put_spans(out, first, &buckets.spans);
        if histogram.is_float {
            put_packed_double(out, first + 2, buckets.counts.iter().copied());
        } else {
            put_packed_sint(out, first + 1, deltas(&buckets.counts));
        }
    }
}
