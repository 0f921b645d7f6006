//! The protobuf exposition: `io.prometheus.client.MetricFamily` messages, each behind its length.
//!
//! ```text
//! body         := (length varint · MetricFamily)*
//! MetricFamily := 1 name · 2 help · 3 type · 4 Metric* · 5 unit
//! Metric       := 1 Label* · 2 gauge | 3 counter | 4 summary | 5 untyped | 7 histogram · 6 timestamp ms
//! Counter      := 1 value · 2 Exemplar · 3 created
//! Summary      := 1 count · 2 sum · 3 (1 quantile · 2 value)* · 4 created
//! Histogram    := 1 count · 2 sum · 3 Bucket* · 4 count float · 15 created · 16 Exemplar*
//!                 5 schema · 6 zero threshold · 7 zero count · 8 float · 9 negative spans · 10 deltas · 11 counts
//!                 12 positive spans · 13 deltas · 14 counts
//! Bucket       := 1 cumulative count · 4 float · 2 upper bound · 3 Exemplar
//! Exemplar     := 1 Label* · 2 value · 3 Timestamp         Timestamp := 1 seconds · 2 nanoseconds
//! ```
//! Samples have the same names and labels that the text formats give them, and each shows its series as text
//! ([`Series`]), so that one cache serves all formats.

mod encode;
mod go_float;
mod histogram;

pub use crate::native::at_schema;
pub use encode::{Untyped, encode_untyped};
pub use go_float::{open_metrics_float, parse_go_float};

use std::sync::Arc;

use codec::Cursor;
use model::{Exemplar, Histogram, LabelSet, MetricKind};

use crate::DecodeError;
use crate::protobuf::{Field, Fields};
use crate::text::Series;

const FORMAT: &str = "protobuf exposition";

/// Whether a `Content-Type` names this format.
pub fn is_content_type(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().unwrap_or_default().eq_ignore_ascii_case("application/vnd.google.protobuf") {
        return false;
    }
    let allowed = |part: &str| match part.split_once('=') {
        Some(("proto", value)) => value == "io.prometheus.client.MetricFamily",
        Some(("encoding", value)) => value == "delimited",
        _ => true,
    };
    parts.all(allowed)
}

/// Which forms of a histogram are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramForms {
    /// Native where there is one; else only classic.
    pub native: bool,
    /// Classic beside native.
    pub always_classic: bool,
}

/// What the body says, in its order.
#[derive(Debug)]
pub enum Item<'r> {
    /// What follows belongs to this family.
    Family {
        name: &'r str,
        kind: MetricKind,
        help: &'r str,
        unit: &'r str,
    },
    Sample(Sample<'r>),
}

/// A sample of one series.
#[derive(Debug)]
pub struct Sample<'r> {
    pub series: Series<'r>,
    pub value: Value,
    /// The sample's own time, if it has one.
    pub ts_ms: Option<i64>,
    /// When the counter began, 0 = unknown.
    pub start_ms: i64,
    /// Without a time of its own, an exemplar has the time 0.
    pub exemplars: &'r [Exemplar],
}

/// Value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// Walks over `body` and shows each family and its samples to `visit`.
///
/// # Errors
/// [`DecodeError::Malformed`]; what came before has been visited and should be thrown away.
pub fn parse(body: &[u8], forms: HistogramForms, visit: &mut dyn FnMut(Item<'_>)) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(body);
    let mut text = String::new();
    while !cursor.is_empty() {
        let start = cursor.offset();
        let message = cursor.bytes().map_err(|_| DecodeError::Malformed {
            format: FORMAT,
            offset: start,
            detail: "a metric family is cut short".to_owned(),
        })?;
        let base = cursor.offset() - message.len();
        family(Fields::at(FORMAT, base, message), forms, &mut text, visit)?;
    }
    Ok(())
}

/// Two walks: the type may stand behind the metrics.
fn family(
    fields: Fields<'_>,
    forms: HistogramForms,
    text: &mut String,
    visit: &mut dyn FnMut(Item<'_>),
) -> Result<(), DecodeError> {
    let (mut name, mut help, mut unit, mut kind) = ("", "", "", MetricKind::Counter);
    let mut first = fields.clone();
    while let Some(field) = first.next()? {
        match field.number {
            1 => name = field.str()?,
            2 => help = field.str()?,
            3 => kind = kind_of(&field)?,
            5 => unit = field.str()?,
            _ => {}
        }
    }
    visit(Item::Family { name, kind, help, unit });
    let mut writer = Writer { name, kind, forms, text, visit };
    let mut second = fields;
    while let Some(field) = second.next()? {
        if field.number == 4 {
            if name.is_empty() {
                return Err(field.malformed("a metric of a family without a name"));
            }
            writer.metric(&field)?;
        }
    }
    Ok(())
}

fn kind_of(field: &Field<'_>) -> Result<MetricKind, DecodeError> {
    match field.varint()? {
        0 => Ok(MetricKind::Counter),
        1 => Ok(MetricKind::Gauge),
        2 => Ok(MetricKind::Summary),
        3 => Ok(MetricKind::Unknown),
        4 => Ok(MetricKind::Histogram),
        5 => Ok(MetricKind::GaugeHistogram),
        other => Err(field.malformed(format!("metric type {other} is unknown"))),
    }
}

/// Shows the samples of one family.
struct Writer<'w, 'v> {
    name: &'w str,
    kind: MetricKind,
    forms: HistogramForms,
    text: &'w mut String,
    visit: &'w mut (dyn FnMut(Item<'_>) + 'v),
}

/// What a metric's samples share.
struct Metric<'a> {
    labels: Vec<(&'a str, &'a str)>,
    ts_ms: Option<i64>,
    start_ms: i64,
}

impl Writer<'_, '_> {
    fn metric(&mut self, field: &Field<'_>) -> Result<(), DecodeError> {
        let mut metric = Metric { labels: Vec::new(), ts_ms: None, start_ms: 0 };
        let mut data = None;
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => metric.labels.push(read_label(&field)?),
                6 => metric.ts_ms = Some(field.int()?).filter(|ts_ms| *ts_ms != 0),
                2..=5 | 7 => data = Some(field),
                _ => {}
            }
        }
        let Some(data) = data else { return Err(field.malformed("a metric without a value")) };
        match data.number {
            2 | 5 => self.show(&metric, "", None, Value::Float(read_value(&data)?), &[]),
            3 => self.counter(metric, &data)?,
            4 => self.summary(metric, &data)?,
            _ => self.histogram(metric, &data)?,
        }
        Ok(())
    }

    fn counter(&mut self, mut metric: Metric<'_>, data: &Field<'_>) -> Result<(), DecodeError> {
        let (mut value, mut exemplars) = (0.0, Vec::new());
        let mut fields = data.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => value = field.double()?,
                2 => exemplars.extend(read_exemplar(&field)?),
                3 => metric.start_ms = read_timestamp(&field)?,
                _ => {}
            }
        }
        self.show(&metric, "", None, Value::Float(value), &exemplars);
        Ok(())
    }

    fn summary(&mut self, mut metric: Metric<'_>, data: &Field<'_>) -> Result<(), DecodeError> {
        let (mut count, mut sum, mut quantiles) = (0, 0.0, Vec::new());
        let mut fields = data.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => count = field.varint()?,
                2 => sum = field.double()?,
                3 => quantiles.push(read_quantile(&field)?),
                4 => metric.start_ms = read_timestamp(&field)?,
                _ => {}
            }
        }
        self.show(&metric, "_count", None, Value::Float(count as f64), &[]);
        self.show(&metric, "_sum", None, Value::Float(sum), &[]);
        for (quantile, value) in quantiles {
            let quantile = open_metrics_float(quantile);
            self.show(&metric, "", Some(("quantile", &quantile)), Value::Float(value), &[]);
        }
        Ok(())
    }

    fn histogram(&mut self, mut metric: Metric<'_>, data: &Field<'_>) -> Result<(), DecodeError> {
        let mut read = histogram::read(data)?;
        metric.start_ms = read.start_ms;
        let (has_native, has_classic) = (read.is_native(), !read.buckets.is_empty());
        let shows_native = has_native && self.forms.native;
        let shows_classic =
            if shows_native { has_classic && self.forms.always_classic } else { has_classic || !has_native };
        if shows_native {
            let exemplars = read.native_exemplars();
            let histogram = read.native(self.kind).map_err(|why| data.malformed(why))?;
            self.show(&metric, "", None, Value::Histogram(Arc::new(histogram)), &exemplars);
        }
        if !shows_classic {
            return Ok(());
        }
        self.show(&metric, "_count", None, Value::Float(read.count), &[]);
        self.show(&metric, "_sum", None, Value::Float(read.sum), &[]);
        for bucket in &read.buckets {
            let le = open_metrics_float(bucket.upper_bound);
            let exemplars = bucket.exemplar.as_slice();
            self.show(&metric, "_bucket", Some(("le", &le)), Value::Float(bucket.count), exemplars);
        }
        if read.buckets.last().is_none_or(|last| last.upper_bound != f64::INFINITY) {
            self.show(&metric, "_bucket", Some(("le", "+Inf")), Value::Float(read.count), &[]);
        }
        Ok(())
    }

    fn show(
        &mut self,
        metric: &Metric<'_>,
        suffix: &str,
        extra: Option<(&str, &str)>,
        value: Value,
        exemplars: &[Exemplar],
    ) {
        self.text.clear();
        write_series(self.text, self.name, suffix, metric.labels.iter().copied().chain(extra));
        let series = Series::from_checked(self.text);
        let (ts_ms, start_ms) = (metric.ts_ms, metric.start_ms);
        (self.visit)(Item::Sample(Sample { series, value, ts_ms, start_ms, exemplars }));
    }
}

/// `name_suffix{label="value",…}`, or `{"name_suffix",…}` for names that are not plain.
fn write_series<'l>(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
) {
    let is_plain = |name: &str, colon: bool| {
        !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || (colon && byte == b':'))
    };
    if is_plain(name, true) {
        out.push_str(name);
        out.push_str(suffix);
        out.push('{');
    } else {
        out.push_str("{\"");
        push_escaped(out, name);
        out.push_str(suffix);
        out.push_str("\",");
    }
    for (name, value) in labels {
        if is_plain(name, false) {
            out.push_str(name);
        } else {
            out.push('"');
            push_escaped(out, name);
            out.push('"');
        }
        out.push_str("=\"");
        push_escaped(out, value);
        out.push_str("\",");
    }
    out.push('}');
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

fn read_label<'a>(field: &Field<'a>) -> Result<(&'a str, &'a str), DecodeError> {
    let (mut name, mut value) = ("", "");
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.str()?,
            2 => value = field.str()?,
            _ => {}
        }
    }
    if name.is_empty() { Err(field.malformed("a label without a name")) } else { Ok((name, value)) }
}

/// The `value` of a gauge or an untyped metric.
fn read_value(data: &Field<'_>) -> Result<f64, DecodeError> {
    let mut value = 0.0;
    let mut fields = data.message()?;
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            value = field.double()?;
        }
    }
    Ok(value)
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

/// Milliseconds of a `google.protobuf.Timestamp`.
fn read_timestamp(field: &Field<'_>) -> Result<i64, DecodeError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => seconds = field.int()?,
            2 => nanos = field.int()?,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000))
}

/// `None` when its labels repeat a name.
fn read_exemplar(field: &Field<'_>) -> Result<Option<Exemplar>, DecodeError> {
    let (mut labels, mut value, mut ts_ms) = (Vec::new(), 0.0, 0);
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => labels.push(read_label(&field)?),
            2 => value = field.double()?,
            3 => ts_ms = read_timestamp(&field)?,
            _ => {}
        }
    }
    Ok(LabelSet::from_pairs(labels).ok().map(|labels| Exemplar { labels, value, ts_ms }))
}

#[cfg(test)]
mod tests;
