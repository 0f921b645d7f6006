//! Log records of the head.
//!
//! ```text
//! samples  := 1 | shard u8 | n varint | (slot varint, labels bytes)*n       labels not yet in this segment
//!               | n varint | (slot step zigzag, time step zigzag, value)*n  steps from the sample before, first from 0
//! value    := len (0..=8) | the first len bytes of the float, big-endian, the others are 0
//!           | 16 + e | mantissa zigzag                                      mantissa / 10^e, e is 0 or 2
//! metadata := 2 | n varint | (kind u8, family bytes, help bytes, unit bytes)*n
//! ```
//! A slot stands for a series within its segment; a later definition of the same slot replaces the earlier one.
#![warn(clippy::indexing_slicing)]

use codec::{Cursor, put_bytes, put_varint, zigzag};
use log::{BadRecord, SegmentId};
use model::{LabelSetRef, MetricKind, MetricMetadata};

use super::shard::Shard;
use crate::sample::Sample;

const SAMPLES: u8 = 1;
const METADATA: u8 = 2;
const DECIMAL: u8 = 16;
const DECIMAL_EXPONENT: u8 = 2;

/// Records are split at about this length.
const RECORD_BYTES: usize = 4 << 20;

const KINDS: [MetricKind; 8] = [
    MetricKind::Unknown,
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::GaugeHistogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
];

/// An accepted sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logged {
    pub(super) slot: u32,
    pub(super) sample: Sample,
}

/// Replaces `out` by a record of samples of `logged`, and answers how many: all that fit.
pub(super) fn put_samples(
    number: usize,
    shard: &Shard,
    logged: &[Logged],
    segment: SegmentId,
    out: &mut Vec<u8>,
) -> usize {
    out.clear();
    out.push(SAMPLES);
    out.push(number as u8);
    let mut undefined: Vec<u32> = Vec::new();
    let mut bytes = 0;
    let mut count = 0;
    for entry in logged {
        let series = shard.get(entry.slot).filter(|series| series.logged_in != segment);
        if let Some(series) = series {
            undefined.push(entry.slot);
            bytes += series.labels.as_bytes().len() + 8;
        }
        bytes += 16;
        count += 1;
        if bytes > RECORD_BYTES {
            break;
        }
    }
    undefined.sort_unstable();
    undefined.dedup();
    put_varint(out, undefined.len() as u64);
    for slot in undefined {
        put_varint(out, u64::from(slot));
        put_bytes(out, shard.get(slot).map(|series| series.labels.as_bytes()).unwrap_or_default());
    }
    put_varint(out, count as u64);
    let (mut slot, mut ts_ms) = (0_i64, 0_i64);
    for entry in logged.iter().take(count) {
        put_varint(out, zigzag(i64::from(entry.slot) - slot));
        put_varint(out, zigzag(entry.sample.ts_ms.wrapping_sub(ts_ms)));
        put_value(entry.sample.value, out);
        (slot, ts_ms) = (i64::from(entry.slot), entry.sample.ts_ms);
    }
    count
}

#[inline]
fn put_value(value: f64, out: &mut Vec<u8>) {
    if let Some((exponent, mantissa)) = decimal(value) {
        out.push(DECIMAL + exponent);
        put_varint(out, zigzag(mantissa));
        return;
    }
    let bits = value.to_bits();
    let len = 8 - bits.trailing_zeros() as usize / 8;
    out.push(len as u8);
    out.extend_from_slice(bits.to_be_bytes().get(..len).unwrap_or_default());
}

/// Integers and hundredths, the most common values.
#[inline]
fn decimal(value: f64) -> Option<(u8, i64)> {
    if value.abs() < 1e13 {
        let integer = value as i64;
        if (integer as f64).to_bits() == value.to_bits() {
            return Some((0, integer));
        }
        let mantissa = (value * 100.0).round_ties_even() as i64;
        if (mantissa as f64 / 100.0).to_bits() == value.to_bits() {
            return Some((DECIMAL_EXPONENT, mantissa));
        }
    }
    None
}

/// Replaces `out` by a record of metadata.
pub(crate) fn put_metadata<'m>(
    families: impl ExactSizeIterator<Item = &'m MetricMetadata>,
    out: &mut Vec<u8>,
) {
    out.clear();
    out.push(METADATA);
    put_varint(out, families.len() as u64);
    for metadata in families {
        let kind = KINDS.iter().position(|kind| *kind == metadata.kind).unwrap_or_default();
        out.push(kind as u8);
        for text in [&metadata.family, &metadata.help, &metadata.unit] {
            put_bytes(out, text.as_bytes());
        }
    }
}

/// What a record says, piece by piece.
pub(super) trait Visitor {
    /// `slot` of `shard` stands for this series from now on.
    fn series(&mut self, shard: u8, slot: u64, labels: LabelSetRef<'_>);
    /// A sample of a slot defined before.
    fn sample(&mut self, shard: u8, slot: u64, sample: Sample) -> Result<(), BadRecord>;
    fn metadata(&mut self, metadata: MetricMetadata);
}

/// Reads a record. What precedes the damage of a bad record has been visited.
pub(super) fn read(record: &[u8], visitor: &mut impl Visitor) -> Result<(), BadRecord> {
    let mut cursor = Cursor::new(record);
    match cursor.u8().map_err(bad)? {
        SAMPLES => read_samples(&mut cursor, visitor),
        METADATA => read_metadata(&mut cursor, visitor),
        kind => Err(BadRecord(format!("unknown kind {kind} of record"))),
    }
}

fn read_samples(cursor: &mut Cursor<'_>, visitor: &mut impl Visitor) -> Result<(), BadRecord> {
    let shard = cursor.u8().map_err(bad)?;
    for _ in 0..cursor.varint().map_err(bad)? {
        let slot = cursor.varint().map_err(bad)?;
        let labels = LabelSetRef::from_canonical(cursor.bytes().map_err(bad)?);
        visitor.series(shard, slot, labels.map_err(|error| BadRecord(error.to_string()))?);
    }
    let (mut slot, mut ts_ms) = (0_i64, 0_i64);
    for _ in 0..cursor.varint().map_err(bad)? {
        slot = slot.wrapping_add(cursor.signed_varint().map_err(bad)?);
        ts_ms = ts_ms.wrapping_add(cursor.signed_varint().map_err(bad)?);
        let value = read_value(cursor)?;
        visitor.sample(shard, slot as u64, Sample { ts_ms, value })?;
    }
    Ok(())
}

#[inline]
fn read_value(cursor: &mut Cursor<'_>) -> Result<f64, BadRecord> {
    const HUNDREDTHS: u8 = DECIMAL + DECIMAL_EXPONENT;
    match cursor.u8().map_err(bad)? {
        len @ 0..=8 => {
            let mut bytes = [0; 8];
            let taken = cursor.take(usize::from(len)).map_err(bad)?;
            bytes.iter_mut().zip(taken).for_each(|(slot, byte)| *slot = *byte);
            Ok(f64::from_bits(u64::from_be_bytes(bytes)))
        }
        DECIMAL => Ok(cursor.signed_varint().map_err(bad)? as f64),
        HUNDREDTHS => Ok(cursor.signed_varint().map_err(bad)? as f64 / 100.0),
        tag => Err(BadRecord(format!("unknown tag {tag} of value"))),
    }
}

fn read_metadata(cursor: &mut Cursor<'_>, visitor: &mut impl Visitor) -> Result<(), BadRecord> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for _ in 0..cursor.varint().map_err(bad)? {
        let kind = usize::from(cursor.u8().map_err(bad)?);
        let kind = KINDS.get(kind).copied().unwrap_or(MetricKind::Unknown);
        let family = text(cursor.bytes().map_err(bad)?);
        let help = text(cursor.bytes().map_err(bad)?);
        let unit = text(cursor.bytes().map_err(bad)?);
        visitor.metadata(MetricMetadata { family, kind, help, unit });
    }
    Ok(())
}

fn bad(error: codec::Error) -> BadRecord {
    BadRecord(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Nobody;

    impl Visitor for Nobody {
        fn series(&mut self, _shard: u8, _slot: u64, _labels: LabelSetRef<'_>) {}
        fn sample(&mut self, _shard: u8, _slot: u64, _sample: Sample) -> Result<(), BadRecord> {
            Ok(())
        }
        fn metadata(&mut self, _metadata: MetricMetadata) {}
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit(bits: u64, integer: i64, hundredths in -100_000_000..100_000_000_i64) {
            for value in [f64::from_bits(bits), integer as f64, hundredths as f64 / 100.0, 0.0, -0.0, f64::NAN] {
                let mut bytes = Vec::new();
                put_value(value, &mut bytes);
                let mut cursor = Cursor::new(&bytes);
                prop_assert_eq!(read_value(&mut cursor).unwrap().to_bits(), value.to_bits());
                prop_assert!(cursor.is_empty());
            }
        }

        #[test]
        fn random_records_never_panic(mut bytes: Vec<u8>, kind in 0..4_u8) {
            bytes.insert(0, kind);
            let _refused_or_not = read(&bytes, &mut Nobody).is_err();
        }
    }
}
