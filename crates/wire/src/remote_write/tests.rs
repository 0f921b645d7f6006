use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::testing::damaged;

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
        out.push_str(&format!("{} {:?} {:?}\n", series.labels, series.ts_ms, series.values));
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
fn native_histograms_are_refused_and_exemplars_are_counted() {
    let mut body = Vec::new();
    put_message(&mut body, 1, |out| {
        // The labels may stand last.
        put_message(out, 4, |out| put_uint(out, 1, 7));
        put_message(out, 3, |out| put_oneof_fixed64(out, 2, 0));
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
            1 x unsupported: native histogram "h": only float samples are stored, send classic histograms
        "#]],
    );
    let decoded = decode(&body, &mut MetricBatch::new(), &mut Appended::default());
    assert_eq!(decoded, Ok(Decoded { exemplars_ignored: 1 }));
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

fn batches() -> impl Strategy<Value = MetricBatch> {
    let labels = proptest::collection::btree_map(label(), label(), 0..6);
    let samples = proptest::collection::vec((any::<i64>(), any::<u64>()), 1..4);
    let metadata = (label(), 0..KINDS.len(), "\\PC{0,9}", "[a-z]{0,3}");
    let series = proptest::collection::vec((labels, samples), 0..6);
    (series, proptest::collection::vec(metadata, 0..3)).prop_map(|(series, metadata)| {
        let mut batch = MetricBatch::new();
        for (mut labels, samples) in series {
            labels.insert(METRIC_NAME.to_owned(), "m".to_owned());
            let mut pairs: Vec<_> =
                labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            batch.start_series(&mut pairs).expect("names are unique");
            for (ts_ms, bits) in samples {
                batch.push_sample(ts_ms, f64::from_bits(bits));
            }
        }
        batch.metadata = metadata
            .into_iter()
            .map(|(family, kind, help, unit)| MetricMetadata { family, kind: KINDS[kind], help, unit })
            .collect();
        batch
    })
}

/// Bits, so that the stale marker and other NaNs are compared too.
fn bits(batch: &MetricBatch) -> Vec<(Vec<u8>, Vec<i64>, Vec<u64>)> {
    let row = |series: model::SeriesRef<'_>| {
        let values = series.values.iter().map(|value| value.to_bits()).collect();
        (series.labels.as_bytes().to_vec(), series.ts_ms.to_vec(), values)
    };
    batch.series().map(row).collect()
}

proptest! {
    #[test]
    fn decode_of_encode_is_the_batch(batch in batches()) {
        let (mut back, mut rejected) = (MetricBatch::new(), Appended::default());
        decode(&encode(&batch), &mut back, &mut rejected).unwrap();
        prop_assert_eq!(bits(&back), bits(&batch));
        prop_assert_eq!(&back.metadata, &batch.metadata);
        prop_assert_eq!(rejected, Appended::default());
    }

    /// The general walk sorts and the copy does not: they must agree.
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
        prop_assert_eq!(bits(&back), bits(&batch));
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
        random: Vec<u8>,
    ) {
        for body in [damaged, random] {
            let (mut batch, mut rejected) = (MetricBatch::new(), Appended::default());
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
