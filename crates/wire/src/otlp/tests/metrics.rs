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
        if !values.is_empty() {
            out.push_str(&format!("{} {:?} {}", series.labels, series.ts_ms, values.join(",")));
            let starts: Vec<_> = series.start_ms.iter().filter(|start_ms| **start_ms != 0).collect();
            out.push_str(&if starts.is_empty() { "\n".to_owned() } else { format!(" since {starts:?}\n") });
        }
        for sample in series.histograms {
            out.push_str(&format!("{} [{}] {}\n", series.labels, sample.ts_ms, show_histogram(sample)));
        }
        for exemplar in series.exemplars {
            out.push_str(&format!("  # {} {} at {}\n", exemplar.labels, exemplar.value, exemplar.ts_ms));
        }
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

fn show_histogram(sample: &model::HistogramSample) -> String {
    let histogram = &sample.histogram;
    if histogram.is_stale() {
        return "stale".to_owned();
    }
    let buckets = |buckets: &model::Buckets| {
        let shown: Vec<_> = buckets.iter().map(|(index, count)| format!("{index}:{count}")).collect();
        shown.join(" ")
    };
    let mut out = format!("schema {} count {} sum {}", histogram.schema, histogram.count, histogram.sum);
    if histogram.zero_count != 0.0 {
        out.push_str(&format!(" zero {}±{:e}", histogram.zero_count, histogram.zero_threshold));
    }
    out.push_str(&format!(" [{}] -[{}]", buckets(&histogram.positive), buckets(&histogram.negative)));
    if !histogram.custom_bounds.is_empty() {
        out.push_str(&format!(" bounds {:?}", histogram.custom_bounds));
    }
    if sample.start_ms != 0 {
        out.push_str(&format!(" since {}", sample.start_ms));
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
    let deltas = Deltas::new(100);
    let decoded = decode_metrics_json(json.as_bytes(), options, &mut deltas.begin(), &mut batch);
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
            # d Gauge "" ""
            # e Histogram "" ""
            # b Histogram "" ""
            # t Gauge "" ""
            # kept Gauge "" ""
            4 x invalid_time: a point of "d" has the time 0 ms
            1 x invalid_histogram: histogram "b": 1 bucket counts for 1 bounds, must be one more
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
    let options =
        MetricOptions { promote_resource_attributes: vec!["k8s.pod".to_owned()], ..MetricOptions::default() };
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
            target_info{host_name="h1", job="order", k8s_pod="p1"} [2000] 1
            target_info{host_name="h1", job="order", k8s_pod="p1"} [3000] 1
            # g Gauge "" ""
            # target_info Gauge "Target metadata" ""
        "#]],
    );
}

#[test]
fn exponential_histograms_become_native() {
    check(
        r#"{"name":"e","unit":"s","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[
             {"startTimeUnixNano":"1000000","timeUnixNano":"1000000000","count":"12","sum":40.5,"scale":9,"zeroCount":"1",
              "positive":{"offset":-1,"bucketCounts":["1","2","3","0","0","0","0","0","0","4"]},"negative":{"offset":2,"bucketCounts":["1"]},
              "exemplars":[{"timeUnixNano":"900000000","asDouble":1.5,"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708",
                "filteredAttributes":[{"key":"user","value":{"stringValue":"u1"}}]}]},
             {"timeUnixNano":"1000000000","count":"3","scale":3,"positive":{"bucketCounts":["1"]},"attributes":[{"key":"wrong","value":{"intValue":"1"}}]},
             {"timeUnixNano":"1000000000","scale":-5},
             {"timeUnixNano":"2000000000","flags":1}]}}"#,
        expect![[r#"
            e_seconds{instance="i1", job="shop/order"} [1000] schema 8 count 12 sum 40.5 zero 1±1e-128 [0:1 1:5 5:4] -[2:1] since 1
              # {span_id="0102030405060708", trace_id="0102030405060708090a0b0c0d0e0f10", user="u1"} 1.5 at 900
            e_seconds{instance="i1", job="shop/order"} [2000] stale
            # e_seconds Histogram "" "seconds"
            2 x invalid_histogram: exponential histogram "e": 1 observations are in the buckets, but the count is 3
        "#]],
    );
}

#[test]
fn explicit_histograms_may_become_native_ones_with_custom_bounds() {
    let options = MetricOptions { convert_histograms_to_nhcb: true, ..MetricOptions::default() };
    check_with(
        &options,
        "[]",
        r#"{"name":"latency","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[
             {"timeUnixNano":"1000000000","count":"6","sum":2.5,"bucketCounts":["1","0","5"],"explicitBounds":[0.5,10]},
             {"timeUnixNano":"1000000000","count":"4","attributes":[{"key":"a","value":{"intValue":"1"}}]},
             {"timeUnixNano":"1000000000","count":"7","bucketCounts":["1","2"],"explicitBounds":[1],"attributes":[{"key":"b","value":{"intValue":"1"}}]}]}}"#,
        expect![[r#"
            latency_seconds [1000] schema -53 count 6 sum 2.5 [0:1 1:0 2:5] -[] bounds [0.5, 10.0]
            latency_seconds{a="1"} [1000] schema -53 count 4 sum 0 [0:4] -[]
            # latency_seconds Histogram "" "seconds"
            1 x invalid_histogram: histogram "latency_seconds": 3 observations are in the buckets, but the count is 7
        "#]],
    );
}

#[test]
fn exemplars_stand_with_their_bucket() {
    check(
        r#"{"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000000","count":"3","bucketCounts":["1","1","1"],"explicitBounds":[1,2],
             "exemplars":[{"asDouble":9,"traceId":"0102030405060708090a0b0c0d0e0f10"},{"asInt":"1","spanId":"0102030405060708"}]}]}}"#,
        expect![[r#"
            h_count{instance="i1", job="shop/order"} [1000] 3
            h_bucket{instance="i1", job="shop/order", le="1"} [1000] 1
              # {span_id="0102030405060708"} 1 at 1000
            h_bucket{instance="i1", job="shop/order", le="2"} [1000] 2
            h_bucket{instance="i1", job="shop/order", le="+Inf"} [1000] 3
              # {trace_id="0102030405060708090a0b0c0d0e0f10"} 9 at 1000
            # h Histogram "" ""
        "#]],
    );
}

#[test]
fn deltas_are_added_up() {
    let deltas = Deltas::new(100);
    let mut out = String::new();
    for (start, end) in [(1, 2), (2, 3), (2, 3), (3, 4)] {
        let times = format!(r#""startTimeUnixNano":"{start}000000000","timeUnixNano":"{end}000000000""#);
        let metrics = format!(
            r#"{{"name":"n","sum":{{"isMonotonic":true,"aggregationTemporality":1,"dataPoints":[{{{times},"asInt":"3"}}]}}}},
               {{"name":"h","histogram":{{"aggregationTemporality":1,"dataPoints":[{{{times},"count":"3","sum":1.5,"bucketCounts":["1","2"],"explicitBounds":[{bound}]}}]}}}},
               {{"name":"e","exponentialHistogram":{{"aggregationTemporality":1,"dataPoints":[{{{times},"count":"3","sum":1.5,"scale":{end},"positive":{{"offset":0,"bucketCounts":["1","2"]}}}}]}}}}"#,
            bound = if end == 4 { 9 } else { 8 },
        );
        let mut batch = MetricBatch::new();
        let json = request("[]", &metrics);
        let decoded =
            decode_metrics_json(json.as_bytes(), &MetricOptions::default(), &mut deltas.begin(), &mut batch);
        batch.metadata.clear();
        out.push_str(&render(decoded, &batch));
    }
    expect![[r#"
        n_total [2000] 3 since [1000]
        h_sum [2000] 1.5 since [1000]
        h_count [2000] 3 since [1000]
        h_bucket{le="8"} [2000] 1 since [1000]
        h_bucket{le="+Inf"} [2000] 3 since [1000]
        e [2000] schema 2 count 3 sum 1.5 [1:1 2:2] -[] since 1000
        n_total [3000] 6 since [1000]
        h_sum [3000] 3 since [1000]
        h_count [3000] 6 since [1000]
        h_bucket{le="8"} [3000] 2 since [1000]
        h_bucket{le="+Inf"} [3000] 6 since [1000]
        e [3000] schema 2 count 6 sum 3 [1:4 2:2] -[] since 1000
        3 x out_of_order: a delta of "n_total" at 3000000000 ns is not after the one at 3000000000 ns
        n_total [4000] 9 since [1000]
        h_sum [4000] 1.5 since [3000]
        h_count [4000] 3 since [3000]
        h_bucket{le="9"} [4000] 1 since [3000]
        h_bucket{le="+Inf"} [4000] 3 since [3000]
        e [4000] schema 2 count 9 sum 4.5 [1:7 2:2] -[] since 1000
    "#]]
    .assert_eq(&out);
}

#[test]
fn scopes_and_all_resource_attributes_become_labels_on_demand() {
    let options = MetricOptions {
        promote_all_resource_attributes: true,
        ignore_resource_attributes: vec!["host.name".to_owned()],
        keep_identifying_resource_attributes: true,
        promote_scope_metadata: true,
        strategy: TranslationStrategy::NoUtf8EscapingWithSuffixes,
        ..MetricOptions::default()
    };
    let json = r#"{"resourceMetrics":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"order"}},{"key":"host.name","value":{"stringValue":"h1"}}]},
        "scopeMetrics":[{"schemaUrl":"u","scope":{"name":"lib","version":"1","attributes":[{"key":"k.v","value":{"intValue":"1"}}]},
        "metrics":[{"name":"a.b","unit":"s","gauge":{"dataPoints":[{"timeUnixNano":"1000000000","asDouble":1},{"timeUnixNano":"200000000000","asDouble":1}]}}]}]}]}"#;
    let (mut batch, deltas) = (MetricBatch::new(), Deltas::new(2));
    let decoded = decode_metrics_json(json.as_bytes(), &options, &mut deltas.begin(), &mut batch);
    expect![[r#"
        {__name__="a.b_seconds", job="order", "otel_scope_k.v"="1", otel_scope_name="lib", otel_scope_schema_url="u", otel_scope_version="1", "service.name"="order"} [1000] 1
        {__name__="a.b_seconds", job="order", "otel_scope_k.v"="1", otel_scope_name="lib", otel_scope_schema_url="u", otel_scope_version="1", "service.name"="order"} [200000] 1
        target_info{"host.name"="h1", job="order", "service.name"="order"} [1000] 1
        target_info{"host.name"="h1", job="order", "service.name"="order"} [151000] 1
        target_info{"host.name"="h1", job="order", "service.name"="order"} [200000] 1
        # a.b_seconds Gauge "" "seconds"
        # target_info Gauge "Target metadata" ""
    "#]].assert_eq(&render(decoded, &batch));
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(
        body in damaged(json::to_protobuf("metrics", &schema::METRICS, request("[]", r#"
            {"name":"h","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000000","count":"6","sum":2.5,"bucketCounts":["1","2","3"],"explicitBounds":[0.005,10]}]}},
            {"name":"s","summary":{"dataPoints":[{"timeUnixNano":"1000000000","count":"2","sum":30,"quantileValues":[{"quantile":0.5,"value":10}]}]}},
            {"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1000000000","scale":9,"count":"6","sum":2.5,"zeroCount":"1","positive":{"offset":-3,"bucketCounts":["1","2","0","2"]},"exemplars":[{"asDouble":1,"traceId":"0102030405060708090a0b0c0d0e0f10"}]}]}},
            {"name":"n","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000000","asInt":"1","attributes":[{"key":"a","value":{"intValue":"1"}}]}]}}
        "#).as_bytes()).unwrap()),
        random: Vec<u8>,
        nhcb: bool,
    ) {
        let deltas = Deltas::new(100);
        for body in [body, random] {
            let mut batch = MetricBatch::new();
            let options = MetricOptions { convert_histograms_to_nhcb: nhcb, ..MetricOptions::default() };
            if decode_metrics(&body, &options, &mut deltas.begin(), &mut batch).is_ok() {
                for series in batch.series() {
                    prop_assert!(series.histograms.iter().all(|sample| sample.histogram.validate().is_ok()));
                    prop_assert!(model::LabelSetRef::from_canonical(series.labels.as_bytes()).is_ok());
                }
            }
        }
    }
}
