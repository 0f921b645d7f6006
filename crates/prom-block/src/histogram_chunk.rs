//! Chunks of native histograms, with integer or float counts.
//!
//! ```text
//! chunk  := n u16 | flags u8 | zero threshold | schema varbit | positive spans | negative spans | [custom bounds] | sample*n
//! flags  := 10...... reset before the chunk | 01...... none | 11...... gauge | 00...... unknown
//! spans  := n varbit | (length varbit, offset varbit)*n
//! sample := time | count | zero count | sum | bucket*        integers: value, then difference, then change of it
//!                                                            floats: value, then XOR
//! ```
//! Integer buckets are differences to the bucket before. A stale marker ends its sample after the sum.

use std::sync::Arc;

use model::{
    BUCKETS_MAX, BucketSpan, Buckets, CUSTOM_BOUNDS_SCHEMA, Histogram, HistogramSample, ResetHint,
    is_stale_nan,
};

use crate::bits::{Bits, XorState};
use crate::bytes::Detail;

/// What all samples of a chunk share.
struct Layout {
    header: u8,
    schema: i32,
    zero_threshold: f64,
    positive: Vec<BucketSpan>,
    negative: Vec<BucketSpan>,
    custom_bounds: Arc<[f64]>,
}

/// An integer with the difference to the one before it in its column.
#[derive(Clone, Copy, Debug, Default)]
struct Stepping {
    value: i64,
    step: i64,
}

impl Stepping {
    fn read(&mut self, number: u64, bits: &mut Bits<'_>) -> Result<(), Detail> {
        match number {
            0 => self.value = bits.varbit_int()?,
            1 => self.step = bits.varbit_int()?,
            _ => self.step = self.step.wrapping_add(bits.varbit_int()?),
        }
        if number > 0 {
            self.value = self.value.wrapping_add(self.step);
        }
        Ok(())
    }

    /// The first count of a column has no sign.
    fn read_count(&mut self, number: u64, bits: &mut Bits<'_>) -> Result<(), Detail> {
        if number == 0 {
            self.value = bits.varbit_uint()? as i64;
            return Ok(());
        }
        self.read(number, bits)
    }
}

fn read_float(column: &mut XorState, number: u64, bits: &mut Bits<'_>) -> Result<f64, Detail> {
    if number == 0 {
        *column = XorState::first(bits.float()?);
        return Ok(f64::from_bits(column.bits));
    }
    bits.xor(column)
}

/// Appends the histograms of a chunk with integer counts.
pub(crate) fn decode_integers(data: &[u8], out: &mut Vec<HistogramSample>) -> Result<(), Detail> {
    let mut bits = Bits::new(data);
    let count = bits.bits(16)?;
    let layout = read_layout(&mut bits)?;
    let (mut ts_ms, mut total, mut zero) = (Stepping::default(), Stepping::default(), Stepping::default());
    let mut sum = XorState::default();
    let mut buckets = vec![Stepping::default(); layout.bucket_count()];
    for number in 0..count {
        ts_ms.read(number, &mut bits)?;
        total.read_count(number, &mut bits)?;
        zero.read_count(number, &mut bits)?;
        let sum = read_float(&mut sum, number, &mut bits)?;
        if is_stale_nan(sum) {
            out.push(stale(ts_ms.value));
            continue;
        }
        for bucket in &mut buckets {
            bucket.read(number, &mut bits)?;
        }
        let (positive, negative) = buckets.split_at(layout.positive_count());
        let add_up = |buckets: &[Stepping]| {
            let mut sum = 0_i64;
            let counts = buckets.iter().map(|bucket| {
                sum = sum.wrapping_add(bucket.value);
                sum as f64
            });
            counts.collect::<Vec<_>>()
        };
        let counts = [total.value as u64 as f64, zero.value as u64 as f64];
        let histogram = layout.histogram(number, counts, sum, add_up(positive), add_up(negative));
        out.push(HistogramSample { ts_ms: ts_ms.value, start_ms: 0, histogram: Arc::new(histogram) });
    }
    Ok(())
}

/// Appends the histograms of a chunk with float counts.
pub(crate) fn decode_floats(data: &[u8], out: &mut Vec<HistogramSample>) -> Result<(), Detail> {
    let mut bits = Bits::new(data);
    let count = bits.bits(16)?;
    let layout = read_layout(&mut bits)?;
    let mut ts_ms = Stepping::default();
    let (mut total, mut zero, mut sum) = (XorState::default(), XorState::default(), XorState::default());
    let mut columns = vec![XorState::default(); layout.bucket_count()];
    for number in 0..count {
        ts_ms.read(number, &mut bits)?;
        let total = read_float(&mut total, number, &mut bits)?;
        let zero = read_float(&mut zero, number, &mut bits)?;
        let sum = read_float(&mut sum, number, &mut bits)?;
        if is_stale_nan(sum) {
            out.push(stale(ts_ms.value));
            continue;
        }
        let mut counts = Vec::with_capacity(columns.len());
        for column in &mut columns {
            counts.push(read_float(column, number, &mut bits)?);
        }
        let negative = counts.split_off(layout.positive_count());
        let mut histogram = layout.histogram(number, [total, zero], sum, counts, negative);
        histogram.is_float = true;
        out.push(HistogramSample { ts_ms: ts_ms.value, start_ms: 0, histogram: Arc::new(histogram) });
    }
    Ok(())
}

fn stale(ts_ms: i64) -> HistogramSample {
    HistogramSample { ts_ms, start_ms: 0, histogram: Arc::new(Histogram::stale()) }
}

impl Layout {
    fn positive_count(&self) -> usize {
        bucket_count(&self.positive)
    }

    fn bucket_count(&self) -> usize {
        self.positive_count() + bucket_count(&self.negative)
    }

    fn histogram(
        &self,
        number: u64,
        [count, zero_count]: [f64; 2],
        sum: f64,
        positive: Vec<f64>,
        negative: Vec<f64>,
    ) -> Histogram {
        let reset_hint = match self.header {
            0b11 => ResetHint::Gauge,
            _ if number > 0 => ResetHint::NotReset,
            0b10 => ResetHint::Reset,
            _ => ResetHint::Unknown,
        };
        Histogram {
            schema: self.schema,
            is_float: false,
            reset_hint,
            count,
            sum,
            zero_threshold: self.zero_threshold,
            zero_count,
            positive: Buckets { spans: self.positive.clone(), counts: positive },
            negative: Buckets { spans: self.negative.clone(), counts: negative },
            custom_bounds: Arc::clone(&self.custom_bounds),
        }
    }
}

fn bucket_count(spans: &[BucketSpan]) -> usize {
    spans.iter().map(|span| span.length as usize).sum()
}

fn read_layout(bits: &mut Bits<'_>) -> Result<Layout, Detail> {
    let header = (bits.bits(8)? >> 6) as u8;
    let zero_threshold = match bits.bits(8)? as i32 {
        0 => 0.0,
        255 => bits.float()?,
        exponent => 0.5 * f64::powi(2.0, exponent - 243),
    };
    let schema = i32::try_from(bits.varbit_int()?).map_err(|_| "a schema is out of range")?;
    let positive = read_spans(bits)?;
    let negative = read_spans(bits)?;
    let custom_bounds = if schema == CUSTOM_BOUNDS_SCHEMA { read_bounds(bits)? } else { Vec::new() };
    Ok(Layout { header, schema, zero_threshold, positive, negative, custom_bounds: custom_bounds.into() })
}

fn read_spans(bits: &mut Bits<'_>) -> Result<Vec<BucketSpan>, Detail> {
    let mut spans = Vec::new();
    let mut buckets = 0_u64;
    for _ in 0..bits.varbit_uint()? {
        let length = bits.varbit_uint()?;
        let offset = bits.varbit_int()?;
        buckets = buckets.saturating_add(length);
        if buckets > BUCKETS_MAX as u64 {
            return Err(format!("{buckets} buckets are over {BUCKETS_MAX}"));
        }
        let offset = i32::try_from(offset).map_err(|_| "the offset of a span is out of range")?;
        spans.push(BucketSpan { offset, length: u32::try_from(length).unwrap_or(u32::MAX) });
    }
    Ok(spans)
}

/// A bound in thousandths plus one, or, after a 0, as it is.
fn read_bounds(bits: &mut Bits<'_>) -> Result<Vec<f64>, Detail> {
    let mut bounds = Vec::new();
    for _ in 0..bits.varbit_uint()? {
        bounds.push(if bits.bit()? {
            bits.varbit_uint_after_one()?.saturating_sub(1) as f64 / 1000.0
        } else {
            bits.float()?
        });
    }
    Ok(bounds)
}
