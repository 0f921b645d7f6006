//! Prometheus remote write 1.0; 2.0 is in [`v2`].
//!
//! ```text
//! WriteRequest   := 1 TimeSeries* · 3 Metadata*
//! TimeSeries     := 1 Label* · 2 Sample* · 3 Exemplar* · 4 Histogram*
//! Label          := 1 name · 2 value            Sample := 1 value double · 2 timestamp int64 (ms)
//! Exemplar       := 1 Label* · 2 value double · 3 timestamp int64 (ms)
//! Metadata       := 1 type · 2 family · 4 help · 5 unit
//! ```
//! Walked by hand: labels are borrowed from the body and go straight into the batch's canonical bytes, so a series
//! costs no allocation. Senders sort labels and most are short; then a label's canonical bytes are its wire bytes
//! without the tags, and [`canonical_labels`] copies them. Everything else takes the general walk, to the same result.
//! A series that is not valid is refused and counted; the rest is kept.

mod encode;
pub(crate) mod histogram;
mod v2;

pub use encode::{encode, encode_v2};
pub(crate) use encode::{put_labels, put_sample};
pub use v2::decode_v2;

use codec::Cursor;
use model::{
    Appended, Exemplar, HistogramSample, LabelError, LabelSet, LabelSetRef, METRIC_NAME, MetricBatch,
    MetricKind, MetricMetadata, RejectReason,
};

use crate::protobuf::{Field, Fields};
use crate::{DecodeError, excerpt};

const FORMAT: &str = "remote write request";

/// What a request carried beside what went into the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Exemplars whose labels cannot be used. They are extras: nothing else is refused for them.
    pub exemplars_refused: u64,
}

/// Decodes a decompressed `WriteRequest` and adds its samples, exemplars and metadata to `batch`.
///
/// Refused series (no metric name, repeated or empty label names, text that is not UTF-8) and histograms that make no
/// sense are counted in `rejected`, a sample each.
///
/// # Errors
/// [`DecodeError::Malformed`] when the bytes are not protobuf of this shape. `batch` then holds what came before, and
/// must be thrown away.
pub fn decode(body: &[u8], batch: &mut MetricBatch, rejected: &mut Appended) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded::default();
    let mut series = Series::default();
    let mut fields = Fields::new(FORMAT, body);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => {
                series.read(&field)?;
                decoded.exemplars_refused += series.exemplars_refused;
                series.add_to(batch, rejected);
            }
            3 => batch.metadata.extend(read_metadata(&field)?),
            _ => {}
        }
    }
    Ok(decoded)
}

/// One time series, in memory that the next one uses again.
#[derive(Default)]
struct Series<'a> {
    /// Labels as canonical bytes, when they could be copied; else they stand in `labels`.
    canonical: Vec<u8>,
    labels: Vec<(&'a str, &'a str)>,
    samples: Vec<(i64, f64)>,
    histograms: Vec<HistogramSample>,
    /// What makes no sense about each histogram that was refused.
    histograms_refused: Vec<String>,
    exemplars: Vec<Exemplar>,
    exemplars_refused: u64,
    /// Why the label set cannot be used, found while reading.
    invalid: Option<String>,
}

impl<'a> Series<'a> {
    fn read(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        self.clear();
        if let Some(copied) = canonical_labels(field.bytes()?, &mut self.canonical) {
            self.walk(field.message_after(copied)?)?;
            if self.labels.is_empty() && self.invalid.is_none() {
                return Ok(());
            }
        }
        // Unsorted, long or scattered labels.
        self.clear();
        self.walk(field.message()?)
    }

    fn clear(&mut self) {
        self.canonical.clear();
        self.labels.clear();
        self.samples.clear();
        self.histograms.clear();
        self.histograms_refused.clear();
        self.exemplars.clear();
        (self.exemplars_refused, self.invalid) = (0, None);
    }

    fn walk(&mut self, mut fields: Fields<'a>) -> Result<(), DecodeError> {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.read_label(&field)?,
                2 => self.samples.push(read_sample(&field)?),
                3 => match read_exemplar(&field)? {
                    Some(exemplar) => self.exemplars.push(exemplar),
                    None => self.exemplars_refused += 1,
                },
                4 => match histogram::read(&field)? {
                    Ok(sample) => self.histograms.push(sample),
                    Err(why) => self.histograms_refused.push(why),
                },
                _ => {}
            }
        }
        Ok(())
    }

    fn read_label(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        let (name, value) = read_label(field)?;
        match (std::str::from_utf8(name), std::str::from_utf8(value)) {
            (Ok(name), Ok(value)) => self.labels.push((name, value)),
            _ => {
                let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
                let (name, value) = (excerpt(&name), excerpt(&value));
                self.invalid = Some(format!("label {name:?} = {value:?} is not UTF-8"));
            }
        }
        Ok(())
    }

    fn add_to(&mut self, batch: &mut MetricBatch, rejected: &mut Appended) {
        for why in self.histograms_refused.drain(..) {
            let name = metric_name(&self.labels, &self.canonical);
            rejected.reject(RejectReason::InvalidHistogram, 1, || {
                format!("histogram {:?}: {why}", excerpt(name))
            });
        }
        let samples = self.samples.len() + self.histograms.len();
        if samples == 0 && self.exemplars.is_empty() {
            return;
        }
        if let Err(why) = self.start(batch) {
            rejected.reject(RejectReason::InvalidLabels, samples as u64, || why);
            return;
        }
        for &(ts_ms, value) in &self.samples {
            batch.push_sample(ts_ms, value);
        }
        self.histograms.drain(..).for_each(|sample| batch.push_histogram(sample));
        self.exemplars.drain(..).for_each(|exemplar| batch.push_exemplar(exemplar));
    }

    fn start(&mut self, batch: &mut MetricBatch) -> Result<(), String> {
        if !self.canonical.is_empty() {
            batch.start_series_canonical(LabelSetRef::from_canonical_trusted(&self.canonical));
            return Ok(());
        }
        if let Some(why) = self.invalid.take() {
            return Err(why);
        }
        if self.metric_name().is_empty() {
            let shown: Vec<_> = self.labels.iter().take(3).collect();
            return Err(format!("series without a metric name, labels {shown:?}"));
        }
        start_series(batch, &mut self.labels)
    }

    /// The value of `__name__`, or nothing.
    fn metric_name(&self) -> &str {
        metric_name(&self.labels, &self.canonical)
    }
}

fn metric_name<'n>(labels: &[(&'n str, &'n str)], canonical: &'n [u8]) -> &'n str {
    let listed = labels.iter().find(|(name, _)| *name == METRIC_NAME).map(|(_, value)| *value);
    listed.or_else(|| LabelSetRef::from_canonical_trusted(canonical).get(METRIC_NAME)).unwrap_or_default()
}

/// Starts a series whose labels were looked at: they have a metric name.
fn start_series(batch: &mut MetricBatch, labels: &mut [(&str, &str)]) -> Result<(), String> {
    batch.start_series(labels).map_err(|error| {
        let name = excerpt(metric_name(labels, &[]));
        match error {
            LabelError::DuplicateName { name: label } => {
                format!("duplicate label name {:?} in {name:?}", excerpt(&label))
            }
            other => format!("{other} in {name:?}"),
        }
    })
}

/// `None` when its labels cannot be used.
fn read_exemplar(field: &Field<'_>) -> Result<Option<Exemplar>, DecodeError> {
    let mut labels = Vec::new();
    let (mut value, mut ts_ms) = (0.0, 0);
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => labels.push(read_label(&field)?),
            2 => value = field.double()?,
            3 => ts_ms = field.int()?,
            _ => {}
        }
    }
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let pairs: Option<Vec<_>> =
        labels.into_iter().map(|(name, value)| Some((text(name)?, text(value)?))).collect();
    let labels = pairs.and_then(|pairs| LabelSet::from_pairs(pairs).ok());
    Ok(labels.map(|labels| Exemplar { labels, value, ts_ms }))
}

/// Name and value of a `Label`.
fn read_label<'a>(field: &Field<'a>) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
    let (mut name, mut value) = (&[][..], &[][..]);
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// Copies the labels at the start of a series, as canonical bytes, when they allow it: ascending by name, every length
/// under 128, UTF-8, with a metric name. Returns how many bytes they take on the wire.
///
/// ```text
/// wire       0a len  0a name_len name  12 value_len value
/// canonical             name_len name     value_len value
/// ```
fn canonical_labels(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let mut rest = bytes;
    let mut previous: &[u8] = &[];
    let mut has_metric_name = false;
    while let [0x0a, len @ ..0x80, after_len @ ..] = rest {
        let (label, after) = after_len.split_at_checked(usize::from(*len))?;
        let [0x0a, name_len @ ..0x80, after_name_len @ ..] = label else { return None };
        let (name, value) = after_name_len.split_at_checked(usize::from(*name_len))?;
        let [0x12, value_len @ ..0x80, value_bytes @ ..] = value else { return None };
        if name <= previous || value_bytes.len() != usize::from(*value_len) {
            return None;
        }
        if !value_bytes.is_empty() {
            has_metric_name |= name == METRIC_NAME.as_bytes();
            out.extend_from_slice(label.get(1..2 + name.len())?);
            out.extend_from_slice(value.get(1..)?);
        }
        (previous, rest) = (name, after);
    }
    let is_label_left = matches!(rest, [0x0a, ..]);
    let copied = bytes.len() - rest.len();
    // Tags and lengths are ASCII: the whole is UTF-8 exactly when every name and value is.
    let is_utf8 = std::str::from_utf8(bytes.get(..copied)?).is_ok();
    (has_metric_name && is_utf8 && !is_label_left).then_some(copied)
}

#[inline]
fn read_sample(field: &Field<'_>) -> Result<(i64, f64), DecodeError> {
    match plain_sample(field.bytes()?) {
        Some(sample) => Ok(sample),
        None => walk_sample(field),
    }
}

/// A sample as every sender writes it: the value, then the timestamp.
#[inline]
fn plain_sample(bytes: &[u8]) -> Option<(i64, f64)> {
    let (value, timestamp) = bytes.strip_prefix(&[0x09])?.split_first_chunk::<8>()?;
    let mut cursor = Cursor::new(timestamp.strip_prefix(&[0x10])?);
    let ts_ms = cursor.varint().ok()?.cast_signed();
    cursor.is_empty().then_some((ts_ms, f64::from_le_bytes(*value)))
}

fn walk_sample(field: &Field<'_>) -> Result<(i64, f64), DecodeError> {
    let (mut ts_ms, mut value) = (0, 0.0);
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => value = field.double()?,
            2 => ts_ms = field.int()?,
            _ => {}
        }
    }
    Ok((ts_ms, value))
}

/// Metadata of a family; without a family's name it says nothing.
fn read_metadata(field: &Field<'_>) -> Result<Option<MetricMetadata>, DecodeError> {
    let mut metadata = MetricMetadata {
        family: String::new(),
        kind: MetricKind::Unknown,
        help: String::new(),
        unit: String::new(),
    };
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => metadata.kind = kind_of(field.varint()?),
            2 => field.str()?.clone_into(&mut metadata.family),
            4 => field.str()?.clone_into(&mut metadata.help),
            5 => field.str()?.clone_into(&mut metadata.unit),
            _ => {}
        }
    }
    Ok(Some(metadata).filter(|metadata| !metadata.family.is_empty()))
}

/// Kinds in the order of their numbers on the wire.
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

fn kind_of(number: u64) -> MetricKind {
    let index = usize::try_from(number).ok();
    index.and_then(|index| KINDS.get(index)).copied().unwrap_or(MetricKind::Unknown)
}

fn number_of(kind: MetricKind) -> u64 {
    KINDS.iter().position(|known| *known == kind).unwrap_or_default() as u64
}

#[cfg(test)]
mod tests;
