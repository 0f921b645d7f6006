use expect_test::{Expect, expect};
use model::{Buckets, CUSTOM_BOUNDS_SCHEMA, ResetHint};
use proptest::prelude::*;

use super::*;
use crate::protobuf::{put_blob, put_double, put_message, put_packed_sint, put_sint, put_uint};
use crate::testing::damaged;

fn show(body: &[u8], forms: HistogramForms) -> String {
    let mut out = String::new();
    let parsed = parse(body, forms, &mut |item| match item {
        Item::Family { name, kind, help, unit } => {
            out.push_str(&format!("# {name} {kind:?} {help:?} {unit:?}\n"))
        }
        Item::Sample(sample) => {
            let labels = sample.series.label_set().expect("names do not repeat");
            let value = match &sample.value {
                Value::Float(value) => value.to_string(),
                Value::Histogram(histogram) => {
                    let buckets: Vec<_> = histogram.positive.iter().collect();
                    format!("schema {} count {} {buckets:?}", histogram.schema, histogram.count)
                }
            };
            out.push_str(&format!("{labels} {value}"));
            if let Some(ts_ms) = sample.ts_ms {
                out.push_str(&format!(" at {ts_ms}"));
            }
            if sample.start_ms != 0 {
                out.push_str(&format!(" since {}", sample.start_ms));
            }
            for exemplar in sample.exemplars {
                out.push_str(&format!(" # {} {} {}", exemplar.labels, exemplar.value, exemplar.ts_ms));
            }
            out.push('\n');
        }
    });
    if let Err(error) = parsed {
        out.push_str(&format!("{error}\n"));
    }
    out
}

/// Writes the fields of a `Metric`.
type PutMetric<'m> = &'m dyn Fn(&mut Vec<u8>);

fn family(name: &str, kind: u64, metrics: &[PutMetric<'_>]) -> Vec<u8> {
    let mut message = Vec::new();
    for metric in metrics {
        put_message(&mut message, 4, |out| metric(out));
    }
    put_blob(&mut message, 1, name.as_bytes());
    put_blob(&mut message, 2, b"Help.");
    put_uint(&mut message, 3, kind);
    let mut out = Vec::new();
    codec::put_varint(&mut out, message.len() as u64);
    out.extend(message);
    out
}

fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    put_message(out, 1, |out| {
        put_blob(out, 1, name.as_bytes());
        put_blob(out, 2, value.as_bytes());
    });
}

fn exemplar(out: &mut Vec<u8>, number: u32, value: f64, seconds: u64) {
    put_message(out, number, |out| {
        label(out, "trace_id", "ab");
        put_double(out, 2, value);
        if seconds > 0 {
            put_message(out, 3, |out| put_uint(out, 1, seconds));
        }
    });
}

fn histogram(out: &mut Vec<u8>) {
    label(out, "path", "a\"b\\c\n");
    put_message(out, 7, |out| {
        put_uint(out, 1, 6);
        put_double(out, 2, 9.5);
        for (count, bound) in [(1, 0.5), (4, 1.0), (6, 2e6)] {
            put_message(out, 3, |out| {
                put_uint(out, 1, count);
                put_double(out, 2, bound);
                if bound == 1.0 {
                    exemplar(out, 3, 0.7, 3);
                }
            });
        }
        put_sint(out, 5, 3);
        put_double(out, 6, 1e-128);
        put_uint(out, 7, 1);
        put_message(out, 12, |out| put_uint(out, 2, 2));
        put_packed_sint(out, 13, [2, 1].into_iter());
        put_message(out, 15, |out| {
            put_uint(out, 1, 1);
            put_uint(out, 2, 500_000_000);
        });
    });
}

#[track_caller]
fn check(body: &[u8], forms: HistogramForms, want: Expect) {
    want.assert_eq(&show(body, forms));
}

#[test]
fn counters_gauges_and_summaries() {
    let mut body = family(
        "requests_total",
        0,
        &[&|out| {
            label(out, "code", "200");
            put_message(out, 3, |out| {
                put_double(out, 1, 7.0);
                exemplar(out, 2, 1.0, 0);
                put_message(out, 3, |out| put_uint(out, 1, 5));
            });
        }],
    );
    body.extend(family(
        "temp.indoor",
        1,
        &[&|out| {
            label(out, "room.name", "x");
            put_message(out, 2, |out| put_double(out, 1, -3.5));
            put_uint(out, 6, 1234);
        }],
    ));
    body.extend(family(
        "rpc",
        2,
        &[&|out| {
            put_message(out, 4, |out| {
                put_uint(out, 1, 3);
                put_double(out, 2, 6.0);
                put_message(out, 3, |out| {
                    put_double(out, 1, 0.99);
                    put_double(out, 2, 4.0);
                });
            });
        }],
    ));
    check(
        &body,
        HistogramForms::default(),
        expect![[r##"
        # requests_total Counter "Help." ""
        requests_total{code="200"} 7 since 5000 # {trace_id="ab"} 1 0
        # temp.indoor Gauge "Help." ""
        {__name__="temp.indoor", "room.name"="x"} -3.5 at 1234
        # rpc Summary "Help." ""
        rpc_count 3
        rpc_sum 6
        rpc{quantile="0.99"} 4
    "##]],
    );
}

#[test]
fn histograms_in_each_form() {
    let body = family("h", 4, &[&histogram]);
    let classic = HistogramForms::default();
    let native = HistogramForms { native: true, always_classic: false };
    let both = HistogramForms { native: true, always_classic: true };
    check(
        &body,
        classic,
        expect![[r##"
        # h Histogram "Help." ""
        h_count{path="a\"b\\c\n"} 6 since 1500
        h_sum{path="a\"b\\c\n"} 9.5 since 1500
        h_bucket{le="0.5", path="a\"b\\c\n"} 1 since 1500
        h_bucket{le="1.0", path="a\"b\\c\n"} 4 since 1500 # {trace_id="ab"} 0.7 3000
        h_bucket{le="2e+06", path="a\"b\\c\n"} 6 since 1500
        h_bucket{le="+Inf", path="a\"b\\c\n"} 6 since 1500
    "##]],
    );
    check(
        &body,
        native,
        expect![[r##"
        # h Histogram "Help." ""
        h{path="a\"b\\c\n"} schema 3 count 6 [(0, 2.0), (1, 3.0)] since 1500 # {trace_id="ab"} 0.7 3000
    "##]],
    );
    assert_eq!(show(&body, both).lines().count(), show(&body, classic).lines().count() + 1);
}

#[test]
fn what_makes_no_sense_names_its_offset() {
    check(
        &[5, 1],
        HistogramForms::default(),
        expect![[r#"
        malformed protobuf exposition at offset 0: a metric family is cut short
    "#]],
    );
    check(
        &family("", 1, &[&|out| put_message(out, 2, |_| ())]),
        HistogramForms::default(),
        expect![[r##"
        #  Gauge "Help." ""
        malformed protobuf exposition at offset 3: a metric of a family without a name
    "##]],
    );
    check(
        &family("x", 9, &[]),
        HistogramForms::default(),
        expect![[r#"
        malformed protobuf exposition at offset 12: metric type 9 is unknown
    "#]],
    );
    check(
        &family("x", 1, &[&|out| label(out, "a", "1")]),
        HistogramForms::default(),
        expect![[r##"
        # x Gauge "Help." ""
        malformed protobuf exposition at offset 3: a metric without a value
    "##]],
    );
}

#[test]
fn floats_are_written_as_go_writes_them() {
    for (value, want) in [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (0.5, "0.5"),
        (100_000.0, "100000.0"),
        (1_000_000.0, "1e+06"),
        (1.234e9, "1.234e+09"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-2.0, "-2.0"),
        (f64::INFINITY, "+Inf"),
    ] {
        assert_eq!(open_metrics_float(value), want);
        assert_eq!(parse_go_float(want), Some(value));
    }
}

#[test]
fn content_types() {
    let full = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    assert!(is_content_type(full) && is_content_type("application/vnd.google.protobuf"));
    assert!(
        !is_content_type("application/vnd.google.protobuf;encoding=text") && !is_content_type("text/plain")
    );
}

#[test]
fn what_is_federated_is_read_back() {
    let labels = [("job".to_owned(), "a\"b".to_owned())];
    let mut parsed = None;
    parse(
        &family("h", 4, &[&histogram]),
        HistogramForms { native: true, always_classic: false },
        &mut |item| {
            if let Item::Sample(sample) = item {
                parsed = Some(sample.value);
            }
        },
    )
    .expect("well-formed");
    let samples = [Value::Float(1.5), parsed.expect("a histogram")].map(|value| Untyped {
        labels: &labels,
        value,
        ts_ms: 7,
    });
    let mut out = Vec::new();
    encode_untyped(&mut out, "m.x", &samples);
    check(
        &out,
        HistogramForms { native: true, always_classic: false },
        expect![[r##"
        # m.x Unknown "" ""
        {__name__="m.x", job="a\"b"} 1.5 at 7
        # m.x Histogram "" ""
        {__name__="m.x", job="a\"b"} schema 3 count 6 [(0, 2.0), (1, 3.0)] at 7
    "##]],
    );
}

#[test]
fn gauges_stay_gauges_and_custom_bounds_become_classic_buckets() {
    let labels = [("job".to_owned(), "a".to_owned())];
    let custom = Histogram {
        schema: CUSTOM_BOUNDS_SCHEMA,
        count: 6.0,
        sum: 9.5,
        positive: Buckets::from_ascending([(0, 2.0), (2, 4.0)]),
        custom_bounds: [0.5, 1.0].into(),
        ..Histogram::default()
    };
    let gauge = Histogram {
        reset_hint: ResetHint::Gauge,
        is_float: true,
        count: 1.5,
        positive: Buckets::from_ascending([(1, 1.5)]),
        ..Histogram::default()
    };
    let samples = [custom, gauge].map(|histogram| Untyped {
        labels: &labels,
        value: Value::Histogram(histogram.into()),
        ts_ms: 7,
    });
    let mut out = Vec::new();
    encode_untyped(&mut out, "h", &samples);
    check(
        &out,
        HistogramForms { native: true, always_classic: false },
        expect![[r##"
        # h Histogram "" ""
        h_count{job="a"} 6 at 7
        h_sum{job="a"} 9.5 at 7
        h_bucket{job="a", le="0.5"} 2 at 7
        h_bucket{job="a", le="1.0"} 2 at 7
        h_bucket{job="a", le="+Inf"} 6 at 7
        # h GaugeHistogram "" ""
        h{job="a"} schema 0 count 1.5 [(1, 1.5)] at 7
    "##]],
    );
}

proptest! {
    #[test]
    fn damaged_and_random_bytes_never_panic(body in damaged(family("h", 4, &[&histogram, &histogram])), random: Vec<u8>) {
        for body in [body, random] {
            let forms = HistogramForms { native: true, always_classic: true };
            let parsed = parse(&body, forms, &mut |item| {
                if let Item::Sample(Sample { value: Value::Histogram(histogram), .. }) = item {
                    assert_eq!(histogram.validate(), Ok(()));
                }
            });
            // Nothing more to say: it came back.
            let _is_ok = parsed.is_ok();
        }
    }
}
