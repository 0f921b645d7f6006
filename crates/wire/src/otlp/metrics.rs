//! OTLP metrics as Prometheus series.
//!
//! ```text
//! gauge, sum               name{job, instance, attributes…}
//! histogram                name_bucket{…, le}   name_count   name_sum     or one native histogram with custom bounds
//! exponential histogram    name{…}, a native histogram
//! summary                  name{…, quantile}    name_count   name_sum
//! resource                 target_info{job, instance, other resource attributes…} 1
//! ```
//! `job` is `service.namespace/service.name`, `instance` is `service.instance.id`. Deltas are added up in [`Deltas`]
//! (see there). A point flagged "no recorded value" becomes the stale marker.
//!
//! [`Deltas`]: super::Deltas

use std::borrow::Cow;

use model::{
    Appended, AttributeValue, Attributes, Exemplar, Histogram, MetricBatch, MetricKind, MetricMetadata,
    RejectReason, attribute, stale_nan,
};

use super::delta::{DeltaSession, OutOfOrder, Total};
use super::naming::{Shape, label_name, metric_name, unit_name};
use super::options::MetricOptions;
use super::points::{Common, ExponentialPoint, HistogramPoint, NumberPoint, SummaryPoint, ms_of};
use super::series::{Label, PointSeries, point_labels, promoted, set};
use super::spans::last_field;
use super::value::Strings;
use crate::native::BucketsBuilder;
use crate::protobuf::{Field, Fields};
use crate::{DecodeError, excerpt};

const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

/// `target_info` is repeated in this interval between the first and the last point of a request, so that a look-back
/// of five minutes finds it.
const TARGET_INFO_INTERVAL_MS: i64 = 150_000;
/// Most repetitions; a longer request has them up to its end.
const TARGET_INFO_SAMPLES_MAX: i64 = 600;

pub(super) fn decode(
    format: &'static str,
    body: &[u8],
    options: &MetricOptions,
    deltas: &mut DeltaSession<'_>,
    batch: &mut MetricBatch,
) -> Result<Appended, DecodeError> {
    let strings = Strings::new(body.len());
    let mut reader =
        Reader { strings, options, deltas, batch, rejected: Appended::default(), times_ms: None };
    let mut fields = Fields::new(format, body);
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            reader.resource_metrics(&field)?;
        }
    }
    Ok(reader.rejected)
}

struct Reader<'a, 'b, 'd> {
    strings: Strings<'a>,
    options: &'b MetricOptions,
    deltas: &'b mut DeltaSession<'d>,
    batch: &'b mut MetricBatch,
    rejected: Appended,
    /// Times of the earliest and the latest point of the current resource.
    times_ms: Option<(i64, i64)>,
}

/// What the series of one resource share.
#[derive(Default)]
struct Target {
    attributes: Attributes,
    job: String,
    instance: String,
    promoted: Vec<Label>,
}

/// What the series of one scope share.
struct Source<'t> {
    target: &'t Target,
    /// Labels `otel_scope_…`, if settings ask for them.
    scope: Vec<Label>,
}

/// A metric's own fields.
#[derive(Default)]
struct Metric<'a> {
    name: Cow<'a, str>,
    help: Cow<'a, str>,
    unit: Cow<'a, str>,
}

/// A metric with its data: where points come from and what they become.
struct Family<'f> {
    source: &'f Source<'f>,
    name: String,
    is_delta: bool,
}

impl<'a> Reader<'a, '_, '_> {
    fn resource_metrics(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        let resource = last_field(field, 1)?;
        let target = self.target(resource)?;
        self.times_ms = None;
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
        target.job =
            if namespace.is_empty() || name.is_empty() { name } else { format!("{namespace}/{name}") };
        target.instance = text("service.instance.id");
        target.promoted = promoted(&target.attributes, self.options);
        Ok(target)
    }

    fn scope_metrics(&mut self, field: &Field<'a>, target: &Target) -> Result<(), DecodeError> {
        let scope = if self.options.promote_scope_metadata { self.scope(field)? } else { Vec::new() };
        let source = Source { target, scope };
        let mut fields = field.message()?;
        while let Some(field) = fields.next()? {
            if field.number == 2 {
                self.metric(&field, &source)?;
            }
        }
        Ok(())
    }

    fn scope(&mut self, scope_metrics: &Field<'a>) -> Result<Vec<Label>, DecodeError> {
        let mut labels = Vec::new();
        if let Some(schema_url) = last_field(scope_metrics, 3)? {
            set(&mut labels, "otel_scope_schema_url", &self.strings.text(&schema_url)?);
        }
        let Some(scope) = last_field(scope_metrics, 1)? else { return Ok(labels) };
        let mut attributes = Attributes::new();
        let mut fields = scope.message()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => set(&mut labels, "otel_scope_name", &self.strings.text(&field)?),
                2 => set(&mut labels, "otel_scope_version", &self.strings.text(&field)?),
                3 => drop(self.strings.push_attribute(&field, &mut attributes)?),
                _ => {}
            }
        }
        for (key, value) in &attributes {
            let key = format!("otel_scope_{key}");
            set(&mut labels, &label_name(&key, self.options), &value.to_string());
        }
        Ok(labels)
    }

    /// Two walks: the data may stand before the name.
    fn metric(&mut self, field: &Field<'a>, source: &Source<'_>) -> Result<(), DecodeError> {
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
        while let Some(data) = fields.next()? {
            match data.number {
                5 => {
                    let name = self.family(&metric, Shape::Gauge, MetricKind::Gauge);
                    self.gauge_points(&data, &Family { source, name, is_delta: false })?;
                }
                7 => self.sum(&data, &metric, source)?,
                9 => self.histogram(&data, &metric, source)?,
                10 => self.exponential_histogram(&data, &metric, source)?,
                11 => {
                    let name = self.family(&metric, Shape::Other, MetricKind::Summary);
                    self.summary_points(&data, &Family { source, name, is_delta: false })?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn sum(&mut self, data: &Field<'a>, metric: &Metric<'_>, source: &Source<'_>) -> Result<(), DecodeError> {
        let is_monotonic = last_varint(data, 3)? != 0;
        let Some(is_delta) = self.is_delta(data, "sum", metric)? else { return Ok(()) };
        let name = if is_monotonic {
            self.family(metric, Shape::MonotonicSum, MetricKind::Counter)
        } else {
            self.family(metric, Shape::Other, MetricKind::Gauge)
        };
        let family = Family { source, name, is_delta };
        let mut fields = data.message()?;
        while let Some(field) = next_point(&mut fields)? {
            let point = NumberPoint::read(&field, &mut self.strings)?;
            self.sum_point(&family, point, is_monotonic);
        }
        Ok(())
    }

    fn sum_point(&mut self, family: &Family<'_>, mut point: NumberPoint, is_monotonic: bool) {
        let Some(mut series) = self.series(family, &point.common) else { return };
        let mut value = point.value;
        if family.is_delta {
            let Some(total) = self.total(&mut series, &point.common, Total::Number(value)) else { return };
            if let Total::Number(total) = total {
                value = total;
            }
        }
        if !is_monotonic {
            series.start_ms = 0;
        }
        series.push("", None, recorded(&point.common, value));
        series.attach(point.common.exemplars.drain(..));
        self.finish(series);
    }

    fn gauge_points(&mut self, data: &Field<'a>, family: &Family<'_>) -> Result<(), DecodeError> {
        let mut fields = data.message()?;
        while let Some(field) = next_point(&mut fields)? {
            let mut point = NumberPoint::read(&field, &mut self.strings)?;
            let Some(mut series) = self.series(family, &point.common) else { continue };
            series.start_ms = 0;
            series.push("", None, recorded(&point.common, point.value));
            series.attach(point.common.exemplars.drain(..));
            self.finish(series);
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        data: &Field<'a>,
        metric: &Metric<'_>,
        source: &Source<'_>,
    ) -> Result<(), DecodeError> {
        let Some(is_delta) = self.is_delta(data, "histogram", metric)? else { return Ok(()) };
        let name = self.family(metric, Shape::Other, MetricKind::Histogram);
        let family = Family { source, name, is_delta };
        let mut fields = data.message()?;
        while let Some(field) = next_point(&mut fields)? {
            let mut point = HistogramPoint::read(&field, &mut self.strings)?;
            if let Err(why) = point.check() {
                let why = format!("histogram {:?}: {why}", excerpt(&metric.name));
                self.rejected.reject(RejectReason::InvalidHistogram, 1, || why);
                continue;
            }
            let Some(mut series) = self.series(&family, &point.common) else { continue };
            if family.is_delta {
                let HistogramPoint { common, count, sum, counts, bounds } = point;
                let Some(total) =
                    self.total(&mut series, &common, Total::Explicit { count, sum, counts, bounds })
                else {
                    continue;
                };
                let Total::Explicit { count, sum, counts, bounds } = total else { continue };
                point = HistogramPoint { common, count, sum, counts, bounds };
            }
            if self.options.convert_histograms_to_nhcb {
                self.native_histogram(series, with_custom_bounds(&point), &point.common);
            } else {
                push_classic(&mut series, &mut point);
                self.finish(series);
            }
        }
        Ok(())
    }

    fn exponential_histogram(
        &mut self,
        data: &Field<'a>,
        metric: &Metric<'_>,
        source: &Source<'_>,
    ) -> Result<(), DecodeError> {
        let Some(is_delta) = self.is_delta(data, "exponential histogram", metric)? else { return Ok(()) };
        let name = self.family(metric, Shape::Other, MetricKind::Histogram);
        let family = Family { source, name, is_delta };
        let mut fields = data.message()?;
        while let Some(field) = next_point(&mut fields)? {
            let ExponentialPoint { common, mut histogram, wrong } =
                ExponentialPoint::read(&field, &mut self.strings)?;
            let is_sound = histogram.validate().map_err(|error| error.to_string());
            let is_sound = if common.is_unrecorded() { Ok(()) } else { wrong.map_or(is_sound, Err) };
            if let Err(why) = is_sound {
                let why = format!("exponential histogram {:?}: {why}", excerpt(&metric.name));
                self.rejected.reject(RejectReason::InvalidHistogram, 1, || why);
                continue;
            }
            let Some(mut series) = self.series(&family, &common) else { continue };
            if family.is_delta {
                let total = self.total(&mut series, &common, Total::Exponential(histogram));
                let Some(Total::Exponential(total)) = total else { continue };
                histogram = total;
            }
            self.native_histogram(series, histogram, &common);
        }
        Ok(())
    }

    fn native_histogram(&mut self, mut series: PointSeries, histogram: Histogram, common: &Common) {
        let histogram = if common.is_unrecorded() { Histogram::stale() } else { histogram };
        if let Err(error) = histogram.validate() {
            let why = || format!("histogram {:?}: {error}", excerpt(&series.family));
            self.rejected.reject(RejectReason::InvalidHistogram, 1, why);
            return;
        }
        series.push_histogram(histogram);
        series.attach(common.exemplars.iter().cloned());
        self.finish(series);
    }

    fn summary_points(&mut self, data: &Field<'a>, family: &Family<'_>) -> Result<(), DecodeError> {
        let mut fields = data.message()?;
        while let Some(field) = next_point(&mut fields)? {
            let point = SummaryPoint::read(&field, &mut self.strings)?;
            let Some(mut series) = self.series(family, &point.common) else { continue };
            series.push("_sum", None, recorded(&point.common, point.sum));
            series.push("_count", None, recorded(&point.common, point.count as f64));
            for (quantile, value) in &point.quantiles {
                let quantile = Some(("quantile", quantile.to_string()));
                series.push("", quantile, recorded(&point.common, *value));
            }
            self.finish(series);
        }
        Ok(())
    }

    /// Whether the data are deltas; `None` when they say neither delta nor cumulative, which is refused.
    fn is_delta(
        &mut self,
        data: &Field<'a>,
        what: &str,
        metric: &Metric<'_>,
    ) -> Result<Option<bool>, DecodeError> {
        let temporality = last_varint(data, 2)?;
        if temporality == DELTA || temporality == CUMULATIVE {
            return Ok(Some(temporality == DELTA));
        }
        let mut count = 0;
        let mut fields = data.message()?;
        while next_point(&mut fields)?.is_some() {
            count += 1;
        }
        if count > 0 {
            self.rejected.reject(RejectReason::Unsupported, count, || {
                let name = excerpt(&metric.name);
                format!("{what} {name:?} has the temporality {temporality}: only 1 (delta) and 2 (cumulative) have a meaning")
            });
        }
        Ok(None)
    }

    /// Notes the metadata and returns the family's name.
    fn family(&mut self, metric: &Metric<'_>, shape: Shape, kind: MetricKind) -> String {
        let family = metric_name(&metric.name, &metric.unit, shape, self.options.strategy);
        if !family.is_empty() {
            let (help, unit) = (metric.help.clone().into_owned(), unit_name(&metric.unit));
            self.batch.metadata.push(MetricMetadata { family: family.clone(), kind, help, unit });
        }
        family
    }

    /// The series of a point; `None` when the metric has no name or the point no time, which is counted.
    fn series(&mut self, family: &Family<'_>, point: &Common) -> Option<PointSeries> {
        let ts_ms = point.ts_ms();
        if family.name.is_empty() {
            let why = || "a metric without a name".to_owned();
            self.rejected.reject(RejectReason::InvalidLabels, 1, why);
            return None;
        }
        if ts_ms <= 0 {
            let why = || format!("a point of {:?} has the time {ts_ms} ms", excerpt(&family.name));
            self.rejected.reject(RejectReason::InvalidTime, 1, why);
            return None;
        }
        let mut labels = point_labels(&point.attributes, self.options);
        let target = family.source.target;
        for (name, value) in &target.promoted {
            if !labels.iter().any(|(taken, _)| taken == name) {
                labels.push((name.clone(), value.clone()));
            }
        }
        for (name, value) in &family.source.scope {
            set(&mut labels, name, value);
        }
        set(&mut labels, "job", &target.job);
        set(&mut labels, "instance", &target.instance);
        Some(PointSeries::new(&family.name, labels, ts_ms, ms_of(point.start_ns)))
    }

    /// The running total of a delta, whose start becomes the series'; `None` when the point is refused.
    fn total(&mut self, series: &mut PointSeries, point: &Common, delta: Total) -> Option<Total> {
        let key = match series.key() {
            Ok(key) => key,
            Err(why) => {
                self.rejected.reject(RejectReason::InvalidLabels, 1, || why);
                return None;
            }
        };
        if point.is_unrecorded() {
            self.deltas.end(&key);
            return Some(delta);
        }
        match self.deltas.add(&key, point.start_ns, point.time_ns, delta) {
            Ok((total, start_ns)) => {
                series.start_ms = ms_of(start_ns);
                Some(total)
            }
            Err(OutOfOrder(time_ns, before_ns)) => {
                self.rejected.reject(RejectReason::OutOfOrder, 1, || {
                    let family = excerpt(&series.family);
                    format!("a delta of {family:?} at {time_ns} ns is not after the one at {before_ns} ns")
                });
                None
            }
        }
    }

    /// Moves the samples of one point into the batch.
    fn finish(&mut self, mut series: PointSeries) {
        let ts_ms = series.ts_ms;
        let (earliest, latest) = self.times_ms.unwrap_or((ts_ms, ts_ms));
        self.times_ms = Some((earliest.min(ts_ms), latest.max(ts_ms)));
        if let Err(why) = series.add_to(self.batch) {
            self.rejected.reject(RejectReason::InvalidLabels, 1, || why);
        }
    }

    /// The other attributes of the resource, from its earliest to its latest point.
    fn target_info(&mut self, target: &Target) {
        let identifying = ["service.name", "service.namespace", "service.instance.id"];
        let is_identifying = |key: &str| identifying.contains(&key);
        let has_others = target.attributes.iter().any(|(key, _)| !is_identifying(key));
        let has_identity = !target.job.is_empty() || !target.instance.is_empty();
        let (Some((earliest, latest)), true, true) = (self.times_ms, has_identity, has_others) else {
            return;
        };
        let keep_all = self.options.keep_identifying_resource_attributes;
        let shown = target.attributes.iter().filter(|(key, _)| keep_all || !is_identifying(key));
        let mut labels = point_labels(shown, self.options);
        set(&mut labels, "job", &target.job);
        set(&mut labels, "instance", &target.instance);
        let mut ts_ms = earliest.max(latest - TARGET_INFO_INTERVAL_MS * TARGET_INFO_SAMPLES_MAX);
        loop {
            let mut series = PointSeries::new("target_info", labels.clone(), ts_ms, 0);
            series.push("", None, 1.0);
            self.finish(series);
            if ts_ms >= latest {
                break;
            }
            ts_ms = (ts_ms + TARGET_INFO_INTERVAL_MS).min(latest);
        }
        self.batch.metadata.push(MetricMetadata {
            family: "target_info".to_owned(),
            kind: MetricKind::Gauge,
            help: "Target metadata".to_owned(),
            unit: String::new(),
        });
    }
}

/// The value, or the stale marker where the point says that there is none.
fn recorded(point: &Common, value: f64) -> f64 {
    if point.is_unrecorded() { stale_nan() } else { value }
}

/// Sum, count and cumulative buckets; an exemplar stands with the bucket its value falls into.
fn push_classic(series: &mut PointSeries, point: &mut HistogramPoint) {
    let mut exemplars = std::mem::take(&mut point.common.exemplars);
    exemplars.sort_by(|left, right| left.value.total_cmp(&right.value));
    let mut exemplars = exemplars.into_iter().peekable();
    let common = &point.common;
    if let Some(sum) = point.sum {
        series.push("_sum", None, recorded(common, sum));
    }
    series.push("_count", None, recorded(common, point.count as f64));
    let mut cumulative = 0_u64;
    for (bound, count) in point.bounds.iter().zip(&point.counts) {
        cumulative = cumulative.saturating_add(*count);
        let bound = f64::from_bits(*bound);
        series.push("_bucket", Some(("le", bound.to_string())), recorded(common, cumulative as f64));
        let within: Vec<Exemplar> =
            std::iter::from_fn(|| exemplars.next_if(|exemplar| exemplar.value <= bound)).collect();
        series.attach(within);
    }
    series.push("_bucket", Some(("le", "+Inf".to_owned())), recorded(common, point.count as f64));
    series.attach(exemplars);
}

/// A histogram without buckets is one bucket that ends at +Inf.
fn with_custom_bounds(point: &HistogramPoint) -> Histogram {
    let mut buckets = BucketsBuilder::default();
    if point.counts.is_empty() {
        buckets.add(0, point.count as f64);
    }
    for (index, count) in (0..).zip(&point.counts) {
        buckets.add(index, *count as f64);
    }
    Histogram {
        schema: model::CUSTOM_BOUNDS_SCHEMA,
        count: point.count as f64,
        sum: point.sum.unwrap_or_default(),
        positive: buckets.finish(),
        custom_bounds: point.bounds.iter().map(|bound| f64::from_bits(*bound)).collect(),
        ..Histogram::default()
    }
}

/// The next data point: field 1 of every kind of data.
fn next_point<'a>(fields: &mut Fields<'a>) -> Result<Option<Field<'a>>, DecodeError> {
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            return Ok(Some(field));
        }
    }
    Ok(None)
}

fn last_varint(data: &Field<'_>, number: u32) -> Result<u64, DecodeError> {
    last_field(data, number)?.map_or(Ok(0), |field| field.varint())
}
