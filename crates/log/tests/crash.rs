//! A crash at every single operation on the disk: what was acknowledged is there, and nothing that was not appended.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::ErrorKind;
use std::time::Duration;

use clock::ManualClock;
use disk::{Fault, Loss, SimDisk};
use eino_metrics_core::Registry;
use log::{Error, Log, LogConfig, SyncPolicy};

const RECORDS: u8 = 12;
/// No background sync during a test: the operations of a run are the same each time.
const NEVER: SyncPolicy = SyncPolicy::Every(Duration::from_secs(86_400));

fn open(sim: &SimDisk, sync: SyncPolicy) -> Result<(Log, Vec<Vec<u8>>), Error> {
    let config = LogConfig { segment_bytes: 200, sync, disk: sim.disk(), ..LogConfig::new("/wal") };
    let clock = ManualClock::at_unix_ms(0).clock();
    let mut records = Vec::new();
    let (log, recovery) = Log::open(config, clock, &Registry::new(), &mut |_, record| {
        records.push(record.to_vec());
        Ok(())
    })?;
    assert!(recovery.quarantined.is_empty(), "a crash is no damage: {recovery:?}");
    Ok((log, records))
}

fn record(number: u8) -> Vec<u8> {
    vec![number; 20 + usize::from(number) * 3]
}

/// Appends until something fails, and answers how many records were acknowledged.
fn run(sim: &SimDisk, sync: SyncPolicy) -> u8 {
    let Ok((log, _)) = open(sim, sync) else { return 0 };
    for number in 0..RECORDS {
        if log.append(&record(number)).is_err() {
            return number;
        }
        if number == 7 {
            // Segments that are gone are no loss: the caller has their content elsewhere.
            let _rotated = log.rotate().is_ok();
        }
    }
    RECORDS
}

fn check_after_crash(operation: u64, sync: SyncPolicy, loss: Loss) -> bool {
    let sim = SimDisk::new();
    sim.fail_at(operation, Fault::Crash);
    let acknowledged = run(&sim, sync);
    let has_crashed = sim.has_crashed();
    sim.restart(loss);
    let (_log, records) = open(&sim, sync).unwrap();
    let context = format!("crash at operation {operation}, {loss:?}: {acknowledged} acknowledged");
    assert!(records.len() >= usize::from(acknowledged), "{context}, {} there", records.len());
    assert!(records.len() <= usize::from(acknowledged) + 1, "{context}, {} there", records.len());
    for (number, found) in (0..).zip(&records) {
        assert_eq!(*found, record(number), "{context}");
    }
    has_crashed
}

#[test]
fn acknowledged_records_survive_a_crash_at_any_operation() {
    for (sync, loss) in
        [(NEVER, Loss::Process), (SyncPolicy::Always, Loss::Process), (SyncPolicy::Always, Loss::Power)]
    {
        let crashes = (1..).take_while(|operation| check_after_crash(*operation, sync, loss)).count();
        assert!(crashes > 20, "only {crashes} operations");
    }
}

#[test]
fn any_failed_operation_is_an_error_or_harmless() {
    for operation in 1..80 {
        let sim = SimDisk::new();
        sim.fail_at(operation, Fault::Error(ErrorKind::StorageFull));
        let Ok((log, _)) = open(&sim, NEVER) else { continue };
        let acknowledged: Vec<_> =
            (0..RECORDS).filter(|number| log.append(&record(*number)).is_ok()).collect();
        assert!(acknowledged.len() + 1 >= usize::from(RECORDS), "one failure costs one record at most");
        drop(log);
        sim.restart(Loss::Process);
        let (_log, records) = open(&sim, NEVER).unwrap();
        let want: Vec<_> = acknowledged.into_iter().map(record).collect();
        assert_eq!(records, want, "operation {operation}");
    }
}

#[test]
fn no_success_after_a_failed_sync() {
    let sim = SimDisk::new();
    let (log, _) = open(&sim, SyncPolicy::Always).unwrap();
    log.append(&record(1)).unwrap();
    // The write, then its sync.
    sim.fail_at(sim.operations() + 2, Fault::Error(ErrorKind::Other));
    for _attempt in 0..3 {
        assert!(matches!(log.append(&record(2)), Err(Error::Failed { .. })));
    }
    assert!(log.sync().is_err() && log.rotate().is_err());
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let sim = SimDisk::new();
    let (log, _) = open(&sim, NEVER).unwrap();
    log.append(&record(1)).unwrap();
    sim.set_capacity(Some(sim.used_bytes() + 10));
    for _attempt in 0..3 {
        assert!(matches!(log.append(&record(2)), Err(Error::Io { op: "append to", .. })));
    }
    sim.set_capacity(None);
    log.append(&record(3)).unwrap();
    drop(log);
    let (_log, records) = open(&sim, NEVER).unwrap();
    assert_eq!(records, [record(1), record(3)]);
}

#[test]
fn a_second_process_is_told() {
    let sim = SimDisk::new();
    let first = open(&sim, NEVER).unwrap();
    let refused = open(&sim, NEVER).map(|_log| ()).unwrap_err();
    assert_eq!(refused.to_string(), "/wal is in use by another process");
    drop(first);
    assert!(open(&sim, NEVER).is_ok());
}
