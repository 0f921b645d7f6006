//! Names, labels and buckets of the series written back.

use model::{MetricBatch, MetricKind, MetricMetadata, SpanKind, StatusCode};

use super::{Edge, EdgeKey, PathKey, RedKey};
use crate::ExpHistogram;

/// Upper bounds of the classic buckets: the label and the bound in nanoseconds.
const BOUNDS: &[(&str, u64)] = &[
    ("0.002", 2_000_000),
    ("0.004", 4_000_000),
    ("0.008", 8_000_000),
    ("0.016", 16_000_000),
    ("0.032", 32_000_000),
    ("0.064", 64_000_000),
    ("0.128", 128_000_000),
    ("0.256", 256_000_000),
    ("0.512", 512_000_000),
    ("1.024", 1_024_000_000),
    ("2.048", 2_048_000_000),
    ("4.096", 4_096_000_000),
    ("8.192", 8_192_000_000),
    ("16.384", 16_384_000_000),
];

/// Families, kinds, helps. The first two histograms are the same numbers under the names of Tempo and of the
/// OpenTelemetry collector.
const FAMILIES: &[(&str, MetricKind, &str)] = &[
    ("traces_spanmetrics_calls_total", MetricKind::Counter, "Spans."),
    ("traces_spanmetrics_latency", MetricKind::Histogram, "Durations of spans in seconds."),
    ("traces_spanmetrics_duration_seconds", MetricKind::Histogram, "Durations of spans."),
    ("traces_service_graph_request_total", MetricKind::Counter, "Calls between services."),
    ("traces_service_graph_request_failed_total", MetricKind::Counter, "Failed calls between services."),
    (
        "traces_service_graph_request_server_seconds",
        MetricKind::Histogram,
        "Calls as the called side saw them.",
    ),
    ("traces_service_graph_request_client_seconds", MetricKind::Histogram, "Calls as the caller saw them."),
    (
        "eino_critical_path_seconds_total",
        MetricKind::Counter,
        "Time on the critical path of traces that enter at `entry`, by the operation it was spent in.",
    ),
];

pub(super) fn metadata(out: &mut MetricBatch) {
    out.metadata.extend(FAMILIES.iter().map(|(family, kind, help)| MetricMetadata {
        family: (*family).to_owned(),
        kind: *kind,
        help: (*help).to_owned(),
        unit: String::new(),
    }));
}

pub(super) fn red(out: &mut MetricBatch, now_ms: i64, key: &RedKey, histogram: &ExpHistogram) {
    let labels = [
        ("service", &*key.service),
        ("span_name", &*key.operation),
        ("span_kind", kind_label(key.kind)),
        ("status_code", status_label(key.status)),
    ];
    push(out, now_ms, "traces_spanmetrics_calls_total", &labels, histogram.count() as f64);
    push_histogram(out, now_ms, "traces_spanmetrics_latency", &labels, histogram);
    push_histogram(out, now_ms, "traces_spanmetrics_duration_seconds", &labels, histogram);
}

pub(super) fn edge(out: &mut MetricBatch, now_ms: i64, key: &EdgeKey, edge: &Edge) {
    let labels = [("client", &*key.client), ("server", &*key.server), ("connection_type", key.kind.as_str())];
    push(out, now_ms, "traces_service_graph_request_total", &labels, edge.calls as f64);
    push(out, now_ms, "traces_service_graph_request_failed_total", &labels, edge.failed as f64);
    push_histogram(out, now_ms, "traces_service_graph_request_server_seconds", &labels, &edge.server);
    push_histogram(out, now_ms, "traces_service_graph_request_client_seconds", &labels, &edge.client);
}

pub(super) fn path(out: &mut MetricBatch, now_ms: i64, key: &PathKey, ns: u128) {
    let labels = [
        ("service", &*key.service),
        ("operation", &*key.operation),
        ("entry", &*key.entry),
        ("class", key.class.as_str()),
    ];
    push(out, now_ms, "eino_critical_path_seconds_total", &labels, ns as f64 / 1e9);
}

fn push_histogram(
    out: &mut MetricBatch,
    now_ms: i64,
    name: &str,
    labels: &[(&str, &str)],
    histogram: &ExpHistogram,
) {
    if histogram.count() == 0 {
        return;
    }
    let buckets = format!("{name}_bucket");
    let mut labels = labels.to_vec();
    for (le, bound_ns) in BOUNDS {
        labels.push(("le", le));
        push(out, now_ms, &buckets, &labels, histogram.count_at_most(*bound_ns) as f64);
        labels.pop();
    }
    labels.push(("le", "+Inf"));
    push(out, now_ms, &buckets, &labels, histogram.count() as f64);
    labels.pop();
    push(out, now_ms, &format!("{name}_sum"), &labels, histogram.sum_seconds());
    push(out, now_ms, &format!("{name}_count"), &labels, histogram.count() as f64);
}

fn push(out: &mut MetricBatch, now_ms: i64, name: &str, labels: &[(&str, &str)], value: f64) {
    let mut pairs: Vec<_> = labels.iter().copied().chain([("__name__", name)]).collect();
    let added = out.push(&mut pairs, now_ms, value);
    debug_assert!(added.is_ok(), "BUG: label names here are fixed and distinct");
}

fn kind_label(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "SPAN_KIND_UNSPECIFIED",
        SpanKind::Internal => "SPAN_KIND_INTERNAL",
        SpanKind::Server => "SPAN_KIND_SERVER",
        SpanKind::Client => "SPAN_KIND_CLIENT",
        SpanKind::Producer => "SPAN_KIND_PRODUCER",
        SpanKind::Consumer => "SPAN_KIND_CONSUMER",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status {
        StatusCode::Unset => "STATUS_CODE_UNSET",
        StatusCode::Ok => "STATUS_CODE_OK",
        StatusCode::Error => "STATUS_CODE_ERROR",
    }
}
