//! From chunks to columns.

use std::sync::Arc;

use model::{Buckets, Histogram, HistogramSample, ResetHint, SampleColumns, is_stale_nan};

use super::bits::{BitReader, Short, Xored};
use super::layout::Layout;
use super::{Encoding, GAUGE, NOT_RESET, RESET};
use crate::DecodeError;

/// Appends the samples of a chunk to `out`.
///
/// # Errors
/// [`DecodeError::Malformed`] when the bytes end early, or a histogram makes no sense.
pub fn decode(encoding: Encoding, data: &[u8], out: &mut SampleColumns) -> Result<(), DecodeError> {
    let malformed = |detail: String| DecodeError::Malformed { format: "chunk", offset: 0, detail };
    let Some((samples, rest)) = data.split_first_chunk::<2>() else {
        return Err(malformed("it has no header".to_owned()));
    };
    let samples = usize::from(u16::from_be_bytes(*samples));
    let result = match encoding {
        Encoding::Xor => xor(BitReader::new(rest), samples, out).map_err(|Short| None),
        Encoding::Histogram | Encoding::FloatHistogram => histograms(encoding, rest, samples, out),
    };
    result.map_err(|why| {
        malformed(why.unwrap_or_else(|| {
            format!("it ends before its {samples} samples do, or has a layout without end")
        }))
    })
}

fn xor(mut bits: BitReader<'_>, samples: usize, out: &mut SampleColumns) -> Result<(), Short> {
    let (mut ts_ms, mut delta) = (0_i64, 0_i64);
    let mut value = Xored::new(0.0);
    for index in 0..samples {
        match index {
            0 => {
                ts_ms = codec::unzigzag(bits.leb()?);
                value = Xored::new(f64::from_bits(bits.bits(64)?));
            }
            1 => delta = bits.leb()?.cast_signed(),
            _ => delta = delta.wrapping_add(bits.time()?),
        }
        if index > 0 {
            ts_ms = ts_ms.wrapping_add(delta);
            value.read(&mut bits)?;
        }
        out.push(ts_ms, value.value);
    }
    Ok(())
}

/// A number that is written by differences.
#[derive(Clone, Copy, Default)]
struct Stepped {
    value: i64,
    delta: i64,
}

impl Stepped {
    fn read(&mut self, index: usize, bits: &mut BitReader<'_>, is_unsigned: bool) -> Result<i64, Short> {
        match index {
            0 if is_unsigned => self.value = bits.unsigned()?.cast_signed(),
            0 => self.value = bits.signed()?,
            _ => {
                let step = bits.signed()?;
                self.step(index, step);
            }
        }
        Ok(self.value)
    }

    fn step(&mut self, index: usize, step: i64) {
        self.delta = if index == 1 { step } else { self.delta.wrapping_add(step) };
        self.value = self.value.wrapping_add(self.delta);
    }
}

/// `Err(None)` when the bytes end early.
fn histograms(
    encoding: Encoding,
    data: &[u8],
    samples: usize,
    out: &mut SampleColumns,
) -> Result<(), Option<String>> {
    let (&header, rest) = data.split_first().ok_or(None)?;
    let mut bits = BitReader::new(rest);
    let layout = Layout::read(&mut bits).map_err(|Short| None)?;
    let mut numbers = Numbers::new(encoding, &layout);
    for index in 0..samples {
        let (ts_ms, mut histogram) = numbers.read(index, &mut bits, &layout).map_err(|Short| None)?;
        histogram.reset_hint = hint(header, index);
        histogram.validate().map_err(|error| Some(error.to_string()))?;
        out.histograms.push(HistogramSample { ts_ms, start_ms: 0, histogram: Arc::new(histogram) });
    }
    Ok(())
}

fn hint(header: u8, index: usize) -> ResetHint {
    match header & GAUGE {
        GAUGE => ResetHint::Gauge,
        // A reset would have begun a new chunk.
        _ if index > 0 => ResetHint::NotReset,
        RESET => ResetHint::Reset,
        NOT_RESET => ResetHint::NotReset,
        _ => ResetHint::Unknown,
    }
}

/// The numbers of the sample before.
struct Numbers {
    is_float: bool,
    ts: Stepped,
    count: Stepped,
    zero: Stepped,
    sum: Xored,
    /// Differences of integer counts from bucket to bucket, over time.
    deltas: Vec<Stepped>,
    /// Count, zero bucket and buckets of float histograms.
    floats: Vec<Xored>,
}

impl Numbers {
    fn new(encoding: Encoding, layout: &Layout) -> Self {
        let (positive, negative) = layout.bucket_counts();
        let is_float = encoding == Encoding::FloatHistogram;
        let buckets = positive + negative;
        Self {
            is_float,
            ts: Stepped::default(),
            count: Stepped::default(),
            zero: Stepped::default(),
            sum: Xored::new(0.0),
            deltas: vec![Stepped::default(); if is_float { 0 } else { buckets }],
            floats: vec![Xored::new(0.0); if is_float { buckets + 2 } else { 0 }],
        }
    }

    fn read(
        &mut self,
        index: usize,
        bits: &mut BitReader<'_>,
        layout: &Layout,
    ) -> Result<(i64, Histogram), Short> {
        let ts_ms = if index == 1 {
            let delta = bits.unsigned()?.cast_signed();
            self.ts.step(1, delta);
            self.ts.value
        } else {
            self.ts.read(index, bits, false)?
        };
        let histogram =
            if self.is_float { self.floats(index, bits, layout) } else { self.integers(index, bits, layout) };
        Ok((ts_ms, histogram?))
    }

    fn integers(
        &mut self,
        index: usize,
        bits: &mut BitReader<'_>,
        layout: &Layout,
    ) -> Result<Histogram, Short> {
        let count = self.count.read(index, bits, true)?;
        let zero = self.zero.read(index, bits, true)?;
        let sum = read_xored(&mut self.sum, index, bits)?;
        if is_stale_nan(sum) {
            return Ok(Histogram::stale());
        }
        let (positive_count, _) = layout.bucket_counts();
        let mut counts = Vec::with_capacity(self.deltas.len());
        let mut running = 0_i64;
        for (place, delta) in self.deltas.iter_mut().enumerate() {
            if place == positive_count {
                running = 0;
            }
            running = running.wrapping_add(delta.read(index, bits, false)?);
            counts.push(running as f64);
        }
        Ok(histogram_of(layout, false, [count as f64, zero as f64, sum], counts))
    }

    fn floats(
        &mut self,
        index: usize,
        bits: &mut BitReader<'_>,
        layout: &Layout,
    ) -> Result<Histogram, Short> {
        let mut numbers = self.floats.iter_mut();
        let mut next = |bits: &mut BitReader<'_>| match numbers.next() {
            Some(number) => read_xored(number, index, bits),
            None => Err(Short),
        };
        let (count, zero) = (next(bits)?, next(bits)?);
        let sum = read_xored(&mut self.sum, index, bits)?;
        if is_stale_nan(sum) {
            return Ok(Histogram::stale());
        }
        let counts = numbers.map(|number| read_xored(number, index, bits)).collect::<Result<_, _>>()?;
        Ok(histogram_of(layout, true, [count, zero, sum], counts))
    }
}

/// The first is written in full.
fn read_xored(number: &mut Xored, index: usize, bits: &mut BitReader<'_>) -> Result<f64, Short> {
    if index == 0 {
        *number = Xored::new(f64::from_bits(bits.bits(64)?));
        return Ok(number.value);
    }
    number.read(bits)
}

fn histogram_of(
    layout: &Layout,
    is_float: bool,
    [count, zero_count, sum]: [f64; 3],
    mut counts: Vec<f64>,
) -> Histogram {
    let (positive_count, _) = layout.bucket_counts();
    let negative = counts.split_off(positive_count.min(counts.len()));
    Histogram {
        schema: layout.schema,
        is_float,
        reset_hint: ResetHint::Unknown,
        count,
        sum,
        zero_threshold: layout.zero_threshold,
        zero_count,
        positive: Buckets { spans: layout.positive.clone(), counts },
        negative: Buckets { spans: layout.negative.clone(), counts: negative },
        custom_bounds: Arc::clone(&layout.custom_bounds),
    }
}
