//! The store against an oracle, its limits, and damaged files.

mod crash;
mod kinds;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::ManualClock;
use eino_metrics_core::Registry;
use model::{
    Appended, LabelSet, MatchOp, Matcher, MetricBatch, MetricKind, MetricMetadata, MetricSink, MetricSource,
    RejectReason, STALE_NAN_BITS, SampleColumns, TimeRange,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{Tsdb, TsdbConfig};

const NOW_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;

/// Series, times and bits of values.
type Dump = BTreeMap<LabelSet, Vec<(i64, u64)>>;

struct Store {
    db: Tsdb,
    clock: ManualClock,
    registry: Registry,
}

fn open(dir: &Path) -> Store {
    open_with(TsdbConfig::new(dir))
}

fn open_with(config: TsdbConfig) -> Store {
    let clock = ManualClock::at_unix_ms(NOW_MS as u64);
    let registry = Registry::new();
    let db = Tsdb::open(config, clock.clock(), &registry).expect("the store opens");
    Store { db, clock, registry }
}

fn labels(name: &str, pairs: &[(&str, &str)]) -> LabelSet {
    LabelSet::from_pairs(pairs.iter().copied().chain([("__name__", name)])).expect("valid labels")
}

impl Store {
    fn append(&self, series: &LabelSet, samples: &[(i64, f64)]) -> Appended {
        let mut batch = MetricBatch::new();
        batch.start_series_canonical(series.as_ref());
        for (ts_ms, value) in samples {
            batch.push_sample(*ts_ms, *value);
        }
        self.db.append(&batch).expect("the batch is taken")
    }

    /// Appends one sample and answers why not.
    fn refusal(&self, series: &LabelSet, ts_ms: i64, value: f64) -> Option<(RejectReason, String)> {
        let appended = self.append(series, &[(ts_ms, value)]);
        appended.rejected.into_iter().next().map(|rejection| (rejection.reason, rejection.example))
    }

    fn dump(&self, matchers: &[Matcher], range_ms: TimeRange) -> Dump {
        let set = self.db.select(matchers, range_ms).expect("selects");
        let mut columns = SampleColumns::default();
        let mut dump = Dump::new();
        let mut previous: Option<LabelSet> = None;
        for index in 0..set.len() {
            let labels = set.labels(index).clone();
            assert!(previous.is_none_or(|previous| previous < labels), "series ascend by labels");
            previous = Some(labels.clone());
            set.read(index, &mut columns).expect("reads");
            let bits = columns.values.iter().map(|value| value.to_bits());
            let samples: Vec<_> = columns.ts_ms.iter().copied().zip(bits).collect();
            if !samples.is_empty() {
                dump.insert(labels, samples);
            }
        }
        dump
    }

    fn samples(&self, series: &LabelSet) -> Vec<(i64, f64)> {
        let dump = self.dump(&[], TimeRange::ALL);
        let samples = dump.get(series).cloned().unwrap_or_default();
        samples.into_iter().map(|(ts_ms, bits)| (ts_ms, f64::from_bits(bits))).collect()
    }

    fn metric(&self, line: &str) -> bool {
        self.registry.encode_text().lines().any(|candidate| candidate == line)
    }
}

fn blocks(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir.join("blocks"))
        .expect("directory")
        .map(|entry| entry.expect("entry").path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn a_cut_leaves_no_snapshot_behind() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    store.append(&labels("m", &[]), &[(NOW_MS, 1.0)]);
    store.db.write_snapshot(&mut store.db.upkeep()).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("head")).unwrap().count(), 1);
    store.db.flush().unwrap();
    assert_eq!(fs::read_dir(dir.path().join("head")).unwrap().count(), 0, "its samples are in the block");
}

#[test]
fn samples_are_there_before_and_after_flush_and_reopen() {
    let dir = TempDir::new().unwrap();
    let up = labels("up", &[("job", "a")]);
    let store = open(dir.path());
    let samples: Vec<_> = (0..500_i64).map(|n| (NOW_MS + n * 1000, n as f64 / 100.0)).collect();
    assert_eq!(store.append(&up, &samples[..300]).accepted, 300);
    assert_eq!(store.samples(&up), samples[..300]);
    store.db.flush().unwrap();
    assert_eq!(store.samples(&up), samples[..300]);
    store.append(&up, &samples[300..]);
    assert_eq!(store.samples(&up), samples);
    let status = store.db.status();
    assert_eq!((status.samples, status.blocks, status.head_series), (500, 1, 1));
    assert_eq!((status.min_ms, status.max_ms), (Some(NOW_MS), Some(NOW_MS + 499_000)));
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.samples(&up), samples);
    store.db.close().unwrap();
    assert!(store.db.append(&MetricBatch::new()).is_ok(), "nothing to refuse");
    let mut batch = MetricBatch::new();
    batch.push(&mut [("__name__", "late")], NOW_MS, 1.0).unwrap();
    assert!(store.db.append(&batch).is_err());
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.samples(&up), samples);
    assert_eq!(store.db.status().head_samples, 200, "the head comes back from its snapshot");
    assert!(store.metric("eino_log_append_bytes_total 0"), "nothing was written for it");
}

#[test]
fn idle_series_leave_the_head_and_stay_in_blocks() {
    let dir = TempDir::new().unwrap();
    let (gone, live) = (labels("gone", &[]), labels("live", &[]));
    let store = open(dir.path());
    store.append(&gone, &[(NOW_MS, 1.0)]);
    for round in 0..3 {
        store.append(&live, &[(NOW_MS + round, 1.0)]);
        store.db.flush().unwrap();
    }
    assert_eq!(store.db.status().head_series, 1);
    assert_eq!(store.samples(&gone), [(NOW_MS, 1.0)]);
    assert_eq!(store.db.label_values("__name__", &[], TimeRange::ALL).unwrap(), ["gone", "live"]);
    store.append(&gone, &[(NOW_MS + 9, 2.0)]);
    assert_eq!(store.samples(&gone), [(NOW_MS, 1.0), (NOW_MS + 9, 2.0)]);
}

#[test]
fn late_samples_are_merged_within_the_window() {
    let dir = TempDir::new().unwrap();
    let up = labels("up", &[]);
    let store = open(dir.path());
    store.append(&up, &[(NOW_MS, 1.0)]);
    assert_eq!(store.refusal(&up, NOW_MS - HOUR_MS, 2.0), None, "at the edge of the window");
    let (reason, example) = store.refusal(&up, NOW_MS - HOUR_MS - 1, 2.0).expect("refused");
    assert_eq!(reason, RejectReason::OutOfOrder);
    assert!(example.contains("out_of_order_window = 3600s"), "{example}");
    let late: Vec<_> = (1..200_i64).rev().map(|n| (NOW_MS - n * 1000, n as f64)).collect();
    assert_eq!(store.append(&up, &late).accepted, 199);
    let check = |refused: Option<RejectReason>| {
        assert_eq!(store.refusal(&up, NOW_MS - 5000, 5.0), None, "the same value says nothing new");
        assert_eq!(store.refusal(&up, NOW_MS - 5000, 6.0).map(|(reason, _)| reason), refused);
        let samples = store.samples(&up);
        assert_eq!(samples.len(), 201);
        assert!(samples.contains(&(NOW_MS - 5000, 5.0)), "the first accepted value stays");
    };
    check(Some(RejectReason::DuplicateTimestamp));
    store.db.flush().unwrap();
    // Today's answer for times that only a block knows: the sample is accepted, and the earlier one is read. Once the
    // same value is in the head again, it is known again.
    assert_eq!(store.refusal(&up, NOW_MS - 7000, 6.0), None);
    assert!(store.samples(&up).contains(&(NOW_MS - 7000, 7.0)));
    check(Some(RejectReason::DuplicateTimestamp));
    assert_eq!(
        store.refusal(&up, NOW_MS, 9.0).map(|(reason, _)| reason),
        Some(RejectReason::DuplicateTimestamp)
    );
}

#[test]
fn a_series_with_nothing_newer_takes_any_time_within_retention() {
    let dir = TempDir::new().unwrap();
    let (new, old) = (labels("new", &[]), labels("old", &[]));
    let store = open(dir.path());
    store.append(&new, &[(NOW_MS + HOUR_MS, 1.0)]);
    let fortnight_ms = 14 * 24 * HOUR_MS;
    assert_eq!(store.refusal(&old, NOW_MS - fortnight_ms, 1.0), None);
    store.db.flush().unwrap();
    assert_eq!(store.refusal(&old, NOW_MS - fortnight_ms + 1, 2.0), None);
    assert_eq!(store.samples(&old).len(), 2);
}

#[test]
fn times_and_labels_over_a_limit_are_refused_with_the_limit() {
    let dir = TempDir::new().unwrap();
    let config = TsdbConfig {
        series_max: 2,
        labels_max: 3,
        label_name_bytes_max: 8,
        label_value_bytes_max: 10,
        ..TsdbConfig::new(dir.path())
    };
    let store = open_with(config);
    let up = labels("up", &[]);
    let day_ms = 24 * HOUR_MS;
    let cases: &[(LabelSet, i64, RejectReason, &str)] = &[
        (up.clone(), -1, RejectReason::InvalidTime, "-1 ms"),
        (up.clone(), NOW_MS + day_ms + 1, RejectReason::TooFarInFuture, "future_max = 86400s"),
        (up.clone(), NOW_MS - 15 * day_ms - 1, RejectReason::TooOld, "retention = 1296000s"),
        (labels("", &[("job", "a")]), NOW_MS, RejectReason::InvalidLabels, "no metric name"),
        (
            labels("m", &[("a", "1"), ("b", "2"), ("c", "3")]),
            NOW_MS,
            RejectReason::TooManyLabels,
            "labels_max = 3",
        ),
        (labels("m", &[("a", "12345678901")]), NOW_MS, RejectReason::LabelTooLong, "11 bytes (a)"),
        (labels("m", &[("abcdefghi", "1")]), NOW_MS, RejectReason::LabelTooLong, "label_name_bytes_max = 8"),
    ];
    for (series, ts_ms, reason, text) in cases {
        let (got, example) = store.refusal(series, *ts_ms, 1.0).expect("refused");
        assert_eq!(got, *reason);
        assert!(example.contains(text), "{example}");
    }
    assert_eq!(store.db.status().head_series, 0, "refused series take no place");
    assert_eq!(store.refusal(&up, NOW_MS + day_ms, 1.0), None);
    assert_eq!(store.refusal(&labels("old", &[]), NOW_MS - 15 * day_ms, 1.0), None);
    let (reason, example) = store.refusal(&labels("third", &[]), NOW_MS, 1.0).expect("refused");
    assert_eq!((reason, example.contains("series_max = 2")), (RejectReason::TooManySeries, true));
    assert!(store.metric("eino_tsdb_samples_rejected_total{reason=\"label_too_long\"} 2"));
    assert!(store.metric("eino_tsdb_samples_appended_total 2"));
    assert!(store.metric("eino_tsdb_head_series 2"));
}

#[test]
fn a_batch_takes_the_good_and_names_each_reason_once() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let appended = store.append(
        &labels("up", &[]),
        &[(NOW_MS, 1.0), (NOW_MS, 2.0), (NOW_MS, 3.0), (NOW_MS, 1.0), (-5, 1.0), (NOW_MS + 1, 2.0)],
    );
    assert_eq!(appended.accepted, 3);
    let rejected: Vec<_> =
        appended.rejected.iter().map(|rejection| (rejection.reason, rejection.count)).collect();
    assert_eq!(rejected, [(RejectReason::DuplicateTimestamp, 2), (RejectReason::InvalidTime, 1)]);
}

#[test]
fn a_damaged_block_is_put_aside_and_the_rest_is_read() {
    let dir = TempDir::new().unwrap();
    let (one, two) = (labels("one", &[]), labels("two", &[]));
    let store = open(dir.path());
    store.append(&one, &[(NOW_MS, 1.0)]);
    store.db.flush().unwrap();
    store.append(&two, &[(NOW_MS, 2.0)]);
    store.db.flush().unwrap();
    drop(store);
    let [first, _] = blocks(dir.path()).try_into().expect("two blocks");
    let image = fs::read(&first).unwrap();
    for damage in [0, 1, 9, image.len() - 40, image.len() - 1] {
        let mut damaged = image.clone();
        damaged[damage] ^= 4;
        fs::write(&first, damaged).unwrap();
        let store = open(dir.path());
        assert_eq!((store.samples(&one), store.samples(&two)), (vec![], vec![(NOW_MS, 2.0)]));
        assert!(store.metric("eino_tsdb_blocks_quarantined_total 1"));
        assert!(first.with_extension("blk.bad").exists());
    }
    for len in (0..image.len()).step_by(9) {
        fs::write(&first, &image[..len]).unwrap();
        assert_eq!(open(dir.path()).db.status().blocks, 1, "cut at {len}");
    }
    fs::write(&first, image).unwrap();
    assert_eq!(open(dir.path()).samples(&one), [(NOW_MS, 1.0)]);
}

#[test]
fn damaged_samples_of_a_block_are_an_error_until_upkeep_leaves_them_out() {
    let dir = TempDir::new().unwrap();
    let (one, two) = (labels("one", &[]), labels("two", &[]));
    let store = open(dir.path());
    for round in 0..4 {
        store.append(&one, &[(NOW_MS + round, 1.0)]);
        store.append(&two, &[(NOW_MS + round, 2.0)]);
        store.db.flush().unwrap();
    }
    drop(store);
    let first = blocks(dir.path())[0].clone();
    let mut image = fs::read(&first).unwrap();
    image[17] ^= 1;
    fs::write(&first, &image).unwrap();
    let store = open(dir.path());
    let set = store.db.select(&[], TimeRange::ALL).unwrap();
    let error = set.read(0, &mut SampleColumns::default()).expect_err("the checksum is wrong");
    assert!(error.to_string().contains("checksum of the samples of one is wrong"), "{error}");
    let names =
        || -> Vec<_> { blocks(dir.path()).iter().map(|path| path.file_name().unwrap().to_owned()).collect() };
    store.db.maintain().unwrap();
    assert_eq!((store.samples(&one).len(), store.samples(&two).len()), (3, 4));
    assert_eq!(names(), ["00000001.blk.bad", "00000002.blk", "00000003.blk", "00000004.blk", "00000005.blk"]);
    store.db.maintain().unwrap();
    assert_eq!((store.samples(&one).len(), store.samples(&two).len()), (3, 4));
    assert_eq!(names(), ["00000001.blk.bad", "00000006.blk"], "then it is merged with its neighbours");
}

#[test]
fn sources_of_a_merge_that_a_crash_left_are_removed() {
    let dir = TempDir::new().unwrap();
    let up = labels("up", &[]);
    let store = open(dir.path());
    let samples: Vec<_> = (0..5_i64).map(|n| (NOW_MS + n, n as f64)).collect();
    for sample in &samples[..4] {
        store.append(&up, &[*sample]);
        store.db.flush().unwrap();
    }
    let kept: Vec<_> = blocks(dir.path()).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    store.db.maintain().unwrap();
    assert_eq!(blocks(dir.path()).len(), 1);
    drop(store);
    kept.iter().for_each(|(image, path)| fs::write(path, image).unwrap());
    fs::write(dir.path().join("blocks/00000009-00000009.tmp"), "half").unwrap();
    let store = open(dir.path());
    assert_eq!(blocks(dir.path()).len(), 1);
    assert_eq!(store.samples(&up), samples[..4]);
    store.append(&up, &samples[4..]);
    store.db.flush().unwrap();
    assert_eq!(store.samples(&up), samples, "cuts are numbered on");
}

#[test]
fn retention_deletes_whole_blocks() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (labels("old", &[]), labels("new", &[]));
    let config = TsdbConfig {
        retention: Duration::from_secs(3600),
        five_minutes_retention: Duration::ZERO,
        one_hour_retention: Duration::ZERO,
        ..TsdbConfig::new(dir.path())
    };
    let store = open_with(config);
    store.append(&old, &[(NOW_MS, 1.0)]);
    store.db.flush().unwrap();
    store.clock.advance(Duration::from_secs(3600));
    store.db.maintain().unwrap();
    assert_eq!(store.samples(&old).len(), 1, "an hour old is not over an hour");
    store.append(&new, &[(NOW_MS + HOUR_MS, 1.0)]);
    store.clock.advance(Duration::from_millis(1));
    store.db.maintain().unwrap();
    assert_eq!((store.samples(&old).len(), store.samples(&new).len()), (0, 1));
    assert!(store.metric("eino_tsdb_blocks_expired_total 1"));
}

#[test]
fn the_head_becomes_a_block_when_it_spans_enough() {
    let dir = TempDir::new().unwrap();
    let up = labels("up", &[]);
    let store = open(dir.path());
    store.append(&up, &[(NOW_MS, 1.0), (NOW_MS + 3 * HOUR_MS, 2.0)]);
    store.clock.advance(Duration::from_secs(600));
    store.db.maintain().unwrap();
    assert_eq!(store.db.status().blocks, 0, "three hours are not over three hours");
    store.append(&up, &[(NOW_MS + 3 * HOUR_MS + 1, 3.0)]);
    store.db.maintain().unwrap();
    assert_eq!((store.db.status().blocks, store.db.status().head_samples), (1, 0));
    assert_eq!(store.samples(&up).len(), 3);
}

/// A tenth of the series is replaced every minute: the head holds the live ones and those of the last minutes.
#[test]
fn churn_does_not_grow_the_head() {
    const LIVE: i64 = 2_000;
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let mut largest = 0;
    for minute in 0..60_i64 {
        let mut batch = MetricBatch::new();
        for n in 0..LIVE {
            // Series n is replaced when the minute's last digit is n's.
            let generation = (minute + 9 - n % 10) / 10;
            let labels = labels("churn", &[("n", &n.to_string()), ("generation", &generation.to_string())]);
            batch.start_series_canonical(labels.as_ref());
            batch.push_sample(NOW_MS + minute * 60_000, minute as f64);
        }
        assert_eq!(store.db.append(&batch).unwrap().accepted, LIVE as u64);
        store.clock.advance(Duration::from_secs(60));
        store.db.maintain().unwrap();
        largest = largest.max(store.db.status().head_series);
    }
    // Those of the last eleven minutes, and a thousand, below which it is not worth a block.
    let bound = LIVE + 11 * LIVE / 10 + 1_000;
    assert!(largest <= bound as u64, "{largest} series for {LIVE} live ones");
    let all = store.dump(&[], TimeRange::ALL);
    assert_eq!(all.values().map(Vec::len).sum::<usize>(), 60 * LIVE as usize, "nothing is lost");
    drop(store);
    assert_eq!(open(dir.path()).dump(&[], TimeRange::ALL), all);
}

#[test]
fn names_values_and_metadata() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path());
    let help = |family: &str, help: &str| MetricMetadata {
        family: family.into(),
        kind: MetricKind::Counter,
        help: help.into(),
        unit: String::new(),
    };
    let mut batch = MetricBatch::new();
    batch.push(&mut [("__name__", "a"), ("job", "x")], NOW_MS, 1.0).unwrap();
    batch.push(&mut [("__name__", "b"), ("zone", "z")], NOW_MS + HOUR_MS, 1.0).unwrap();
    batch.metadata = vec![help("b", "second"), help("a", "first"), help("c", &"x".repeat(20_000))];
    store.db.append(&batch).unwrap();
    let check = |store: &Store| {
        let only_b = [vec![Matcher::equal("__name__", "b")]];
        let all = TimeRange::ALL;
        assert_eq!(store.db.label_names(&[], all).unwrap(), ["__name__", "job", "zone"]);
        assert_eq!(store.db.label_names(&only_b, all).unwrap(), ["__name__", "zone"]);
        assert_eq!(store.db.label_values("__name__", &[], all).unwrap(), ["a", "b"]);
        assert_eq!(store.db.label_values("zone", &only_b, all).unwrap(), ["z"]);
        assert!(store.db.label_values("job", &only_b, all).unwrap().is_empty());
        assert!(store.db.label_names(&[], TimeRange::new(0, NOW_MS)).unwrap().is_empty());
        assert_eq!(store.db.metadata(None).unwrap(), [help("a", "first"), help("b", "second")]);
        assert_eq!(store.db.metadata(Some("b")).unwrap(), [help("b", "second")]);
    };
    check(&store);
    assert!(store.metric("eino_tsdb_metadata_rejected_total 1"));
    store.db.flush().unwrap();
    check(&store);
    drop(store);
    check(&open(dir.path()));
}

/// A store of version 1: a block, and a log with two samples more.
#[test]
fn a_store_of_version_1_opens() {
    let dir = TempDir::new().unwrap();
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/format/v1"));
    for (folder, name) in [("blocks", "00000001-00000001.blk"), ("wal", "00000002.log")] {
        fs::create_dir(dir.path().join(folder)).unwrap();
        fs::copy(golden.join(folder).join(name), dir.path().join(folder).join(name)).unwrap();
    }
    let store = open(dir.path());
    let counter = store.samples(&labels("requests_total", &[("job", "api"), ("instance", "a:1")]));
    let want: Vec<_> = (0..300_i64).map(|n| (NOW_MS + n * 15_000, (n * 7 + n % 3) as f64)).collect();
    assert_eq!(counter, want);
    let gauge = store.samples(&labels("temperature_celsius", &[("room", "kitchen")]));
    assert_eq!(gauge.len(), 252);
    assert_eq!(gauge[248], (NOW_MS + 248 * 15_000, 21.0));
    assert_eq!(gauge[249].1.to_bits(), STALE_NAN_BITS);
    assert_eq!(gauge[250..], [(NOW_MS + 400 * 15_000, 1.0 / 3.0), (NOW_MS + 401 * 15_000, 21.25)]);
    assert!(store.metric("eino_tsdb_blocks_quarantined_total 0"));
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u8, i64, f64)>),
    Flush,
    Maintain,
    Reopen,
    Close,
    Select(i64, i64, Option<u8>),
}

fn any_step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        6 => (-50..50_i64).prop_map(|n| n as f64 / 4.0),
        1 => any::<f64>(),
        1 => Just(f64::from_bits(STALE_NAN_BITS)),
    ];
    let samples = proptest::collection::vec((0..6_u8, 0..3000_i64, value), 1..60);
    prop_oneof![
        8 => samples.prop_map(Step::Append),
        1 => Just(Step::Flush),
        1 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
        1 => Just(Step::Close),
        4 => (0..3000_i64, 0..3000_i64, proptest::option::of(0..6_u8))
            .prop_map(|(start, end, series)| Step::Select(start, end, series)),
    ]
}

fn series(number: u8) -> LabelSet {
    labels("m", &[("n", &number.to_string()), ("parity", if number.is_multiple_of(2) { "even" } else { "" })])
}

/// What `Tsdb::append` promises as long as nothing leaves the window: the first value at a time stays.
fn append_both(
    store: &Store,
    oracle: &mut BTreeMap<LabelSet, BTreeMap<i64, u64>>,
    samples: &[(u8, i64, f64)],
) {
    let mut batch = MetricBatch::new();
    for (number, offset, value) in samples {
        let labels = series(*number);
        batch.start_series_canonical(labels.as_ref());
        batch.push_sample(NOW_MS + offset, *value);
        oracle.entry(labels).or_default().entry(NOW_MS + offset).or_insert(value.to_bits());
    }
    let appended = store.db.append(&batch).unwrap();
    assert_eq!(appended.accepted + appended.rejected_count(), samples.len() as u64);
    assert!(appended.rejected.iter().all(|rejection| rejection.reason == RejectReason::DuplicateTimestamp));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_store_agrees_with_a_map(steps in proptest::collection::vec(any_step(), 1..40)) {
        let dir = TempDir::new().unwrap();
        let mut store = open(dir.path());
        let mut oracle = BTreeMap::new();
        let expected = |oracle: &BTreeMap<LabelSet, BTreeMap<i64, u64>>, range: TimeRange, keep: &dyn Fn(&LabelSet) -> bool| {
            let kept = oracle.iter().filter(|(labels, _)| keep(labels));
            let clipped = kept.map(|(labels, samples)| {
                let inside = samples.iter().filter(|(ts_ms, _)| range.contains(**ts_ms));
                (labels.clone(), inside.map(|(ts_ms, bits)| (*ts_ms, *bits)).collect::<Vec<_>>())
            });
            clipped.filter(|(_, samples)| !samples.is_empty()).collect::<Dump>()
        };
        for step in steps {
            match step {
                Step::Append(samples) => append_both(&store, &mut oracle, &samples),
                Step::Flush => store.db.flush().unwrap(),
                Step::Maintain => store.db.maintain().unwrap(),
                Step::Reopen => { drop(store); store = open(dir.path()); }
                Step::Close => { store.db.close().unwrap(); drop(store); store = open(dir.path()); }
                Step::Select(start, end, wanted) => {
                    let range = TimeRange::new(NOW_MS + start, NOW_MS + end);
                    let matchers = wanted.map(|number| Matcher::new("n", MatchOp::NotRegex, number.to_string()).unwrap());
                    let matchers: Vec<_> = matchers.into_iter().collect();
                    let keep = |labels: &LabelSet| wanted.is_none_or(|number| *labels != series(number));
                    prop_assert_eq!(store.dump(&matchers, range), expected(&oracle, range, &keep));
                }
            }
        }
        drop(store);
        let store = open(dir.path());
        prop_assert_eq!(store.dump(&[], TimeRange::ALL), expected(&oracle, TimeRange::ALL, &|_| true));
    }
}
