//! `io.prometheus.client.Histogram`: classic and native form in one message.

use model::{Exemplar, Histogram, MetricKind, ResetHint};

use super::{read_exemplar, read_timestamp};
use crate::DecodeError;
use crate::native::{Parts, read_span};
use crate::protobuf::Field;

/// The message as it stands.
#[derive(Default)]
pub(super) struct Read {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) start_ms: i64,
    pub(super) buckets: Vec<Bucket>,
    exemplars: Vec<Exemplar>,
    parts: Parts,
}

/// A classic bucket.
pub(super) struct Bucket {
    /// Cumulative.
    pub(super) count: f64,
    pub(super) upper_bound: f64,
    pub(super) exemplar: Option<Exemplar>,
}

pub(super) fn read(data: &Field<'_>) -> Result<Read, DecodeError> {
    let mut read = Read::default();
    let parts = &mut read.parts;
    let mut fields = data.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => read.count = field.varint()? as f64,
            2 => read.sum = field.double()?,
            3 => read.buckets.push(read_bucket(&field)?),
            4 => (read.count, parts.is_float) = (field.double()?, true),
            5 => parts.schema = field.sint32()?,
            6 => parts.zero_threshold = field.double()?,
            7 => parts.zero_count = field.varint()? as f64,
            8 => parts.zero_count = field.double()?,
            9 => read_span(&field, &mut parts.negative.spans)?,
            10 => field.repeated_sint64(&mut parts.negative.deltas)?,
            11 => field.repeated_fixed64(&mut parts.negative.counts)?,
            12 => read_span(&field, &mut parts.positive.spans)?,
            13 => field.repeated_sint64(&mut parts.positive.deltas)?,
            14 => field.repeated_fixed64(&mut parts.positive.counts)?,
            15 => read.start_ms = read_timestamp(&field)?,
            16 => read.exemplars.extend(read_exemplar(&field)?),
            _ => {}
        }
    }
    Ok(read)
}

fn read_bucket(field: &Field<'_>) -> Result<Bucket, DecodeError> {
    let mut bucket = Bucket { count: 0.0, upper_bound: 0.0, exemplar: None };
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => bucket.count = field.varint()? as f64,
            2 => bucket.upper_bound = field.double()?,
            3 => bucket.exemplar = read_exemplar(&field)?,
            4 => bucket.count = field.double()?,
            _ => {}
        }
    }
    Ok(bucket)
}

impl Read {
    /// Whether there is a native form: it has at least a zero bucket.
    pub(super) fn is_native(&self) -> bool {
        let parts = &self.parts;
        let has_spans = !parts.positive.spans.is_empty() || !parts.negative.spans.is_empty();
        has_spans || parts.zero_threshold > 0.0 || parts.zero_count > 0.0
    }

    /// The native form; it is taken out.
    ///
    /// # Errors
    /// What makes no sense about it.
    pub(super) fn native(&mut self, kind: MetricKind) -> Result<Histogram, String> {
        let is_gauge = kind == MetricKind::GaugeHistogram;
        let reset_hint = if is_gauge { ResetHint::Gauge } else { ResetHint::Unknown };
        let parts = std::mem::take(&mut self.parts);
        Parts { count: self.count, sum: self.sum, reset_hint, ..parts }.build()
    }

    /// Exemplars of the native form: its own, else those of the classic buckets; only with times, as there is no bucket
    /// to tell a repetition by.
    pub(super) fn native_exemplars(&self) -> Vec<Exemplar> {
        let of_buckets = self.buckets.iter().filter_map(|bucket| bucket.exemplar.as_ref());
        let mut exemplars: Vec<Exemplar> =
            if self.exemplars.is_empty() { of_buckets.cloned().collect() } else { self.exemplars.clone() };
        exemplars.retain(|exemplar| exemplar.ts_ms != 0);
        exemplars.sort_by_key(|exemplar| exemplar.ts_ms);
        exemplars
    }
}
