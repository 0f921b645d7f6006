//! What is refused or cut, and how it is told.

use expect_test::{Expect, expect};
use model::{AttributeValue, Span, SpanEvent, SpanId, SpanSink, SpanSource, TraceId};

use crate::data::{Fixture, MS, NOW_NS, attributes, batch, span, text, trace_id};

/// Appends a good span and a changed one, which must be refused for one reason.
#[track_caller]
fn check(change: impl FnOnce(&mut Span), want: Expect) {
    let fixture = Fixture::new();
    let mut config = fixture.config();
    config.span_bytes_max = 2_000;
    let store = fixture.open_with(config);
    let mut bad = span(2, 1, 0);
    change(&mut bad);
    let appended = store.append(&batch([span(1, 1, 0), bad])).unwrap();
    assert_eq!(appended.accepted, 1);
    let [rejection] = appended.rejected.as_slice() else { panic!("{:?}", appended.rejected) };
    let reason = rejection.reason.as_str();
    want.assert_eq(&format!("{reason}: {}", rejection.example));
    let name = format!("eino_traces_spans_rejected_total{{reason=\"{reason}\"}}");
    assert_eq!(fixture.metric(&name), 1.0);
    assert_eq!(fixture.metric("eino_traces_spans_appended_total"), 1.0);
    assert_eq!(store.trace(trace_id(2)).unwrap(), []);
}

#[test]
fn ids_of_zero() {
    check(|span| span.trace_id = TraceId([0; 16]), expect![[r#"invalid_id: span "op" has trace id 0"#]]);
    check(|span| span.span_id = SpanId([0; 8]), expect![[r#"invalid_id: span "op" has span id 0"#]]);
}

#[test]
fn times_that_cannot_be() {
    check(|span| span.start_ns = 0, expect![[r#"invalid_time: span "op" has no start"#]]);
    check(
        |span| span.end_ns = span.start_ns - 1,
        expect![[
            r#"invalid_time: span "op" ends at 1735689599999999999 ns before it starts at 1735689600000000000 ns"#
        ]],
    );
    let two_days = 2 * 24 * 3_600_000 * MS;
    check(
        |span| span.end_ns = NOW_NS + two_days,
        expect![[
            r#"too_far_in_future: span "op" ends at 1735862400000000000 ns, more than a day after now (1735689600000000000 ns)"#
        ]],
    );
    check(
        |span| span.end_ns = u64::MAX,
        expect![[
            r#"too_far_in_future: span "op" ends at 18446744073709551615 ns, more than a day after now (1735689600000000000 ns)"#
        ]],
    );
    check(
        |span| span.start_ns = NOW_NS - 4 * two_days,
        expect![[
            r#"too_old: span "op" starts at 1734998400000000000 ns, retention is 1w (now 1735689600000000000 ns)"#
        ]],
    );
}

#[test]
fn spans_too_large_or_deep() {
    check(
        |span| span.attributes = attributes(&[("k", text(&"x".repeat(3_000)))]),
        expect![[r#"too_large: span "op" of 3267 bytes, span_bytes_max is 2000"#]],
    );
    let mut value = AttributeValue::Int(1);
    for _ in 0..33 {
        value = AttributeValue::Array(vec![value]);
    }
    check(
        |span| span.attributes = attributes(&[("k", value)]),
        expect![[r#"too_large: an attribute of span "op" is nested deeper than 32"#]],
    );
}

#[test]
fn traces_with_too_many_spans_keep_the_first_ones() {
    let fixture = Fixture::new();
    let mut config = fixture.config();
    config.spans_per_trace_max = 5;
    let store = fixture.open_with(config);
    store.append(&batch((1..=3).map(|id| span(1, id, id)))).unwrap();
    let appended = store.append(&batch((4..=9).map(|id| span(1, id, id)).chain([span(2, 1, 0)]))).unwrap();
    assert_eq!(appended.accepted, 3);
    assert_eq!(appended.rejected_count(), 4);
    expect!["trace 00000000000000000000000000000001 has more spans in memory than spans_per_trace_max (5)"]
        .assert_eq(&appended.rejected[0].example);
    assert_eq!(store.trace(trace_id(1)).unwrap().len(), 5);
}

#[test]
fn long_lists_are_cut_and_the_span_says_so() {
    let fixture = Fixture::new();
    let mut config = fixture.config();
    (config.attributes_max, config.events_max) = (2, 1);
    let store = fixture.open_with(config);
    let many = attributes(&[("a", text("1")), ("b", text("2")), ("c", text("3"))]);
    let event =
        SpanEvent { time_ns: NOW_NS, name: "e".into(), attributes: many.clone(), dropped_attributes: 1 };
    let long = Span { attributes: many, events: vec![event.clone(), event], ..span(1, 1, 0) };
    assert_eq!(store.append(&batch([long])).unwrap().accepted, 1);
    let spans = store.trace(trace_id(1)).unwrap();
    assert_eq!((spans[0].attributes.len(), spans[0].dropped_attributes), (2, 1));
    assert_eq!((spans[0].events.len(), spans[0].dropped_events), (1, 1));
    assert_eq!((spans[0].events[0].attributes.len(), spans[0].events[0].dropped_attributes), (2, 2));
    assert_eq!(fixture.metric("eino_traces_span_parts_cut_total"), 3.0);
}
