//! Files written by the first build of format 1. They are never written again; every build opens them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::{Log, LogConfig};
use model::{
    AttributeValue, Resource, Scope, Span, SpanEvent, SpanId, SpanKind, SpanLink, SpanSource, SpanStatus,
    StatusCode,
};

use crate::data::{Fixture, MS, NOW_NS, attributes, put, span, text, trace_id};

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/format/v1")
}

/// A span with every field set and every type of value.
fn full_span() -> Span {
    let all_types = attributes(&[
        ("empty", AttributeValue::Empty),
        ("string", text("höhe")),
        ("bool", AttributeValue::Bool(true)),
        ("int", AttributeValue::Int(i64::MIN)),
        ("double", AttributeValue::Double(-72.5)),
        ("bytes", AttributeValue::Bytes([0, 255].as_slice().into())),
        ("array", AttributeValue::Array(vec![text("a"), AttributeValue::Int(1), AttributeValue::Empty])),
        ("map", AttributeValue::Map(attributes(&[("k", AttributeValue::Array(Vec::new()))]))),
    ]);
    Span {
        trace_state: "vendor=1".into(),
        flags: 0x301,
        name: "charge".into(),
        kind: SpanKind::Consumer,
        status: SpanStatus { code: StatusCode::Error, message: "card declined".into() },
        attributes: all_types.clone(),
        events: vec![SpanEvent {
            time_ns: NOW_NS - MS,
            name: "retry".into(),
            attributes: all_types.clone(),
            dropped_attributes: 4,
        }],
        links: vec![SpanLink {
            trace_id: trace_id(77),
            span_id: SpanId([7; 8]),
            trace_state: "other=2".into(),
            attributes: attributes(&[("why", text("batch"))]),
            flags: 1,
        }],
        dropped_attributes: 1,
        dropped_events: 2,
        dropped_links: 3,
        resource: Arc::new(Resource::new(attributes(&[("service.name", text("pay")), ("zone", text("b"))]))),
        scope: Arc::new(Scope { name: "lib".into(), version: "2.0".into(), attributes: all_types }),
        ..span(1, 2, 1)
    }
}

fn in_block() -> Vec<Span> {
    vec![span(1, 1, 0), full_span(), span(1, 3, 2)]
}

fn in_log() -> Vec<Span> {
    vec![span(2, 5, 9), Span { parent_span_id: Some(SpanId([9; 8])), ..full_span() }]
}

const BLOCK: &str = "blocks/0000000001-0000000001.blk";
/// A record of the log, without the log's framing.
const RECORD: &str = "record.bin";

#[test]
#[ignore = "writes the files of a new format once"]
fn write() {
    let fixture = Fixture::new();
    let store = fixture.open();
    put(&store, in_block());
    store.flush().unwrap();
    put(&store, in_log());
    drop(store);
    let mut records = Vec::new();
    drop(open_log(&fixture, &mut records));
    fs::create_dir_all(golden_dir().join("blocks")).unwrap();
    fs::write(golden_dir().join(RECORD), records.last().unwrap()).unwrap();
    for name in ["format", BLOCK] {
        fs::copy(fixture.dir.path().join(name), golden_dir().join(name)).unwrap();
    }
}

fn open_log(fixture: &Fixture, records: &mut Vec<Vec<u8>>) -> Log {
    let mut replay = |_, record: &[u8]| {
        records.push(record.to_vec());
        Ok(())
    };
    let config = LogConfig::new(fixture.dir.path().join("wal"));
    Log::open(config, fixture.clock.clock(), &fixture.registry, &mut replay).unwrap().0
}

#[test]
fn files_of_format_1_are_read() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.dir.path().join("blocks")).unwrap();
    for name in ["format", BLOCK] {
        fs::copy(golden_dir().join(name), fixture.dir.path().join(name)).unwrap();
    }
    let log = open_log(&fixture, &mut Vec::new());
    log.append(&fs::read(golden_dir().join(RECORD)).unwrap()).unwrap();
    log.close().unwrap();
    drop(log);
    let store = fixture.open();
    assert_eq!((store.status().blocks, store.status().damaged), (1, 0));
    let read = |number| {
        store.trace(trace_id(number)).unwrap().iter().map(|span| Span::clone(span)).collect::<Vec<_>>()
    };
    // The full span of the log has the key of the one in the block, which came first.
    assert_eq!(read(1), in_block());
    assert_eq!(read(2), [in_log().swap_remove(0)]);
}
