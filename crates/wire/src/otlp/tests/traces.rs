use expect_test::{Expect, expect};
use model::{
    AttributeValue, Attributes, Resource, Scope, SpanEvent, SpanId, SpanKind, SpanLink, SpanStatus,
    StatusCode, TraceId,
};
use proptest::prelude::*;

use super::super::*;
use crate::protobuf::{put_blob, put_message};
use crate::testing::{damaged, shared_file};

fn render(decoded: Result<(SpanBatch, Appended), DecodeError>) -> String {
    let (batch, appended) = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return format!("{error}\n"),
    };
    let mut out = String::new();
    for span in &batch.spans {
        let parent = span.parent_span_id.map_or("-".to_owned(), |parent| parent.to_string());
        let (trace, id, kind, status) = (span.trace_id, span.span_id, span.kind, span.status.code);
        out.push_str(&format!(
            "{} {:?} {kind:?} {status:?} {trace} {id} < {parent} {}+{}\n",
            span.service(),
            span.name,
            span.start_ns,
            span.duration_ns()
        ));
        for (key, value) in &span.attributes {
            out.push_str(&format!("  {key} = {value:?}\n"));
        }
        for event in &span.events {
            out.push_str(&format!("  event {:?} {} {:?}\n", event.name, event.time_ns, event.attributes));
        }
        for link in &span.links {
            out.push_str(&format!("  link {} {} {:?}\n", link.trace_id, link.span_id, link.attributes));
        }
    }
    for rejection in &appended.rejected {
        out.push_str(&format!(
            "{} x {}: {}\n",
            rejection.count,
            rejection.reason.as_str(),
            rejection.example
        ));
    }
    out
}

#[track_caller]
fn check(json: &str, want: Expect) {
    want.assert_eq(&render(decode_traces_json(json.as_bytes())));
}

/// A request of one service with these spans.
fn of_spans(spans: &str) -> String {
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}"#;
    format!(r#"{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#)
}

const IDS: &str = r#""traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"1112131415161718""#;

#[test]
fn json_is_read_liberally() {
    // Numbers as strings or numbers, enums by number or name, snake_case, null, unknown fields, ids in base64.
    check(
        &of_spans(&format!(
            r#"{{{IDS},"parentSpanId":"","name":"a","kind":2,"startTimeUnixNano":"1000","endTimeUnixNano":2000,
                 "status":{{"code":"STATUS_CODE_ERROR"}},"unknown":{{"deep":[1,{{}}]}},"links":null,
                 "attributes":[{{"key":"i","value":{{"intValue":"-5"}}}},{{"key":"j","value":{{"intValue":7}}}},
                   {{"key":"d","value":{{"doubleValue":1}}}},{{"key":"n","value":{{"doubleValue":"NaN"}}}},
                   {{"key":"b","value":{{"boolValue":false}}}},{{"key":"e","value":{{}}}},{{"key":"s","value":{{"stringValue":""}}}},
                   {{"key":"x","value":{{"bytesValue":"AAH/"}}}},
                   {{"key":"l","value":{{"arrayValue":{{"values":[{{"intValue":1}},{{"stringValue":"t"}}]}}}}}},
                   {{"key":"m","value":{{"kvlistValue":{{"values":[{{"key":"k","value":{{"boolValue":true}}}}]}}}}}}]}},
               {{"trace_id":"AQIDBAUGBwgJCgsMDQ4PEA==","span_id":"ERITFBUWFxk=","parent_span_id":"1112131415161718","name":"b",
                 "kind":"SPAN_KIND_CLIENT","start_time_unix_nano":1.5e3,"end_time_unix_nano":"1500",
                 "events":[{{"time_unix_nano":"1500","name":"ev","attributes":[{{"key":"k","value":{{"intValue":1}}}}]}}],
                 "links":[{{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"1112131415161718"}},{{"traceId":"00","spanId":""}}]}}"#
        )),
        expect![[r#"
            shop "a" Server Error 0102030405060708090a0b0c0d0e0f10 1112131415161718 < - 1000+1000
              i = Int(-5)
              j = Int(7)
              d = Double(1.0)
              n = Double(NaN)
              b = Bool(false)
              e = Empty
              s = String("")
              x = Bytes([0, 1, 255])
              l = Array([Int(1), String("t")])
              m = Map([("k", Bool(true))])
            shop "b" Client Unset 0102030405060708090a0b0c0d0e0f10 1112131415161719 < 1112131415161718 1500+0
              event "ev" 1500 [("k", Int(1))]
              link 0102030405060708090a0b0c0d0e0f10 1112131415161718 []
        "#]],
    );
}

#[test]
fn doubles_in_json_are_exact_to_the_last_bit() {
    // The JSON parser's quick way reads this one bit off.
    let span = format!(
        r#"{{{IDS},"attributes":[{{"key":"d","value":{{"doubleValue":3.6265574737396667e-134}}}}]}}"#
    );
    let (batch, _) = decode_traces_json(of_spans(&span).as_bytes()).unwrap();
    assert_eq!(batch.spans[0].attributes[0].1, AttributeValue::Double(3.6265574737396667e-134));
}

#[test]
fn spans_with_bad_ids_are_refused_and_the_rest_is_kept() {
    check(
        &of_spans(&format!(
            r#"{{"traceId":"0102","spanId":"1112131415161718","name":"short"}},
               {{"traceId":"00000000000000000000000000000000","spanId":"1112131415161718"}},
               {{"traceId":"0102030405060708090a0b0c0d0e0f10","name":"no span id"}},
               {{{IDS},"parentSpanId":"1234"}},
               {{{IDS},"parentSpanId":"0000000000000000","name":"root","startTimeUnixNano":"1","endTimeUnixNano":"2"}}"#
        )),
        expect![[r#"
            shop "root" Unspecified Unset 0102030405060708090a0b0c0d0e0f10 1112131415161718 < - 1+1
            4 x invalid_id: trace id "0102" of span "short" (shop) has the wrong length: 2 bytes, must be 16 not all zero
        "#]],
    );
}

#[test]
fn a_span_that_ends_before_it_starts_is_kept_and_says_so() {
    check(
        &of_spans(&format!(r#"{{{IDS},"startTimeUnixNano":"2000","endTimeUnixNano":"1500"}}"#)),
        expect![[r#"
            shop "" Unspecified Unset 0102030405060708090a0b0c0d0e0f10 1112131415161718 < - 2000+0
              eino.clamped_end_ns = Int(1500)
        "#]],
    );
    check(
        &of_spans(&format!(r#"{{{IDS},"name":"far","startTimeUnixNano":"18446744073709551615"}}"#)),
        expect![[r#"
            1 x invalid_time: span "far" runs from 18446744073709551615 to 0 ns, over the limit of 9223372036854775807 ns
        "#]],
    );
}

#[test]
fn malformed_json_names_its_offset() {
    check(
        "",
        expect![[r#"
        malformed OTLP JSON traces at offset 0: EOF while parsing a value at line 1 column 0
    "#]],
    );
    check(
        "[]",
        expect![[r#"
        malformed OTLP JSON traces at offset 0: invalid type: sequence, expected ExportTraceServiceRequest as an object at line 1 column 0
    "#]],
    );
    check(
        "{} x",
        expect![[r#"
        malformed OTLP JSON traces at offset 4: trailing characters at line 1 column 4
    "#]],
    );
    check("{\"resourceSpans\":\n {}}", expect![""]);
    check(
        &of_spans(r#"{"traceId":"xyz"}"#),
        expect![[r#"
            malformed OTLP JSON traces at offset 141: invalid value: string "xyz", expected id in hex for "traceId" at line 1 column 141
        "#]],
    );
    check(
        &of_spans(r#"{"startTimeUnixNano":-1}"#),
        expect![[r#"
            malformed OTLP JSON traces at offset 148: -1 is no integer for "startTimeUnixNano" at line 1 column 148
        "#]],
    );
    check(
        &of_spans(r#"{"name":5}"#),
        expect![[r#"
            malformed OTLP JSON traces at offset 134: 5 is no string for "name" at line 1 column 134
        "#]],
    );
}

/// `depth` arrays around a value, as protobuf of a whole request.
fn nested(depth: usize) -> Vec<u8> {
    let mut value = Vec::new();
    put_blob(&mut value, 1, b"core");
    for _ in 1..depth {
        let inner = std::mem::take(&mut value);
        put_message(&mut value, 5, |out| put_message(out, 1, |out| out.extend_from_slice(&inner)));
    }
    let mut body = Vec::new();
    put_message(&mut body, 1, |out| {
        put_message(out, 1, |out| {
            put_message(out, 1, |out| {
                put_blob(out, 1, b"k");
                put_message(out, 2, |out| out.extend_from_slice(&value));
            });
        });
        put_message(out, 2, |out| {
            put_message(out, 2, |out| {
                put_blob(out, 1, &[1; 16]);
                put_blob(out, 2, &[2; 8]);
            });
        });
    });
    body
}

#[test]
fn values_nest_up_to_a_limit() {
    let (batch, _) = decode_traces(&nested(32)).expect("32 levels");
    assert!(batch.spans[0].resource.attributes[0].1.to_string().ends_with(&"]".repeat(31)));
    let error = decode_traces(&nested(33)).expect_err("33 levels").to_string();
    assert!(error.ends_with("value is nested deeper than the limit of 32"), "{error}");
    assert!(decode_traces(&nested(50_000)).is_err());
    let open = "{\"arrayValue\":{\"values\":[".repeat(10_000);
    let deep_json = of_spans(&format!("{{{IDS},\"attributes\":[{{\"key\":\"k\",\"value\":{open}"));
    let error = decode_traces_json(deep_json.as_bytes()).expect_err("10,000 levels").to_string();
    assert!(error.contains("recursion limit exceeded"), "{error}");
}

#[test]
fn resources_scopes_and_strings_are_shared() {
    let body = of_spans(&format!("{{{IDS},\"name\":\"n\"}},{{{IDS},\"name\":\"n\"}}"));
    let (batch, _) = decode_traces_json(body.as_bytes()).unwrap();
    let [one, two] = &batch.spans[..] else { panic!("two spans") };
    assert!(Arc::ptr_eq(&one.resource, &two.resource));
    assert!(Arc::ptr_eq(&one.scope, &two.scope));
    assert!(Arc::ptr_eq(&one.name, &two.name));
}

#[test]
fn text_that_is_not_utf8_is_replaced() {
    let mut body = Vec::new();
    put_message(&mut body, 1, |out| {
        put_message(out, 2, |out| {
            put_message(out, 2, |out| {
                put_blob(out, 1, &[1; 16]);
                put_blob(out, 2, &[2; 8]);
                put_blob(out, 5, b"a\xffb");
            });
        });
    });
    assert_eq!(&*decode_traces(&body).unwrap().0.spans[0].name, "a\u{fffd}b");
}

#[test]
fn recorded_bodies_decode() {
    let body = |name: &str| shared_file(&format!("conformance/wire/{name}.body"));
    let Some(plain) = body("01_OTel-OTLP-Exporter-Python_v1_traces") else { return };
    let gzip = body("02_OTel-OTLP-Exporter-Python_v1_traces").expect("beside the first");
    let json = body("04_OTel-OTLP-Exporter-JavaScript_v1_traces").expect("beside the first");
    let gzip = crate::compress::decompress(Some("gzip"), &gzip, 1 << 20).expect("gzip");
    for (name, decoded) in [
        ("python", decode_traces(&plain)),
        ("python gzip", decode_traces(&gzip)),
        ("javascript json", decode_traces_json(&json)),
    ] {
        let (batch, appended) = decoded.expect(name);
        assert_eq!(appended, Appended::default(), "{name}");
        assert!(batch.spans.len() >= 2, "{name}: {} spans", batch.spans.len());
        assert!(batch.spans.iter().any(|span| span.is_error()), "{name}: one span failed");
        assert!(batch.spans.iter().any(|span| !span.events.is_empty()), "{name}: one span has events");
        assert!(batch.spans.iter().all(|span| &**span.service() != "unknown_service"), "{name}");
        assert_eq!(decode_traces(&encode_traces(&batch.spans)).unwrap().0.spans, batch.spans, "{name}");
    }
}

#[test]
fn every_prefix_of_a_recorded_body_is_an_error_or_fewer_spans() {
    let Some(body) = shared_file("conformance/wire/01_OTel-OTLP-Exporter-Python_v1_traces.body") else {
        return;
    };
    let whole = decode_traces(&body).unwrap().0.spans.len();
    for end in 0..body.len() {
        if let Ok((batch, _)) = decode_traces(&body[..end]) {
            assert!(batch.spans.len() < whole, "prefix of {end} bytes");
        }
    }
}

#[test]
fn a_large_recorded_batch_round_trips() {
    let Some(body) = shared_file("conformance/wire/otlp_batch_512.pb") else { return };
    let (batch, appended) = decode_traces(&body).unwrap();
    assert_eq!((batch.spans.len(), appended), (512, Appended::default()));
    assert_eq!(decode_traces(&encode_traces(&batch.spans)).unwrap().0.spans, batch.spans);
    assert_eq!(decode_traces_json(encode_traces_json(&batch.spans).as_bytes()).unwrap().0.spans, batch.spans);
}

fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-z.]{0,6}", "\\PC{0,80}"].prop_map(Arc::from)
}

fn value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        Just(AttributeValue::Empty),
        text().prop_map(AttributeValue::String),
        any::<bool>().prop_map(AttributeValue::Bool),
        any::<i64>().prop_map(AttributeValue::Int),
        any::<f64>().prop_filter("comparable", |value| !value.is_nan()).prop_map(AttributeValue::Double),
        any::<Vec<u8>>().prop_map(|bytes| AttributeValue::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(AttributeValue::Array),
            proptest::collection::vec(("[a-z]{1,3}".prop_map(Arc::from), inner), 0..4)
                .prop_map(AttributeValue::Map),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    proptest::collection::vec(("[a-z.]{1,6}".prop_map(Arc::from), value()), 0..4)
}

fn ids() -> impl Strategy<Value = (TraceId, SpanId)> {
    let trace_id = any::<[u8; 16]>().prop_filter("not zero", |id| *id != [0; 16]).prop_map(TraceId);
    let span_id = any::<[u8; 8]>().prop_filter("not zero", |id| *id != [0; 8]).prop_map(SpanId);
    (trace_id, span_id)
}

fn events() -> impl Strategy<Value = Vec<SpanEvent>> {
    let event = (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(
        |(time_ns, name, attributes, dropped_attributes)| SpanEvent {
            time_ns,
            name,
            attributes,
            dropped_attributes,
        },
    );
    proptest::collection::vec(event, 0..3)
}

fn links() -> impl Strategy<Value = Vec<SpanLink>> {
    let link = (ids(), text(), attributes(), any::<u32>()).prop_map(
        |((trace_id, span_id), trace_state, attributes, flags)| SpanLink {
            trace_id,
            span_id,
            trace_state,
            attributes,
            flags,
        },
    );
    proptest::collection::vec(link, 0..3)
}

fn status() -> impl Strategy<Value = SpanStatus> {
    let codes = vec![StatusCode::Unset, StatusCode::Ok, StatusCode::Error];
    (prop::sample::select(codes), text()).prop_map(|(code, message)| SpanStatus { code, message })
}

fn spans() -> impl Strategy<Value = Vec<Arc<Span>>> {
    let resource = attributes().prop_map(|attributes| Arc::new(Resource::new(attributes)));
    let scope = (text(), text(), attributes())
        .prop_map(|(name, version, attributes)| Arc::new(Scope { name, version, attributes }));
    let times = (0..i64::MAX as u64, 0..1_000_000_u64);
    let parent = proptest::option::of(ids().prop_map(|(_, span_id)| span_id));
    let plain = (ids(), parent, text(), text(), 0..6_u64, times, any::<[u32; 4]>());
    let rest = (attributes(), events(), links(), status(), resource, scope);
    let span = (plain, rest).prop_map(|(plain, rest)| {
        let ((trace_id, span_id), parent_span_id, trace_state, name, kind, (start_ns, duration), counts) =
            plain;
        let (attributes, events, links, status, resource, scope) = rest;
        Arc::new(Span {
            trace_id,
            span_id,
            parent_span_id,
            trace_state,
            flags: counts[0],
            name,
            kind: SpanKind::from_otlp(kind),
            start_ns,
            end_ns: (start_ns + duration).min(i64::MAX as u64),
            status,
            attributes,
            events,
            links,
            dropped_attributes: counts[1],
            dropped_events: counts[2],
            dropped_links: counts[3],
            resource,
            scope,
        })
    });
    proptest::collection::vec(span, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn decode_of_encode_is_the_spans(spans in spans()) {
        let (batch, appended) = decode_traces(&encode_traces(&spans)).unwrap();
        prop_assert_eq!(&batch.spans, &spans);
        prop_assert_eq!(appended, Appended::default());
        let (batch, _) = decode_traces_json(encode_traces_json(&spans).as_bytes()).unwrap();
        prop_assert_eq!(&batch.spans, &spans);
    }

    #[test]
    fn damaged_and_random_bytes_never_panic(
        (protobuf, json) in spans().prop_filter("some", |spans| !spans.is_empty()).prop_flat_map(|spans| {
            (damaged(encode_traces(&spans)), damaged(encode_traces_json(&spans).into_bytes()))
        }),
        random: Vec<u8>,
    ) {
        for body in [&protobuf, &random] {
            if let Ok((batch, _)) = decode_traces(body) {
                prop_assert!(batch.spans.iter().all(|span| span.start_ns <= span.end_ns && !span.trace_id.is_zero()));
                prop_assert_eq!(decode_traces(&encode_traces(&batch.spans)).is_ok(), true);
            }
        }
        for body in [&json, &random] {
            let _outcome = decode_traces_json(body).is_ok();
        }
    }
}
