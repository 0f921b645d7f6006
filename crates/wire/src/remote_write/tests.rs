use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::protobuf::{
    put_blob, put_message, put_oneof_blob, put_oneof_fixed64, put_packed_varint, put_uint,
};
use crate::testing::{damaged, histogram_samples};
type RawLabels<'a> = &'a [(&'a [u8], &'a [u8])];

/// A request of series in the order and form given, valid or not.
fn request(series: &[(RawLabels<'_>, &[(i64, f64)])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (labels, samples) in series {
        put_message(&mut out, 1, |out| {
            for (name, value) in *labels {
                put_message(out, 1, |out| {
                    put_blob(out, 1, name);
                    put_blob(out, 2, value);
                });
            }
            for (ts_ms, value) in *samples {
                put_message(out, 2, |out| {
                    put_oneof_fixed64(out, 1, value.to_bits());
                    put_uint(out, 2, ts_ms.cast_unsigned());
                });
            }
        });
    }
    out
}

fn render(batch: &MetricBatch, rejected: &Appended) -> String {
    let mut out = String::new();
    for series in batch.series() {
        out.push_str(&format!("{} {:?} {:?}", series.labels, series.ts_ms, series.values));
        if !series.start_ms.is_empty() {
            out.push_str(&format!(" since {:?}", series.start_ms));
        }
        out.push('\n');
        for sample in series.histograms {
            let (ts_ms, start_ms, histogram) = (sample.ts_ms, sample.start_ms, &sample.histogram);
            let buckets: Vec<_> = histogram.positive.iter().collect();
            let (count, sum) = (histogram.count, histogram.sum);
            out.push_str(&format!(
                "  histogram at {ts_ms} since {start_ms}: count {count} sum {sum} {buckets:?}\n"
            ));
        }
        for exemplar in series.exemplars {
            out.push_str(&format!(
                "  exemplar {} {} at {}\n",
                exemplar.labels, exemplar.value, exemplar.ts_ms
            ));
        }
    }
    for metadata in &batch.metadata {
        out.push_str(&format!("{metadata:?}\n"));
    }
    for rejection in &rejected.rejected {
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
fn check(body: &[u8], want: Expect) {
    let (mut batch, mut rejected) = (MetricBatch::new(), Appended::default());
    match decode(body, &mut batch, &mut rejected) {
        Ok(_) => want.assert_eq(&render(&batch, &rejected)),
        Err(error) => want.assert_eq(&error.to_string()),
    }
}

#[test]
fn labels_become_canonical() {
    let up = [(&b"job"[..], &b"a"[..]), (b"__name__", b"up"), (b"empty", b"")];
    check(
        &request(&[(&up, &[(1, 1.0), (-2, f64::INFINITY)])]),
        expect![[r#"
            up{job="a"} [1, -2] [1.0, inf]
        "#]],
    );
}

#[test]
fn invalid_series_are_refused_and_the_rest_is_kept() {
    let sample = &[(5, 1.0)][..];
    let name = (&b"__name__"[..], &b"m"[..]);
    check(
        &request(&[
            (&[name, (b"a", b"1"), (b"a", b"2")], &[(5, 1.0), (6, 2.0)]),
            (&[], sample),
            (&[(b"job", b"x")], sample),
            (&[name, (b"", b"x")], sample),
            (&[name, (b"a", b"\xff")], sample),
            (&[name], sample),
            (&[(b"job", b"no samples, nothing lost")], &[]),
        ]),
        expect![[r#"
            m [5] [1.0]
            6 x invalid_labels: duplicate label name "a" in "m"
        "#]],
    );
}

#[test]
fn histograms_and_exemplars_stay_with_their_series() {
    let mut body = Vec::new();
    put_message(&mut body, 1, |out| {
        // The labels may stand last.
        put_message(out, 4, |out| {
            put_uint(out, 1, 3);
            put_message(out, 11, |out| put_uint(out, 2, 2));
            put_blob(out, 12, &[2, 2]);
            put_uint(out, 15, 8);
        });
        put_message(out, 4, |out| put_uint(out, 1, 7));
        put_message(out, 3, |out| {
            put_message(out, 1, |out| {
                put_blob(out, 1, b"trace_id");
                put_blob(out, 2, b"ab");
            });
            put_oneof_fixed64(out, 2, 1_f64.to_bits());
            put_uint(out, 3, 8);
        });
        put_message(out, 3, |out| put_message(out, 1, |out| put_blob(out, 2, b"without a name")));
        put_message(out, 2, |out| put_uint(out, 2, 9));
        put_message(out, 1, |out| {
            put_blob(out, 1, b"__name__");
            put_blob(out, 2, b"h");
        });
    });
    check(
        &body,
        expect![[r#"
            h [9] [0.0]
              histogram at 8 since 0: count 3 sum 0 [(0, 1.0), (1, 2.0)]
              exemplar {trace_id="ab"} 1 at 8
            1 x invalid_histogram: histogram "h": 0 observations are in the buckets, but the count is 7
        "#]],
    );
    let decoded = decode(&body, &mut MetricBatch::new(), &mut Appended::default());
    assert_eq!(decoded, Ok(Decoded { exemplars_refused: 1 }));
}

#[test]
fn references_that_point_nowhere_cost_their_series() {
    let mut body = Vec::new();
    for symbol in [&b""[..], b"__name__", b"m", b"\xff", b"help"] {
        put_oneof_blob(&mut body, 4, symbol);
    }
    for references in [&[1, 2][..], &[1, 9], &[1], &[1, 3], &[2, 2], &[1, 2, 2, 1]] {
        put_message(&mut body, 5, |out| {
            put_packed_varint(out, 1, references.iter().copied());
            put_message(out, 2, |out| {
                put_uint(out, 2, 5);
                put_uint(out, 3, 4);
            });
            put_message(out, 5, |out| {
                put_uint(out, 1, 1);
                put_uint(out, 3, 4);
                put_uint(out, 4, 99);
            });
        });
    }
    let (mut batch, mut rejected) = (MetricBatch::new(), Appended::default());
    decode_v2(&body, &mut batch, &mut rejected).expect("well-formed");
    expect![[r#"
        m [5] [0.0] since [4]
        m{m="__name__"} [5] [0.0] since [4]
        MetricMetadata { family: "m", kind: Counter, help: "help", unit: "" }
        4 x invalid_labels: label reference 9 points beyond 5 symbols
    "#]]
    .assert_eq(&render(&batch, &rejected));
}

#[test]
fn version_one_is_told_from_version_two() {
    let body = request(&[(&[(b"__name__", b"up")], &[(1, 1.0)])]);
    let error = decode_v2(&body, &mut MetricBatch::new(), &mut Appended::default()).expect_err("1.0");
    assert_eq!(
        error.to_string(),
        "malformed remote write 2.0 request at offset 2: field 1 belongs to version 1.0 of the protocol"
    );
}

#[test]
fn malformed_bytes_name_their_offset() {
    let body = request(&[(&[(b"__name__", b"up")], &[(1, 1.0)])]);
    check(
        &body[..body.len() - 1],
        expect![
            "malformed remote write request at offset 0: length-delimited value is cut short or too long"
        ],
    );
    // A label that claims to be longer than its series.
    check(
        &[0x0a, 3, 0x0a, 9, 0],
        expect![
            "malformed remote write request at offset 2: length-delimited value is cut short or too long"
        ],
    );
    check(
        &[0x0a, 2, 0x08, 1],
        expect!["malformed remote write request at offset 3: field 1 is not a byte string"],
    );
    check(&[0x0b], expect!["malformed remote write request at offset 0: field 1 has unknown wire type 3"]);
    check(&[0x02], expect!["malformed remote write request at offset 0: field number 0 is out of range"]);
    check(
        &[0xff; 12],
        expect!["malformed remote write request at offset 0: field key is cut short or too long"],
    );
    check(
        b"not protobuf",
        expect!["malformed remote write request at offset 0: field 13 has unknown wire type 6"],
    );
    check(b"", expect![""]);
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{1,8}", "\\PC{1,12}"]
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let exemplar = (label(), label(), any::<i32>(), any::<i64>()).prop_map(|(name, value, number, ts_ms)| {
        let labels = LabelSet::from_pairs([(name.as_str(), value.as_str())]).expect("one label");
        Exemplar { labels, value: f64::from(number), ts_ms }
    });
    proptest::collection::vec(exemplar, 0..3)
}

fn batches() -> impl Strategy<Value = MetricBatch> {
    let labels = proptest::collection::btree_map(label(), label(), 0..6);
    let samples = proptest::collection::vec((any::<i64>(), any::<u64>(), any::<i64>()), 1..4);
    let metadata = (label(), 0..KINDS.len(), "\\PC{0,9}", "[a-z]{0,3}");
    let series = proptest::collection::vec((labels, samples, histogram_samples(), exemplars()), 0..6);
    (series, proptest::collection::vec(metadata, 0..3)).prop_map(|(series, metadata)| {
        let mut batch = MetricBatch::new();
        for (mut labels, samples, histograms, exemplars) in series {
            labels.insert(METRIC_NAME.to_owned(), "m".to_owned());
            let mut pairs: Vec<_> =
                labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            batch.start_series(&mut pairs).expect("names are unique");
            for (ts_ms, bits, start_ms) in samples {
                batch.push_sample_since(ts_ms, f64::from_bits(bits), start_ms);
            }
            histograms.into_iter().for_each(|sample| batch.push_histogram(sample));
            exemplars.into_iter().for_each(|exemplar| batch.push_exemplar(exemplar));
        }
        batch.metadata = metadata
            .into_iter()
            .map(|(family, kind, help, unit)| MetricMetadata { family, kind: KINDS[kind], help, unit })
            .collect();
        batch
    })
}

/// Text that compares bits, so that the stale marker and other NaNs count too; `with_starts` as only 2.0 has them.
fn exact(batch: &MetricBatch, with_starts: bool) -> Vec<String> {
    let row = |series: model::SeriesRef<'_>| {
        let values: Vec<_> = series.values.iter().map(|value| value.to_bits()).collect();
        let starts: Vec<_> = series.start_ms.iter().filter(|_| with_starts).collect();
        let histograms: Vec<_> = series
            .histograms
            .iter()
            .map(|sample| {
                let start_ms = if with_starts { sample.start_ms } else { 0 };
                (sample.ts_ms, start_ms, &sample.histogram, sample.histogram.sum.to_bits())
            })
            .collect();
        let (labels, exemplars) = (series.labels.as_bytes(), series.exemplars);
        format!("{labels:?} {:?} {values:?} {starts:?} {histograms:?} {exemplars:?}", series.ts_ms)
    };
    batch.series().map(row).collect()
}

proptest! {
    #[test]
    fn decode_of_encode_is_the_batch(batch in batches()) {
        let (mut back, mut rejected) = (MetricBatch::new(), Appended::default());
        decode(&encode(&batch), &mut back, &mut rejected).unwrap();
        prop_assert_eq!(exact(&back, false), exact(&batch, false));
        prop_assert_eq!(&back.metadata, &batch.metadata);
        prop_assert_eq!(rejected, Appended::default());
    }

    /// The general walk sorts and the copy does not: they must agree.
    #[test]
    fn decode_of_encode_is_the_batch_in_version_two(batch in batches()) {
        let (mut back, mut rejected) = (MetricBatch::new(), Appended::default());
        decode_v2(&encode_v2(&batch), &mut back, &mut rejected).unwrap();
        prop_assert_eq!(exact(&back, true), exact(&batch, true));
        prop_assert_eq!(rejected, Appended::default());
    }

    #[test]
    fn the_order_of_labels_does_not_matter(batch in batches()) {
        let (mut body, mut back) = (Vec::new(), MetricBatch::new());
        for series in batch.series() {
            let mut labels: Vec<_> = series.labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            labels.reverse();
            let samples: Vec<_> = series.ts_ms.iter().copied().zip(series.values.iter().copied()).collect();
            body.extend(request(&[(&labels, &samples)]));
        }
        decode(&body, &mut back, &mut Appended::default()).unwrap();
        let floats = |batch: &MetricBatch| -> Vec<_> {
                batch.series().map(|series| (series.labels.to_owned(), series.ts_ms.to_vec(), series.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())).collect()
            };
            prop_assert_eq!(floats(&back), floats(&batch));
    }

    #[test]
    fn any_prefix_is_an_error_or_fewer_series(batch in batches(), at: prop::sample::Index) {
        let body = encode(&batch);
        let at = if body.is_empty() { 0 } else { at.index(body.len()) };
        let mut back = MetricBatch::new();
        if decode(&body[..at], &mut back, &mut Appended::default()).is_ok() {
            let whole = batch.series_count() + batch.metadata.len();
            prop_assert!(whole == 0 || back.series_count() + back.metadata.len() < whole);
        }
    }

    #[test]
    fn damaged_and_random_bytes_never_panic(
        damaged in batches().prop_filter("some bytes", |batch| batch.series_count() > 0).prop_flat_map(|batch| damaged(encode(&batch))),
        damaged_v2 in batches().prop_filter("some bytes", |batch| batch.series_count() > 0).prop_flat_map(|batch| damaged(encode_v2(&batch))),
        random: Vec<u8>,
    ) {
        for body in [damaged, damaged_v2, random] {
            let (mut batch, mut rejected) = (MetricBatch::new(), Appended::default());
            let mut back = (MetricBatch::new(), Appended::default());
            let _decoded = decode_v2(&body, &mut back.0, &mut back.1).is_ok();
            if decode(&body, &mut batch, &mut rejected).is_ok() {
                // What is kept is canonical, whatever the bytes were.
                for series in batch.series() {
                    prop_assert!(model::LabelSetRef::from_canonical(series.labels.as_bytes()).is_ok());
                    prop_assert!(!series.labels.get(METRIC_NAME).unwrap_or_default().is_empty());
                }
            }
        }
    }
}
