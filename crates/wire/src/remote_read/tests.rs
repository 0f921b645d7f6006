use proptest::prelude::*;

use super::*;
use crate::testing::{damaged, histogram_samples};

fn series() -> impl Strategy<Value = Series> {
    let one = (
        "[a-z]{1,5}",
        proptest::collection::vec((1..100_000_i64, any::<f64>()), 0..200),
        histogram_samples(),
    );
    proptest::collection::vec(one, 0..4).prop_map(|list| {
        let with_columns =
            |(name, samples, histograms): (String, Vec<(i64, f64)>, Vec<model::HistogramSample>)| {
                let mut columns = SampleColumns::default();
                let mut ts_ms = 1_700_000_000_000;
                for (step, value) in samples {
                    ts_ms += step;
                    columns.push(ts_ms, value);
                }
                for (index, sample) in (1..).zip(histograms) {
                    columns.histograms.push(model::HistogramSample {
                        ts_ms: ts_ms + index,
                        start_ms: 0,
                        ..sample
                    });
                }
                (LabelSet::from_pairs([("__name__", "m"), ("id", name.as_str())]).expect("valid"), columns)
            };
        list.into_iter().map(with_columns).collect()
    })
}

fn text(series: &Series) -> String {
    format!("{series:?}").replace("Unknown", "_").replace("NotReset", "_").replace("Reset", "_")
}

fn sampled(results: &[Series]) -> Vec<u8> {
    let mut out = Vec::new();
    for series in results {
        put_result(&mut out, |out| {
            series.iter().for_each(|(labels, columns)| put_series(out, labels.as_ref(), columns));
        });
    }
    out
}

proptest! {
    #[test]
    fn requests_come_back(
        queries in proptest::collection::vec((any::<i64>(), any::<i64>(), proptest::collection::vec((0..4_usize, "[a-z]{0,3}", "[a-z|]{0,5}"), 0..4)), 0..4),
        accepts_chunks: bool,
    ) {
        let query = |(start_ms, end_ms, matchers): (i64, i64, Vec<(usize, String, String)>)| {
            let matchers = matchers.into_iter().map(|(op, name, value)| Matcher::new(name, OPS[op], value).expect("a pattern"));
            Query { start_ms, end_ms, matchers: matchers.collect() }
        };
        let request = ReadRequest { queries: queries.into_iter().map(query).collect(), accepts_chunks };
        prop_assert_eq!(decode_request(&encode_request(&request)), Ok(request));
    }

    #[test]
    fn sampled_answers_come_back(results in proptest::collection::vec(series(), 0..3)) {
        let back = decode_response(&sampled(&results)).expect("our own answer");
        prop_assert_eq!(format!("{back:?}"), format!("{results:?}"));
    }

    #[test]
    fn streamed_answers_come_back(list in series(), step in 1..5_000_usize) {
        let stream: Vec<u8> = list.iter().flat_map(|(labels, columns)| frames(3, labels, columns)).flatten().collect();
        let mut reader = FrameReader::new(1 << 21);
        let mut back = Series::new();
        for bytes in stream.chunks(step) {
            reader.push(bytes, &mut |part| {
                assert_eq!(part.query_index, 3);
                back.push((part.labels, part.columns));
            }).expect("our own stream");
        }
        prop_assert!(reader.is_at_end());
        let wanted: Series = list.into_iter().filter(|(_, columns)| !columns.is_empty()).collect();
        prop_assert_eq!(text(&back), text(&wanted));
    }

    #[test]
    fn damaged_and_random_bytes_never_panic(
        response in series().prop_filter("some", |list| !list.is_empty()).prop_flat_map(|list| damaged(sampled(&[list]))),
        random: Vec<u8>,
    ) {
        for body in [response, random] {
            let _never_panics = (decode_response(&body).is_ok(), decode_request(&body).is_ok());
            let _never_panics = FrameReader::new(1_000).push(&body, &mut |_| ()).is_ok();
        }
    }
}

#[test]
fn damage_to_a_frame_is_found() {
    let mut columns = SampleColumns::default();
    columns.push(1, 1.0);
    let labels = LabelSet::from_pairs([("__name__", "m")]).expect("valid");
    let frame = frames(0, &labels, &columns).remove(0);
    for at in 0..frame.len() {
        let mut bytes = frame.clone();
        bytes[at] ^= 1;
        let mut shown = 0;
        let mut reader = FrameReader::new(1 << 20);
        let read = reader.push(&bytes, &mut |_| shown += 1);
        assert!(shown == 0 && (read.is_err() || !reader.is_at_end()), "byte {at}");
    }
    let refused = FrameReader::new(3).push(&frame, &mut |_| ()).expect_err("too large");
    assert_eq!(refused.to_string(), "frame is larger than the limit of 3 bytes");
}
