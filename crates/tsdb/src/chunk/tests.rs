//! Decode of encode is the same bits; random bytes are refused or read, never a panic.

use std::sync::Arc;

use model::{
    BucketSpan, Buckets, CUSTOM_BOUNDS_SCHEMA, Histogram, HistogramSample, ResetHint, STALE_NAN_BITS,
    SampleColumns,
};
use proptest::prelude::*;

use super::{Kind, decode, encode_columns, encode_floats, kind, latest_float};

const START_MS: i64 = 1_700_000_000_000;

fn floats(values: &[f64], step_ms: i64) -> SampleColumns {
    let ts_ms = (0_i64..).zip(values).map(|(n, _)| START_MS + n * step_ms).collect();
    SampleColumns { ts_ms, values: values.to_vec(), ..SampleColumns::default() }
}

/// Bits of all samples: a NaN equals itself.
fn bits(columns: &SampleColumns) -> (Vec<i64>, Vec<u64>, Vec<i64>, Vec<String>) {
    let values = columns.values.iter().map(|value| value.to_bits()).collect();
    let histograms = columns.histograms.iter().map(|sample| format!("{sample:?}")).collect();
    (columns.ts_ms.clone(), values, columns.start_ms.clone(), histograms)
}

fn decode_all(bytes: &[u8], lengths: impl IntoIterator<Item = usize>) -> SampleColumns {
    let mut out = SampleColumns::default();
    let mut rest = bytes;
    for length in lengths {
        let (chunk, after) = rest.split_at(length);
        rest = after;
        decode(chunk, &mut out).expect("decodes");
    }
    out
}

/// Checks the round trip and answers the length.
#[track_caller]
fn check(columns: &SampleColumns) -> usize {
    let mut bytes = Vec::new();
    let chunks = encode_columns(columns, &mut bytes);
    let got = decode_all(&bytes, chunks.iter().map(|chunk| chunk.bytes));
    let mut want = columns.clone();
    if want.start_ms.iter().all(|start_ms| *start_ms == 0) {
        want.start_ms.clear();
    }
    assert_eq!(bits(&got), bits(&want));
    assert_eq!(chunks.iter().map(|chunk| chunk.samples as usize).sum::<usize>(), columns.len());
    bytes.len()
}

#[test]
fn common_shapes_are_small() {
    let column = |value: fn(u32) -> f64| -> Vec<f64> { (0..240).map(value).collect() };
    let cases: &[(&str, Vec<f64>, usize)] = &[
        ("constant", column(|_| 1.0), 24),
        ("straight counter", column(|n| f64::from(n) * 15.0), 24),
        ("jittered integers", column(|n| f64::from(n * 100 + n * 7919 % 13)), 180),
        ("hundredths", column(|n| f64::from(n * 150 + n * 7919 % 31) / 100.0), 220),
        ("noisy gauge", column(|n| f64::from(n * 7919 % 256)), 280),
        ("one counter reset", column(|n| f64::from(if n < 120 { 1_000_000 + n * 3 } else { n * 3 })), 120),
        ("stale at the end", column(|n| if n < 239 { 1.5 } else { f64::from_bits(STALE_NAN_BITS) }), 40),
    ];
    for (name, values, limit) in cases {
        let len = check(&floats(values, 15_000));
        assert!(len <= *limit, "{name}: {len} bytes, limit {limit}");
    }
}

#[test]
fn extremes_come_back() {
    let values = [
        0.0,
        -0.0,
        f64::NAN,
        f64::from_bits(STALE_NAN_BITS),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        5e-324,
        9_007_199_254_740_993.0,
        -9_007_199_254_740_992.0,
        0.1 + 0.2,
        1e22,
        1.0 / 3.0,
    ];
    check(&floats(&values, 1));
    for value in values {
        check(&floats(&[value], 1));
        check(&floats(&[1.0, 2.5, value, 4.0, 5.0, 6.0, 7.0, 8.25, 9.0], 1));
    }
    let mut extremes = floats(&[1.0, 2.0, 3.0], 1);
    extremes.ts_ms = vec![i64::MIN, i64::MAX, 0];
    check(&extremes);
}

#[test]
fn start_times_cost_little() {
    let mut since = floats(&(0..240).map(f64::from).collect::<Vec<_>>(), 15_000);
    let without = check(&since);
    since.start_ms = vec![START_MS - 60_000; 240];
    assert!(check(&since) <= without + 12, "a counter that began once");
    since.start_ms = since.ts_ms.iter().map(|ts_ms| ts_ms - 15_000).collect();
    assert!(check(&since) <= without + 14, "deltas");
}

fn buckets(spans: &[(i32, u32)], counts: &[f64]) -> Buckets {
    let spans = spans.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect();
    Buckets { spans, counts: counts.to_vec() }
}

fn at(n: i64, histogram: Histogram) -> HistogramSample {
    HistogramSample { ts_ms: START_MS + n * 15_000, start_ms: 0, histogram: Arc::new(histogram) }
}

fn histograms(samples: Vec<HistogramSample>) -> SampleColumns {
    SampleColumns { histograms: samples, ..SampleColumns::default() }
}

/// A counter's histogram with 20 buckets that grow at different speeds.
fn growing(n: i64) -> Histogram {
    let counts: Vec<_> = (1..=20).map(|bucket| (n * bucket + n * 7919 % (bucket + 1)) as f64).collect();
    Histogram {
        schema: 3,
        count: counts.iter().sum(),
        sum: (n * 1234) as f64 / 100.0,
        zero_threshold: 1e-128,
        reset_hint: if n == 0 { ResetHint::Unknown } else { ResetHint::NotReset },
        positive: buckets(&[(-3, 12), (4, 8)], &counts),
        ..Histogram::default()
    }
}

#[test]
fn growing_histograms_are_small() {
    let columns = histograms((0..120).map(|n| at(n, growing(n))).collect());
    let len = check(&columns);
    assert!(len <= 120 * 14, "{len} bytes for 120 histograms of 20 buckets");
}

#[test]
fn histograms_of_all_kinds_come_back() {
    let negative = Histogram { negative: buckets(&[(0, 1)], &[2.5]), is_float: true, ..growing(1) };
    let custom = Histogram {
        schema: CUSTOM_BOUNDS_SCHEMA,
        count: 3.0,
        custom_bounds: [0.5, 1.0].into(),
        positive: buckets(&[(0, 3)], &[1.0, 0.0, 2.0]),
        ..Histogram::default()
    };
    let wider = Histogram { positive: buckets(&[(-4, 14), (3, 9)], &[1.0; 23]), ..growing(2) };
    let odd = Histogram { sum: f64::NAN, reset_hint: ResetHint::Gauge, zero_count: 7.0, ..growing(3) };
    let samples = [
        Histogram::stale(),
        growing(1),
        wider.clone(),
        growing(2),
        Histogram::stale(),
        odd,
        negative,
        custom.clone(),
        Histogram { custom_bounds: [0.5, 2.0].into(), ..custom },
        Histogram { schema: 2, ..wider },
        Histogram::default(),
    ];
    let mut samples: Vec<_> = (0..).zip(samples).map(|(n, histogram)| at(n, histogram)).collect();
    check(&histograms(samples.clone()));
    samples[2].start_ms = START_MS - 1;
    check(&histograms(samples.clone()));
    for sample in samples {
        check(&histograms(vec![sample]));
    }
}

/// Written by the build that brought these kinds; every later one reads them.
#[test]
fn golden_chunks_still_decode() {
    let golden = |name: &str| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/format/v2/");
        std::fs::read(format!("{path}{name}")).expect("golden file")
    };
    let mut want = histograms((0..5).map(|n| at(n, growing(n))).collect());
    want.histograms[3].start_ms = START_MS;
    want.histograms.push(at(5, Histogram::stale()));
    let bytes = golden("histograms.chunk");
    assert_eq!(bits(&decode_all(&bytes, [bytes.len()])), bits(&want));
    let mut want = floats(&[1.0, 2.5, f64::NAN, 4.0], 15_000);
    want.start_ms = vec![0, START_MS, START_MS, START_MS + 30_000];
    let bytes = golden("floats_since.chunk");
    assert_eq!(bits(&decode_all(&bytes, [bytes.len()])), bits(&want));
}

#[test]
fn the_first_bytes_say_the_kind() {
    let mut bytes = Vec::new();
    encode_floats(&[1], &[1.0], &[0], &mut bytes);
    assert_eq!(kind(&bytes), Ok(Kind::Floats));
    bytes.clear();
    encode_floats(&[1], &[1.0], &[1], &mut bytes);
    assert_eq!(kind(&bytes), Ok(Kind::FloatsSince));
    bytes.clear();
    encode_columns(&histograms(vec![at(0, growing(1))]), &mut bytes);
    assert_eq!(kind(&bytes), Ok(Kind::Histograms));
    assert!(kind(&[]).is_err() && kind(&[0]).is_err() && kind(&[0, 9, 1]).is_err());
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-1_000_000_i64..1_000_000).prop_map(|n| n as f64),
        4 => (-1_000_000_i64..1_000_000, 0..6_i32).prop_map(|(n, e)| n as f64 / 10_f64.powi(e)),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(f64::from_bits(STALE_NAN_BITS)),
    ]
}

fn any_buckets() -> impl Strategy<Value = Buckets> {
    proptest::collection::vec((0..3_i32, 0..4_u32), 0..4).prop_flat_map(|spans| {
        let room = spans.iter().map(|(_, length)| *length as usize).sum::<usize>();
        proptest::collection::vec(any_value(), room).prop_map(move |counts| buckets(&spans, &counts))
    })
}

fn any_histogram() -> impl Strategy<Value = Histogram> {
    let hint = prop_oneof![
        Just(ResetHint::Unknown),
        Just(ResetHint::Reset),
        Just(ResetHint::NotReset),
        Just(ResetHint::Gauge)
    ];
    let free = (0..2_i32, any::<bool>(), hint, any_value(), any_value(), any_buckets(), any_buckets());
    let made = free.prop_map(|(schema, is_float, reset_hint, count, sum, positive, negative)| {
        let histogram = Histogram {
            schema,
            is_float,
            reset_hint,
            count,
            sum,
            positive,
            negative,
            ..Histogram::default()
        };
        if histogram.is_stale() { Histogram::stale() } else { histogram }
    });
    prop_oneof![6 => made, 1 => Just(Histogram::stale())]
}

fn any_columns() -> impl Strategy<Value = SampleColumns> {
    let floats = proptest::collection::vec((any::<u16>(), any_value(), 0..3_i64), 0..600);
    let histograms = proptest::collection::vec((any::<u16>(), any_histogram(), 0..3_i64), 0..40);
    (any::<i64>(), floats, histograms, any::<bool>()).prop_map(|(start, floats, histograms, has_starts)| {
        let mut columns = SampleColumns::default();
        let mut ts_ms = start;
        for (step, value, since) in floats {
            ts_ms = ts_ms.wrapping_add(i64::from(step));
            columns.ts_ms.push(ts_ms);
            columns.values.push(value);
            // Chunks without any start time come back without the column, so that all have one here.
            columns.start_ms.extend(has_starts.then(|| since + 1));
        }
        let mut ts_ms = start;
        for (step, histogram, start_ms) in histograms {
            ts_ms = ts_ms.wrapping_add(i64::from(step));
            columns.histograms.push(HistogramSample { ts_ms, start_ms, histogram: Arc::new(histogram) });
        }
        columns
    })
}

proptest! {
    #[test]
    fn decode_of_encode_is_the_same_bits(columns in any_columns()) {
        check(&columns);
    }

    #[test]
    fn the_latest_float_is_the_last_of_those_decoded(columns in any_columns(), at: prop::sample::Index, shift in -1..2_i64) {
        let mut bytes = Vec::new();
        let chunks = encode_columns(&columns, &mut bytes);
        let mut rest = bytes.as_slice();
        for chunk in chunks {
            let (bytes, after) = rest.split_at(chunk.bytes);
            rest = after;
            if kind(bytes) == Ok(Kind::Histograms) {
                prop_assert!(latest_float(bytes, i64::MAX).is_err());
                continue;
            }
            let mut all = SampleColumns::default();
            decode(bytes, &mut all).expect("decodes");
            let end_ms = all.ts_ms[at.index(all.ts_ms.len())] + shift;
            let wanted = all.ts_ms.iter().zip(&all.values).take_while(|(ts_ms, _)| **ts_ms < end_ms).last();
            let got = latest_float(bytes, end_ms).expect("decodes");
            let in_bits = |(ts_ms, value): (i64, f64)| (ts_ms, value.to_bits());
            prop_assert_eq!(got.map(in_bits), wanted.map(|(ts_ms, value)| (*ts_ms, value.to_bits())));
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes: Vec<u8>, kind in proptest::option::of(0..4_u8)) {
        if let Some(kind) = kind {
            bytes.splice(0..0, [0, kind]);
        }
        let mut out = SampleColumns::default();
        let _refused_or_not = decode(&bytes, &mut out).is_err();
        let _refused_or_not = latest_float(&bytes, i64::MAX).is_err();
        prop_assert_eq!(out.ts_ms.len(), out.values.len());
    }

    #[test]
    fn damaged_chunks_never_panic(at: prop::sample::Index, byte: u8, columns in any_columns()) {
        let mut bytes = Vec::new();
        let chunks = encode_columns(&columns, &mut bytes);
        prop_assume!(!bytes.is_empty());
        let index = at.index(bytes.len());
        bytes[index] = byte;
        let mut rest = bytes.as_slice();
        for chunk in chunks {
            let (bytes, after) = rest.split_at(chunk.bytes);
            rest = after;
            let mut out = SampleColumns::default();
            let _refused_or_not = decode(bytes, &mut out).is_err();
            prop_assert_eq!(out.ts_ms.len(), out.values.len());
            prop_assert!(out.start_ms.is_empty() || out.start_ms.len() == out.ts_ms.len());
        }
    }
}
