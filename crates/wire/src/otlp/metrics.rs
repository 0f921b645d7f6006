//! OTLP metrics as Prometheus series.
//!
//! ```text
//! gauge, sum      name{job, instance, attributes…}
//! histogram       name_bucket{…, le}   name_count   name_sum
//! summary         name{…, quantile}    name_count   name_sum
//! resource        target_info{job, instance, other resource attributes…} 1
//! ```
//! `job` is `service.namespace/service.name`, `instance` is `service.instance.id`. Only cumulative points are stored:
//! deltas need the state of every series, which is the sender's to keep. A point flagged "no recorded value" becomes the
//! stale marker.

use std::borrow::Cow;

use model::{
    Appended, AttributeValue, Attributes, METRIC_NAME, MetricBatch, MetricKind, MetricMetadata, RejectReason,
    attribute, stale_nan,
};

use super::naming::{Shape, label_name, metric_name, unit_name};
use super::points::{HistogramPoint, NumberPoint, SummaryPoint};
use super::spans::last_field;
use super::value::Strings;
use crate::protobuf::{Field, Fields};
use crate::{DecodeError, excerpt};

/// How resource attributes and names become labels. The default is Prometheus's.
#[derive(Clone, Debug, Default)]
pub struct MetricOptions {
    /// Resource attributes that become labels of every series of the resource, beside `job` and `instance`.
    pub promote_resource_attributes: Vec<String>,
}

const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

pub(super) fn decode(
    format: &'static str,
    body: &[u8],
    options: &MetricOptions,
    batch: &mut MetricBatch,
) -> Result<Appended, DecodeError> {
    let mut reader = Reader {
        strings: Strings::new(body.len()),
        options,
        batch,
        rejected: Appended::default(),
        latest_ms: None,
    };
    let mut fields = Fields::new(format, body);
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            reader.resource_metrics(&field)?;
        }
    }
    Ok(reader.rejected)
}

struct Reader<'a, 'b> {
    strings: Strings<'a>,
    options: &'b MetricOptions,
    batch: &'b mut MetricBatch,
    rejected: Appended,
    /// Time of the latest point of the current resource.
    latest_ms: Option<i64>,
}

/// What the series of one resource share.
#[derive(Default)]
struct Target {
    attributes: Attributes,
    labels: Vec<(String, String)>,
}

/// A metric's own fields.
#[derive(Default)]
struct Metric<'a> {
    name: Cow<'a, str>,
    help: Cow<'a, str>,
    unit: Cow<'a, str>,
}

impl<'a> Reader<'a, '_> {
    fn resource_metrics(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        let resource = last_field(field, 1)?;
        let target = self.target(resource)?;
        self.latest_ms = None;
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            if field.number == 2 {
                self.scope_metrics(&field, &target)?;
            }
        }
        self.target_info(&target);
        Ok(())
    }

    fn target(&mut self, resource: Option<Field<'a>>) -> Result<Target, DecodeError> {
        let mut target = Target::default();
        let Some(resource) = resource else { return Ok(target) };
        let mut fields = resource.message()?;
        while let Some(field) = fields.next()? {
            if field.number == 1 {
                self.strings.push_attribute(&field, &mut target.attributes)?;
            }
        }
        let text =
            |key| attribute(&target.attributes, key).map(AttributeValue::to_string).unwrap_or_default();
        let (namespace, name) = (text("service.namespace"), text("service.name"));
        let job = if namespace.is_empty() || name.is_empty() { name } else { format!("{namespace}/{name}") };
        for key in &self.options.promote_resource_attributes {
            if let Some(value) = attribute(&target.attributes, key) {
                target.labels.push((label_name(key).into_owned(), value.to_string()));
            }
        }
        let instance = text("service.instance.id");
        target.labels.extend([("job".to_owned(), job), ("instance".to_owned(), instance)]);
        Ok(target)
    }

    fn scope_metrics(&mut self, field: &Field<'a>, target: &Target) -> Result<(), DecodeError> {
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            if field.number == 2 {
                self.metric(&field, target)?;
            }
        }
        Ok(())
    }

    /// Two walks: the data may stand before the name.
    fn metric(&mut self, field: &Field<'a>, target: &Target) -> Result<(), DecodeError> {
        let mut metric = Metric::default();
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => metric.name = String::from_utf8_lossy(field.bytes()?),
                2 => metric.help = String::from_utf8_lossy(field.bytes()?),
                3 => metric.unit = String::from_utf8_lossy(field.bytes()?),
                _ => {}
            }
        }
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                5 => self.gauge(&field, &metric, target)?,
                7 => self.sum(&field, &metric, target)?,
                9 => self.histogram(&field, &metric, target)?,
                10 => self.refuse_points(&field, || {
                    let name = excerpt(&metric.name);
                    format!("exponential histogram {name:?}: not stored, send explicit buckets")
                })?,
                11 => self.summary(&field, &metric, target)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn gauge(&mut self, data: &Field<'a>, metric: &Metric<'_>, target: &Target) -> Result<(), DecodeError> {
        let family = self.family(metric, Shape::Gauge, MetricKind::Gauge);
        self.numbers(data, &family, target)
    }

    fn sum(&mut self, data: &Field<'a>, metric: &Metric<'_>, target: &Target) -> Result<(), DecodeError> {
        let is_monotonic = last_varint(data, 3)? != 0;
        if !self.is_cumulative(data, "sum", metric)? {
            return Ok(());
        }
        let family = if is_monotonic {
            self.family(metric, Shape::MonotonicSum, MetricKind::Counter)
        } else {
            self.family(metric, Shape::Other, MetricKind::Gauge)
        };
        self.numbers(data, &family, target)
    }

    fn numbers(&mut self, data: &Field<'a>, family: &str, target: &Target) -> Result<(), DecodeError> {
        let mut fields = data.message()?;
        while let Some(field) = fields.next()? {
            if field.number == 1 {
                let point = NumberPoint::read(&field, &mut self.strings)?;
                let value = if point.common.is_unrecorded() { stale_nan() } else { point.value };
                let Some(mut series) = self.series(family, target, &point.common.attributes) else {
                    continue;
                };
                series.push("", None, point.common.ts_ms(), value);
                self.finish(series, point.common.ts_ms());
            }
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        data: &Field<'a>,
        metric: &Metric<'_>,
        target: &Target,
    ) -> Result<(), DecodeError> {
        if !self.is_cumulative(data, "histogram", metric)? {
            return Ok(());
        }
        let family = self.family(metric, Shape::Other, MetricKind::Histogram);
        let mut fields = data.message()?;
        while let Some(field) = fields.next()? {
            if field.number == 1 {
                let point = HistogramPoint::read(&field, &mut self.strings)?;
                if let Err(why) = point.check() {
                    let why = format!("histogram {:?}: {why}", excerpt(&metric.name));
                    self.rejected.reject(RejectReason::Unsupported, 1, || why);
                    continue;
                }
                self.histogram_point(&family, target, &point);
            }
        }
        Ok(())
    }

    fn histogram_point(&mut self, family: &str, target: &Target, point: &HistogramPoint) {
        let Some(mut series) = self.series(family, target, &point.common.attributes) else { return };
        let ts_ms = point.common.ts_ms();
        let recorded = |value: f64| if point.common.is_unrecorded() { stale_nan() } else { value };
        if let Some(sum) = point.sum {
            series.push("_sum", None, ts_ms, recorded(sum));
        }
        series.push("_count", None, ts_ms, recorded(point.count as f64));
        let mut cumulative = 0_u64;
        for (bound, count) in point.bounds.iter().zip(&point.counts) {
            cumulative = cumulative.saturating_add(*count);
            let le = f64::from_bits(*bound).to_string();
            series.push("_bucket", Some(("le", &le)), ts_ms, recorded(cumulative as f64));
        }
        series.push("_bucket", Some(("le", "+Inf")), ts_ms, recorded(point.count as f64));
        self.finish(series, ts_ms);
    }

    fn summary(&mut self, data: &Field<'a>, metric: &Metric<'_>, target: &Target) -> Result<(), DecodeError> {
        let family = self.family(metric, Shape::Other, MetricKind::Summary);
        let mut fields = data.message()?;
        while let Some(field) = fields.next()? {
            if field.number != 1 {
                continue;
            }
            let point = SummaryPoint::read(&field, &mut self.strings)?;
            let Some(mut series) = self.series(&family, target, &point.common.attributes) else { continue };
            let ts_ms = point.common.ts_ms();
            let recorded = |value: f64| if point.common.is_unrecorded() { stale_nan() } else { value };
            series.push("_sum", None, ts_ms, recorded(point.sum));
            series.push("_count", None, ts_ms, recorded(point.count as f64));
            for (quantile, value) in &point.quantiles {
                series.push("", Some(("quantile", &quantile.to_string())), ts_ms, recorded(*value));
            }
            self.finish(series, ts_ms);
        }
        Ok(())
    }

    /// Whether the data are cumulative; if not, its points are refused.
    fn is_cumulative(
        &mut self,
        data: &Field<'a>,
        what: &str,
        metric: &Metric<'_>,
    ) -> Result<bool, DecodeError> {
        let temporality = last_varint(data, 2)?;
        if temporality != CUMULATIVE {
            self.refuse_points(data, || {
                let name = excerpt(&metric.name);
                let kind = if temporality == DELTA {
                    "delta".to_owned()
                } else {
                    format!("unknown ({temporality})")
                };
                format!(
                    "{what} {name:?} has {kind} temporality, only cumulative is stored: set \
                     OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative at the sender"
                )
            })?;
        }
        Ok(temporality == CUMULATIVE)
    }

    /// Refuses all points of a gauge, sum or histogram (field 1 of each).
    fn refuse_points(&mut self, data: &Field<'a>, why: impl FnOnce() -> String) -> Result<(), DecodeError> {
        let mut count = 0;
        let mut fields = data.message()?;
        while let Some(field) = fields.next()? {
            count += u64::from(field.number == 1);
        }
        if count > 0 {
            self.rejected.reject(RejectReason::Unsupported, count, why);
        }
        Ok(())
    }

    /// Notes the metadata and returns the family's name.
    fn family(&mut self, metric: &Metric<'_>, shape: Shape, kind: MetricKind) -> String {
        let family = metric_name(&metric.name, &metric.unit, shape);
        if !family.is_empty() {
            let (help, unit) = (metric.help.clone().into_owned(), unit_name(&metric.unit));
            self.batch.metadata.push(MetricMetadata { family: family.clone(), kind, help, unit });
        }
        family
    }

    /// The labels of a point's series; `None` when the metric has no name, which is counted.
    fn series(&mut self, family: &str, target: &Target, attributes: &Attributes) -> Option<PointSeries> {
        if family.is_empty() {
            let why = || "a metric without a name".to_owned();
            self.rejected.reject(RejectReason::InvalidLabels, 1, why);
            return None;
        }
        let mut labels = point_labels(attributes);
        for (name, value) in &target.labels {
            if !value.is_empty() {
                labels.retain(|(label, _)| label != name);
                labels.push((name.clone(), value.clone()));
            }
        }
        labels.retain(|(label, _)| label != METRIC_NAME);
        Some(PointSeries { family: family.to_owned(), labels, samples: Vec::new() })
    }

    /// Moves the samples of one point into the batch; a point without a time is refused.
    fn finish(&mut self, series: PointSeries, ts_ms: i64) {
        if ts_ms <= 0 {
            let why = || format!("a point of {:?} has the time {ts_ms} ms", excerpt(&series.family));
            self.rejected.reject(RejectReason::InvalidTime, 1, why);
            return;
        }
        self.latest_ms = self.latest_ms.max(Some(ts_ms));
        if let Err(why) = series.add_to(self.batch) {
            self.rejected.reject(RejectReason::InvalidLabels, 1, || why);
        }
    }

    /// The other attributes of the resource, once per request, at the time of its latest point.
    fn target_info(&mut self, target: &Target) {
        let identifying = ["service.name", "service.namespace", "service.instance.id"];
        let mut others = target.attributes.clone();
        others.retain(|(key, _)| !identifying.contains(&&**key));
        let has_identity = target
            .labels
            .iter()
            .any(|(name, value)| (name == "job" || name == "instance") && !value.is_empty());
        let (Some(ts_ms), true, false) = (self.latest_ms, has_identity, others.is_empty()) else { return };
        let Some(mut series) = self.series("target_info", target, &others) else { return };
        series.push("", None, ts_ms, 1.0);
        self.finish(series, ts_ms);
        self.batch.metadata.push(MetricMetadata {
            family: "target_info".to_owned(),
            kind: MetricKind::Gauge,
            help: "Target metadata".to_owned(),
            unit: String::new(),
        });
    }
}

/// The samples of one data point: several series that differ in name suffix and one label.
struct PointSeries {
    family: String,
    labels: Vec<(String, String)>,
    samples: Vec<PointSample>,
}

struct PointSample {
    suffix: &'static str,
    extra: Option<(&'static str, String)>,
    ts_ms: i64,
    value: f64,
}

impl PointSeries {
    fn push(&mut self, suffix: &'static str, extra: Option<(&'static str, &str)>, ts_ms: i64, value: f64) {
        let extra = extra.map(|(name, value)| (name, value.to_owned()));
        self.samples.push(PointSample { suffix, extra, ts_ms, value });
    }

    fn add_to(&self, batch: &mut MetricBatch) -> Result<(), String> {
        for sample in &self.samples {
            let name = format!("{}{}", self.family, sample.suffix);
            let extra = sample.extra.as_ref().map(|(name, value)| (*name, value.as_str()));
            let own = self.labels.iter().filter(|(name, _)| extra.is_none_or(|(taken, _)| name != taken));
            let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
            let mut pairs: Vec<_> = own.chain([(METRIC_NAME, name.as_str())]).chain(extra).collect();
            batch
                .push(&mut pairs, sample.ts_ms, sample.value)
                .map_err(|error| format!("{error} in {name:?}"))?;
        }
        Ok(())
    }
}

/// Attributes as labels. Keys that become the same label name share it: their values are joined with `;`, in the order
/// of the keys.
fn point_labels(attributes: &Attributes) -> Vec<(String, String)> {
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by(|(left, _), (right, _)| left.cmp(right));
    sorted.dedup_by(|(later, _), (first, _)| later == first);
    let mut labels: Vec<(String, String)> = Vec::with_capacity(sorted.len() + 2);
    for (key, value) in sorted {
        let name = label_name(key);
        match labels.iter_mut().find(|(taken, _)| *taken == *name) {
            Some((_, joined)) => *joined = format!("{joined};{value}"),
            None => labels.push((name.into_owned(), value.to_string())),
        }
    }
    labels
}

fn last_varint(data: &Field<'_>, number: u32) -> Result<u64, DecodeError> {
    last_field(data, number)?.map_or(Ok(0), |field| field.varint())
}
