//! Upkeep against an oracle, on a disk that fills up and crashes, and on damaged files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::ManualClock;
use disk::{Disk, Fault, Loss, SimDisk};
use eino_metrics_core::Registry;
use model::{LabelSet, MatchOp, Matcher, MetricBatch, MetricSink, MetricSource, SampleColumns, TimeRange};
use proptest::prelude::*;

use crate::{Error, Tsdb, TsdbConfig};

const NOW_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;
const DIR: &str = "/store";

type Oracle = BTreeMap<LabelSet, BTreeMap<i64, u64>>;

struct Store {
    db: Tsdb,
    clock: ManualClock,
    registry: Registry,
}

/// One hour of raw samples, windows of 5 min for 10 h, of 1 h for 30 h; steps of upkeep are short.
fn config(disk: &Disk) -> TsdbConfig {
    TsdbConfig {
        disk: disk.clone(),
        five_minutes_retention: Duration::ZERO,
        one_hour_retention: Duration::ZERO,
        ..TsdbConfig::new(DIR)
    }
}

fn try_open(config: TsdbConfig, now_ms: i64) -> Result<Store, Error> {
    let clock = ManualClock::at_unix_ms(now_ms as u64);
    let registry = Registry::new();
    let db = Tsdb::open(config, clock.clock(), &registry)?;
    Ok(Store { db, clock, registry })
}

fn open(disk: &Disk) -> Store {
    try_open(config(disk), NOW_MS).expect("the store opens")
}

fn series(number: u8) -> LabelSet {
    let (number, parity) = (number.to_string(), if number.is_multiple_of(2) { "even" } else { "" });
    LabelSet::from_pairs([("__name__", "m"), ("n", number.as_str()), ("parity", parity)]).expect("valid")
}

impl Store {
    fn append(&self, number: u8, samples: &[(i64, f64)]) {
        let mut batch = MetricBatch::new();
        batch.start_series_canonical(series(number).as_ref());
        samples.iter().for_each(|(ts_ms, value)| batch.push_sample(*ts_ms, *value));
        assert_eq!(self.db.append(&batch).expect("is taken").accepted, samples.len() as u64);
    }

    fn try_dump(&self) -> Result<Oracle, String> {
        let set = self.db.select(&[], TimeRange::ALL).map_err(|error| error.to_string())?;
        let mut columns = SampleColumns::default();
        let mut dump = Oracle::new();
        for index in 0..set.len() {
            set.read(index, &mut columns).map_err(|error| error.to_string())?;
            let bits = columns.values.iter().map(|value| value.to_bits());
            if !columns.ts_ms.is_empty() {
                dump.insert(set.labels(index).clone(), columns.ts_ms.iter().copied().zip(bits).collect());
            }
        }
        Ok(dump)
    }

    fn dump(&self) -> Oracle {
        self.try_dump().expect("reads")
    }

    fn times(&self, number: u8) -> Vec<i64> {
        self.dump().remove(&series(number)).unwrap_or_default().into_keys().collect()
    }

    fn values_of(&self, name: &str) -> Vec<String> {
        self.db.label_values(name, &[], TimeRange::ALL).expect("answers")
    }

    fn metric(&self, line: &str) -> bool {
        self.registry.encode_text().lines().any(|candidate| candidate == line)
    }

    /// Calls upkeep until nothing changes any more.
    fn rest(&self) {
        let mut before = Vec::new();
        while before != self.db.blocks() {
            before = self.db.blocks();
            self.db.maintain().expect("upkeep");
        }
    }
}

fn only(number: u8) -> Vec<Matcher> {
    vec![Matcher::equal("n", number.to_string())]
}

#[test]
fn deleted_samples_are_gone_at_once_for_good_and_only_they() {
    let sim = SimDisk::new();
    let store = open(&sim.disk());
    for number in 0..3 {
        store.append(number, &[(NOW_MS, 1.0), (NOW_MS + 10, 2.0)]);
        store.db.flush().unwrap();
        store.append(number, &[(NOW_MS + 20, 3.0)]);
    }
    let part = TimeRange::new(NOW_MS + 10, NOW_MS + 21);
    store.db.delete_series(&[only(0), only(9)], part).unwrap();
    store.db.delete_series(&[only(1)], TimeRange::ALL).unwrap();
    let check = |store: &Store| {
        assert_eq!(store.times(0), [NOW_MS]);
        assert_eq!(store.times(1), []);
        assert_eq!(store.times(2), [NOW_MS, NOW_MS + 10, NOW_MS + 20]);
        assert_eq!(store.values_of("n"), ["0", "2"]);
        assert_eq!(store.db.label_names(&[only(1)], TimeRange::ALL).unwrap(), [""; 0]);
    };
    check(&store);
    // What comes later stays, also at a time that was deleted.
    store.append(2, &[(NOW_MS + 30, 4.0)]);
    drop(store);
    sim.restart(Loss::Power);
    let store = open(&sim.disk());
    assert_eq!(store.times(2).len(), 4);
    store.db.delete_series(&[only(2)], TimeRange::new(NOW_MS + 30, NOW_MS + 31)).unwrap();
    check(&store);
    store.db.clean_tombstones().unwrap();
    check(&store);
    assert!(store.metric("eino_tsdb_tombstones 0"));
    assert_eq!(store.db.status().samples, 4, "their space is free");
    store.append(1, &[(NOW_MS + 20, 9.0)]);
    assert_eq!(store.times(1), [NOW_MS + 20], "a deletion is no rule for the future");
    drop(store);
    assert_eq!(open(&sim.disk()).times(1), [NOW_MS + 20]);
}

#[test]
fn a_merge_leaves_out_what_is_deleted() {
    let sim = SimDisk::new();
    let store = open(&sim.disk());
    for round in 0..4 {
        store.append(0, &[(NOW_MS + round, 1.0)]);
        store.append(1, &[(NOW_MS + round, 1.0)]);
        store.db.flush().unwrap();
    }
    store.db.delete_series(&[only(0)], TimeRange::new(NOW_MS, NOW_MS + 3)).unwrap();
    assert_eq!(store.db.blocks().len(), 4);
    store.rest();
    assert_eq!(store.db.blocks().len(), 1);
    assert_eq!((store.db.status().samples, store.times(0)), (5, vec![NOW_MS + 3]));
    assert!(store.metric("eino_tsdb_tombstones 0"), "no block needs it any more");
}

/// Several blocks that upkeep merges, in steps of a few bytes.
fn store_to_merge(disk: &Disk) -> (Store, Oracle) {
    let store = try_open(TsdbConfig { merge_bytes_per_call: 64, ..config(disk) }, NOW_MS).unwrap();
    for round in 0..4_i64 {
        for number in 0..8 {
            let samples: Vec<_> = (0..50).map(|n| (NOW_MS + round * 1_000 + n, (n * round) as f64)).collect();
            store.append(number, &samples);
        }
        store.db.flush().unwrap();
    }
    let dump = store.dump();
    (store, dump)
}

#[test]
fn a_merge_goes_in_steps_and_readers_see_it_whole() {
    let sim = SimDisk::new();
    let (store, before) = store_to_merge(&sim.disk());
    let mut steps = 0;
    while store.db.blocks().len() > 1 {
        store.db.maintain().unwrap();
        assert!(matches!(store.db.blocks().len(), 1 | 4));
        assert_eq!(store.dump(), before);
        steps += 1;
    }
    assert!(steps > 4, "{steps} steps");
}

#[test]
fn deletion_and_cuts_during_a_merge_are_not_lost() {
    let sim = SimDisk::new();
    let (store, mut want) = store_to_merge(&sim.disk());
    store.db.maintain().unwrap();
    store.db.delete_series(&[only(3)], TimeRange::ALL).unwrap();
    want.remove(&series(3));
    store.db.maintain().unwrap();
    store.append(3, &[(NOW_MS + 9_000, 1.0)]);
    want.insert(series(3), [(NOW_MS + 9_000, 1.0_f64.to_bits())].into());
    store.db.flush().unwrap();
    (0..100).for_each(|_| store.db.maintain().unwrap());
    assert_eq!(store.dump(), want);
    assert!(store.db.blocks().len() < 4);
}

#[test]
fn a_full_disk_stops_a_merge_and_nothing_else() {
    let sim = SimDisk::new();
    let (store, before) = store_to_merge(&sim.disk());
    let used = sim.used_bytes();
    sim.set_capacity(Some(used + 100));
    let error = (0..100).find_map(|_| store.db.maintain().err()).expect("the disk is full");
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(sim.used_bytes(), used, "what was written is given back");
    assert_eq!((store.dump(), store.db.blocks().len()), (before.clone(), 4));
    assert!(store.metric("eino_tsdb_rewrite_failures_total 1"));
    store.db.maintain().unwrap();
    assert!(store.metric("eino_tsdb_rewrite_failures_total 1"), "it is not tried again at once");
    sim.set_capacity(None);
    store.clock.advance(Duration::from_secs(30));
    (0..100).for_each(|_| store.db.maintain().unwrap());
    assert_eq!((store.dump(), store.db.blocks().len()), (before, 1));
}

#[test]
fn a_crash_at_any_operation_of_upkeep_loses_nothing_and_brings_nothing_back() {
    for loss in [Loss::Process, Loss::Power] {
        let mut was_done = false;
        for operation in 0.. {
            let sim = SimDisk::new();
            let (store, before) = store_to_merge(&sim.disk());
            let mut after = before.clone();
            after.remove(&series(3));
            sim.fail_at(sim.operations() + operation, Fault::Crash);
            let is_deleted = store.db.delete_series(&[only(3)], TimeRange::ALL).is_ok();
            let _crashed = store.db.clean_tombstones().is_err();
            for _ in 0..100 {
                let _crashed = store.db.maintain().is_err();
            }
            was_done = !sim.has_crashed();
            drop(store);
            sim.restart(loss);
            let store = open(&sim.disk());
            let dump = store.dump();
            let is_right = dump == after || (!is_deleted && dump == before);
            assert!(is_right, "crash at operation {operation} with loss {loss:?}: {dump:?}");
            store.rest();
            assert_eq!(store.dump(), dump, "crash at operation {operation} with loss {loss:?}");
            if was_done {
                break;
            }
        }
        assert!(was_done);
    }
}

#[test]
fn a_snapshot_is_a_store_of_that_moment() {
    let sim = SimDisk::new();
    let store = open(&sim.disk());
    store.append(0, &[(NOW_MS, 1.0), (NOW_MS + 1, 2.0)]);
    store.append(1, &[(NOW_MS, 1.0)]);
    store.db.flush().unwrap();
    store.append(2, &[(NOW_MS + 5, 1.0)]);
    let mut batch = MetricBatch::new();
    batch.metadata.push(model::MetricMetadata {
        family: "m".into(),
        kind: model::MetricKind::Counter,
        help: "what it is".into(),
        unit: String::new(),
    });
    store.db.append(&batch).unwrap();
    store.db.snapshot(Path::new("/without"), false).unwrap();
    store.db.delete_series(&[only(0)], TimeRange::new(NOW_MS, NOW_MS + 1)).unwrap();
    store.db.snapshot(Path::new("/copy"), true).unwrap();
    let (then, metadata) = (store.dump(), store.db.metadata(None).unwrap());
    store.append(0, &[(NOW_MS + 9, 9.0)]);
    store.db.delete_series(&[only(2)], TimeRange::ALL).unwrap();
    store.db.clean_tombstones().unwrap();
    drop(store);
    let copy = |dir: &str| try_open(TsdbConfig { dir: dir.into(), ..config(&sim.disk()) }, NOW_MS).unwrap();
    assert_eq!(copy("/copy").dump(), then);
    assert_eq!(copy("/copy").db.metadata(None).unwrap(), metadata);
    let without = copy("/without");
    assert_eq!((without.times(0).len(), without.times(2).len()), (2, 0));
}

fn downsampling(disk: &Disk) -> TsdbConfig {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    TsdbConfig {
        retention: hours(2),
        five_minutes_retention: hours(10),
        one_hour_retention: hours(30),
        ..config(disk)
    }
}

/// A counter that begins anew every 17 minutes, every 15 s for an hour.
fn counter() -> Vec<(i64, f64)> {
    (0..240_i64).map(|n| (NOW_MS - HOUR_MS + n * 15_000, (n % 68) as f64)).collect()
}

fn increase(values: &[f64]) -> f64 {
    values.windows(2).map(|pair| if pair[1] < pair[0] { pair[1] } else { pair[1] - pair[0] }).sum()
}

#[test]
fn downsampled_samples_answer_when_raw_ones_are_gone() {
    let sim = SimDisk::new();
    let store = try_open(downsampling(&sim.disk()), NOW_MS).unwrap();
    store.append(0, &counter());
    store.db.flush().unwrap();
    let raw = increase(&counter().iter().map(|(_, value)| *value).collect::<Vec<_>>());
    let look = |store: &Store| {
        let set = store.db.select(&[], TimeRange::ALL).unwrap();
        let mut columns = SampleColumns::default();
        if !set.is_empty() {
            set.read(0, &mut columns).unwrap();
        }
        (columns.len(), increase(&columns.values), set.infos())
    };
    store.rest();
    assert_eq!(look(&store), (240, raw, Vec::new()));
    store.clock.advance(Duration::from_secs(2 * 3600 + 1));
    store.rest();
    let (count, risen, infos) = look(&store);
    assert!((12..30).contains(&count) && risen == raw, "{count} samples rise by {risen}");
    assert!(infos.len() == 1 && infos[0].contains("windows of 5 min"), "{infos:?}");
    let set = store.db.select(&[], TimeRange::ALL).unwrap();
    let folded = |aggregate, fold: fn(f64, f64) -> f64| {
        let mut columns = SampleColumns::default();
        set.read_aggregate(0, aggregate, &mut columns).unwrap();
        assert!((12..14).contains(&columns.len()), "one value a window");
        columns.values.into_iter().reduce(fold)
    };
    let values = || counter().into_iter().map(|(_, value)| value);
    assert_eq!(folded(model::Aggregate::Max, f64::max), values().reduce(f64::max));
    assert_eq!(folded(model::Aggregate::Min, f64::min), values().reduce(f64::min));
    assert_eq!(folded(model::Aggregate::Sum, |left, right| left + right), Some(values().sum()));
    drop(set);
    drop(store);
    let now_ms = NOW_MS + 10 * HOUR_MS + 1_000;
    let store = try_open(downsampling(&sim.disk()), now_ms).unwrap();
    store.rest();
    let (count, risen, infos) = look(&store);
    assert!((2..15).contains(&count) && risen == raw, "{count} samples rise by {risen}");
    assert!(infos.len() == 1 && infos[0].contains("windows of 1 h"), "{infos:?}");
    assert!(store.metric("eino_tsdb_blocks_downsampled_total 1"));
    assert_eq!(store.db.blocks()[0].window_ms, HOUR_MS);
    store.clock.advance(Duration::from_secs(20 * 3600));
    store.rest();
    assert_eq!((look(&store), store.db.blocks().len()), ((0, 0.0, Vec::new()), 0));
}

#[test]
fn expired_blocks_go_without_windows_when_the_disk_is_full() {
    let sim = SimDisk::new();
    let store = try_open(downsampling(&sim.disk()), NOW_MS).unwrap();
    store.append(0, &counter());
    store.db.flush().unwrap();
    let used = sim.used_bytes();
    sim.set_capacity(Some(used + 10));
    store.clock.advance(Duration::from_secs(2 * 3600 + 1));
    assert!(store.db.maintain().is_err());
    assert!(store.db.blocks().is_empty() && sim.used_bytes() < used, "retention frees the disk");
    assert!(store.metric("eino_tsdb_blocks_expired_total 1"));
    assert!(store.metric("eino_tsdb_blocks_downsampled_total 0"));
}

#[test]
fn windows_merge_with_windows_and_not_with_raw_samples() {
    let sim = SimDisk::new();
    let store = try_open(downsampling(&sim.disk()), NOW_MS).unwrap();
    for part in counter().chunks(40) {
        store.append(0, part);
        store.db.flush().unwrap();
    }
    store.clock.advance(Duration::from_secs(2 * 3600 + 1));
    store.append(0, &[(NOW_MS + 2 * HOUR_MS, 7.0)]);
    store.db.flush().unwrap();
    store.rest();
    let windows: Vec<_> = store.db.blocks().iter().map(|block| block.window_ms).collect();
    assert!(windows.contains(&300_000) && windows.contains(&0), "{windows:?}");
    assert!(windows.len() < 5, "{windows:?}");
    assert_eq!(store.times(0).last(), Some(&(NOW_MS + 2 * HOUR_MS)));
}

#[test]
fn retention_by_bytes_takes_the_oldest_blocks_and_counts_the_log() {
    let sim = SimDisk::new();
    let store = open(&sim.disk());
    for round in 0..3_i64 {
        let samples: Vec<_> =
            (0..200).map(|n| (NOW_MS + round * 50_000_000 + n, (n as f64).sqrt())).collect();
        store.clock.advance(Duration::from_secs(50_000));
        store.append(0, &samples);
        store.db.flush().unwrap();
    }
    let status = store.db.status();
    drop(store);
    let bytes_max = status.block_bytes + status.log_bytes - 1;
    let limited = TsdbConfig { retention_bytes: Some(bytes_max), ..config(&sim.disk()) };
    let store = try_open(limited, NOW_MS + 150_000_000).unwrap();
    store.rest();
    let status = store.db.status();
    assert_eq!((status.blocks, status.min_ms), (2, Some(NOW_MS + 50_000_000)));
    assert!(status.block_bytes + status.log_bytes <= bytes_max);
}

#[test]
fn imported_samples_fill_gaps_and_join_the_blocks_of_their_time() {
    let sim = SimDisk::new();
    let store = open(&sim.disk());
    let import = |number: u8, times: &[i64]| {
        let mut columns = SampleColumns::default();
        times.iter().for_each(|ts_ms| columns.push(*ts_ms, 7.0));
        let mut import = store.db.import().unwrap();
        import.push(&series(number), &mut columns).unwrap();
        import.finish().unwrap();
    };
    store.append(0, &[(NOW_MS, 1.0), (NOW_MS + 1_000, 1.0)]);
    store.db.flush().unwrap();
    import(0, &[NOW_MS - 9 * HOUR_MS, NOW_MS, NOW_MS + 500]);
    import(1, &[NOW_MS, NOW_MS + 900]);
    let check = || {
        let dump = store.dump();
        let want =
            [(NOW_MS - 9 * HOUR_MS, 7.0), (NOW_MS, 1.0), (NOW_MS + 500, 7.0), (NOW_MS + 1_000, 1.0_f64)];
        let want: BTreeMap<i64, u64> =
            want.into_iter().map(|(ts_ms, value)| (ts_ms, value.to_bits())).collect();
        assert_eq!(dump[&series(0)], want, "the store's own sample stays");
        assert_eq!(dump[&series(1)].len(), 2);
    };
    check();
    import(1, &[NOW_MS - 8 * HOUR_MS]);
    import(1, &[NOW_MS - 7 * HOUR_MS]);
    assert_eq!(store.db.blocks().len(), 5);
    store.rest();
    assert_eq!(store.times(1).len(), 4);
    assert_eq!(store.db.blocks().len(), 1);
}

#[test]
fn analysis_counts_what_takes_space_and_what_is_gone() {
    let sim = SimDisk::new();
    let store = open(&sim.disk());
    store.append(0, &[(NOW_MS, 1.0), (NOW_MS + 1, 2.0)]);
    store.append(1, &[(NOW_MS, 1.0)]);
    store.db.flush().unwrap();
    store.append(1, &[(NOW_MS + 5, 1.0)]);
    store.append(2, &[(NOW_MS + 5, 1.0)]);
    store.db.flush().unwrap();
    let mut done = Vec::new();
    let analysis = store.db.analyze(2, &mut |blocks| done.push(blocks)).unwrap();
    assert_eq!(done, [1, 2]);
    assert_eq!((analysis.series, analysis.series_gone, analysis.samples), (3, 1, 5));
    let [metric] = &analysis.metrics[..] else { panic!("{:?}", analysis.metrics) };
    assert_eq!((metric.name.as_str(), metric.series, metric.series_gone, metric.samples), ("m", 3, 1, 5));
    assert!(metric.sample_bytes == analysis.sample_bytes && analysis.sample_bytes < analysis.bytes);
    let labels: Vec<_> = analysis.labels.iter().map(|label| (label.name.as_str(), label.values)).collect();
    assert_eq!(labels, [("n", 3), ("__name__", 1)]);
    let pairs: Vec<_> = analysis.pairs.iter().map(|pair| (pair.value.as_str(), pair.series)).collect();
    assert_eq!(pairs, [("m", 3), ("even", 2)]);
}

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/format/v3");

/// A raw block, a block of windows, and a tombstone: written once, opened by every later version. 150 series on two pages,
/// four samples each per block, 15 s apart: 100 of floats, 49 of floats with start times, one of histograms.
#[test]
fn a_store_of_version_3_opens() {
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("blocks")).unwrap();
    let files = ["blocks/00000002.blk", "blocks/00000003.blk", "tombstones.1", "tombstones.2"];
    for file in files {
        std::fs::copy(Path::new(GOLDEN).join(file), dir.path().join(file)).unwrap();
    }
    let config = TsdbConfig { dir: dir.path().to_owned(), ..config(&Disk::real()) };
    let store = try_open(config, NOW_MS).unwrap();
    let windows: Vec<_> = store.db.blocks().iter().map(|block| (block.window_ms, block.series)).collect();
    assert_eq!(windows, [(300_000, 150), (0, 150)]);
    assert!(store.metric("eino_tsdb_blocks_quarantined_total 0"));
    assert_eq!(store.values_of("n").len(), 149, "series 7 is deleted");
    let set = store.db.select(&[Matcher::equal("parity", "odd")], TimeRange::ALL).unwrap();
    assert_eq!(set.len(), 74);
    let mut columns = SampleColumns::default();
    for index in 0..set.len() {
        set.read(index, &mut columns).unwrap();
        let number: i64 = set.labels(index).get("n").unwrap().parse().unwrap();
        // Of the first ten minutes the first and the last sample are left.
        let want = [(0, 0), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)];
        let want = want.map(|(part, step)| (NOW_MS - HOUR_MS + part * 600_000 + step * 15_000, step));
        if number == 149 {
            let got: Vec<_> =
                columns.histograms.iter().map(|sample| (sample.ts_ms, sample.histogram.count)).collect();
            assert_eq!(got, want.map(|(ts_ms, step)| (ts_ms, step as f64)));
            continue;
        }
        let got: Vec<_> = columns.ts_ms.iter().copied().zip(columns.values.iter().copied()).collect();
        assert_eq!(got, want.map(|(ts_ms, step)| (ts_ms, (number * step) as f64 / 4.0)), "{number}");
        let starts = if number >= 100 { vec![NOW_MS - 2 * HOUR_MS; 6] } else { Vec::new() };
        assert_eq!(columns.start_ms, starts, "{number}");
    }
}

/// An old block that was merged of others takes their place, and becomes part of a new one.
#[test]
fn old_blocks_are_merged_into_new_ones_and_their_left_overs_removed() {
    let dir = tempfile::TempDir::new().unwrap();
    let blocks = dir.path().join("blocks");
    std::fs::create_dir(&blocks).unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/format/v1/blocks/00000001-00000001.blk");
    for name in ["00000001-00000001.blk", "00000001-00000004.blk"] {
        std::fs::copy(&old, blocks.join(name)).unwrap();
    }
    let config = TsdbConfig { dir: dir.path().to_owned(), ..config(&Disk::real()) };
    let store = try_open(config, NOW_MS + 2 * HOUR_MS).unwrap();
    let names = || store.db.blocks().into_iter().map(|block| block.name).collect::<Vec<_>>();
    assert_eq!(names(), ["00000001-00000004"]);
    assert!(!blocks.join("00000001-00000001.blk").exists());
    let mut want = store.dump();
    for number in 0..3_u8 {
        let ts_ms = NOW_MS + HOUR_MS + i64::from(number);
        store.append(number, &[(ts_ms, 1.0)]);
        want.insert(series(number), [(ts_ms, 1.0_f64.to_bits())].into());
        store.db.flush().unwrap();
    }
    store.rest();
    assert_eq!((names(), store.dump()), (vec!["00000008".to_owned()], want));
    assert_eq!(std::fs::read_dir(&blocks).unwrap().count(), 1);
}

fn block_files(disk: &Disk) -> Vec<PathBuf> {
    let files = disk.list(&Path::new(DIR).join("blocks")).unwrap();
    files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "blk")).collect()
}

fn overwrite(disk: &Disk, path: &Path, bytes: &[u8]) {
    let mut file = disk::Appender::new(disk.create(path).unwrap());
    file.append(bytes).and_then(|()| file.finish()).unwrap();
}

/// Every byte of a block flipped and every length cut: the store opens, answers nothing wrong, and after upkeep answers.
#[test]
fn any_damage_to_a_block_is_found_and_repaired_around() {
    let sim = SimDisk::new();
    let disk = sim.disk();
    let store = open(&disk);
    store.append(0, &[(NOW_MS, 1.0), (NOW_MS + 1, 2.5)]);
    store.append(1, &[(NOW_MS, 3.0)]);
    store.db.flush().unwrap();
    let whole = store.dump();
    store.append(2, &[(NOW_MS + 100 * HOUR_MS / 5, 5.0)]);
    store.db.flush().unwrap();
    let all = store.dump();
    drop(store);
    let files = block_files(&disk);
    let (image, other) = (disk.read(&files[0]).unwrap(), disk.read(&files[1]).unwrap());
    let flipped = (0..image.len()).map(|at| {
        let mut bytes = image.clone();
        bytes[at] ^= 0x08;
        bytes
    });
    let cut = (0..image.len()).step_by(7).map(|len| image[..len].to_vec());
    for (number, bytes) in flipped.chain(cut).enumerate() {
        block_files(&disk).iter().for_each(|path| disk.remove_file(path).unwrap());
        overwrite(&disk, &files[0], &bytes);
        overwrite(&disk, &files[1], &other);
        let store = open(&disk);
        match store.try_dump() {
            Ok(dump) => assert!(
                dump == all || whole.keys().all(|labels| !dump.contains_key(labels)),
                "damage {number} gives a wrong answer: {dump:?}"
            ),
            Err(error) => assert!(error.contains("corrupt"), "damage {number}: {error}"),
        }
        for name in ["n", "parity", "__name__"] {
            if let Ok(values) = store.db.label_values(name, &[], TimeRange::ALL) {
                assert!(values.iter().all(|value| ["0", "1", "2", "even", "m"].contains(&value.as_str())));
            }
        }
        store.rest();
        let dump =
            store.try_dump().unwrap_or_else(|error| panic!("damage {number} is not repaired: {error}"));
        for (labels, samples) in &dump {
            assert_eq!(samples, &all[labels], "damage {number} changes {labels}");
        }
        assert!(dump.contains_key(&series(2)), "damage {number} takes another block along");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u8, i64, i8)>),
    Import(Vec<(u8, i64, i8)>),
    Delete(u8, i64, i64),
    Flush,
    Maintain,
    Clean,
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    let samples = || proptest::collection::vec((0..4_u8, 0..200_000_i64, any::<i8>()), 1..40);
    prop_oneof![
        6 => samples().prop_map(Step::Append),
        1 => samples().prop_map(Step::Import),
        2 => (0..4_u8, 0..200_000_i64, 0..200_000_i64).prop_map(|(n, start, len)| Step::Delete(n, start, start + len)),
        3 => Just(Step::Flush),
        4 => Just(Step::Maintain),
        1 => Just(Step::Clean),
        2 => Just(Step::Reopen),
    ]
}

/// What the head and blocks hold, as far as values at equal times are the same: each time has its own value.
fn value_at(number: u8, offset: i64) -> f64 {
    f64::from(number) + (offset % 997) as f64 / 4.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_store_agrees_with_a_map_through_all_upkeep(steps in proptest::collection::vec(any_step(), 1..40)) {
        let sim = SimDisk::new();
        let small_steps = || TsdbConfig { merge_bytes_per_call: 300, ..config(&sim.disk()) };
        let mut store = try_open(small_steps(), NOW_MS).unwrap();
        let mut oracle = Oracle::new();
        for step in steps {
            match step {
                Step::Append(samples) => for (number, offset, _) in samples {
                    store.append(number, &[(NOW_MS + offset, value_at(number, offset))]);
                    oracle.entry(series(number)).or_default()
                        .insert(NOW_MS + offset, value_at(number, offset).to_bits());
                },
                Step::Import(samples) => {
                    let mut sorted: BTreeMap<LabelSet, BTreeMap<i64, f64>> = BTreeMap::new();
                    for (number, offset, _) in samples {
                        let value = value_at(number, offset);
                        sorted.entry(series(number)).or_default().insert(NOW_MS + offset, value);
                        oracle.entry(series(number)).or_default().insert(NOW_MS + offset, value.to_bits());
                    }
                    let mut import = store.db.import().unwrap();
                    for (labels, samples) in sorted {
                        let mut columns = SampleColumns::default();
                        samples.into_iter().for_each(|(ts_ms, value)| columns.push(ts_ms, value));
                        import.push(&labels, &mut columns).unwrap();
                    }
                    import.finish().unwrap();
                }
                Step::Delete(number, start, end) => {
                    let range = TimeRange::new(NOW_MS + start, NOW_MS + end);
                    let selector = vec![Matcher::new("n", MatchOp::Regex, number.to_string()).unwrap()];
                    store.db.delete_series(&[selector], range).unwrap();
                    if let Some(samples) = oracle.get_mut(&series(number)) {
                        samples.retain(|ts_ms, _| !range.contains(*ts_ms));
                    }
                    oracle.retain(|_, samples| !samples.is_empty());
                }
                Step::Flush => store.db.flush().unwrap(),
                Step::Maintain => store.db.maintain().unwrap(),
                Step::Clean => store.db.clean_tombstones().unwrap(),
                Step::Reopen => {
                    drop(store);
                    store = try_open(small_steps(), NOW_MS).unwrap();
                }
            }
            prop_assert_eq!(&store.dump(), &oracle);
        }
        let names: Vec<String> = store.values_of("n");
        let want: Vec<String> = oracle.keys().filter_map(|labels| labels.get("n").map(str::to_owned)).collect();
        prop_assert_eq!(names, want);
    }
}
