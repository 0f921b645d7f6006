//! `/federate` in protobuf, read back as a scraper does.

use std::fmt::Write;

use wire::exposition::{HistogramForms, Item, Value, parse};

use crate::rig::{Rig, RigOptions};

const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

/// Content type and samples.
async fn federated(rig: &Rig, selector: &str, accept: &str) -> (String, String) {
    let answer =
        rig.ask("GET", &format!("/federate?match%5B%5D={selector}"), &[("Accept", accept)], "").await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let mut out = String::new();
    let forms = HistogramForms { native: true, always_classic: false };
    let read = parse(&answer.body, forms, &mut |item| {
        let written = match item {
            Item::Family { name, kind, .. } => writeln!(out, "# {name} {kind:?}"),
            Item::Sample(sample) => {
                let (series, ts_ms) = (sample.series.raw(), sample.ts_ms.expect("a time"));
                match sample.value {
                    Value::Float(value) => writeln!(out, "{series} {value} {ts_ms}"),
                    Value::Histogram(histogram) => {
                        writeln!(out, "{series} count {} sum {} {ts_ms}", histogram.count, histogram.sum)
                    }
                }
            }
        };
        written.expect("a String takes all");
    });
    read.expect("well-formed");
    (answer.header("content-type").to_owned(), out)
}

#[tokio::test(start_paused = true)]
async fn protobuf_has_native_histograms_and_all_names() {
    let rig = Rig::start(RigOptions::default()).await;
    let (media, samples) = federated(&rig, "%7B%7D", &format!("{PROTOBUF};escaping=allow-utf-8")).await;
    assert_eq!(
        media,
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8"
    );
    expect_test::expect![[r##"
        # cache.hits Unknown
        {"cache.hits","cache.name"="l1",instance="",job="external",site="test",} 239 1767225600000
        # http_requests_total Unknown
        http_requests_total{code="200",job="api",instance="",site="test",} 7170 1767225600000
        http_requests_total{code="500",job="api",instance="",site="test",} 358.5 1767225600000
        # latency_seconds Histogram
        latency_seconds{job="api",instance="",site="test",} count 717 sum 1075.5 1767225600000
        # temperature Unknown
        temperature{room="a \"b\"",instance="",job="external",site="test",} 43.900000000000006 1767225600000
        # up Unknown
        up{instance="a:1",job="api",site="test",} 1 1767225600000
        up{instance="b:1",job="api",site="test",} 0 1767225600000
    "##]]
    .assert_eq(&samples);
    let (_, samples) = federated(&rig, "%7B%22cache.hits%22%7D", PROTOBUF).await;
    expect_test::expect![[r##"
        # cache_hits Unknown
        cache_hits{cache_name="l1",instance="",job="external",site="test",} 239 1767225600000
    "##]]
    .assert_eq(&samples);
}
