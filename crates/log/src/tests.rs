//! Records against what replay yields, on whole, cut and damaged images.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use clock::Clock;
use eino_metrics_core::Registry;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::record::{RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, VERSION, header_of_version};
use crate::{BadRecord, Error, Log, LogConfig, Recovery, SegmentId, SyncPolicy};

fn config(dir: &Path, segment_bytes: u64) -> LogConfig {
    LogConfig {
        dir: dir.to_owned(),
        segment_bytes,
        sync: SyncPolicy::Every(std::time::Duration::from_secs(60)),
        disk: disk::Disk::real(),
    }
}

fn open(dir: &Path) -> (Log, Vec<Vec<u8>>, Recovery) {
    open_with(config(dir, 1 << 20), &Registry::new())
}

fn open_with(config: LogConfig, registry: &Registry) -> (Log, Vec<Vec<u8>>, Recovery) {
    let mut records = Vec::new();
    let (log, recovery) = Log::open(config, Clock::system(), registry, &mut |_, record| {
        records.push(record.to_vec());
        Ok(())
    })
    .expect("the log opens");
    (log, records, recovery)
}

fn segment(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:08}.log"))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .expect("directory")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name != "lock")
        .collect();
    names.sort();
    names
}

#[test]
fn records_come_back_in_order_and_after_several_opens() {
    let dir = TempDir::new().unwrap();
    for round in 0..3_u8 {
        let (log, records, recovery) = open(dir.path());
        assert_eq!(records, (0..round).map(|n| vec![n; usize::from(n) + 1]).collect::<Vec<_>>());
        assert_eq!((recovery.records, recovery.torn_bytes), (u64::from(round), 0));
        log.append(&vec![round; usize::from(round) + 1]).unwrap();
    }
}

#[test]
fn a_full_segment_starts_the_next_and_removal_keeps_the_rest() {
    let dir = TempDir::new().unwrap();
    let (log, _, _) = open_with(config(dir.path(), 64), &Registry::new());
    let positions: Vec<_> = (0..6_u8).map(|n| log.append(&[n; 20]).unwrap()).collect();
    assert!(positions.is_sorted_by(|a, b| a < b));
    assert_eq!(positions.last().unwrap().segment, SegmentId(6));
    let rotated = log.rotate().unwrap();
    assert_eq!(log.rotate().unwrap(), rotated, "an empty segment is not rotated");
    log.append(b"kept").unwrap();
    log.remove_before(positions[4].segment).unwrap();
    drop(log);
    let (_, records, _) = open(dir.path());
    assert_eq!(records, [vec![4; 20], vec![5; 20], b"kept".to_vec()]);
}

#[test]
fn append_to_answers_none_for_another_segment() {
    let dir = TempDir::new().unwrap();
    let (log, _, _) = open_with(config(dir.path(), 64), &Registry::new());
    let first = log.current_segment();
    assert!(log.append_to(first, &[1; 30]).unwrap().is_some());
    assert_eq!(log.append_to(first, &[2; 30]).unwrap(), None, "it would start the next segment");
    assert!(log.append_to(log.current_segment(), &[3; 30]).unwrap().is_some());
    drop(log);
    assert_eq!(open(dir.path()).1, [vec![1; 30], vec![3; 30]]);
}

#[test]
fn a_cut_at_every_byte_keeps_exactly_the_whole_records() {
    let dir = TempDir::new().unwrap();
    let (log, _, _) = open(dir.path());
    let all: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; usize::from(n) * 3]).collect();
    let mut ends = vec![SEGMENT_HEADER_BYTES];
    for record in &all {
        let start = usize::try_from(log.append(record).unwrap().offset).unwrap();
        ends.push(start + RECORD_HEADER_BYTES + record.len());
    }
    drop(log);
    let image = fs::read(segment(dir.path(), 1)).unwrap();
    for len in 0..=image.len() {
        let dir = TempDir::new().unwrap();
        fs::write(segment(dir.path(), 1), &image[..len]).unwrap();
        let whole = ends.iter().filter(|end| **end <= len).count().saturating_sub(1);
        let (log, records, recovery) = open(dir.path());
        assert_eq!(records, all[..whole], "cut at {len}");
        let kept = if len < SEGMENT_HEADER_BYTES { 0 } else { ends[whole] };
        assert_eq!(recovery.torn_bytes, (len - kept) as u64, "cut at {len}");
        assert!(recovery.quarantined.is_empty());
        log.append(b"after").unwrap();
        drop(log);
        let (_, records, recovery) = open(dir.path());
        assert_eq!((records.len(), recovery.torn_bytes), (whole + 1, 0), "cut at {len}");
    }
}

#[test]
fn zeros_after_the_last_record_are_a_torn_tail() {
    let dir = TempDir::new().unwrap();
    let (log, _, _) = open(dir.path());
    log.append(b"one").unwrap();
    drop(log);
    let mut image = fs::read(segment(dir.path(), 1)).unwrap();
    image.resize(image.len() + 5000, 0);
    fs::write(segment(dir.path(), 1), image).unwrap();
    let registry = Registry::new();
    let (_, records, recovery) = open_with(config(dir.path(), 1 << 20), &registry);
    assert_eq!((records.len(), recovery.torn_bytes), (1, 5000));
    assert!(registry.encode_text().contains("eino_log_torn_bytes_total 5000"));
}

#[test]
fn a_bad_record_puts_its_segment_aside_and_keeps_the_others() {
    let dir = TempDir::new().unwrap();
    let (log, _, _) = open(dir.path());
    log.append(b"one").unwrap();
    let second = log.append(b"two").unwrap();
    log.append(b"three").unwrap();
    log.rotate().unwrap();
    log.append(b"four").unwrap();
    drop(log);
    let mut image = fs::read(segment(dir.path(), 1)).unwrap();
    image[usize::try_from(second.offset).unwrap() + RECORD_HEADER_BYTES] ^= 1;
    fs::write(segment(dir.path(), 1), &image).unwrap();

    let registry = Registry::new();
    let (log, records, recovery) = open_with(config(dir.path(), 1 << 20), &registry);
    assert_eq!(records, [b"one".to_vec(), b"four".to_vec()]);
    let bad = dir.path().join("00000001.log.bad");
    assert_eq!(recovery.quarantined, std::slice::from_ref(&bad));
    assert_eq!(fs::read(bad).unwrap(), image, "the original is kept for an operator");
    assert!(registry.encode_text().contains("eino_log_segments_quarantined_total 1"));
    drop(log);
    let (_, records, recovery) = open(dir.path());
    assert_eq!((records.len(), recovery.quarantined.len()), (2, 0), "said once");
}

#[test]
fn a_record_the_store_refuses_is_skipped_counted_and_put_aside_once() {
    let dir = TempDir::new().unwrap();
    let (log, _, _) = open(dir.path());
    for record in [b"good", b"evil", b"fine"] {
        log.append(record).unwrap();
    }
    drop(log);
    for quarantined in [1, 0] {
        let registry = Registry::new();
        let mut seen = 0;
        let (log, recovery) =
            Log::open(config(dir.path(), 1 << 20), Clock::system(), &registry, &mut |_, record| {
                seen += 1;
                if record == b"evil" { Err(BadRecord("no".into())) } else { Ok(()) }
            })
            .unwrap();
        assert_eq!((seen, recovery.refused_records, recovery.quarantined.len()), (3, 1, quarantined));
        drop(log);
    }
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let image = header_of_version(VERSION + 1);
    fs::write(segment(dir.path(), 1), image).unwrap();
    let opened = Log::open(LogConfig::new(dir.path()), Clock::system(), &Registry::new(), &mut |_, _| Ok(()));
    assert!(matches!(opened, Err(Error::NewerVersion { version, .. }) if version == VERSION + 1));
    assert_eq!(names(dir.path()), ["00000001.log"]);
    assert_eq!(fs::read(segment(dir.path(), 1)).unwrap(), image);
}

#[test]
fn a_segment_that_is_not_ours_is_put_aside() {
    let dir = TempDir::new().unwrap();
    fs::write(segment(dir.path(), 1), b"this is some other file, longer than a header").unwrap();
    let (log, records, recovery) = open(dir.path());
    assert_eq!((records.len(), recovery.quarantined.len()), (0, 1));
    log.append(b"works").unwrap();
}

#[test]
fn two_owners_are_one_too_many() {
    let dir = TempDir::new().unwrap();
    let (log, _, _) = open(dir.path());
    let second = Log::open(LogConfig::new(dir.path()), Clock::system(), &Registry::new(), &mut |_, _| Ok(()));
    assert!(matches!(second, Err(Error::Locked { .. })));
    drop(log);
    open(dir.path());
}

#[test]
fn closed_and_oversized_are_errors() {
    let dir = TempDir::new().unwrap();
    let (log, _, _) = open(dir.path());
    let too_large = log.append(&vec![0; crate::RECORD_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(too_large.to_string(), "record of 67108865 bytes is over the limit of 67108864 bytes");
    log.close().unwrap();
    assert!(matches!(log.append(b"late"), Err(Error::Closed { .. })));
}

#[test]
fn concurrent_appends_under_always_share_fsyncs_and_all_survive() {
    let dir = TempDir::new().unwrap();
    let registry = Registry::new();
    let always = LogConfig { sync: SyncPolicy::Always, ..config(dir.path(), 4096) };
    let (log, _, _) = open_with(always, &registry);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    log.append(&next.fetch_add(1, Ordering::Relaxed).to_le_bytes()).unwrap();
                }
            });
        }
    });
    drop(log);
    let (_, mut records, _) = open(dir.path());
    records.sort_by_key(|record| u64::from_le_bytes(record.as_slice().try_into().unwrap()));
    let want: Vec<_> = (0..200_u64).map(|n| n.to_le_bytes().to_vec()).collect();
    assert_eq!(records, want);
    assert!(!registry.encode_text().contains("eino_log_syncs_total 0\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_records_and_rotations_replay(
        steps in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..90), 0..8_u8), 0..40),
        segment_bytes in 20..300_u64,
    ) {
        let dir = TempDir::new().unwrap();
        let mut want = Vec::new();
        let (mut log, _, _) = open_with(config(dir.path(), segment_bytes), &Registry::new());
        for (record, action) in steps {
            match action {
                0 => { log.rotate().unwrap(); }
                1 => { drop(log); log = open_with(config(dir.path(), segment_bytes), &Registry::new()).0; }
                _ => { log.append(&record).unwrap(); want.push(record); }
            }
        }
        drop(log);
        prop_assert_eq!(open(dir.path()).1, want);
    }

    #[test]
    fn one_flipped_bit_never_yields_a_record_that_was_not_written(at: prop::sample::Index, bit in 0..8_u32) {
        let dir = TempDir::new().unwrap();
        let (log, _, _) = open(dir.path());
        let all: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n; 7]).collect();
        for record in &all {
            log.append(record).unwrap();
        }
        drop(log);
        let mut image = fs::read(segment(dir.path(), 1)).unwrap();
        let index = at.index(image.len());
        image[index] ^= 1 << bit;
        fs::write(segment(dir.path(), 1), &image).unwrap();
        let opened = Log::open(config(dir.path(), 1 << 20), Clock::system(), &Registry::new(), &mut |_, record| {
            prop_assert_record(&all, record)
        });
        prop_assert!(opened.is_ok());
        let (_, recovery) = opened.unwrap();
        prop_assert_eq!(recovery.refused_records, 0);
        prop_assert!(recovery.records < 6, "the damage is noticed");
        prop_assert!(recovery.torn_bytes > 0 || recovery.quarantined.len() == 1);
    }
}

fn prop_assert_record(all: &[Vec<u8>], record: &[u8]) -> Result<(), BadRecord> {
    if all.iter().any(|known| known == record) { Ok(()) } else { Err(BadRecord("never written".into())) }
}
