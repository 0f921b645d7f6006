//! When the counters of an OpenMetrics page began: its `_created` samples.
//!
//! ```text
//! x_total{a="1"} 7          counts since 5, because
//! x_created{a="1"} 5        says so, behind it
//! ```
//! They stand behind the samples they speak of, so the page is walked once more before; pages without any pay a search
//! for the word. The `_created` series themselves are kept, as Prometheus keeps them.

use std::collections::HashMap;

use model::{LabelSet, METRIC_NAME, MetricKind};
use wire::text::{Format, Line, Series, parse};

const SUFFIX: &str = "_created";
/// Suffixes of the samples of a family that counts.
const COUNTING: [&str; 5] = ["_total", "_bucket", "_count", "_sum", SUFFIX];

/// Times by family and labels.
#[derive(Debug, Default)]
pub(crate) struct Created(HashMap<LabelSet, i64>);

impl Created {
    /// What the page says. A page that is not well-formed says nothing: it will be refused anyway.
    pub(crate) fn of_page(body: &str) -> Self {
        let mut times = HashMap::new();
        if !body.contains(SUFFIX) {
            return Self::default();
        }
        let mut counts = false;
        let parsed = parse(Format::OpenMetrics, body, 0, false, &mut |line| match line {
            Line::Type { kind, .. } => counts = is_counting(kind),
            Line::Sample(sample) if counts && sample.value.is_finite() => {
                let name_end = sample.series.raw().find('{').unwrap_or(sample.series.raw().len());
                let name = sample.series.raw().get(..name_end).unwrap_or_default();
                if name.ends_with(SUFFIX)
                    && let Some(labels) = family_labels(sample.series)
                {
                    times.insert(labels, (sample.value * 1_000.0) as i64);
                }
            }
            _ => {}
        });
        if parsed.is_ok() { Self(times) } else { Self::default() }
    }

    /// When the series of this text began; 0 = unknown.
    pub(crate) fn start_ms(&self, series: Series<'_>) -> i64 {
        let is_itself_a_start = series.raw().split('{').next().is_some_and(|name| name.ends_with(SUFFIX));
        if self.0.is_empty() || is_itself_a_start {
            return 0;
        }
        family_labels(series).and_then(|labels| self.0.get(&labels)).copied().unwrap_or(0)
    }
}

/// Whether samples of this kind count from a start.
pub(crate) fn is_counting(kind: MetricKind) -> bool {
    matches!(kind, MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary)
}

/// The labels that all samples of one metric share, with the family's name.
pub(crate) fn family_labels(series: Series<'_>) -> Option<LabelSet> {
    let labels = series.label_set().ok()?;
    let name = labels.metric_name();
    let family = COUNTING.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned();
    let mut builder = labels.to_builder();
    builder.remove("le").remove("quantile").set(METRIC_NAME, &family);
    Some(builder.build())
}
