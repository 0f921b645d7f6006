//! Good inputs of each format, as our own encoders and generators make them.

use fastrand::Rng;
use model::{Exemplar, LabelSet, MetricBatch};

use crate::diff::{Dialect, Generator, Node, data};

/// Random queries.
pub(super) fn queries() -> Vec<Vec<u8>> {
    let functions = promql::functions().iter().collect();
    let dialect = Dialect { functions, aligned: true };
    let queries = (0..600).map(|seed| Generator::new(seed, &dialect).query().0);
    // Some are damaged already.
    let queries = queries.filter(|query| !matches!(query, Node::Text(_)));
    let queries = queries.map(|query| query.to_string().into_bytes());
    let more = [
        "sum by (le) (rate({\"http.requests\", \"a.b\"=~\"x|y\"}[5m] offset -1m @ end()))",
        "m[5m:1m] @ 1e3 + on () group_left (a) fill(0) (n anchored)",
        "quantile_over_time(0x1_F, m[1h * 2 + step()]) >/ 1e-3 </ -Inf",
        "label_replace(m, \"a\", `$1\\n`, 'b', \"\\u00e9\\x41\") # note",
        "((((((((((1))))))))))",
        "-----1 ^ - 2 ^ 3 % 4 == bool 5 unless 6 or 7 and 8",
    ];
    queries.chain(more.map(|text| text.as_bytes().to_vec())).collect()
}

/// Series of test scripts.
pub(super) fn series() -> Vec<Vec<u8>> {
    let lines = [
        "m{a=\"b\", c='d'} 0+15x8 _ stale 1x3 _x2 -1e3 NaN Inf 1m",
        "{\"utf.8\", a=\"b\"} 1-2x3",
        "h {{schema:1 sum:-0.3 count:32.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3 n_buckets:[4.1 5] n_offset:-5}}",
        "h {{sum:3 count:2 buckets:[2] counter_reset_hint:gauge}}+{{sum:1.3 count:1 buckets:[1]}}x2 {{}}x3",
        "h {{schema:-53 sum:1 count:5 custom_values:[5 10] buckets:[1 4]}}",
        "m@st -15s 0 _ -1m+1sx3",
    ];
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}

/// Regular expressions.
pub(super) fn expressions() -> Vec<Vec<u8>> {
    let patterns = [
        "(.*)",
        "a|b|c",
        "(?i)http[s]?",
        "[^a-z\\d]+",
        "\\Qa.b\\E",
        "x{2,5}y{3}",
        "(?P<name>.+)-(\\w*)",
        "2{.*",
        "[[:alpha:]]",
        "^(?:a+)+$",
        "\\p{Greek}\\x{3b1}",
        "(a|b)*?c??",
        "\\bfoo\\B",
    ];
    patterns.iter().map(|pattern| pattern.as_bytes().to_vec()).collect()
}

/// Exposition text, classic and OpenMetrics.
pub(super) fn exposition() -> Vec<Vec<u8>> {
    let texts = [
        "# HELP a Help \\\\ with \\n escapes\n# TYPE a counter\na_total{b=\"c\\\"d\",e=\"\"} 1.5e3 1700000000000\na_total 2\n",
        "# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\nh_bucket{le=\"+Inf\"} 2 # {trace_id=\"x\"} 0.5 1.5\nh_sum 1\nh_count 2\n# EOF\n",
        "# TYPE s summary\n# UNIT s seconds\ns{quantile=\"0.5\"} NaN\ns_created 1.7e9\n{\"utf.8\",\"a b\"=\"c\"} -Inf\n# EOF\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Remote write requests, uncompressed, of both versions.
pub(super) fn remote_write() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for seed in 0..20 {
        let batch = batch(seed);
        out.push(wire::remote_write::encode(&batch));
        out.push(wire::remote_write::encode_v2(&batch));
    }
    out
}

/// A few series of all kinds.
fn batch(seed: u64) -> MetricBatch {
    let mut rng = Rng::with_seed(seed);
    let mut batch = MetricBatch::new();
    let all = data::generate(seed, true);
    for _ in 0..4 {
        let series = &all[rng.usize(0..all.len())];
        let mut pairs: Vec<(&str, &str)> =
            series.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if batch.start_series(&mut pairs).is_err() {
            continue;
        }
        series.samples.iter().take(3).for_each(|(ts_ms, value)| batch.push_sample(*ts_ms, *value));
        series.histograms.iter().take(2).for_each(|sample| batch.push_histogram(sample.clone()));
        if let Ok(labels) = LabelSet::from_pairs([("trace_id", "463ac35c9f6413ad")]) {
            batch.push_exemplar(Exemplar { labels, value: 1.5, ts_ms: data::START_MS });
        }
    }
    batch
}

/// OTLP metrics as JSON: every kind of point.
pub(super) fn otlp_metrics() -> Vec<Vec<u8>> {
    let point = r#""startTimeUnixNano":"1","timeUnixNano":"1700000000000000000","attributes":[{"key":"a.b","value":{"stringValue":"c"}}]"#;
    let metrics = [
        format!(
            r#"{{"name":"n","unit":"ms","sum":{{"isMonotonic":true,"aggregationTemporality":1,"dataPoints":[{{{point},"asInt":"5"}}]}}}}"#
        ),
        format!(r#"{{"name":"g","gauge":{{"dataPoints":[{{{point},"asDouble":1.5,"flags":1}}]}}}}"#),
        format!(
            r#"{{"name":"h","histogram":{{"aggregationTemporality":2,"dataPoints":[{{{point},"count":"3","sum":2.5,"bucketCounts":["1","2"],"explicitBounds":[1]}}]}}}}"#
        ),
        format!(
            r#"{{"name":"e","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[{{{point},"count":"3","sum":2.5,"scale":9,"zeroCount":"1","positive":{{"offset":-3,"bucketCounts":["1","1"]}}}}]}}}}"#
        ),
        format!(
            r#"{{"name":"s","summary":{{"dataPoints":[{{{point},"count":"3","sum":2.5,"quantileValues":[{{"quantile":0.5,"value":1}}]}}]}}}}"#
        ),
    ];
    let request = |metrics: &str| {
        let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]}"#;
        let text = format!(
            r#"{{"resourceMetrics":[{{"resource":{resource},"scopeMetrics":[{{"scope":{{"name":"x"}},"metrics":[{metrics}]}}]}}]}}"#
        );
        text.into_bytes()
    };
    let all = metrics.join(",");
    metrics.iter().chain([&all]).map(|metrics| request(metrics)).collect()
}

/// OTLP traces as JSON, and the same in protobuf.
pub(super) fn otlp_traces() -> Vec<Vec<u8>> {
    let text = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},"scopeSpans":[{"spans":[{"traceId":"463ac35c9f6413ad48485a3953bb6124","spanId":"1f6413ad48485a39","parentSpanId":"","name":"op","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"5","attributes":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},{"kvlistValue":{"values":[{"key":"b","value":{"boolValue":true}}]}}]}}}],"events":[{"timeUnixNano":"2","name":"e"}],"links":[{"traceId":"463ac35c9f6413ad48485a3953bb6124","spanId":"1f6413ad48485a39"}],"status":{"code":2,"message":"m"}}]}]}]}"#;
    let mut out = vec![text.as_bytes().to_vec()];
    if let Ok((spans, _)) = wire::otlp::decode_traces_json(text.as_bytes()) {
        out.push(wire::otlp::encode_traces(&spans.spans));
    }
    out
}

/// Snappy blocks.
pub(super) fn compressed() -> Vec<Vec<u8>> {
    let bodies = remote_write().into_iter().chain([vec![0; 5_000]]);
    bodies.filter_map(|body| snap::raw::Encoder::new().compress_vec(&body).ok()).collect()
}
