#![allow(clippy::indexing_slicing, reason = "a panic fails the test")]

use std::sync::Arc;

use model::{
    AttributeValue, Attributes, Resource, Scope, Span, SpanEvent, SpanId, SpanKind, SpanLink, SpanStatus,
    StatusCode, TraceId,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Page, encode};
use crate::span_match::has_attribute;

fn value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        Just(AttributeValue::Empty),
        ".{0,5}".prop_map(|text| AttributeValue::String(text.into())),
        any::<bool>().prop_map(AttributeValue::Bool),
        any::<i64>().prop_map(AttributeValue::Int),
        (-1e9..1e9_f64).prop_map(AttributeValue::Double),
        vec(any::<u8>(), 0..4).prop_map(|bytes| AttributeValue::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(AttributeValue::Array),
            vec(("[a-c]", inner), 0..3).prop_map(|pairs| AttributeValue::Map(named(pairs))),
        ]
    })
}

fn named(pairs: Vec<(String, AttributeValue)>) -> Attributes {
    pairs.into_iter().map(|(key, value)| (key.into(), value)).collect()
}

fn attributes() -> impl Strategy<Value = Attributes> {
    vec(("[a-d]", value()), 0..4).prop_map(named)
}

fn event() -> impl Strategy<Value = SpanEvent> {
    (any::<u64>(), "[a-c]?", attributes(), any::<u32>()).prop_map(
        |(time_ns, name, attributes, dropped_attributes)| SpanEvent {
            time_ns,
            name: name.into(),
            attributes,
            dropped_attributes,
        },
    )
}

fn link() -> impl Strategy<Value = SpanLink> {
    (any::<([u8; 16], [u8; 8], u32)>(), "[a-c]?", attributes()).prop_map(
        |((trace_id, span_id, flags), trace_state, attributes)| SpanLink {
            trace_id: TraceId(trace_id),
            span_id: SpanId(span_id),
            trace_state: trace_state.into(),
            attributes,
            flags,
        },
    )
}

/// Spans whose ids repeat, so that runs, parents inside and parents outside all occur.
fn span() -> impl Strategy<Value = Arc<Span>> {
    let numbers = (0..3_u8, 0..20_u8, proptest::option::of(0..25_u8), any::<u64>(), any::<u64>());
    let words = ("[a-c]{0,2}", "[a-c]?", 0..6_u64, 0..3_usize, "[xy]?");
    let lists = (attributes(), vec(event(), 0..3), vec(link(), 0..2));
    let rest = (any::<[u32; 4]>(), attributes(), attributes(), "[a-b]{1,2}");
    (numbers, words, lists, rest).prop_map(|(numbers, words, lists, rest)| {
        let (trace, id, parent, start_ns, end_ns) = numbers;
        let (name, message, kind, status, trace_state) = words;
        let (attributes, events, links) = lists;
        let ([flags, a, b, c], resource, scope, service) = rest;
        Arc::new(Span {
            trace_id: TraceId([trace; 16]),
            span_id: SpanId([id; 8]),
            parent_span_id: parent.map(|parent| SpanId([parent; 8])),
            trace_state: trace_state.into(),
            flags,
            name: name.into(),
            kind: SpanKind::from_otlp(kind),
            start_ns,
            end_ns,
            status: SpanStatus {
                code: [StatusCode::Unset, StatusCode::Ok, StatusCode::Error][status],
                message: message.into(),
            },
            attributes,
            events,
            links,
            dropped_attributes: a % 2,
            dropped_events: b % 2,
            dropped_links: c % 2,
            resource: Arc::new(Resource { service: service.into(), attributes: resource }),
            scope: Arc::new(Scope { name: "lib".into(), version: "1".into(), attributes: scope }),
        })
    })
}

fn encoded(spans: &[Arc<Span>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(spans, 1, &mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn decode_of_encode_is_the_spans(mut spans in vec(span(), 0..40), sorted: bool) {
        if sorted {
            spans.sort_by_key(|span| (span.trace_id, span.start_ns));
        }
        let bytes = encoded(&spans);
        prop_assert_eq!(Page::parse(&bytes).and_then(|page| page.all_spans()).unwrap(), spans);
    }

    #[test]
    fn single_rows_are_read_without_the_others(spans in vec(span(), 1..40), seed: u64) {
        let bytes = encoded(&spans);
        let page = Page::parse(&bytes).unwrap();
        let wanted = |row: usize| seed >> (row % 64) & 1 == 1;
        let read = page.spans(&page.core().unwrap(), &mut page.strings().unwrap(), wanted).unwrap();
        let expected: Vec<_> = spans.into_iter().enumerate().filter(|(row, _)| wanted(*row)).collect();
        prop_assert_eq!(read, expected.into_iter().map(|(_, span)| span).collect::<Vec<_>>());
    }

    #[test]
    fn damaged_pages_answer_and_never_panic(spans in vec(span(), 1..20), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut bytes = encoded(&spans);
        let index = at.index(bytes.len());
        bytes[index] = byte;
        drop(Page::parse(&bytes).and_then(|page| page.all_spans()));
        Page::parse(&bytes).and_then(|page| {
            page.keep_rows_with(&page.core()?, &mut page.strings()?, &[("a".into(), "1".into())], &mut vec![true; spans.len()])
        }).unwrap_or_default();
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(Page::parse(&bytes).and_then(|page| page.all_spans()).is_err());
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        drop(Page::parse(&bytes).and_then(|page| page.all_spans()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Conditions are taken from attributes that occur, from fields, and from nowhere.
    #[test]
    fn columns_answer_conditions_as_spans_do(spans in vec(span(), 1..30), key in 0..12_usize, pick: prop::sample::Index) {
        let bytes = encoded(&spans);
        let page = Page::parse(&bytes).unwrap();
        let span = &spans[pick.index(spans.len())];
        let lists = [&span.attributes, &span.resource.attributes, &span.scope.attributes];
        let parts = span.events.iter().map(|event| &event.attributes).chain(span.links.iter().map(|link| &link.attributes));
        let pairs: Vec<_> = lists.into_iter().chain(parts).flatten().collect();
        let fields = [
            ("error", "true"), ("span.kind", span.kind.as_str()), ("otel.status_code", "OK"), ("a", ""),
            ("otel.status_description", &*span.status.message), ("w3c.tracestate", &*span.trace_state),
            ("otel.scope.name", "lib"), ("event", "a"), ("event", ""), ("nothing", "x"),
        ];
        let (key, text) = match fields.get(key) {
            Some((key, text)) => ((*key).to_owned(), (*text).to_owned()),
            None if pairs.is_empty() => ("a".to_owned(), "1".to_owned()),
            None => {
                let (key, value) = pairs[pick.index(pairs.len())];
                (key.to_string(), value.to_string())
            }
        };
        let mut rows = vec![true; spans.len()];
        let condition = [(key, text)];
        page.keep_rows_with(&page.core().unwrap(), &mut page.strings().unwrap(), &condition, &mut rows).unwrap();
        let [(key, text)] = &condition;
        let expected: Vec<bool> = spans.iter().map(|span| has_attribute(span, key, text)).collect();
        prop_assert_eq!(rows, expected, "{} = {}", key, text);
    }
}
