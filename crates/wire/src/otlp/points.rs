//! The data points of OTLP metrics, as they stand on the wire.

use model::Attributes;

use super::value::Strings;
use crate::DecodeError;
use crate::protobuf::Field;

/// What all points have.
#[derive(Default)]
pub(super) struct Common {
    pub(super) time_ns: u64,
    pub(super) flags: u32,
    pub(super) attributes: Attributes,
}

impl Common {
    /// Milliseconds since the Unix epoch.
    pub(super) fn ts_ms(&self) -> i64 {
        i64::try_from(self.time_ns / 1_000_000).unwrap_or(i64::MAX)
    }

    /// The flag "no recorded value": the series has ended.
    pub(super) fn is_unrecorded(&self) -> bool {
        self.flags & 1 == 1
    }
}

/// A point of a gauge or sum.
#[derive(Default)]
pub(super) struct NumberPoint {
    pub(super) common: Common,
    pub(super) value: f64,
}

impl NumberPoint {
    pub(super) fn read<'a>(field: &Field<'a>, strings: &mut Strings<'a>) -> Result<Self, DecodeError> {
        let mut point = Self::default();
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                3 => point.common.time_ns = field.fixed64()?,
                4 => point.value = field.double()?,
                6 => point.value = field.fixed64()?.cast_signed() as f64,
                7 => drop(strings.push_attribute(&field, &mut point.common.attributes)?),
                8 => point.common.flags = field.uint32()?,
                _ => {}
            }
        }
        Ok(point)
    }
}

/// A point of a histogram with explicit buckets.
#[derive(Default)]
pub(super) struct HistogramPoint {
    pub(super) common: Common,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    /// Observations per bucket, not cumulative: one more than there are bounds.
    pub(super) counts: Vec<u64>,
    /// Upper bounds, as bits of `f64`.
    pub(super) bounds: Vec<u64>,
}

impl HistogramPoint {
    pub(super) fn read<'a>(field: &Field<'a>, strings: &mut Strings<'a>) -> Result<Self, DecodeError> {
        let mut point = Self::default();
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                3 => point.common.time_ns = field.fixed64()?,
                4 => point.count = field.fixed64()?,
                5 => point.sum = Some(field.double()?),
                6 => field.repeated_fixed64(&mut point.counts)?,
                7 => field.repeated_fixed64(&mut point.bounds)?,
                9 => drop(strings.push_attribute(&field, &mut point.common.attributes)?),
                10 => point.common.flags = field.uint32()?,
                _ => {}
            }
        }
        Ok(point)
    }

    /// Whether counts and bounds fit together and the bounds rise.
    pub(super) fn check(&self) -> Result<(), String> {
        let (counts, bounds) = (self.counts.len(), self.bounds.len());
        if counts != bounds + 1 && !(counts == 0 && bounds == 0) && !self.common.is_unrecorded() {
            return Err(format!("{counts} bucket counts for {bounds} bounds, must be one more"));
        }
        let rises = self.bounds.is_sorted_by(|left, right| f64::from_bits(*left) < f64::from_bits(*right));
        if rises { Ok(()) } else { Err("bucket bounds do not rise".to_owned()) }
    }
}

/// A point of a summary.
#[derive(Default)]
pub(super) struct SummaryPoint {
    pub(super) common: Common,
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Quantile and value.
    pub(super) quantiles: Vec<(f64, f64)>,
}

impl SummaryPoint {
    pub(super) fn read<'a>(field: &Field<'a>, strings: &mut Strings<'a>) -> Result<Self, DecodeError> {
        let mut point = Self::default();
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                3 => point.common.time_ns = field.fixed64()?,
                4 => point.count = field.fixed64()?,
                5 => point.sum = field.double()?,
                6 => point.quantiles.push(read_quantile(&field)?),
                7 => drop(strings.push_attribute(&field, &mut point.common.attributes)?),
                8 => point.common.flags = field.uint32()?,
                _ => {}
            }
        }
        Ok(point)
    }
}

fn read_quantile(field: &Field<'_>) -> Result<(f64, f64), DecodeError> {
    let (mut quantile, mut value) = (0.0, 0.0);
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => quantile = field.double()?,
            2 => value = field.double()?,
            _ => {}
        }
    }
    Ok((quantile, value))
}
