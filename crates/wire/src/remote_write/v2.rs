//! Prometheus remote write 2.0: `io.prometheus.write.v2.Request`.
//!
//! ```text
//! Request    := 4 symbol* · 5 TimeSeries*         symbol 0 is ""; fields 1 to 3 are 1.0's and not there
//! TimeSeries := 1 label refs · 2 Sample* · 3 Histogram* · 4 Exemplar* · 5 Metadata
//! label refs := (name, value)*                    as places in the symbols
//! Sample     := 1 value double · 2 timestamp · 3 start timestamp          (ms)
//! Exemplar   := 1 label refs · 2 value double · 3 timestamp
//! Metadata   := 1 type · 3 help ref · 4 unit ref
//! ```
//! Symbols are borrowed from the body, so a series costs no allocation here either. Metadata comes with each series and
//! is kept once per family: its name is the series' without the suffix of its type.

use std::collections::HashSet;

use foldhash::fast::FixedState;
use model::{
    Appended, Exemplar, HistogramSample, LabelSet, MetricBatch, MetricKind, MetricMetadata, RejectReason,
};

use super::{Decoded, histogram, kind_of, metric_name, start_series};
use crate::protobuf::{Field, Fields};
use crate::{DecodeError, excerpt};

const FORMAT: &str = "remote write 2.0 request";

/// Decodes a decompressed `io.prometheus.write.v2.Request` and adds what it holds to `batch`; as
/// [`decode`](super::decode) otherwise. A label reference that points nowhere costs its series.
///
/// # Errors
/// As [`decode`](super::decode).
pub fn decode_v2(
    body: &[u8],
    batch: &mut MetricBatch,
    rejected: &mut Appended,
) -> Result<Decoded, DecodeError> {
    let mut reader = Reader {
        symbols: symbols(body)?,
        described: HashSet::default(),
        decoded: Decoded::default(),
        batch,
        rejected,
    };
    let mut series = Series::default();
    let mut fields = Fields::new(FORMAT, body);
    while let Some(field) = fields.next()? {
        if field.number == 5 {
            series.read(&field)?;
            reader.add(&mut series)?;
        }
    }
    Ok(reader.decoded)
}

/// A text, or `None` where it is not UTF-8.
type Symbol<'a> = Option<&'a str>;

/// A first walk: series may stand before the symbols.
fn symbols(body: &[u8]) -> Result<Vec<Symbol<'_>>, DecodeError> {
    let mut symbols = Vec::new();
    let mut fields = Fields::new(FORMAT, body);
    while let Some(field) = fields.next()? {
        match field.number {
            4 => symbols.push(std::str::from_utf8(field.bytes()?).ok()),
            1..=3 => {
                let detail = format!("field {} belongs to version 1.0 of the protocol", field.number);
                return Err(field.malformed(detail));
            }
            _ => {}
        }
    }
    Ok(symbols)
}

/// One time series as it stands on the wire, in memory that the next one uses again.
#[derive(Default)]
struct Series<'a> {
    labels: Vec<u64>,
    samples: Vec<Sample>,
    histograms: Vec<Result<HistogramSample, String>>,
    exemplars: Vec<Field<'a>>,
    metadata: Option<Metadata>,
    /// Start of all samples, as drafts of the protocol had it.
    start_ms: i64,
}

struct Sample {
    ts_ms: i64,
    value: f64,
    start_ms: i64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Metadata {
    kind: u64,
    help: u64,
    unit: u64,
}

impl<'a> Series<'a> {
    fn read(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        self.labels.clear();
        self.samples.clear();
        self.histograms.clear();
        self.exemplars.clear();
        (self.metadata, self.start_ms) = (None, 0);
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => field.repeated_varint(&mut self.labels)?,
                2 => self.samples.push(read_sample(&field)?),
                3 => self.histograms.push(histogram::read(&field)?),
                4 => self.exemplars.push(field),
                5 => self.metadata = Some(read_metadata(&field)?),
                6 => self.start_ms = field.int()?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_sample(field: &Field<'_>) -> Result<Sample, DecodeError> {
    let mut sample = Sample { ts_ms: 0, value: 0.0, start_ms: 0 };
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => sample.value = field.double()?,
            2 => sample.ts_ms = field.int()?,
            3 => sample.start_ms = field.int()?,
            _ => {}
        }
    }
    Ok(sample)
}

fn read_metadata(field: &Field<'_>) -> Result<Metadata, DecodeError> {
    let mut metadata = Metadata::default();
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => metadata.kind = field.varint()?,
            3 => metadata.help = field.varint()?,
            4 => metadata.unit = field.varint()?,
            _ => {}
        }
    }
    Ok(metadata)
}

struct Reader<'a, 'b> {
    symbols: Vec<Symbol<'a>>,
    /// Families whose metadata is noted.
    described: HashSet<(&'a str, Metadata), FixedState>,
    decoded: Decoded,
    batch: &'b mut MetricBatch,
    rejected: &'b mut Appended,
}

impl<'a> Reader<'a, '_> {
    fn add(&mut self, series: &mut Series<'a>) -> Result<(), DecodeError> {
        let samples = (series.samples.len() + series.histograms.len()) as u64;
        if samples == 0 && series.exemplars.is_empty() {
            return Ok(());
        }
        let mut labels = match self.pairs(&series.labels) {
            Ok(labels) => labels,
            Err(why) => {
                self.rejected.reject(RejectReason::InvalidLabels, samples, || why);
                return Ok(());
            }
        };
        let name = metric_name(&labels, &[]);
        if let Err(why) = self.start(&mut labels) {
            self.rejected.reject(RejectReason::InvalidLabels, samples, || why);
            return Ok(());
        }
        for sample in &series.samples {
            let start_ms = if sample.start_ms == 0 { series.start_ms } else { sample.start_ms };
            self.batch.push_sample_since(sample.ts_ms, sample.value, start_ms);
        }
        for read in series.histograms.drain(..) {
            match read {
                Ok(mut sample) => {
                    sample.start_ms = if sample.start_ms == 0 { series.start_ms } else { sample.start_ms };
                    self.batch.push_histogram(sample);
                }
                Err(why) => {
                    let example = || format!("histogram {:?}: {why}", excerpt(name));
                    self.rejected.reject(RejectReason::InvalidHistogram, 1, example);
                }
            }
        }
        for field in &series.exemplars {
            match self.exemplar(field)? {
                Some(exemplar) => self.batch.push_exemplar(exemplar),
                None => self.decoded.exemplars_refused += 1,
            }
        }
        if let Some(metadata) = series.metadata {
            self.describe(name, metadata);
        }
        Ok(())
    }

    fn start(&mut self, labels: &mut [(&str, &str)]) -> Result<(), String> {
        if metric_name(labels, &[]).is_empty() {
            let shown: Vec<_> = labels.iter().take(3).collect();
            return Err(format!("series without a metric name, labels {shown:?}"));
        }
        start_series(self.batch, labels)
    }

    fn pairs(&self, references: &[u64]) -> Result<Vec<(&'a str, &'a str)>, String> {
        let (pairs, rest) = references.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(format!("{} label references are no pairs of name and value", references.len()));
        }
        pairs.iter().map(|[name, value]| Ok((self.symbol(*name)?, self.symbol(*value)?))).collect()
    }

    fn symbol(&self, reference: u64) -> Result<&'a str, String> {
        let symbol = usize::try_from(reference).ok().and_then(|reference| self.symbols.get(reference));
        match symbol {
            Some(Some(text)) => Ok(text),
            Some(None) => Err(format!("symbol {reference} is not UTF-8")),
            None => Err(format!("label reference {reference} points beyond {} symbols", self.symbols.len())),
        }
    }

    /// `None` when its labels cannot be used.
    fn exemplar(&self, field: &Field<'a>) -> Result<Option<Exemplar>, DecodeError> {
        let mut references = Vec::new();
        let (mut value, mut ts_ms) = (0.0, 0);
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => field.repeated_varint(&mut references)?,
                2 => value = field.double()?,
                3 => ts_ms = field.int()?,
                _ => {}
            }
        }
        let labels = self.pairs(&references).ok().and_then(|pairs| LabelSet::from_pairs(pairs).ok());
        Ok(labels.map(|labels| Exemplar { labels, value, ts_ms }))
    }

    /// Notes metadata that says something. A reference that points nowhere is no text.
    fn describe(&mut self, name: &'a str, metadata: Metadata) {
        let kind = kind_of(metadata.kind);
        let family = family_of(name, kind);
        let text = |reference| self.symbol(reference).unwrap_or_default().to_owned();
        let (help, unit) = (text(metadata.help), text(metadata.unit));
        let says_nothing = kind == MetricKind::Unknown && help.is_empty() && unit.is_empty();
        if says_nothing || !self.described.insert((family, metadata)) {
            return;
        }
        self.batch.metadata.push(MetricMetadata { family: family.to_owned(), kind, help, unit });
    }
}

/// The family of a series: its name without the suffix that its kind gives.
pub(super) fn family_of(name: &str, kind: MetricKind) -> &str {
    let suffixes: &[&str] = match kind {
        MetricKind::Histogram | MetricKind::Summary => &["_bucket", "_count", "_sum"],
        MetricKind::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        _ => &[],
    };
    let stem = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(name)
}
