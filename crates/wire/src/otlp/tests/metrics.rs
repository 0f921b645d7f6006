use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::*;
use crate::testing::damaged;

fn render(decoded: Result<Appended, DecodeError>, batch: &MetricBatch) -> String {
    let appended = match decoded {
        Ok(appended) => appended,
        Err(error) => return format!("{error}\n"),
    };
    let mut out = String::new();
    for series in batch.series() {
        let values: Vec<_> = series.values.iter().map(|value| show(*value)).collect();
        out.push_str(&format!("{} {:?} {}\n", series.labels, series.ts_ms, values.join(",")));
    }
    for metadata in &batch.metadata {
        let (family, kind, help, unit) = (&metadata.family, metadata.kind, &metadata.help, &metadata.unit);
        out.push_str(&format!("# {family} {kind:?} {help:?} {unit:?}\n"));
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

fn show(value: f64) -> String {
    if model::is_stale_nan(value) { "stale".to_owned() } else { value.to_string() }
}

#[track_caller]
fn check_with(options: &MetricOptions, resource: &str, metrics: &str, want: Expect) {
    let json = request(resource, metrics);
    let mut batch = MetricBatch::new();
    let decoded = decode_metrics_json(json.as_bytes(), options, &mut batch);
    want.assert_eq(&render(decoded, &batch));
}

/// Metrics of the service `shop/order`, instance `i1`.
#[track_caller]
fn check(metrics: &str, want: Expect) {
    check_with(
        &MetricOptions::default(),
        &attributes(&[
            ("service.namespace", "shop"),
            ("service.name", "order"),
            ("service.instance.id", "i1"),
        ]),
        metrics,
        want,
    );
}

fn request(resource: &str, metrics: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":{resource}}},"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#
    )
}

fn attributes(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(key, value)| serde_json::json!({"key": key, "value": {"stringValue": value}}))
        .collect();
    serde_json::Value::Array(pairs).to_string()
}

#[test]
fn gauges_and_sums() {
    let point = r#"{"timeUnixNano":"1700000000123456789","asInt":"7","attributes":[
        {"key":"http.method","value":{"stringValue":"GET"}},{"key":"ok","value":{"boolValue":true}},{"key":"none","value":{"stringValue":""}}]}"#;
    check(
        &format!(
            r#"{{"name":"cpu.load","unit":"1","description":"Load.","gauge":{{"dataPoints":[{{"timeUnixNano":"1700000000000000000","asDouble":0.5}}]}}}},
               {{"name":"orders","unit":"{{order}}","sum":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{point}]}}}},
               {{"name":"queue.size","sum":{{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","dataPoints":[{point}]}}}}"#
        ),
        expect![[r#"
            cpu_load_ratio{instance="i1", job="shop/order"} [1700000000000] 0.5
            orders_total{http_method="GET", instance="i1", job="shop/order", ok="true"} [1700000000123] 7
            queue_size{http_method="GET", instance="i1", job="shop/order", ok="true"} [1700000000123] 7
            # cpu_load_ratio Gauge "Load." ""
            # orders_total Counter "" ""
            # queue_size Gauge "" ""
        "#]],
    );
}

#[test]
fn histograms_and_summaries() {
    check(
        r#"{"name":"latency","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[
             {"timeUnixNano":"1000000000","count":"6","sum":2.5,"bucketCounts":["1","2","3"],"explicitBounds":[0.005,10],
              "attributes":[{"key":"le","value":{"stringValue":"not mine"}}]},
             {"timeUnixNano":"1000000000","count":"4","attributes":[{"key":"a","value":{"intValue":"1"}}]}]}},
           {"name":"size","unit":"By","summary":{"dataPoints":[
             {"timeUnixNano":"1000000000","count":"2","sum":30,"quantileValues":[{"quantile":0.5,"value":10},{"quantile":1,"value":20}]}]}}"#,
        expect![[r#"
            latency_seconds_sum{instance="i1", job="shop/order", le="not mine"} [1000] 2.5
            latency_seconds_count{instance="i1", job="shop/order", le="not mine"} [1000] 6
            latency_seconds_bucket{instance="i1", job="shop/order", le="0.005"} [1000] 1
            latency_seconds_bucket{instance="i1", job="shop/order", le="10"} [1000] 3
            latency_seconds_bucket{instance="i1", job="shop/order", le="+Inf"} [1000] 6
            latency_seconds_count{a="1", instance="i1", job="shop/order"} [1000] 4
            latency_seconds_bucket{a="1", instance="i1", job="shop/order", le="+Inf"} [1000] 4
            size_bytes_sum{instance="i1", job="shop/order"} [1000] 30
            size_bytes_count{instance="i1", job="shop/order"} [1000] 2
            size_bytes{instance="i1", job="shop/order", quantile="0.5"} [1000] 10
            size_bytes{instance="i1", job="shop/order", quantile="1"} [1000] 20
            # latency_seconds Histogram "" "seconds"
            # size_bytes Summary "" "bytes"
        "#]],
    );
}

#[test]
fn what_cannot_be_stored_is_refused_with_advice() {
    check(
        r#"{"name":"d","sum":{"aggregationTemporality":1,"dataPoints":[{},{}]}},
           {"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"scale":3}]}},
           {"name":"b","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000000","bucketCounts":["1"],"explicitBounds":[1]}]}},
           {"name":"t","gauge":{"dataPoints":[{"asDouble":1}]}},
           {"gauge":{"dataPoints":[{"timeUnixNano":"1000000000","asDouble":1}]}},
           {"name":"kept","gauge":{"dataPoints":[{"timeUnixNano":"1000000000","asDouble":1}]}}"#,
        expect![[r#"
            kept{instance="i1", job="shop/order"} [1000] 1
            # b Histogram "" ""
            # t Gauge "" ""
            # kept Gauge "" ""
            4 x unsupported: sum "d" has delta temporality, only cumulative is stored: set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative at the sender
            1 x invalid_time: a point of "t" has the time 0 ms
            1 x invalid_labels: a metric without a name
        "#]],
    );
}

#[test]
fn a_point_without_a_value_ends_its_series() {
    check(
        r#"{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1000000000","flags":1}]}},
           {"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000000","flags":1,"explicitBounds":[1]}]}}"#,
        expect![[r#"
            g{instance="i1", job="shop/order"} [1000] stale
            h_count{instance="i1", job="shop/order"} [1000] stale
            h_bucket{instance="i1", job="shop/order", le="+Inf"} [1000] stale
            # g Gauge "" ""
            # h Histogram "" ""
        "#]],
    );
}

#[test]
fn resource_attributes_become_target_info_or_labels() {
    let options = MetricOptions { promote_resource_attributes: vec!["k8s.pod".to_owned()] };
    let resource = attributes(&[("service.name", "order"), ("k8s.pod", "p1"), ("host.name", "h1")]);
    let metrics = r#"{"name":"g","gauge":{"dataPoints":[
        {"timeUnixNano":"3000000000","asDouble":1,"attributes":[{"key":"job","value":{"stringValue":"mine"}},{"key":"a.b","value":{"stringValue":"1"}},{"key":"a_b","value":{"stringValue":"2"}}]},
        {"timeUnixNano":"2000000000","asDouble":2}]}}"#;
    check_with(
        &options,
        &resource,
        metrics,
        expect![[r#"
            g{a_b="1;2", job="order", k8s_pod="p1"} [3000] 1
            g{job="order", k8s_pod="p1"} [2000] 2
            target_info{host_name="h1", job="order", k8s_pod="p1"} [3000] 1
            # g Gauge "" ""
            # target_info Gauge "Target metadata" ""
        "#]],
    );
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(
        body in damaged(json::to_protobuf("metrics", &schema::METRICS, request("[]", r#"
            {"name":"h","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000000","count":"6","sum":2.5,"bucketCounts":["1","2","3"],"explicitBounds":[0.005,10]}]}},
            {"name":"s","summary":{"dataPoints":[{"timeUnixNano":"1000000000","count":"2","sum":30,"quantileValues":[{"quantile":0.5,"value":10}]}]}},
            {"name":"n","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000000","asInt":"1","attributes":[{"key":"a","value":{"intValue":"1"}}]}]}}
        "#).as_bytes()).unwrap()),
        random: Vec<u8>,
    ) {
        for body in [body, random] {
            let mut batch = MetricBatch::new();
            if decode_metrics(&body, &MetricOptions::default(), &mut batch).is_ok() {
                for series in batch.series() {
                    prop_assert!(model::LabelSetRef::from_canonical(series.labels.as_bytes()).is_ok());
                }
            }
        }
    }
}
