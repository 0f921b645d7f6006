//! The store on a simulated disk: a crash at every operation, a full disk, damaged snapshots.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use clock::ManualClock;
use disk::{Fault, Loss, SimDisk};
use eino_metrics_core::Registry;
use log::SyncPolicy;
use model::{LabelSet, MetricBatch, MetricSink, SinkError, TimeRange};

use super::{Dump, NOW_MS, Store, labels};
use crate::{Error, Tsdb, TsdbConfig};

const SERIES: i64 = 5;
const BATCHES: i64 = 14;
/// No background sync during a test: the operations of a run are the same each time.
const NEVER: SyncPolicy = SyncPolicy::Every(Duration::from_secs(86_400));

fn open(sim: &SimDisk, sync: SyncPolicy) -> Result<Store, Error> {
    let clock = ManualClock::at_unix_ms(NOW_MS as u64);
    let registry = Registry::new();
    let config = TsdbConfig {
        disk: sim.disk(),
        sync,
        snapshot_log_bytes: 1,
        replay_threads: 2,
        ..TsdbConfig::new("/store")
    };
    Ok(Store { db: Tsdb::open(config, clock.clock(), &registry)?, clock, registry })
}

fn series(number: i64) -> LabelSet {
    labels("m", &[("n", &number.to_string())])
}

fn value(batch: i64, series: i64) -> f64 {
    (batch * 7 + series) as f64 / 4.0
}

fn append(store: &Store, number: i64) -> Result<(), SinkError> {
    let mut batch = MetricBatch::new();
    for n in 0..SERIES {
        batch.start_series_canonical(series(n).as_ref());
        batch.push_sample(NOW_MS + number, value(number, n));
    }
    store.db.append(&batch).map(|appended| assert_eq!(appended.accepted, SERIES as u64))
}

/// Appends, cuts, writes snapshots and closes until something fails; answers how many batches were acknowledged.
fn run(sim: &SimDisk, sync: SyncPolicy) -> i64 {
    let Ok(mut store) = open(sim, sync) else { return 0 };
    for number in 0..BATCHES {
        if append(&store, number).is_err() {
            return number;
        }
        let went_on = match number {
            3 | 9 => store.db.flush().is_ok(),
            5 | 7 | 11 => store.db.maintain().is_ok(),
            8 => store.db.close().is_ok(),
            _ => true,
        };
        if !went_on {
            return number + 1;
        }
        if number == 8 || number == 12 {
            drop(store);
            match open(sim, sync) {
                Ok(opened) => store = opened,
                Err(_) => return number + 1,
            }
        }
    }
    BATCHES
}

/// What is there is what was sent; all batches below `acknowledged` are.
fn check(dump: &Dump, acknowledged: i64, context: &str) {
    for n in 0..SERIES {
        let samples = dump.get(&series(n)).cloned().unwrap_or_default();
        for (number, (ts_ms, bits)) in (0..).zip(&samples) {
            assert_eq!((*ts_ms, *bits), (NOW_MS + number, value(number, n).to_bits()), "{context}");
        }
        assert!(
            samples.len() as i64 >= acknowledged,
            "{context}: {} of {acknowledged} batches",
            samples.len()
        );
    }
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged() {
    for (sync, loss) in
        [(NEVER, Loss::Process), (SyncPolicy::Always, Loss::Process), (SyncPolicy::Always, Loss::Power)]
    {
        let mut crashes = 0;
        for operation in 1.. {
            let sim = SimDisk::new();
            sim.fail_at(operation, Fault::Crash);
            let acknowledged = run(&sim, sync);
            if !sim.has_crashed() {
                break;
            }
            crashes += 1;
            sim.restart(loss);
            let context = format!("crash at operation {operation}, {loss:?}");
            let store = open(&sim, sync).unwrap_or_else(|error| panic!("{context}: {error}"));
            check(&store.dump(&[], TimeRange::ALL), acknowledged, &context);
            for counter in ["eino_tsdb_snapshots_damaged_total", "eino_tsdb_blocks_quarantined_total"] {
                assert!(store.metric(&format!("{counter} 0")), "{context}: a crash is no damage");
            }
        }
        assert!(crashes > 100, "only {crashes} operations");
    }
}

#[test]
fn any_failed_operation_leaves_a_store_that_opens_with_everything() {
    for operation in (1..).step_by(3) {
        let sim = SimDisk::new();
        sim.fail_at(operation, Fault::Error(ErrorKind::StorageFull));
        let acknowledged = run(&sim, NEVER);
        let is_done = sim.operations() < operation;
        sim.restart(Loss::Process);
        let context = format!("operation {operation} failed");
        let store = open(&sim, NEVER).unwrap_or_else(|error| panic!("{context}: {error}"));
        check(&store.dump(&[], TimeRange::ALL), acknowledged, &context);
        if is_done {
            break;
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_answers_reads_and_recovers() {
    let sim = SimDisk::new();
    let store = open(&sim, NEVER).unwrap();
    append(&store, 0).unwrap();
    sim.set_capacity(Some(sim.used_bytes() + 8));
    for _attempt in 0..3 {
        let refused = append(&store, 1).unwrap_err();
        assert!(matches!(&refused, SinkError::Io { source, .. } if source.kind() == ErrorKind::StorageFull));
        assert!(store.db.maintain().is_err() && store.db.flush().is_err());
        check(&store.dump(&[], TimeRange::ALL), 1, "a full disk");
    }
    sim.set_capacity(None);
    append(&store, 1).unwrap();
    store.db.maintain().unwrap();
    store.db.flush().unwrap();
    append(&store, 2).unwrap();
    sim.restart(Loss::Process);
    check(&open(&sim, NEVER).unwrap().dump(&[], TimeRange::ALL), 3, "after the disk was full");
}

#[test]
fn a_damaged_snapshot_is_put_aside_and_the_log_is_read() {
    let sim = SimDisk::new();
    let store = open(&sim, NEVER).unwrap();
    (0..3).for_each(|number| append(&store, number).unwrap());
    store.db.maintain().unwrap();
    assert!(store.metric("eino_tsdb_snapshots_total 1"));
    append(&store, 3).unwrap();
    drop(store);
    let disk = sim.disk();
    let path = disk.list(Path::new("/store/head")).unwrap().remove(0);
    let mut bytes = disk.read(&path).unwrap();
    bytes[40] ^= 1;
    disk.create(&path).unwrap().write_all_at(&bytes, 0).unwrap();
    let store = open(&sim, NEVER).unwrap();
    assert!(store.metric("eino_tsdb_snapshots_damaged_total 1"));
    check(&store.dump(&[], TimeRange::ALL), 4, "the log has all of it");
    assert!(disk.exists(&path.with_extension("snap.bad")).unwrap());
}

#[test]
fn a_second_store_on_the_directory_is_told() {
    let sim = SimDisk::new();
    let first = open(&sim, NEVER).unwrap();
    let refused = open(&sim, NEVER).map(|_store| ()).unwrap_err();
    assert_eq!(refused.to_string(), "/store/wal is in use by another process");
    drop(first);
    assert!(open(&sim, NEVER).is_ok());
}
