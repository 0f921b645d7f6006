//! Decode of encode is the same bits; random bytes are refused or read, never a panic.

use model::{STALE_NAN_BITS, SampleColumns};
use proptest::prelude::*;

use super::{SAMPLES_MAX, decode, encode};
use crate::sample::Sample;

fn samples(values: &[f64], step_ms: i64) -> Vec<Sample> {
    (0_i64..)
        .zip(values)
        .map(|(n, value)| Sample { ts_ms: 1_700_000_000_000 + n * step_ms, value: *value })
        .collect()
}

/// Checks the round trip and answers the length.
#[track_caller]
fn check(samples: &[Sample]) -> usize {
    let mut bytes = Vec::new();
    encode(samples, &mut bytes);
    let mut out = SampleColumns::default();
    decode(&bytes, &mut out).expect("decodes");
    let got: Vec<_> =
        out.ts_ms.iter().zip(&out.values).map(|(ts, value)| Sample { ts_ms: *ts, value: *value }).collect();
    assert_eq!(got, samples);
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
        let len = check(&samples(values, 15_000));
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
    check(&samples(&values, 1));
    for value in values {
        check(&samples(&[value], 1));
        check(&samples(&[1.0, 2.5, value, 4.0, 5.0, 6.0, 7.0, 8.25, 9.0], 1));
    }
    check(&[
        Sample { ts_ms: i64::MIN, value: 1.0 },
        Sample { ts_ms: i64::MAX, value: 2.0 },
        Sample { ts_ms: 0, value: 3.0 },
    ]);
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-1_000_000_i64..1_000_000).prop_map(|n| n as f64),
        4 => (-1_000_000_i64..1_000_000, 0..6_i32).prop_map(|(n, e)| n as f64 / 10_f64.powi(e)),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(f64::from_bits(STALE_NAN_BITS)),
    ]
}

proptest! {
    #[test]
    fn decode_of_encode_is_the_same_bits(
        pairs in proptest::collection::vec((any::<u16>(), any_value()), 1..=SAMPLES_MAX),
        start in any::<i64>(),
    ) {
        let mut ts_ms = start;
        let samples: Vec<_> = pairs.into_iter().map(|(step, value)| {
            ts_ms = ts_ms.wrapping_add(i64::from(step));
            Sample { ts_ms, value }
        }).collect();
        check(&samples);
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let mut out = SampleColumns::default();
        let _refused_or_not = decode(&bytes, &mut out).is_err();
        prop_assert_eq!(out.ts_ms.len(), out.values.len());
    }

    #[test]
    fn damaged_chunks_never_panic(at: prop::sample::Index, byte: u8, values in proptest::collection::vec(any_value(), 1..40)) {
        let mut bytes = Vec::new();
        encode(&samples(&values, 15_000), &mut bytes);
        let index = at.index(bytes.len());
        bytes[index] = byte;
        let mut out = SampleColumns::default();
        let _refused_or_not = decode(&bytes, &mut out).is_err();
        prop_assert_eq!(out.ts_ms.len(), out.values.len());
    }
}
