//! `prometheus.Histogram`, which remote write 1.0 and 2.0 and remote read share.
//!
//! ```text
//! 1 count int | 2 count float · 3 sum · 4 schema · 5 zero threshold · 6 zero count int | 7 zero count float
//! 8 negative spans · 9 deltas · 10 counts · 11 positive spans · 12 deltas · 13 counts
//! 14 reset hint · 15 timestamp (ms) · 16 custom bounds · 17 start timestamp (ms; 2.0)
//! ```

use std::sync::Arc;

use model::{Histogram, HistogramSample, ResetHint};

use crate::DecodeError;
use crate::native::{Parts, deltas, put_spans, read_span};
use crate::protobuf::{
    Field, put_double, put_oneof_fixed64, put_oneof_uint, put_packed_double, put_packed_sint, put_sint,
    put_uint,
};

const HINTS: [ResetHint; 4] = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge];

/// Reads one; the inner error says what makes no sense about it.
pub(crate) fn read(field: &Field<'_>) -> Result<Result<HistogramSample, String>, DecodeError> {
    let mut parts = Parts::default();
    let (mut ts_ms, mut start_ms) = (0, 0);
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => parts.count = field.varint()? as f64,
            2 => (parts.count, parts.is_float) = (field.double()?, true),
            3 => parts.sum = field.double()?,
            4 => parts.schema = field.sint32()?,
            5 => parts.zero_threshold = field.double()?,
            6 => parts.zero_count = field.varint()? as f64,
            7 => parts.zero_count = field.double()?,
            8 => read_span(&field, &mut parts.negative.spans)?,
            9 => field.repeated_sint64(&mut parts.negative.deltas)?,
            10 => field.repeated_fixed64(&mut parts.negative.counts)?,
            11 => read_span(&field, &mut parts.positive.spans)?,
            12 => field.repeated_sint64(&mut parts.positive.deltas)?,
            13 => field.repeated_fixed64(&mut parts.positive.counts)?,
            14 => {
                let hint = usize::try_from(field.varint()?).ok().and_then(|number| HINTS.get(number));
                parts.reset_hint = hint.copied().unwrap_or_default();
            }
            15 => ts_ms = field.int()?,
            16 => field.repeated_fixed64(&mut parts.custom_bounds)?,
            17 => start_ms = field.int()?,
            _ => {}
        }
    }
    Ok(parts.build().map(|histogram| HistogramSample { ts_ms, start_ms, histogram: Arc::new(histogram) }))
}

/// Writes the fields of one; `with_start` for 2.0.
pub(crate) fn put(out: &mut Vec<u8>, sample: &HistogramSample, with_start: bool) {
    let histogram: &Histogram = &sample.histogram;
    if histogram.is_float {
        put_oneof_fixed64(out, 2, histogram.count.to_bits());
    } else {
        put_oneof_uint(out, 1, histogram.count as u64);
    }
    put_double(out, 3, histogram.sum);
    put_sint(out, 4, i64::from(histogram.schema));
    put_double(out, 5, histogram.zero_threshold);
    if histogram.is_float {
        put_oneof_fixed64(out, 7, histogram.zero_count.to_bits());
    } else {
        put_oneof_uint(out, 6, histogram.zero_count as u64);
    }
    for (buckets, first) in [(&histogram.negative, 8), (&histogram.positive, 11)] {
        put_spans(out, first, &buckets.spans);
        if histogram.is_float {
            put_packed_double(out, first + 2, buckets.counts.iter().copied());
        } else {
            put_packed_sint(out, first + 1, deltas(&buckets.counts));
        }
    }
    let hint = HINTS.iter().position(|hint| *hint == histogram.reset_hint).unwrap_or_default();
    put_uint(out, 14, hint as u64);
    put_uint(out, 15, sample.ts_ms.cast_unsigned());
    put_packed_double(out, 16, histogram.custom_bounds.iter().copied());
    if with_start {
        put_uint(out, 17, sample.start_ms.cast_unsigned());
    }
}
