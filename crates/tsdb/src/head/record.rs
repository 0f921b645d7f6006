//! Log records of the head.
//!
//! ```text
//! samples    := 1 | shard u8 | series | n varint | (slot step zigzag, time step zigzag, value)*n     steps from the
//! since      := 3 | shard u8 | series | n varint | (slot step zigzag, time step zigzag,              sample before,
//!                                                   start time step zigzag, value)*n                 first from 0
//! histograms := 4 | shard u8 | series | n varint | (slot varint, chunk bytes)*n
//! metadata   := 2 | n varint | (kind u8, family bytes, help bytes, unit bytes)*n
//! exemplars  := 5 | n varint | (series labels bytes, labels bytes, time zigzag, value bits[8])*n
//! series     := n varint | (slot varint, labels bytes)*n          labels not yet in this segment
//! value      := len (0..=8) | the first len bytes of the float, big-endian, the others are 0
//!             | 16 + e | mantissa zigzag                          mantissa / 10^e, e is 0 or 2
//! ```
//! A slot stands for a series within its segment; a later definition of the same slot replaces the earlier one.
#![warn(clippy::indexing_slicing)]

use codec::{Cursor, put_bytes, put_varint, zigzag};
use log::BadRecord;
use model::{Exemplar, HistogramSample, LabelSet, LabelSetRef, MetricKind, MetricMetadata, SampleColumns};

use crate::chunk;
use crate::sample::Sample;

const SAMPLES: u8 = 1;
const METADATA: u8 = 2;
const SAMPLES_SINCE: u8 = 3;
const HISTOGRAMS: u8 = 4;
const EXEMPLARS: u8 = 5;
const DECIMAL: u8 = 16;
const DECIMAL_EXPONENT: u8 = 2;

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

/// An accepted float.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logged {
    pub(super) slot: u32,
    pub(super) sample: Sample,
}

/// Accepted histograms of one series.
#[derive(Clone, Debug)]
pub(super) struct LoggedHistograms {
    pub(super) slot: u32,
    pub(super) samples: Vec<HistogramSample>,
}

/// Replaces `out` by a record of floats. `series` are slots and the bytes of their labels.
pub(super) fn put_samples(shard: usize, series: &Definitions, logged: &[Logged], out: &mut Vec<u8>) {
    let has_starts = logged.iter().any(|entry| entry.sample.start_ms != 0);
    out.clear();
    out.push(if has_starts { SAMPLES_SINCE } else { SAMPLES });
    out.push(shard as u8);
    series.put(out);
    put_varint(out, logged.len() as u64);
    let mut before = Logged { slot: 0, sample: Sample::default() };
    for entry in logged {
        put_varint(out, zigzag(i64::from(entry.slot) - i64::from(before.slot)));
        put_varint(out, zigzag(entry.sample.ts_ms.wrapping_sub(before.sample.ts_ms)));
        if has_starts {
            put_varint(out, zigzag(entry.sample.start_ms.wrapping_sub(before.sample.start_ms)));
        }
        put_value(entry.sample.value, out);
        before = *entry;
    }
}

/// Replaces `out` by a record of histograms.
pub(super) fn put_histograms(
    shard: usize,
    series: &Definitions,
    logged: &[LoggedHistograms],
    out: &mut Vec<u8>,
) {
    out.clear();
    out.extend_from_slice(&[HISTOGRAMS, shard as u8]);
    series.put(out);
    let mut chunks = Vec::new();
    let mut bytes = Vec::new();
    for entry in logged {
        let mut rest = entry.samples.as_slice();
        while !rest.is_empty() {
            let start = bytes.len();
            let (_done, left) = rest.split_at(chunk::encode_histograms(rest, &mut bytes));
            rest = left;
            chunks.push((entry.slot, start..bytes.len()));
        }
    }
    put_varint(out, chunks.len() as u64);
    for (slot, range) in chunks {
        put_varint(out, u64::from(slot));
        put_bytes(out, bytes.get(range).unwrap_or_default());
    }
}

/// Series that a record defines.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    count: u64,
    bytes: Vec<u8>,
}

impl Definitions {
    pub(super) fn push(&mut self, slot: u32, put_labels: impl FnOnce(&mut Vec<u8>)) {
        self.count += 1;
        put_varint(&mut self.bytes, u64::from(slot));
        let mut labels = Vec::with_capacity(256);
        put_labels(&mut labels);
        put_bytes(&mut self.bytes, &labels);
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        out.extend_from_slice(&self.bytes);
    }
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

/// Replaces `out` by a record of exemplars.
pub(crate) fn put_exemplars<'e>(
    exemplars: impl ExactSizeIterator<Item = (&'e LabelSet, &'e Exemplar)>,
    out: &mut Vec<u8>,
) {
    out.clear();
    out.push(EXEMPLARS);
    put_varint(out, exemplars.len() as u64);
    for (series, exemplar) in exemplars {
        put_bytes(out, series.as_bytes());
        put_bytes(out, exemplar.labels.as_bytes());
        put_varint(out, zigzag(exemplar.ts_ms));
        out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
    }
}

/// The shard of a record of samples; none of the others.
pub(super) fn shard_of(record: &[u8]) -> Option<u8> {
    match record {
        [SAMPLES | SAMPLES_SINCE | HISTOGRAMS, shard, ..] => Some(*shard),
        _ => None,
    }
}

/// What a record says, piece by piece.
pub(super) trait Visitor {
    /// The slots of `shard` stand for these series from now on.
    fn series(&mut self, shard: u8, series: &[(u64, LabelSetRef<'_>)]) -> Result<(), BadRecord>;
    /// A sample of a slot defined before.
    fn sample(&mut self, shard: u8, slot: u64, sample: Sample) -> Result<(), BadRecord>;
    /// Histograms of a slot defined before.
    fn histograms(&mut self, shard: u8, slot: u64, samples: Vec<HistogramSample>) -> Result<(), BadRecord>;
    fn metadata(&mut self, metadata: MetricMetadata);
    fn exemplar(&mut self, series: LabelSetRef<'_>, exemplar: Exemplar);
}

/// Reads a record. What precedes the damage of a bad record has been visited.
pub(super) fn read(record: &[u8], visitor: &mut impl Visitor) -> Result<(), BadRecord> {
    let mut cursor = Cursor::new(record);
    match cursor.u8().map_err(bad)? {
        SAMPLES => read_samples(&mut cursor, false, visitor),
        SAMPLES_SINCE => read_samples(&mut cursor, true, visitor),
        HISTOGRAMS => read_histograms(&mut cursor, visitor),
        METADATA => read_metadata(&mut cursor, visitor),
        EXEMPLARS => read_exemplars(&mut cursor, visitor),
        kind => Err(BadRecord(format!("unknown kind {kind} of record"))),
    }
}

fn read_series(cursor: &mut Cursor<'_>, visitor: &mut impl Visitor) -> Result<u8, BadRecord> {
    let shard = cursor.u8().map_err(bad)?;
    let mut series = Vec::new();
    for _ in 0..cursor.varint().map_err(bad)? {
        let slot = cursor.varint().map_err(bad)?;
        series.push((slot, read_labels(cursor)?));
    }
    if !series.is_empty() {
        visitor.series(shard, &series)?;
    }
    Ok(shard)
}

fn read_labels<'r>(cursor: &mut Cursor<'r>) -> Result<LabelSetRef<'r>, BadRecord> {
    let labels = LabelSetRef::from_canonical(cursor.bytes().map_err(bad)?);
    labels.map_err(|error| BadRecord(error.to_string()))
}

fn read_samples(
    cursor: &mut Cursor<'_>,
    has_starts: bool,
    visitor: &mut impl Visitor,
) -> Result<(), BadRecord> {
    let shard = read_series(cursor, visitor)?;
    let (mut slot, mut ts_ms, mut start_ms) = (0_i64, 0_i64, 0_i64);
    for _ in 0..cursor.varint().map_err(bad)? {
        slot = slot.wrapping_add(cursor.signed_varint().map_err(bad)?);
        ts_ms = ts_ms.wrapping_add(cursor.signed_varint().map_err(bad)?);
        if has_starts {
            start_ms = start_ms.wrapping_add(cursor.signed_varint().map_err(bad)?);
        }
        let value = read_value(cursor)?;
        visitor.sample(shard, slot as u64, Sample { ts_ms, value, start_ms })?;
    }
    Ok(())
}

fn read_histograms(cursor: &mut Cursor<'_>, visitor: &mut impl Visitor) -> Result<(), BadRecord> {
    let shard = read_series(cursor, visitor)?;
    for _ in 0..cursor.varint().map_err(bad)? {
        let slot = cursor.varint().map_err(bad)?;
        let mut columns = SampleColumns::default();
        let chunk = cursor.bytes().map_err(bad)?;
        chunk::decode(chunk, &mut columns).map_err(|error| BadRecord(error.to_string()))?;
        visitor.histograms(shard, slot, columns.histograms)?;
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

fn read_exemplars(cursor: &mut Cursor<'_>, visitor: &mut impl Visitor) -> Result<(), BadRecord> {
    for _ in 0..cursor.varint().map_err(bad)? {
        let series = read_labels(cursor)?;
        let labels = read_labels(cursor)?.to_owned();
        let ts_ms = cursor.signed_varint().map_err(bad)?;
        let value = f64::from_bits(u64::from_le_bytes(cursor.array().map_err(bad)?));
        visitor.exemplar(series, Exemplar { labels, value, ts_ms });
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
        fn series(&mut self, _shard: u8, _series: &[(u64, LabelSetRef<'_>)]) -> Result<(), BadRecord> {
            Ok(())
        }
        fn sample(&mut self, _shard: u8, _slot: u64, _sample: Sample) -> Result<(), BadRecord> {
            Ok(())
        }
        fn histograms(
            &mut self,
            _shard: u8,
            _slot: u64,
            _samples: Vec<HistogramSample>,
        ) -> Result<(), BadRecord> {
            Ok(())
        }
        fn metadata(&mut self, _metadata: MetricMetadata) {}
        fn exemplar(&mut self, _series: LabelSetRef<'_>, _exemplar: Exemplar) {}
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
        fn random_records_never_panic(mut bytes: Vec<u8>, kind in 0..7_u8) {
            bytes.insert(0, kind);
            let _refused_or_not = read(&bytes, &mut Nobody).is_err();
        }
    }
}
