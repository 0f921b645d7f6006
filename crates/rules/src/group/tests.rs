use std::sync::Mutex;

use clock::ManualClock;
use eino_metrics_core::Registry;
use expect_test::expect;
use model::{Appended, MetricMetadata, SeriesSet, SinkError, SourceError, is_stale_nan};
use promql::EngineConfig;

use super::*;
use crate::RuleFile;

/// A store in memory: samples by series.
#[derive(Default)]
struct Store(Mutex<Vec<(LabelSet, SampleColumns)>>);

impl Store {
    fn add(&self, series: &[(&str, &str)], ts_ms: i64, value: f64) {
        let mut batch = MetricBatch::new();
        batch.push(&mut series.to_vec(), ts_ms, value).expect("valid");
        MetricSink::append(self, &batch).expect("memory takes all");
    }

    /// Everything stored at a time, except what the test put in as `in…`.
    fn at(&self, ts_ms: i64) -> String {
        let mut lines = Vec::new();
        for (labels, samples) in self.0.lock().expect("not poisoned").iter() {
            let value =
                samples.ts_ms.iter().position(|ts| *ts == ts_ms).and_then(|index| samples.values.get(index));
            if let Some(value) = value.filter(|_| !labels.metric_name().starts_with("in")) {
                let value = if is_stale_nan(*value) { "stale".to_owned() } else { value.to_string() };
                lines.push(format!("{labels} {value}\n"));
            }
        }
        lines.sort();
        lines.concat()
    }
}

impl MetricSink for Store {
    fn append(&self, batch: &MetricBatch) -> Result<Appended, SinkError> {
        let mut store = self.0.lock().expect("not poisoned");
        for series in batch.series() {
            let labels = series.labels.to_owned();
            let index = store.iter().position(|(known, _)| *known == labels).unwrap_or_else(|| {
                store.push((labels, SampleColumns::default()));
                store.len() - 1
            });
            let (_, columns) = store.get_mut(index).expect("just found");
            columns.ts_ms.extend_from_slice(series.ts_ms);
            columns.values.extend_from_slice(series.values);
        }
        Ok(Appended { accepted: batch.sample_count() as u64, ..Appended::default() })
    }
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

impl MetricSource for Store {
    fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError> {
        let store = self.0.lock().expect("not poisoned");
        let matched = store.iter().filter(|(labels, _)| {
            matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()))
        });
        let mut selected: Vec<(LabelSet, SampleColumns)> = matched
            .map(|(labels, samples)| {
                let mut inside = SampleColumns::default();
                for (ts_ms, value) in samples.ts_ms.iter().zip(&samples.values) {
                    if range_ms.contains(*ts_ms) {
                        inside.push(*ts_ms, *value);
                    }
                }
                (labels.clone(), inside)
            })
            .collect();
        selected.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(Box::new(Selected(selected)))
    }

    fn label_names(&self, _: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError> {
        Ok(Vec::new())
    }
}

struct Bench {
    store: Arc<Store>,
    stores: RuleStores,
    clock: Clock,
    metrics: Metrics,
}

fn bench() -> Bench {
    let store = Arc::new(Store::default());
    let clock = ManualClock::at_unix_ms(0).clock();
    let engine = Arc::new(Engine::new(EngineConfig::default(), clock.clone()));
    let stores = RuleStores { engine, source: store.clone(), sink: store.clone() };
    Bench { store, stores, clock, metrics: Metrics::new(&Registry::new()) }
}

fn group(rules: &str) -> Group {
    let file =
        RuleFile::parse(&format!("groups:\n- name: g\n  rules:\n{rules}"), "f.yml").expect("valid rules");
    Group::new(file.groups.first().expect("one group").clone(), RuleSettings::default())
}

impl Bench {
    fn evaluate(&self, group: &mut Group, now_ms: i64) -> Vec<AlertEvent> {
        group.evaluate(now_ms, &self.stores, &self.clock, &self.metrics)
    }
}

#[test]
fn rules_see_what_rules_before_them_wrote_and_what_vanishes_goes_stale() {
    let bench = bench();
    let mut group = group(
        "  - {record: job:in:sum, expr: sum by (job) (in), labels: {team: x}}\n  \
         - {record: twice, expr: 'job:in:sum * 2'}\n  - {alert: Big, expr: twice > 5, annotations: {s: '{{ $value }}'}}\n",
    );
    bench.store.add(&[("__name__", "in"), ("job", "a")], 1_000, 3.0);
    let due = bench.evaluate(&mut group, 60_000);
    assert_eq!(due.first().map(|event| event.annotations.get("s")), Some(Some("6")));
    expect![[r#"
        ALERTS_FOR_STATE{alertname="Big", job="a", team="x"} 60
        ALERTS{alertname="Big", alertstate="firing", job="a", team="x"} 1
        job:in:sum{job="a", team="x"} 3
        twice{job="a", team="x"} 6
    "#]]
    .assert_eq(&bench.store.at(60_000));
    // After the lookback of five minutes the input is gone.
    let due = bench.evaluate(&mut group, 360_000);
    expect![[r#"
        ALERTS_FOR_STATE{alertname="Big", job="a", team="x"} stale
        ALERTS{alertname="Big", alertstate="firing", job="a", team="x"} stale
        job:in:sum{job="a", team="x"} stale
        twice{job="a", team="x"} stale
    "#]]
    .assert_eq(&bench.store.at(360_000));
    assert_eq!(due.first().map(|event| event.resolved), Some(true));
}

#[test]
fn a_query_that_fails_resolves_nothing() {
    let bench = bench();
    let mut group = group("  - {alert: A, expr: 'in * on (x) in > 0'}\n");
    bench.store.add(&[("__name__", "in"), ("x", "1")], 0, 1.0);
    assert_eq!(bench.evaluate(&mut group, 1_000).len(), 1);
    // Two series of the same `x`: many-to-many, an error.
    bench.store.add(&[("__name__", "in"), ("x", "1"), ("y", "1")], 1_500, 1.0);
    assert!(bench.evaluate(&mut group, 2_000).is_empty());
    let status = serde_json::to_value(group.status()).expect("serializable");
    assert_eq!(
        (&status["rules"][0]["health"], &status["rules"][0]["state"]),
        (&"err".into(), &"firing".into())
    );
    assert_eq!(bench.metrics.failures.get(), 1);
}

#[test]
fn pending_alerts_survive_a_restart_and_a_reload() {
    let bench = bench();
    let rules = "  - {alert: A, expr: in > 0, for: 30m}\n";
    let minute = |minute: i64| minute * 60_000;
    let mut before = group(rules);
    for now in 0..=15 {
        bench.store.add(&[("__name__", "in")], minute(now), 1.0);
        bench.evaluate(&mut before, minute(now));
    }
    // Down for two minutes; then 15 of 30 minutes are left, from the restart on.
    let mut after = group(rules);
    for now in 17..=31 {
        bench.store.add(&[("__name__", "in")], minute(now), 1.0);
        assert!(bench.evaluate(&mut after, minute(now)).is_empty(), "minute {now}");
    }
    let mut reloaded = group(rules);
    reloaded.inherit(after);
    bench.store.add(&[("__name__", "in")], minute(32), 1.0);
    assert_eq!(bench.evaluate(&mut reloaded, minute(32)).len(), 1);
}

#[test]
fn status_is_prometheuss() {
    let bench = bench();
    let mut group =
        group("  - {alert: A, expr: in > 0, for: 1m, labels: {l: v}}\n  - {record: r, expr: in}\n");
    bench.store.add(&[("__name__", "in"), ("job", "a")], 0, 1.0);
    bench.evaluate(&mut group, 1_000);
    expect![[r#"
        {
          "name": "g",
          "file": "f.yml",
          "rules": [
            {
              "state": "pending",
              "name": "A",
              "query": "in > 0",
              "duration": 60.0,
              "keepFiringFor": 0.0,
              "labels": {
                "l": "v"
              },
              "annotations": {},
              "alerts": [
                {
                  "labels": {
                    "alertname": "A",
                    "job": "a",
                    "l": "v"
                  },
                  "annotations": {},
                  "state": "pending",
                  "activeAt": "1970-01-01T00:00:01Z",
                  "value": "1e+00"
                }
              ],
              "health": "ok",
              "evaluationTime": 0.0,
              "lastEvaluation": "1970-01-01T00:00:01Z",
              "type": "alerting"
            },
            {
              "name": "r",
              "query": "in",
              "labels": {},
              "health": "ok",
              "evaluationTime": 0.0,
              "lastEvaluation": "1970-01-01T00:00:01Z",
              "type": "recording"
            }
          ],
          "interval": 60.0,
          "limit": 0,
          "evaluationTime": 0.0,
          "lastEvaluation": "1970-01-01T00:00:01Z"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&group.status()).expect("serializable"));
}
