use model::{SampleColumns, is_stale_nan};
use proptest::prelude::*;

use super::*;
use crate::testing::{damaged, histogram_samples};

fn round_trip(columns: &SampleColumns) -> SampleColumns {
    let mut back = SampleColumns::default();
    for chunk in encode(columns) {
        decode(chunk.encoding, &chunk.data, &mut back).expect("our own chunk");
    }
    back
}

/// The chunk that Prometheus's own encoder makes of these samples, worked out by hand from its format.
#[test]
fn a_small_xor_chunk_has_prometheus_bytes() {
    let columns =
        SampleColumns { ts_ms: vec![10, 20, 30], values: vec![1.0, 1.0, 2.0], ..SampleColumns::default() };
    let chunk = encode(&columns).remove(0);
    // 3 samples; varint 10; 1.0; uvarint 10; same value; same step; 1.0 ^ 2.0 has 1 leading zero and 11 bits.
    let mut want = vec![0, 3, 20, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 10];
    // 0 · 0 · 11 · 00001 · 001011 · 11111111111
    want.extend([0b0011_0000, 0b1001_0111, 0b1111_1111, 0b1100_0000]);
    assert_eq!((chunk.encoding, chunk.min_ms, chunk.max_ms, chunk.data), (Encoding::Xor, 10, 30, want));
}

proptest! {
    #[test]
    fn floats_come_back(
        steps in proptest::collection::vec((prop_oneof![5 => 1..20_000_i64, 1 => 1..1_i64 << 40], any::<u64>(), any::<bool>()), 0..300),
        start in -1_000_000_000_000..1_000_000_000_000_i64,
    ) {
        let mut columns = SampleColumns::default();
        let (mut ts_ms, mut last) = (start, 0);
        for (step, bits, repeats) in steps {
            last = if repeats { last } else { bits };
            columns.push(ts_ms, f64::from_bits(last));
            ts_ms += step;
        }
        let back = round_trip(&columns);
        prop_assert_eq!(&back.ts_ms, &columns.ts_ms);
        let bits = |columns: &SampleColumns| columns.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&back), bits(&columns));
    }

    #[test]
    fn histograms_come_back(samples in proptest::collection::vec(histogram_samples(), 0..40)) {
        let mut columns = SampleColumns::default();
        for (index, mut sample) in samples.into_iter().flatten().enumerate() {
            sample.ts_ms = index as i64 * 15_000 + (sample.ts_ms & 0xff);
            sample.start_ms = 0;
            columns.histograms.push(sample);
        }
        let back = round_trip(&columns);
        prop_assert_eq!(back.histograms.len(), columns.histograms.len());
        for (ours, theirs) in back.histograms.iter().zip(&columns.histograms) {
            prop_assert_eq!(ours.ts_ms, theirs.ts_ms);
            if theirs.histogram.is_stale() {
                prop_assert!(is_stale_nan(ours.histogram.sum));
                continue;
            }
            let plain = |sample: &model::HistogramSample| model::Histogram { reset_hint: Default::default(), ..(*sample.histogram).clone() };
            prop_assert_eq!(plain(ours), plain(theirs));
        }
    }

    #[test]
    fn damaged_and_random_chunks_never_panic(
        damaged in histogram_samples().prop_filter("some", |samples| !samples.is_empty()).prop_flat_map(|histograms| {
            let mut columns = SampleColumns { histograms, ..SampleColumns::default() };
            columns.push(5, 1.0);
            let data = encode(&columns).pop().expect("a chunk").data;
            damaged(data)
        }),
        random: Vec<u8>,
    ) {
        for data in [damaged, random] {
            for encoding in [Encoding::Xor, Encoding::Histogram, Encoding::FloatHistogram] {
                let mut out = SampleColumns::default();
                let decoded = decode(encoding, &data, &mut out);
                prop_assert!(decoded.is_err() || out.len() == usize::from(u16::from_be_bytes([data[0], data[1]])));
            }
        }
    }
}
