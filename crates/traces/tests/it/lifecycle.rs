//! Memtable, blocks, merging, retention, restart.

use std::ops::ControlFlow;
use std::sync::Arc;

use model::{Span, SpanKind, SpanSink, SpanSource, TimeRange};
use traces::TraceStoreConfig;

use crate::data::{Fixture, batch, newest, put, resource, span, span_numbers, trace_id};

#[test]
fn spans_are_found_as_soon_as_acked_and_after_every_change_of_place() {
    let fixture = Fixture::new();
    let store = fixture.open();
    put(&store, [span(1, 1, 0), span(1, 2, 1), span(2, 1, 5)]);
    let check = |store: &traces::TraceStore| {
        assert_eq!(span_numbers(&store.trace(trace_id(1)).unwrap()), [1, 2]);
        assert_eq!(newest(store), [2, 1]);
        assert_eq!(store.status().spans, 3);
    };
    check(&store);
    drop(store);
    let store = fixture.open();
    check(&store);
    store.flush().unwrap();
    check(&store);
    assert_eq!(store.status().blocks, 1);
    store.close().unwrap();
    assert!(store.append(&batch([span(3, 1, 0)])).is_err(), "closed");
    drop(store);
    let store = fixture.open();
    check(&store);
    assert_eq!(*store.trace(trace_id(1)).unwrap()[0], span(1, 1, 0));
    assert_eq!(store.trace(trace_id(9)).unwrap(), []);
}

#[test]
fn duplicates_are_dropped_at_read_and_by_merging() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for round in 0..8 {
        put(&store, [span(1, 1, 0), span(1, 2 + round, round + 1)]);
        store.flush().unwrap();
    }
    assert_eq!(store.trace(trace_id(1)).unwrap().len(), 9);
    assert_eq!((store.status().spans, store.status().blocks), (16, 8));
    store.maintain().unwrap();
    assert_eq!((store.status().spans, store.status().blocks), (9, 1));
    assert_eq!(span_numbers(&store.trace(trace_id(1)).unwrap()), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(fixture.files("blk").len(), 1);
    assert_eq!(fixture.metric("eino_traces_blocks_merged_total"), 8.0);
    drop(store);
    assert_eq!(fixture.open().status().spans, 9);
}

#[test]
fn what_a_merge_left_over_is_deleted_at_the_next_start() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for trace in 1..=8 {
        put(&store, [span(trace, 1, 0)]);
        store.flush().unwrap();
    }
    let saved = fixture.dir.path().join("saved");
    std::fs::copy(&fixture.files("blk")[2], &saved).unwrap();
    let left_over = fixture.files("blk")[2].clone();
    store.maintain().unwrap();
    drop(store);
    std::fs::rename(&saved, &left_over).unwrap();
    std::fs::write(left_over.with_extension("tmp"), b"half a block").unwrap();
    let store = fixture.open();
    assert_eq!((store.status().spans, store.status().blocks), (8, 1));
    assert!(!left_over.exists() && fixture.files("tmp").is_empty());
}

#[test]
fn the_memtable_is_cut_by_age_and_by_size() {
    let fixture = Fixture::new();
    let mut config = fixture.config();
    config.memtable_spans = 3;
    let store = fixture.open_with(config);
    put(&store, [span(1, 1, 0)]);
    store.maintain().unwrap();
    assert_eq!(store.status().blocks, 0);
    fixture.advance(61);
    store.maintain().unwrap();
    assert_eq!(store.status().blocks, 1);
    put(&store, (1..=3).map(|id| span(2, id, 0)));
    put(&store, [span(3, 1, 0)]);
    assert_eq!(store.status().blocks, 2);
    assert_eq!(fixture.metric("eino_traces_blocks_written_total"), 2.0);
    assert_eq!(newest(&store).len(), 3);
}

#[test]
fn retention_deletes_blocks_whose_spans_are_all_too_old() {
    let fixture = Fixture::new();
    let store = fixture.open();
    put(&store, [span(1, 1, 0)]);
    store.flush().unwrap();
    fixture.advance(3600);
    put(&store, [span(2, 1, 3_600_000)]);
    store.flush().unwrap();
    fixture.advance(7 * 24 * 3600 - 1800);
    store.maintain().unwrap();
    assert_eq!(newest(&store), [2]);
    assert_eq!(fixture.files("blk").len(), 1);
    assert_eq!(fixture.metric("eino_traces_blocks_expired_total"), 1.0);
}

#[test]
fn services_and_operations_come_from_memory_and_blocks() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let of = |service: &str, name: &str, kind, id| {
        let mut span = span(1, id, 0);
        (span.resource, span.name, span.kind) = (resource(service), name.into(), kind);
        span
    };
    put(&store, [of("b", "get", SpanKind::Server, 1), of("a", "get", SpanKind::Client, 2)]);
    store.flush().unwrap();
    put(&store, [of("b", "get", SpanKind::Client, 3), of("b", "a", SpanKind::Server, 4)]);
    let services = store.services().unwrap();
    assert_eq!(services.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
    let operations = store.operations("b").unwrap();
    let operations: Vec<_> = operations.iter().map(|(name, kind)| (&**name, *kind)).collect();
    assert_eq!(operations, [("a", SpanKind::Server), ("get", SpanKind::Server), ("get", SpanKind::Client)]);
    assert_eq!(store.operations("none").unwrap(), []);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let fixture = Fixture::new();
    drop(fixture.open());
    std::fs::write(fixture.dir.path().join("format"), "eino-traces 2\n").unwrap();
    let error = traces::TraceStore::open(fixture.config(), fixture.clock.clock(), &fixture.registry);
    let message = error.err().expect("refused").to_string();
    assert!(message.contains("\"eino-traces 2\"") && message.contains("\"eino-traces 1\""), "{message}");
}

#[test]
fn a_trace_longer_than_a_page_is_given_whole() {
    let fixture = Fixture::new();
    let store = fixture.open();
    put(&store, (1..=9_000).map(|id| span(2, id, id % 1000)));
    put(&store, [span(1, 1, 0), span(3, 1, 5_000)]);
    let in_memory = store.trace(trace_id(2)).unwrap();
    store.flush().unwrap();
    assert_eq!(store.trace(trace_id(2)).unwrap(), in_memory);
    assert_eq!(in_memory.len(), 9_000);
    let mut visited = Vec::new();
    let mut visit = |trace: &[Arc<Span>]| {
        visited.push(trace.len());
        ControlFlow::Continue(())
    };
    store.scan(TimeRange::ALL, &mut visit).unwrap();
    assert_eq!(visited, [1, 9_000, 1]);
}

#[test]
fn appends_cuts_merges_and_readers_at_once_lose_nothing() {
    let fixture = Fixture::new();
    let config = || TraceStoreConfig { memtable_spans: 40, ..fixture.config() };
    let store = fixture.open_with(config());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_u64)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..50 {
                        let trace = 1 + writer * 100 + number;
                        put(store, (1..=5).map(|id| span(trace, id, number)));
                        assert_eq!(store.trace(trace_id(trace)).unwrap().len(), 5, "acked, so found");
                    }
                })
            })
            .collect();
        while !writers.iter().all(|writer| writer.is_finished()) {
            store.maintain().unwrap();
            store.flush().unwrap();
        }
    });
    assert_eq!((store.status().spans, newest(&store).len()), (1_000, 200));
    drop(store);
    let store = fixture.open_with(config());
    assert_eq!((store.status().spans, newest(&store).len()), (1_000, 200));
}
