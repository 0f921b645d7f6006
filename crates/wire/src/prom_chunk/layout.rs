//! What all histograms of a chunk share.

use std::sync::Arc;

use model::{BUCKETS_MAX, BucketSpan, CUSTOM_BOUNDS_SCHEMA, Histogram};

use super::bits::{BitReader, BitWriter, Short};

/// Schema, zero bucket, spans and bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive: Vec<BucketSpan>,
    pub(super) negative: Vec<BucketSpan>,
    pub(super) custom_bounds: Arc<[f64]>,
}

/// Exponents of powers of two that fit into the byte of a zero threshold.
const EXPONENT_MIN: i32 = -242;
const EXPONENT_MAX: i32 = 11;

impl Layout {
    /// A stale marker has none.
    pub(super) fn of(histogram: &Histogram) -> Self {
        if histogram.is_stale() {
            return Self::default();
        }
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            positive: histogram.positive.spans.clone(),
            negative: histogram.negative.spans.clone(),
            custom_bounds: Arc::clone(&histogram.custom_bounds),
        }
    }

    pub(super) fn write(&self, out: &mut BitWriter) {
        match exponent(self.zero_threshold) {
            _ if self.zero_threshold == 0.0 => out.byte(0),
            Some(byte) => out.byte(byte),
            None => {
                out.byte(255);
                out.bits(self.zero_threshold.to_bits(), 64);
            }
        }
        out.signed(i64::from(self.schema));
        for spans in [&self.positive, &self.negative] {
            out.unsigned(spans.len() as u64);
            for span in spans {
                out.unsigned(u64::from(span.length));
                out.signed(i64::from(span.offset));
            }
        }
        if self.schema == CUSTOM_BOUNDS_SCHEMA {
            out.unsigned(self.custom_bounds.len() as u64);
            self.custom_bounds.iter().for_each(|bound| write_bound(*bound, out));
        }
    }

    pub(super) fn read(bits: &mut BitReader<'_>) -> Result<Self, Short> {
        let zero_threshold = match bits.byte()? {
            0 => 0.0,
            255 => f64::from_bits(bits.bits(64)?),
            byte => f64::from(i32::from(byte) - 243 - 1).exp2(),
        };
        let schema = i32::try_from(bits.signed()?).map_err(|_| Short)?;
        let (positive, negative) = (read_spans(bits)?, read_spans(bits)?);
        let mut custom_bounds = Vec::new();
        if schema == CUSTOM_BOUNDS_SCHEMA {
            let count = bits.unsigned()?;
            if count > BUCKETS_MAX as u64 {
                return Err(Short);
            }
            for _ in 0..count {
                custom_bounds.push(read_bound(bits)?);
            }
        }
        Ok(Self { schema, zero_threshold, positive, negative, custom_bounds: custom_bounds.into() })
    }

    /// Number of positive and of negative buckets.
    pub(super) fn bucket_counts(&self) -> (usize, usize) {
        let count = |spans: &[BucketSpan]| spans.iter().map(|span| span.length as usize).sum();
        (count(&self.positive), count(&self.negative))
    }
}

/// `threshold` as 2^(byte - 244), if it is such a power.
fn exponent(threshold: f64) -> Option<u8> {
    let bits = threshold.to_bits();
    let is_power = bits & ((1 << 52) - 1) == 0 && threshold.is_normal() && threshold > 0.0;
    // As frexp has it: a fraction of one half times 2^exponent.
    let exponent = i32::try_from(bits >> 52).ok()? - 1_022;
    let is_near = (EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent);
    u8::try_from(exponent + 243).ok().filter(|_| is_power && is_near)
}

fn read_spans(bits: &mut BitReader<'_>) -> Result<Vec<BucketSpan>, Short> {
    let mut spans = Vec::new();
    let mut room = 0_u64;
    for _ in 0..bits.unsigned()? {
        let length = bits.unsigned()?;
        room = room.saturating_add(length);
        if room > BUCKETS_MAX as u64 || spans.len() >= BUCKETS_MAX {
            return Err(Short);
        }
        let offset = i32::try_from(bits.signed()?).map_err(|_| Short)?;
        spans.push(BucketSpan { offset, length: u32::try_from(length).map_err(|_| Short)? });
    }
    Ok(spans)
}

/// Bounds are mostly short decimal fractions: thousandths up to 33 554, behind a one.
const THOUSANDTHS_MAX: f64 = 33_554_430.0;

fn write_bound(bound: f64, out: &mut BitWriter) {
    let thousandths = bound * 1_000.0;
    let rounded = thousandths.round();
    let is_short = (0.0..=THOUSANDTHS_MAX).contains(&rounded) && rounded / 1_000.0 == bound;
    if is_short {
        out.unsigned(rounded as u64 + 1);
    } else {
        out.bits(0, 1);
        out.bits(bound.to_bits(), 64);
    }
}

fn read_bound(bits: &mut BitReader<'_>) -> Result<f64, Short> {
    match bits.unsigned()? {
        0 => Ok(f64::from_bits(bits.bits(64)?)),
        thousandths => Ok((thousandths - 1) as f64 / 1_000.0),
    }
}
