//! From the body of an answer to samples.
//!
//! ```text
//! text ──────▶ Line ─┐
//!                    ├─▶ PageReader ─▶ cache: labels, limits ─▶ MetricBatch
//! protobuf ──▶ Item ─┘        └─ classic histograms, collected when they are to become native
//! ```

use std::borrow::Cow;

use model::{Exemplar, LabelSet, MetricBatch, MetricKind};
use wire::exposition::{HistogramForms, Item, Value, open_metrics_float, parse_go_float};
use wire::text::{Format, Line, Series};

use crate::cache::{Context, Counts, SampleLine, SeriesCache};
use crate::client::{FetchError, Page};
use crate::created::{Created, is_counting};
use crate::histograms::{ClassicHistograms, bounded};
use crate::protocol::{PageFormat, format_of};

/// Reads all samples of a page into `batch`. What a failed page left in `batch` must be thrown away.
///
/// # Errors
/// The content type, the line that is not of the format, or the limit.
pub(crate) fn read_page(
    page: &Page,
    context: &Context<'_>,
    ts_ms: i64,
    cache: &mut SeriesCache,
    batch: &mut MetricBatch,
    counts: &mut Counts,
) -> Result<(), FetchError> {
    let format = format_of(page.content_type.as_deref(), context.config.fallback_protocol)
        .map_err(|message| FetchError::new("content_type", message))?;
    let mut reader = PageReader {
        context,
        ts_ms,
        cache,
        batch,
        counts,
        family: String::new(),
        kind: MetricKind::Unknown,
        classic: ClassicHistograms::default(),
        over_limit: Ok(()),
    };
    match format {
        PageFormat::Text(format) => {
            let body = std::str::from_utf8(&page.body).map_err(|error| {
                FetchError::new("syntax", format!("body is not UTF-8 at offset {}", error.valid_up_to()))
            })?;
            reader.read_text(format, body)?;
        }
        PageFormat::Protobuf => reader.read_protobuf(&page.body)?,
    }
    reader.finish().map_err(|message| FetchError::new("limit", message))
}

struct PageReader<'p> {
    context: &'p Context<'p>,
    ts_ms: i64,
    cache: &'p mut SeriesCache,
    batch: &'p mut MetricBatch,
    counts: &'p mut Counts,
    /// The family whose samples come now.
    family: String,
    kind: MetricKind,
    classic: ClassicHistograms,
    /// The first limit that was hit: nothing more is added then.
    over_limit: Result<(), String>,
}

/// A sample of either format.
struct Seen<'s> {
    series: Series<'s>,
    value: Value,
    own_ts_ms: Option<i64>,
    start_ms: i64,
    exemplars: &'s [Exemplar],
}

impl PageReader<'_> {
    fn read_text(&mut self, format: Format, body: &str) -> Result<(), FetchError> {
        let created = if format == Format::OpenMetrics { Created::of_page(body) } else { Created::default() };
        let honors = self.context.config.honor_timestamps;
        let parsed = wire::text::parse(format, body, self.ts_ms, honors, &mut |line| match line {
            Line::Sample(sample) => {
                let exemplar = sample.exemplar.as_ref().and_then(|exemplar| {
                    let labels = exemplar.labels.label_set().ok()?;
                    let ts_ms = exemplar.ts_ms.unwrap_or_default();
                    Some(Exemplar { labels, value: exemplar.value, ts_ms })
                });
                self.add(&Seen {
                    series: sample.series,
                    value: Value::Float(sample.value),
                    own_ts_ms: Some(sample.ts_ms).filter(|_| sample.has_own_ts),
                    start_ms: if is_counting(self.kind_of(sample.series)) {
                        created.start_ms(sample.series)
                    } else {
                        0
                    },
                    exemplars: exemplar.as_slice(),
                });
            }
            Line::Type { family, kind } => {
                self.begin_family(&family, kind);
            }
            Line::Help { family, text } => self.describe_help(&family, &text),
            Line::Unit { family, unit } => self.describe_unit(&family, unit),
        });
        parsed.map_err(|error| FetchError::new("syntax", error.to_string()))
    }

    fn read_protobuf(&mut self, body: &[u8]) -> Result<(), FetchError> {
        let config = self.context.config;
        let forms = HistogramForms {
            native: config.histograms.native,
            always_classic: config.histograms.always_classic || config.histograms.convert_classic,
        };
        let parsed = wire::exposition::parse(body, forms, &mut |item| match item {
            Item::Sample(sample) => self.add(&Seen {
                series: sample.series,
                value: sample.value,
                own_ts_ms: sample.ts_ms.filter(|_| config.honor_timestamps),
                start_ms: sample.start_ms,
                exemplars: sample.exemplars,
            }),
            Item::Family { name, kind, help, unit } => {
                self.begin_family(name, kind);
                self.describe_help(name, help);
                if !unit.is_empty() {
                    self.describe_unit(name, unit);
                }
            }
        });
        parsed.map_err(|error| FetchError::new("syntax", error.to_string()))
    }

    fn add(&mut self, seen: &Seen<'_>) {
        if self.over_limit.is_err() {
            return;
        }
        let settings = &self.context.config.histograms;
        let kind = self.kind_of(seen.series);
        if settings.convert_classic && kind == MetricKind::Histogram {
            let times = (seen.own_ts_ms, seen.start_ms);
            let taken = match seen.value {
                Value::Float(value) => self.classic.take(seen.series, value, times, seen.exemplars),
                Value::Histogram(_) => {
                    self.classic.leave_out(seen.series);
                    false
                }
            };
            if taken && !settings.always_classic {
                return;
            }
        }
        let value = match &seen.value {
            Value::Float(value) => Ok(Value::Float(*value)),
            Value::Histogram(histogram) => bounded(histogram.clone(), settings).map(Value::Histogram),
        };
        let labels = || {
            let labels = seen.series.label_set().map_err(|error| format!("invalid sample: {error}"))?;
            Ok(with_normal_bounds(labels, kind))
        };
        self.over_limit = value.and_then(|value| {
            let line = SampleLine {
                raw: seen.series.raw(),
                ts_ms: seen.own_ts_ms.unwrap_or(self.ts_ms),
                start_ms: seen.start_ms,
                value,
                exemplars: seen.exemplars,
                own_timestamp: seen.own_ts_ms.is_some(),
            };
            self.cache.add(self.context, &line, labels, self.batch, self.counts)
        });
    }

    /// Adds the collected histograms.
    fn finish(mut self) -> Result<(), String> {
        self.over_limit.clone()?;
        for mut classic in std::mem::take(&mut self.classic).into_entries() {
            let raw = classic.labels.to_string();
            let Ok(histogram) = classic.native() else {
                self.counts.histograms_refused += 1;
                continue;
            };
            let line = SampleLine {
                raw: &raw,
                ts_ms: classic.ts_ms.unwrap_or(self.ts_ms),
                start_ms: classic.start_ms,
                value: Value::Histogram(bounded(histogram.into(), &self.context.config.histograms)?),
                exemplars: &classic.exemplars,
                own_timestamp: classic.ts_ms.is_some(),
            };
            let labels = || Ok(classic.labels.clone());
            self.cache.add(self.context, &line, labels, self.batch, self.counts)?;
        }
        Ok(())
    }

    /// The kind of the current family, if the series is of it.
    fn kind_of(&self, series: Series<'_>) -> MetricKind {
        let raw = series.raw();
        let name = raw.strip_prefix("{\"").unwrap_or(raw);
        if name.starts_with(&self.family) { self.kind } else { MetricKind::Unknown }
    }

    fn begin_family(&mut self, family: &str, kind: MetricKind) {
        family.clone_into(&mut self.family);
        self.kind = kind;
        self.cache.describe(family, |known| known.kind = kind, |known| known.kind == kind);
    }

    fn describe_help(&mut self, family: &str, text: &str) {
        self.cache.describe(family, |known| text.clone_into(&mut known.help), |known| known.help == text);
    }

    fn describe_unit(&mut self, family: &str, unit: &str) {
        self.cache.describe(family, |known| unit.clone_into(&mut known.unit), |known| known.unit == unit);
    }
}

/// Bounds are written in many ways; as Prometheus 3 does, `le="1"` and `quantile="1"` are stored as `1.0`.
fn with_normal_bounds(labels: LabelSet, kind: MetricKind) -> LabelSet {
    let name = match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => "le",
        MetricKind::Summary => "quantile",
        _ => return labels,
    };
    let normal = labels.get(name).and_then(|text| {
        let normal: Cow<'_, str> = open_metrics_float(parse_go_float(text)?).into();
        (normal != text).then_some(normal)
    });
    match normal {
        Some(normal) => {
            let mut builder = labels.to_builder();
            builder.set(name, &normal);
            builder.build()
        }
        None => labels,
    }
}

#[cfg(test)]
mod tests;
