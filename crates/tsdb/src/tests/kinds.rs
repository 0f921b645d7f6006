//! Histograms, start times and exemplars from append to block and back.

use std::sync::Arc;

use model::{
    BucketSpan, Buckets, Exemplar, Histogram, HistogramSample, LatestSample, Matcher, MetricBatch,
    MetricSink, MetricSource, RejectReason, ResetHint, SampleColumns, TimeRange,
};
use tempfile::TempDir;

use super::{HOUR_MS, NOW_MS, Store, labels, open, open_with};
use crate::TsdbConfig;

fn counter(counts: &[f64]) -> Histogram {
    let spans = vec![BucketSpan { offset: 0, length: counts.len() as u32 }];
    let count = counts.iter().sum();
    Histogram {
        positive: Buckets { spans, counts: counts.to_vec() },
        count,
        sum: count * 2.0,
        ..Histogram::default()
    }
}

fn append(store: &Store, samples: &[(i64, Histogram)]) -> model::Appended {
    let mut batch = MetricBatch::new();
    batch.start_series_canonical(labels("latency", &[]).as_ref());
    for (ts_ms, histogram) in samples {
        let histogram = Arc::new(histogram.clone());
        batch.push_histogram(HistogramSample { ts_ms: *ts_ms, start_ms: 0, histogram });
    }
    store.db.append(&batch).unwrap()
}

fn read(store: &Store, name: &str, range_ms: TimeRange) -> SampleColumns {
    let set = store.db.select(&[Matcher::equal("__name__", name)], range_ms).unwrap();
    let mut columns = SampleColumns::default();
    if !set.is_empty() {
        set.read(0, &mut columns).unwrap();
    }
    columns
}

fn hints(store: &Store) -> Vec<(i64, f64, ResetHint)> {
    let columns = read(store, "latency", TimeRange::ALL);
    let hint = |sample: &HistogramSample| {
        (sample.ts_ms - NOW_MS, sample.histogram.count, sample.histogram.reset_hint)
    };
    columns.histograms.iter().map(hint).collect()
}

/// Runs `check` on the store as it is, reopened, with a block, and reopened again.
fn everywhere(dir: &TempDir, store: Store, check: impl Fn(&Store)) -> Store {
    check(&store);
    drop(store);
    let store = open(dir.path());
    check(&store);
    store.db.flush().unwrap();
    check(&store);
    drop(store);
    let store = open(dir.path());
    check(&store);
    store
}

#[test]
fn histograms_get_hints_and_keep_them() {
    use ResetHint::{NotReset, Reset, Unknown};
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    // More than a chunk, one reset, one stale marker, one that came late.
    let samples: Vec<_> = (0..100_i64)
        .map(|n| {
            let histogram = match n {
                70 => Histogram::stale(),
                _ if n < 50 => counter(&[n as f64, 2.0]),
                _ => counter(&[(n - 50) as f64, 2.0]),
            };
            (NOW_MS + n * 1000, histogram)
        })
        .collect();
    let appended = append(&store, &samples);
    assert_eq!((appended.accepted, appended.accepted_histograms), (100, 100));
    assert_eq!(append(&store, &samples[..3]).accepted, 3, "the same again says nothing new");
    append(&store, &[(NOW_MS + 5_500, counter(&[6.0, 2.0]))]);
    everywhere(&dir, store, |store| {
        let found = hints(store);
        assert_eq!(found.len(), 101);
        for (ts_ms, _, hint) in found {
            let want = match ts_ms {
                // The first, the late one and its successor, the stale marker and its successor.
                0 | 5_500 | 6_000 | 70_000 | 71_000 => Unknown,
                50_000 => Reset,
                _ => NotReset,
            };
            assert_eq!(hint, want, "at {ts_ms}");
        }
    });
}

#[test]
fn conflicts_of_kinds_and_values_are_refused() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    append(&store, &[(NOW_MS, counter(&[1.0])), (NOW_MS + 2, counter(&[2.0]))]);
    let reason = |appended: model::Appended| appended.rejected.first().map(|rejection| rejection.reason);
    let other = append(&store, &[(NOW_MS, counter(&[5.0]))]);
    assert_eq!(reason(other), Some(RejectReason::DuplicateTimestamp));
    let float = store.append(&labels("latency", &[]), &[(NOW_MS + 2, 1.0), (NOW_MS + 1, 1.0)]);
    assert_eq!((float.accepted, reason(float)), (1, Some(RejectReason::DuplicateTimestamp)));
    let histogram = append(&store, &[(NOW_MS + 1, counter(&[1.0]))]);
    assert_eq!(reason(histogram), Some(RejectReason::DuplicateTimestamp));
    let late = append(&store, &[(NOW_MS - HOUR_MS, counter(&[1.0]))]);
    assert_eq!(reason(late), Some(RejectReason::OutOfOrder));
    let invalid = append(&store, &[(NOW_MS + 9, Histogram { count: 7.0, ..counter(&[1.0]) })]);
    assert!(invalid.rejected[0].example.contains("but the count is 7"), "{invalid:?}");
    assert_eq!(reason(invalid), Some(RejectReason::InvalidHistogram));
    let set = store.db.select(&[], TimeRange::ALL).unwrap();
    assert!(matches!(set.read_latest(0).unwrap(), Some(LatestSample::Histogram(_))));
}

#[test]
fn start_times_stay_with_their_samples() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let mut batch = MetricBatch::new();
    for series in ["with", "without"] {
        batch.start_series_canonical(labels(series, &[]).as_ref());
        for n in 0..300_i64 {
            let start_ms = if series == "with" && n >= 10 { NOW_MS - 1000 + n / 100 } else { 0 };
            batch.push_sample_since(NOW_MS + n * 10, n as f64, start_ms);
        }
        batch.push_sample_since(NOW_MS + 5, 0.5, if series == "with" { 7 } else { 0 });
    }
    assert_eq!(store.db.append(&batch).unwrap().accepted, 602);
    everywhere(&dir, store, |store| {
        assert!(read(store, "without", TimeRange::ALL).start_ms.is_empty());
        let columns = read(store, "with", TimeRange::ALL);
        let found: Vec<_> =
            columns.ts_ms.iter().zip(&columns.start_ms).map(|(ts, start)| (ts - NOW_MS, *start)).collect();
        let mut want: Vec<_> =
            (0..300_i64).map(|n| (n * 10, if n >= 10 { NOW_MS - 1000 + n / 100 } else { 0 })).collect();
        want.insert(1, (5, 7));
        assert_eq!(found, want);
    });
}

#[test]
fn exemplars_are_bounded_and_survive() {
    let dir = TempDir::new().unwrap();
    let reopen = || open_with(TsdbConfig { exemplars_max: 3, ..TsdbConfig::new(dir.path()) });
    let store = reopen();
    let exemplar = |n: i64, id: &str| Exemplar {
        labels: model::LabelSet::from_pairs([("trace_id", id)]).unwrap(),
        value: n as f64,
        ts_ms: NOW_MS + n,
    };
    let mut batch = MetricBatch::new();
    batch.start_series_canonical(labels("a", &[]).as_ref());
    batch.push_sample(NOW_MS, 1.0);
    for (n, id) in [(1, "1"), (3, "3"), (2, "late"), (3, "3")] {
        batch.push_exemplar(exemplar(n, id));
    }
    batch.push_exemplar(exemplar(4, &"x".repeat(130)));
    batch.start_series_canonical(labels("b", &[]).as_ref());
    batch.push_sample(NOW_MS, 1.0);
    for (n, id) in [(5, "5"), (6, "6")] {
        batch.push_exemplar(exemplar(n, id));
    }
    batch.start_series_canonical(labels("unknown", &[]).as_ref());
    batch.push_exemplar(exemplar(1, "1"));
    assert_eq!(store.db.append(&batch).unwrap().accepted_exemplars, 5, "one twice");
    for (reason, count) in [("out_of_order", 1), ("too_long", 1), ("unknown_series", 1)] {
        let line = format!("eino_tsdb_exemplars_rejected_total{{reason=\"{reason}\"}} {count}");
        assert!(store.metric(&line), "{line}");
    }
    let check = |store: &Store| {
        let all = store.db.exemplars(&[vec![]], TimeRange::ALL).unwrap();
        let want = vec![
            (labels("a", &[]), vec![exemplar(3, "3")]),
            (labels("b", &[]), vec![exemplar(5, "5"), exemplar(6, "6")]),
        ];
        assert_eq!(all, want, "the oldest of four is gone");
        let some =
            store.db.exemplars(&[vec![Matcher::equal("__name__", "b")]], TimeRange::new(0, NOW_MS + 6));
        assert_eq!(some.unwrap(), [(labels("b", &[]), vec![exemplar(5, "5")])]);
    };
    check(&store);
    drop(store);
    let store = reopen();
    check(&store);
    store.db.flush().unwrap();
    drop(store);
    check(&reopen());
}

#[test]
fn the_newest_sample_and_label_columns_need_no_labels() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    for n in 0..200_i64 {
        let job = if n % 2 == 0 { "even" } else { "" };
        store.append(&labels("m", &[("n", &format!("{n:03}")), ("job", job)]), &[(NOW_MS + n, n as f64)]);
    }
    let check = |store: &Store| {
        let set = store.db.select(&[], TimeRange::ALL).unwrap();
        let ids = set.label_ids("job");
        assert_eq!(ids.values.len(), 2);
        for index in 0..set.len() {
            let labels = set.labels(index);
            let value = &ids.values[ids.ids[index] as usize];
            assert_eq!(value.as_ref(), labels.get("job").unwrap_or_default());
            let n: i64 = labels.get("n").unwrap().parse().unwrap();
            let latest = LatestSample::Float { ts_ms: NOW_MS + n, value: n as f64 };
            assert_eq!(set.read_latest(index).unwrap(), Some(latest));
        }
    };
    everywhere(&dir, store, check);
}
