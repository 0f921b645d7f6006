//! Damaged files and failing disks.

use std::fs;

use model::SpanSource;

use crate::data::{Fixture, newest, put, span, trace_id};

/// A store with one block of two traces; its bytes.
fn one_block(fixture: &Fixture) -> Vec<u8> {
    let store = fixture.open();
    put(&store, [span(1, 1, 0), span(1, 2, 1), span(2, 1, 2)]);
    store.close().unwrap();
    fs::read(&fixture.files("blk")[0]).unwrap()
}

/// Opens with the block replaced by `bytes`: never fails, never answers wrong, always says so.
#[track_caller]
fn check(fixture: &Fixture, bytes: &[u8]) {
    let path = fixture.dir.path().join("blocks/0000000001-0000000001.blk");
    fs::write(&path, bytes).unwrap();
    let fresh = Fixture { dir: tempfile::tempdir().unwrap(), ..Fixture::new() };
    let store = traces::TraceStore::open(fixture.config(), fixture.clock.clock(), &fresh.registry).unwrap();
    let spans = store.trace(trace_id(1)).unwrap();
    assert!(spans.is_empty(), "{spans:?}");
    assert_eq!(newest(&store), [] as [u64; 0]);
    assert_eq!(store.status().damaged, 1);
    let (blocks, pages) = (
        fresh.metric("eino_traces_blocks_quarantined_total"),
        fresh.metric("eino_traces_pages_corrupt_total"),
    );
    assert_eq!(blocks + pages, 1.0);
    assert_eq!(fixture.files("bad").len(), blocks as usize);
    put(&store, [span(3, 1, 0)]);
    assert_eq!(newest(&store), [3]);
    drop(store);
    for file in fixture.files("bad") {
        fs::remove_file(file).unwrap();
    }
    for file in fs::read_dir(fixture.dir.path().join("wal")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
}

#[test]
fn any_changed_byte_is_noticed() {
    let fixture = Fixture::new();
    let bytes = one_block(&fixture);
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 1 << (index % 8);
        check(&fixture, &damaged);
    }
}

#[test]
fn any_torn_file_is_noticed() {
    let fixture = Fixture::new();
    let bytes = one_block(&fixture);
    for len in (0..bytes.len()).step_by(3) {
        check(&fixture, &bytes[..len]);
    }
}

#[test]
fn a_block_that_cannot_be_written_stays_in_memory_and_log() {
    let fixture = Fixture::new();
    let store = fixture.open();
    put(&store, [span(1, 1, 0)]);
    let blocks = fixture.dir.path().join("blocks");
    fs::remove_dir(&blocks).unwrap();
    let message = store.flush().unwrap_err().to_string();
    assert!(message.starts_with("cannot create ") && message.contains("blocks"), "{message}");
    assert_eq!(fixture.metric("eino_traces_flush_failures_total"), 1.0);
    put(&store, [span(2, 1, 1)]);
    assert_eq!(newest(&store), [2, 1]);
    drop(store);
    let store = fixture.open();
    assert_eq!(newest(&store), [2, 1]);
    fs::remove_dir(&blocks).unwrap();
    assert!(store.maintain().is_ok() && store.flush().is_err());
    fs::create_dir(&blocks).unwrap();
    store.maintain().unwrap();
    assert_eq!((newest(&store), store.status().blocks), (vec![2, 1], 1));
}
