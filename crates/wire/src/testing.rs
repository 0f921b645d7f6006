//! Helpers of this crate's tests: recorded data from outside the repository, and damage to bytes.

use std::path::PathBuf;
use std::sync::Arc;

use model::{BucketSpan, Buckets, Histogram, HistogramSample, ResetHint};
use proptest::prelude::*;

/// Reads `path` below the folder of shared data; `None`, with a line that says so, when it is not there.
#[expect(clippy::disallowed_methods, reason = "tests find the shared data by an environment variable")]
pub(crate) fn shared_path(path: &str) -> Option<PathBuf> {
    let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned();
    let full = PathBuf::from(std::env::var("EINO_SHARED").unwrap_or_else(|_| default())).join(path);
    if !full.exists() {
        println!("skipped: {} is not there", full.display());
        return None;
    }
    Some(full)
}

/// The bytes of a shared file, if it is there.
pub(crate) fn shared_file(path: &str) -> Option<Vec<u8>> {
    shared_path(path).map(|full| std::fs::read(full).expect("the file can be read"))
}

/// Bytes that are nearly `valid`: a few changed, some cut out, or the end cut off.
pub(crate) fn damaged(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let cut = proptest::option::of(any::<prop::sample::Index>());
    (changes, cut, any::<bool>()).prop_map(move |(changes, cut, removes_one)| {
        let mut bytes = valid.clone();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if let Some(index) = cut {
            let at = index.index(bytes.len());
            if removes_one {
                bytes.remove(at);
            } else {
                bytes.truncate(at);
            }
        }
        bytes
    })
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let counts = || proptest::collection::vec(0_u32..1_000, 0..6);
    let bits = any::<u32>().prop_map(|bits| f64::from(bits) / 7.0);
    (-4_i32..=8, any::<bool>(), counts(), counts(), 0_u32..9, bits, 0..4_usize, -9..9_i32).prop_map(
        |(schema, is_float, positive, negative, zero, sum, hint, offset)| {
            let hints = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge];
            let side = |counts: Vec<u32>| {
                let length = u32::try_from(counts.len()).expect("few");
                let spans = if length == 0 { vec![] } else { vec![BucketSpan { offset, length }] };
                Buckets { spans, counts: counts.into_iter().map(f64::from).collect() }
            };
            let (positive, negative) = (side(positive), side(negative));
            let observed: f64 = positive.counts.iter().chain(&negative.counts).sum();
            Histogram {
                schema,
                is_float,
                reset_hint: hints[hint],
                count: observed + f64::from(zero),
                sum,
                zero_threshold: 0.001,
                zero_count: f64::from(zero),
                positive,
                negative,
                ..Histogram::default()
            }
        },
    )
}

fn custom_histogram() -> impl Strategy<Value = Histogram> {
    proptest::collection::vec(0_u32..1_000, 1..6).prop_map(|counts| {
        let length = u32::try_from(counts.len()).expect("few");
        let counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
        Histogram {
            schema: model::CUSTOM_BOUNDS_SCHEMA,
            count: counts.iter().sum(),
            sum: 1.0,
            custom_bounds: (0..length - 1).map(f64::from).collect(),
            positive: Buckets { spans: vec![BucketSpan { offset: 0, length }], counts },
            ..Histogram::default()
        }
    })
}

/// A few valid histograms of any kind at any times, stale markers among them.
pub(crate) fn histogram_samples() -> impl Strategy<Value = Vec<HistogramSample>> {
    let any_histogram = prop_oneof![4 => histogram(), 2 => custom_histogram(), 1 => Just(Histogram::stale())];
    let sample = (any::<i64>(), any::<i64>(), any_histogram).prop_map(|(ts_ms, start_ms, histogram)| {
        HistogramSample { ts_ms, start_ms, histogram: Arc::new(histogram) }
    });
    proptest::collection::vec(sample, 0..3)
}
