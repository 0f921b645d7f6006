//! The data points of OTLP metrics, as they stand on the wire.

use model::{Attributes, Exemplar, Histogram, LabelSetBuilder};

use super::value::Strings;
use crate::DecodeError;
use crate::native::{BucketsBuilder, coarser};
use crate::protobuf::Field;

/// Most characters of the labels of an exemplar, as OpenMetrics has it.
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Coarsest and finest scale that become schemas; finer ones are merged down.
const SCALE_MIN: i32 = -4;
const SCALE_MAX: i32 = 8;

/// Width of the zero bucket of a histogram that names none, as Prometheus has it.
const ZERO_THRESHOLD_DEFAULT: f64 = 1e-128;

/// Most buckets of one sign of an exponential histogram.
const BUCKETS_SENT_MAX: usize = model::BUCKETS_MAX;

/// What all points have.
#[derive(Default)]
pub(super) struct Common {
    /// When the counter, or the interval of a delta, began; 0 = unknown.
    pub(super) start_ns: u64,
    pub(super) time_ns: u64,
    pub(super) flags: u32,
    pub(super) attributes: Attributes,
    pub(super) exemplars: Vec<Exemplar>,
}

/// Milliseconds since the Unix epoch.
pub(super) fn ms_of(time_ns: u64) -> i64 {
    i64::try_from(time_ns / 1_000_000).unwrap_or(i64::MAX)
}

impl Common {
    pub(super) fn ts_ms(&self) -> i64 {
        ms_of(self.time_ns)
    }

    /// Reads an exemplar: the ids of its span become the labels `trace_id` and `span_id`; other attributes come along
    /// as long as all labels together are short enough.
    fn push_exemplar<'a>(&mut self, field: &Field<'a>, strings: &mut Strings<'a>) -> Result<(), DecodeError> {
        let mut labels = LabelSetBuilder::new();
        let mut attributes = Attributes::new();
        let (mut value, mut time_ns) = (0.0, 0);
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                2 => time_ns = field.fixed64()?,
                3 => value = field.double()?,
                4 => drop(labels.set("span_id", &hex(field.bytes()?))),
                5 => drop(labels.set("trace_id", &hex(field.bytes()?))),
                6 => value = field.fixed64()?.cast_signed() as f64,
                7 => drop(strings.push_attribute(&field, &mut attributes)?),
                _ => {}
            }
        }
        let mut chars: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        for (key, attribute) in &attributes {
            let text = attribute.to_string();
            chars += key.chars().count() + text.chars().count();
            if chars > EXEMPLAR_CHARS_MAX {
                break;
            }
            labels.set(key, &text);
        }
        self.exemplars.push(Exemplar { labels: labels.build(), value, ts_ms: ms_of(time_ns) });
        Ok(())
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
                2 => point.common.start_ns = field.fixed64()?,
                3 => point.common.time_ns = field.fixed64()?,
                4 => point.value = field.double()?,
                5 => point.common.push_exemplar(&field, strings)?,
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
                2 => point.common.start_ns = field.fixed64()?,
                3 => point.common.time_ns = field.fixed64()?,
                4 => point.count = field.fixed64()?,
                5 => point.sum = Some(field.double()?),
                6 => field.repeated_fixed64(&mut point.counts)?,
                7 => field.repeated_fixed64(&mut point.bounds)?,
                8 => point.common.push_exemplar(&field, strings)?,
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

/// A point of a histogram with exponential buckets, as a native histogram.
#[derive(Default)]
pub(super) struct ExponentialPoint {
    pub(super) common: Common,
    /// Not checked.
    pub(super) histogram: Histogram,
    /// What makes no sense, found while reading.
    pub(super) wrong: Option<String>,
}

impl ExponentialPoint {
    pub(super) fn read<'a>(field: &Field<'a>, strings: &mut Strings<'a>) -> Result<Self, DecodeError> {
        let mut point = Self::default();
        let mut scale = 0;
        let mut threshold = 0.0;
        let histogram = &mut point.histogram;
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => drop(strings.push_attribute(&field, &mut point.common.attributes)?),
                2 => point.common.start_ns = field.fixed64()?,
                3 => point.common.time_ns = field.fixed64()?,
                4 => histogram.count = field.fixed64()? as f64,
                5 => histogram.sum = field.double()?,
                6 => scale = field.sint32()?,
                7 => histogram.zero_count = field.fixed64()? as f64,
                8 => histogram.positive = read_buckets(&field)?,
                9 => histogram.negative = read_buckets(&field)?,
                10 => point.common.flags = field.uint32()?,
                11 => point.common.push_exemplar(&field, strings)?,
                14 => threshold = field.double()?,
                _ => {}
            }
        }
        histogram.zero_threshold = if threshold == 0.0 { ZERO_THRESHOLD_DEFAULT } else { threshold };
        if scale < SCALE_MIN {
            point.wrong = Some(format!("scale {scale} is below {SCALE_MIN}, the coarsest that is stored"));
        } else if scale > SCALE_MAX {
            let by = (scale - SCALE_MAX).unsigned_abs();
            histogram.positive = coarser(&histogram.positive, by);
            histogram.negative = coarser(&histogram.negative, by);
        }
        histogram.schema = scale.min(SCALE_MAX);
        Ok(point)
    }
}

/// Reads dense buckets. OTLP's bucket i is `(base^i, base^(i+1)]`, which ours calls i + 1.
fn read_buckets(field: &Field<'_>) -> Result<model::Buckets, DecodeError> {
    let (mut offset, mut counts) = (0_i32, Vec::new());
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => offset = field.sint32()?,
            2 => field.repeated_varint(&mut counts)?,
            _ => {}
        }
        if counts.len() > BUCKETS_SENT_MAX {
            return Err(field.malformed(format!("more buckets than the limit of {BUCKETS_SENT_MAX}")));
        }
    }
    let mut builder = BucketsBuilder::default();
    for (index, count) in (i64::from(offset) + 1..).zip(counts) {
        builder.add(index, count as f64);
    }
    Ok(builder.finish())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
                2 => point.common.start_ns = field.fixed64()?,
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
