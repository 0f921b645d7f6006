use expect_test::expect;
use model::{Attributes, Scope, SpanId, SpanKind, SpanStatus, TraceId};

use super::*;
use crate::testing::shared_file;

fn span() -> Span {
    let attributes: Attributes = vec![
        ("text".into(), AttributeValue::String("a".into())),
        ("yes".into(), AttributeValue::Bool(true)),
        ("small".into(), AttributeValue::Int(-7)),
        ("large".into(), AttributeValue::Int(i64::MAX)),
        ("half".into(), AttributeValue::Double(0.5)),
        ("nan".into(), AttributeValue::Double(f64::NAN)),
        ("raw".into(), AttributeValue::Bytes([0, 255].as_slice().into())),
        (
            "list".into(),
            AttributeValue::Array(vec![AttributeValue::String("x".into()), AttributeValue::Int(1)]),
        ),
    ];
    let link = |kind: &str| SpanLink {
        trace_id: TraceId([2; 16]),
        span_id: SpanId([3; 8]),
        trace_state: "".into(),
        attributes: vec![("opentracing.ref_type".into(), AttributeValue::String(kind.into()))],
        flags: 0,
    };
    let event = SpanEvent {
        time_ns: 1_500_999,
        name: "exception".into(),
        attributes: vec![("exception.type".into(), AttributeValue::String("E".into()))],
        dropped_attributes: 0,
    };
    let service = |name: &str| vec![("service.name".into(), AttributeValue::String(name.into()))];
    let mut resource = service("shop");
    resource.push(("host.name".into(), AttributeValue::String("h".into())));
    Span {
        trace_id: TraceId([1; 16]),
        span_id: SpanId([4; 8]),
        parent_span_id: Some(SpanId([5; 8])),
        trace_state: "v=1".into(),
        flags: 1,
        name: "GET /".into(),
        kind: SpanKind::Server,
        start_ns: 1_000_000,
        end_ns: 2_500_999,
        status: SpanStatus { code: StatusCode::Error, message: "boom".into() },
        attributes,
        events: vec![event],
        links: vec![link("follows_from"), link("child_of")],
        dropped_attributes: 0,
        dropped_events: 0,
        dropped_links: 0,
        resource: Arc::new(Resource::new(resource)),
        scope: Arc::new(Scope { name: "lib".into(), version: "1.2".into(), attributes: Attributes::new() }),
    }
}

#[test]
fn all_of_a_span_is_shown() {
    let value = trace_json(&[Arc::new(span())]);
    let mut lines = String::new();
    let shown = &value["spans"][0];
    for key in ["traceID", "spanID", "operationName", "startTime", "duration", "processID", "warnings"] {
        lines.push_str(&format!("{key} {}\n", shown[key]));
    }
    for key in ["references", "tags", "logs"] {
        for item in shown[key].as_array().expect("a list") {
            lines.push_str(&format!("{key} {item}\n"));
        }
    }
    lines.push_str(&format!("{}\n{}\n{}\n", value["traceID"], value["processes"], value["warnings"]));
    expect![[r#"
        traceID "01010101010101010101010101010101"
        spanID "0404040404040404"
        operationName "GET /"
        startTime 1000
        duration 1500
        processID "p1"
        warnings null
        references {"refType":"CHILD_OF","spanID":"0505050505050505","traceID":"01010101010101010101010101010101"}
        references {"refType":"FOLLOWS_FROM","spanID":"0303030303030303","traceID":"02020202020202020202020202020202"}
        references {"refType":"CHILD_OF","spanID":"0303030303030303","traceID":"02020202020202020202020202020202"}
        tags {"key":"otel.scope.name","type":"string","value":"lib"}
        tags {"key":"otel.scope.version","type":"string","value":"1.2"}
        tags {"key":"text","type":"string","value":"a"}
        tags {"key":"yes","type":"bool","value":true}
        tags {"key":"small","type":"int64","value":-7}
        tags {"key":"large","type":"int64","value":"9223372036854775807"}
        tags {"key":"half","type":"float64","value":0.5}
        tags {"key":"nan","type":"string","value":"NaN"}
        tags {"key":"raw","type":"binary","value":"AP8="}
        tags {"key":"list","type":"string","value":"[\"x\",1]"}
        tags {"key":"span.kind","type":"string","value":"server"}
        tags {"key":"otel.status_code","type":"string","value":"ERROR"}
        tags {"key":"error","type":"bool","value":true}
        tags {"key":"otel.status_description","type":"string","value":"boom"}
        tags {"key":"w3c.tracestate","type":"string","value":"v=1"}
        logs {"fields":[{"key":"event","type":"string","value":"exception"},{"key":"exception.type","type":"string","value":"E"}],"timestamp":1500}
        "01010101010101010101010101010101"
        {"p1":{"serviceName":"shop","tags":[{"key":"host.name","type":"string","value":"h"}]}}
        null
    "#]]
    .assert_eq(&lines);
}

#[test]
fn processes_are_numbered_by_resource() {
    let mut other = span();
    other.resource = Arc::new(Resource::new(Attributes::new()));
    let same = Arc::new(span());
    let value = trace_json(&[same.clone(), Arc::new(other), same]);
    let ids: Vec<_> =
        value["spans"].as_array().unwrap().iter().map(|span| span["processID"].clone()).collect();
    assert_eq!(ids, ["p1", "p2", "p1"]);
    assert_eq!(value["processes"]["p2"]["serviceName"], "unknown_service");
}

#[test]
fn a_clamped_end_is_a_warning() {
    let mut clamped = span();
    clamped.attributes.push((CLAMPED_END.into(), AttributeValue::Int(5)));
    let value = trace_json(&[Arc::new(clamped)]);
    assert_eq!(
        value["spans"][0]["warnings"][0],
        "the span ended at 5 ns, before its start at 1000000 ns: its duration is shown as 0"
    );
}

/// Sorts the tags of all spans, whose order says nothing.
fn with_sorted_tags(mut trace: Value) -> Value {
    for span in trace["spans"].as_array_mut().expect("a list of spans") {
        span["tags"].as_array_mut().expect("a list of tags").sort_by_key(|tag| tag.to_string());
    }
    trace
}

#[test]
fn matches_what_jaeger_makes_of_the_same_request() {
    let Some(sent) = shared_file("conformance/traces/otlp2jaeger/otlp2jaeger-in.json") else { return };
    let want = shared_file("conformance/traces/otlp2jaeger/otlp2jaeger-out.json").expect("beside the input");
    let want: Value = serde_json::from_slice(&want).expect("JSON");
    let (batch, _) = crate::otlp::decode_traces_json(&sent).expect("OTLP JSON");
    assert_eq!(with_sorted_tags(trace_json(&batch.spans)), with_sorted_tags(want["data"][0].clone()));
}
