//! What the store under the router holds: an hour of samples up to [`NOW_MS`].

use std::sync::Mutex;
use std::sync::mpsc::Receiver;

use model::{
    Exemplar, Histogram, HistogramSample, LabelSet, Matcher, MetricKind, MetricMetadata, MetricSource,
    SampleColumns, SeriesSet, SourceError, TimeRange, stale_nan,
};

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW_MS: i64 = 1_767_225_600_000;
const STEP_MS: i64 = 15_000;
const SAMPLES: i64 = 240;

/// Series with their samples.
pub(crate) struct TestSource {
    series: Vec<(LabelSet, SampleColumns)>,
    /// The next selection waits for it.
    hold: Mutex<Option<Receiver<()>>>,
}

fn labels(text: &str) -> LabelSet {
    promql::series::parse_metric(text).expect("a valid series").0
}

fn floats(value: impl Fn(i64) -> f64) -> SampleColumns {
    let mut columns = SampleColumns::default();
    for index in 0..SAMPLES {
        columns.push(NOW_MS - (SAMPLES - 1 - index) * STEP_MS, value(index));
    }
    columns
}

fn histograms() -> SampleColumns {
    let histogram = |index: i64| Histogram {
        count: 3.0 * index as f64,
        sum: 4.5 * index as f64,
        positive: model::Buckets::from_ascending([(0, index as f64), (1, 2.0 * index as f64)]),
        ..Histogram::default()
    };
    let sample = |index: i64| HistogramSample {
        ts_ms: NOW_MS - (SAMPLES - 1 - index) * STEP_MS,
        histogram: histogram(index).into(),
        start_ms: 0,
    };
    SampleColumns { histograms: (0..SAMPLES).map(sample).collect(), ..SampleColumns::default() }
}

impl TestSource {
    pub(crate) fn new() -> Self {
        let ended = |index: i64| if index < SAMPLES - 8 { 1.0 } else { stale_nan() };
        let mut series = vec![
            (labels("up{job=\"api\",instance=\"a:1\"}"), floats(|_| 1.0)),
            (labels("up{job=\"api\",instance=\"b:1\"}"), floats(|index| f64::from(index < SAMPLES - 1))),
            (labels("up{job=\"gone\",instance=\"c:1\"}"), floats(ended)),
            (labels("http_requests_total{job=\"api\",code=\"200\"}"), floats(|index| 30.0 * index as f64)),
            (labels("http_requests_total{job=\"api\",code=\"500\"}"), floats(|index| 1.5 * index as f64)),
            (labels("temperature{room=\"a \\\"b\\\"\"}"), floats(|index| 20.0 + 0.1 * index as f64)),
            (labels("{\"cache.hits\",\"cache.name\"=\"l1\"}"), floats(|index| index as f64)),
            (labels("latency_seconds{job=\"api\"}"), histograms()),
        ];
        series.sort_by(|left, right| left.0.cmp(&right.0));
        Self { series, hold: Mutex::default() }
    }

    /// The next selection of `held` waits until the sender is gone.
    pub(crate) fn held_by(self, release: Receiver<()>) -> Self {
        *self.hold.lock().expect("not poisoned") = Some(release);
        self
    }

    /// `count` series of `samples` each, for large answers.
    pub(crate) fn wide(count: usize, samples: i64) -> Self {
        let series = (0..count).map(|number| {
            let mut columns = SampleColumns::default();
            for index in 0..samples {
                columns.push(NOW_MS - (samples - 1 - index) * STEP_MS, number as f64 + index as f64 / 8.0);
            }
            (labels(&format!("wide{{number=\"{number:06}\"}}")), columns)
        });
        Self { series: series.collect(), hold: Mutex::default() }
    }

    fn selected<'s>(
        &'s self,
        selectors: &'s [Vec<Matcher>],
        range_ms: TimeRange,
    ) -> impl Iterator<Item = &'s LabelSet> {
        let passes = move |labels: &LabelSet| {
            selectors.is_empty() || selectors.iter().any(|matchers| passes(labels, matchers))
        };
        let with_samples =
            self.series.iter().filter(move |(_, columns)| !within(columns, range_ms).is_empty());
        with_samples.map(|(labels, _)| labels).filter(move |labels| passes(labels))
    }
}

fn passes(labels: &LabelSet, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
}

fn within(columns: &SampleColumns, range_ms: TimeRange) -> SampleColumns {
    let mut out = SampleColumns::default();
    for (ts_ms, value) in columns.ts_ms.iter().zip(&columns.values) {
        if range_ms.contains(*ts_ms) {
            out.push(*ts_ms, *value);
        }
    }
    out.histograms =
        columns.histograms.iter().filter(|sample| range_ms.contains(sample.ts_ms)).cloned().collect();
    out
}

struct Selected(Vec<(LabelSet, SampleColumns)>);

impl SeriesSet for Selected {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> &LabelSet {
        &self.0[index].0
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        out.clone_from(&self.0[index].1);
        Ok(())
    }
}

impl MetricSource for TestSource {
    fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError> {
        if matchers.iter().any(|matcher| matcher.value() == "held")
            && let Some(release) = self.hold.lock().expect("not poisoned").take()
        {
            let _released = release.recv().is_err();
        }
        if matchers.iter().any(|matcher| matcher.value() == "limit") {
            return Err(SourceError::LimitExceeded("9 series are more than the limit of 8".into()));
        }
        let found = self.series.iter().filter(|(labels, _)| passes(labels, matchers));
        let found = found.map(|(labels, columns)| (labels.clone(), within(columns, range_ms)));
        Ok(Box::new(Selected(found.filter(|(_, columns)| !columns.is_empty()).collect())))
    }

    fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        let names = self.selected(selectors, range_ms).flat_map(LabelSet::iter);
        Ok(sorted(names.map(|(name, _)| name)))
    }

    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        Ok(sorted(self.selected(selectors, range_ms).filter_map(|labels| labels.get(name))))
    }

    fn metadata(&self, family: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError> {
        let known = |family: &str, kind, help: &str, unit: &str| MetricMetadata {
            family: family.into(),
            kind,
            help: help.into(),
            unit: unit.into(),
        };
        let mut known = vec![
            known("http_requests_total", MetricKind::Counter, "Requests.", ""),
            known("latency_seconds", MetricKind::Histogram, "How long \"it\" takes.", "seconds"),
            known("up", MetricKind::Gauge, "", ""),
        ];
        known.retain(|metadata| family.is_none_or(|family| metadata.family == family));
        Ok(known)
    }

    fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<(LabelSet, Vec<Exemplar>)>, SourceError> {
        let exemplar = Exemplar {
            labels: labels("{trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"}"),
            value: 0.25,
            ts_ms: NOW_MS - 1_234,
        };
        let has_any = |labels: &&LabelSet| labels.metric_name() == "latency_seconds";
        let found = self.selected(selectors, TimeRange::ALL).filter(has_any);
        let found = found.filter(|_| range_ms.contains(exemplar.ts_ms));
        Ok(found.map(|labels| (labels.clone(), vec![exemplar.clone()])).collect())
    }
}

fn sorted<'t>(items: impl Iterator<Item = &'t str>) -> Vec<String> {
    items.collect::<std::collections::BTreeSet<_>>().into_iter().map(str::to_owned).collect()
}
