//! How fast the decoders are: `cargo run --release -p wire --example decode_speed`.
//!
//! Prints ns per sample of remote write, MB/s of exposition text, and ns per span of OTLP (needs the recorded batch of
//! 512 spans below `EINO_SHARED`). One thread, the best of several rounds.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that measures and prints")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use model::{Appended, MetricBatch};
use wire::text::{Format, Line};

const SERIES: usize = 10_000;
const ROUNDS: usize = 15;

fn main() {
    remote_write();
    text();
    otlp();
}

fn best(mut run: impl FnMut()) -> Duration {
    let round = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

/// Ten labels a series and one sample, as a scrape of many targets has them.
fn batch() -> MetricBatch {
    let mut batch = MetricBatch::new();
    for index in 0..SERIES {
        let (instance, path) =
            (format!("10.0.{}.{}:9100", index / 250, index % 250), format!("/api/v1/item/{}", index % 40));
        let mut pairs = [
            ("__name__", "http_request_duration_seconds_bucket"),
            ("cluster", "eu-west-1"),
            ("code", "200"),
            ("handler", path.as_str()),
            ("instance", instance.as_str()),
            ("job", "checkout"),
            ("le", "0.25"),
            ("method", "GET"),
            ("namespace", "production"),
            ("pod", "checkout-7d9f5c5b6-x2x7k"),
        ];
        if batch.push(&mut pairs, 1_700_000_000_000 + index as i64, index as f64).is_err() {
            return batch;
        }
    }
    batch
}

fn remote_write() {
    let body = wire::remote_write::encode(&batch());
    let mut out = MetricBatch::new();
    let elapsed = best(|| {
        out.clear();
        let decoded = wire::remote_write::decode(black_box(&body), &mut out, &mut Appended::default());
        assert!(decoded.is_ok() && out.sample_count() == SERIES);
    });
    report("remote write, 10 labels", elapsed, SERIES, "sample", body.len());
}

fn text() {
    let mut body = String::new();
    for series in batch().series() {
        let labels: Vec<_> =
            series.labels.iter().skip(1).map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let value = series.values.first().copied().unwrap_or_default() * 1.25;
        let written = writeln!(body, "http_request_duration_seconds_bucket{{{}}} {value}", labels.join(","));
        assert!(written.is_ok());
    }
    let mut open_metrics = body.clone();
    open_metrics.push_str("# EOF\n");
    for (name, format, body) in
        [("text 0.0.4", Format::Text004, &body), ("OpenMetrics", Format::OpenMetrics, &open_metrics)]
    {
        let elapsed = best(|| {
            let mut samples = 0;
            let mut visit =
                |line: Line<'_>| samples += usize::from(matches!(black_box(line), Line::Sample(_)));
            let parsed = wire::text::parse(format, black_box(body), 0, true, &mut visit);
            assert!(parsed.is_ok() && samples == SERIES);
        });
        report(name, elapsed, SERIES, "sample", body.len());
    }
}

fn otlp() {
    let shared = std::env::var("EINO_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let Ok(body) = std::fs::read(format!("{shared}/conformance/wire/otlp_batch_512.pb")) else {
        println!("otlp: skipped, no recorded batch below {shared}");
        return;
    };
    let Ok((batch, _)) = wire::otlp::decode_traces(&body) else { return };
    let spans = batch.spans.len();
    let json = wire::otlp::encode_traces_json(&batch.spans);
    let decode = best(|| assert!(wire::otlp::decode_traces(black_box(&body)).is_ok()));
    report("OTLP traces, decode", decode, spans, "span", body.len());
    let encode = best(|| assert!(!wire::otlp::encode_traces(black_box(&batch.spans)).is_empty()));
    report("OTLP traces, encode", encode, spans, "span", body.len());
    let decode = best(|| assert!(wire::otlp::decode_traces_json(black_box(json.as_bytes())).is_ok()));
    report("OTLP JSON traces, decode", decode, spans, "span", json.len());
}

fn report(what: &str, elapsed: Duration, items: usize, item: &str, bytes: usize) {
    let ns = elapsed.as_nanos() as f64;
    println!(
        "{what}: {:.0} ns/{item}, {:.0} MB/s ({bytes} bytes)",
        ns / items as f64,
        bytes as f64 / ns * 1e3
    );
}
