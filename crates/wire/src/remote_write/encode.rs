//! Encoders of both versions of remote write.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use model::{Exemplar, LabelSetRef, MetricBatch, MetricMetadata, SeriesRef};

use super::v2::family_of;
use super::{histogram, number_of};
use crate::protobuf::{
    put_blob, put_message, put_oneof_blob, put_oneof_fixed64, put_packed_varint, put_uint,
};

/// Encodes a batch as a `WriteRequest` (1.0, not compressed). Start times have no place there.
pub fn encode(batch: &MetricBatch) -> Vec<u8> {
    let mut out = Vec::with_capacity(batch.sample_count() * 128);
    for series in batch.series() {
        put_message(&mut out, 1, |out| {
            put_labels(out, series.labels);
            for (ts_ms, value) in series.ts_ms.iter().zip(series.values) {
                put_message(out, 2, |out| put_sample(out, *ts_ms, *value));
            }
            for exemplar in series.exemplars {
                put_message(out, 3, |out| {
                    put_labels(out, exemplar.labels.as_ref());
                    put_oneof_fixed64(out, 2, exemplar.value.to_bits());
                    put_uint(out, 3, exemplar.ts_ms.cast_unsigned());
                });
            }
            for sample in series.histograms {
                put_message(out, 4, |out| histogram::put(out, sample, false));
            }
        });
    }
    for metadata in &batch.metadata {
        put_message(&mut out, 3, |out| {
            put_uint(out, 1, number_of(metadata.kind));
            put_blob(out, 2, metadata.family.as_bytes());
            put_blob(out, 4, metadata.help.as_bytes());
            put_blob(out, 5, metadata.unit.as_bytes());
        });
    }
    out
}

/// Writes labels as `Label` messages of field 1.
pub(crate) fn put_labels(out: &mut Vec<u8>, labels: LabelSetRef<'_>) {
    for (name, value) in labels.iter() {
        put_message(out, 1, |out| {
            put_blob(out, 1, name.as_bytes());
            put_blob(out, 2, value.as_bytes());
        });
    }
}

/// Writes the fields of a `Sample`.
pub(crate) fn put_sample(out: &mut Vec<u8>, ts_ms: i64, value: f64) {
    put_oneof_fixed64(out, 1, value.to_bits());
    put_uint(out, 2, ts_ms.cast_unsigned());
}

/// Encodes a batch as `io.prometheus.write.v2.Request` (2.0, not compressed). Metadata goes with the series of its
/// family; metadata of a family without a series in the batch has no place there.
pub fn encode_v2(batch: &MetricBatch) -> Vec<u8> {
    let mut symbols = Symbols::default();
    symbols.reference("");
    let families: HashMap<&str, &MetricMetadata> =
        batch.metadata.iter().map(|metadata| (metadata.family.as_str(), metadata)).collect();
    let mut timeseries = Vec::with_capacity(batch.sample_count() * 64);
    for series in batch.series() {
        put_message(&mut timeseries, 5, |out| put_series_v2(out, &series, &families, &mut symbols));
    }
    let mut out = Vec::with_capacity(symbols.texts.len() * 16 + timeseries.len());
    for symbol in &symbols.texts {
        put_oneof_blob(&mut out, 4, symbol.as_bytes());
    }
    out.append(&mut timeseries);
    out
}

fn put_series_v2<'b>(
    out: &mut Vec<u8>,
    series: &SeriesRef<'b>,
    families: &HashMap<&'b str, &'b MetricMetadata>,
    symbols: &mut Symbols<'b>,
) {
    put_packed_varint(out, 1, symbols.labels(series.labels).into_iter());
    for (index, (ts_ms, value)) in series.ts_ms.iter().zip(series.values).enumerate() {
        put_message(out, 2, |out| {
            put_sample(out, *ts_ms, *value);
            put_uint(out, 3, series.start_ms.get(index).copied().unwrap_or_default().cast_unsigned());
        });
    }
    for sample in series.histograms {
        put_message(out, 3, |out| histogram::put(out, sample, true));
    }
    for exemplar in series.exemplars {
        put_message(out, 4, |out| put_exemplar_v2(out, exemplar, symbols));
    }
    let name = series.labels.get(model::METRIC_NAME).unwrap_or_default();
    let by_name = |name: &str| families.get(name).copied();
    let metadata = by_name(name).or_else(|| {
        let found = families.get(family_of(name, model::MetricKind::Histogram)).copied()?;
        (family_of(name, found.kind) == found.family).then_some(found)
    });
    if let Some(metadata) = metadata {
        put_message(out, 5, |out| {
            put_uint(out, 1, number_of(metadata.kind));
            put_uint(out, 3, symbols.reference(&metadata.help));
            put_uint(out, 4, symbols.reference(&metadata.unit));
        });
    }
}

fn put_exemplar_v2<'b>(out: &mut Vec<u8>, exemplar: &'b Exemplar, symbols: &mut Symbols<'b>) {
    put_packed_varint(out, 1, symbols.labels(exemplar.labels.as_ref()).into_iter());
    put_oneof_fixed64(out, 2, exemplar.value.to_bits());
    put_uint(out, 3, exemplar.ts_ms.cast_unsigned());
}

/// Texts of a request, each once.
#[derive(Default)]
struct Symbols<'b> {
    texts: Vec<&'b str>,
    places: HashMap<&'b str, u64, FixedState>,
}

impl<'b> Symbols<'b> {
    fn reference(&mut self, text: &'b str) -> u64 {
        let next = self.texts.len() as u64;
        let place = *self.places.entry(text).or_insert(next);
        if place == next {
            self.texts.push(text);
        }
        place
    }

    fn labels(&mut self, labels: LabelSetRef<'b>) -> Vec<u64> {
        labels.iter().flat_map(|(name, value)| [self.reference(name), self.reference(value)]).collect()
    }
}
