//! What is fed: each target takes any bytes and must answer, not panic, and not take long.

use model::{Appended, MatchOp, Matcher, MetricBatch};
use wire::otlp::{Deltas, MetricOptions};

use super::corpus;

/// Streams that one run's deltas may hold.
const STREAMS_MAX: usize = 1_000;
/// Bytes that a body may have after decompression.
const DECODED_BYTES_MAX: usize = 1 << 20;

/// One entry of bytes from outside.
pub(super) struct Target {
    pub(super) name: &'static str,
    /// Good inputs that are damaged.
    pub(super) corpus: fn() -> Vec<Vec<u8>>,
    /// Words of the format.
    pub(super) words: &'static [&'static str],
    /// Answers whether the input was good.
    pub(super) run: fn(&[u8]) -> bool,
}

pub(super) const TARGETS: [Target; 9] = [
    Target { name: "promql", corpus: corpus::queries, words: PROMQL, run: promql },
    Target {
        name: "series",
        corpus: corpus::series,
        words: &["{{", "}}", "x9", "stale", "_", "buckets:[", "schema:"],
        run: series,
    },
    Target {
        name: "regex",
        corpus: corpus::expressions,
        words: &["(?", "{9}", "[^", "\\p{", "|", "*+", "\\Q"],
        run: regex,
    },
    Target {
        name: "exposition",
        corpus: corpus::exposition,
        words: &["# TYPE ", "# EOF", "{le=\"", "\\\"", " # {"],
        run: exposition,
    },
    Target {
        name: "protobuf-exposition",
        corpus: corpus::remote_write,
        words: &[],
        run: protobuf_exposition,
    },
    Target { name: "remote-write", corpus: corpus::remote_write, words: &[], run: remote_write },
    Target { name: "otlp-metrics", corpus: corpus::otlp_metrics, words: OTLP, run: otlp_metrics },
    Target { name: "otlp-traces", corpus: corpus::otlp_traces, words: OTLP, run: otlp_traces },
    Target { name: "compressed", corpus: corpus::compressed, words: &[], run: compressed },
];

const PROMQL: &[&str] = &[
    "sum by (",
    "without ()",
    " offset ",
    "@ end()",
    "[5m:]",
    "{a=~\"",
    "on (a) group_left ",
    "bool ",
    "1_0",
    "0x",
    "-",
    "((",
    "\"\\x",
    "anchored",
    "fill(",
    "step()",
    "# c\n",
];
const OTLP: &[&str] =
    &["null", "[[", "{\"", "\"1e999\"", "-1", "\\ud800", "\"attributes\":[", "18446744073709551615"];

fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

/// What parses is printed and parses again, to the same.
fn promql(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    let parse = |text| promql::parse_with(text, &promql::Syntax::all());
    let Ok(expr) = parse(text) else {
        return promql::parse_selector(text).is_ok();
    };
    let printed = expr.to_string();
    let again = parse(&printed);
    let again = again.unwrap_or_else(|error| panic!("{text:?} is printed as {printed:?}: {error}"));
    assert_eq!(again.to_string(), printed, "printed twice");
    true
}

fn series(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    let has_starts = promql::series::parse_start_times(text).is_ok();
    let is_histogram = promql::series::parse_histogram(text).is_ok();
    promql::series::parse(text).is_ok() || has_starts || is_histogram
}

fn regex(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    match Matcher::new("label", MatchOp::Regex, text) {
        Ok(matcher) => {
            let _matches = matcher.matches(&"a".repeat(200)) || matcher.matches(text);
            true
        }
        Err(_) => false,
    }
}

fn exposition(input: &[u8]) -> bool {
    let Some(text) = text(input) else { return false };
    let parse = |format| {
        let mut pairs = Vec::new();
        wire::text::parse(format, text, 0, true, &mut |line| {
            if let wire::text::Line::Sample(sample) = line {
                sample.series.pairs(&mut pairs);
                let _labels_are_valid = sample.series.label_set().is_ok();
            }
        })
        .is_ok()
    };
    let is_classic = parse(wire::text::Format::Text004);
    parse(wire::text::Format::OpenMetrics) || is_classic
}

fn protobuf_exposition(input: &[u8]) -> bool {
    let forms = wire::exposition::HistogramForms { native: true, always_classic: true };
    wire::exposition::parse(input, forms, &mut |_| {}).is_ok()
}

fn remote_write(input: &[u8]) -> bool {
    let (mut batch, mut rejected) = (MetricBatch::new(), Appended::default());
    let is_first = wire::remote_write::decode(input, &mut batch, &mut rejected).is_ok();
    batch.clear();
    let is_second = wire::remote_write::decode_v2(input, &mut batch, &mut rejected).is_ok();
    let is_read = wire::remote_read::decode_request(input).is_ok();
    is_first || is_second || is_read
}

fn otlp_metrics(input: &[u8]) -> bool {
    let (options, deltas) = (MetricOptions::default(), Deltas::new(STREAMS_MAX));
    let mut batch = MetricBatch::new();
    let is_json = wire::otlp::decode_metrics_json(input, &options, &mut deltas.begin(), &mut batch).is_ok();
    batch.clear();
    wire::otlp::decode_metrics(input, &options, &mut deltas.begin(), &mut batch).is_ok() || is_json
}

fn otlp_traces(input: &[u8]) -> bool {
    let is_json = wire::otlp::decode_traces_json(input).is_ok();
    let is_log = wire::otlp::count_logs(input).is_ok();
    let is_json_log = wire::otlp::count_logs_json(input).is_ok();
    wire::otlp::decode_traces(input).is_ok() || is_json || is_log || is_json_log
}

fn compressed(input: &[u8]) -> bool {
    let encodings = ["gzip", "deflate", "zstd", "snappy"];
    let mut decoded = encodings
        .map(|encoding| wire::compress::decompress(Some(encoding), input, DECODED_BYTES_MAX))
        .into_iter();
    decoded.any(|decoded| decoded.is_ok_and(|bytes| bytes.len() <= DECODED_BYTES_MAX))
}
