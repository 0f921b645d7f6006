//! Windows against the raw samples they stand for.

use model::stale_nan;
use proptest::prelude::*;

use super::*;

const MINUTE_MS: i64 = 60_000;

fn raw(samples: &[(i64, f64)]) -> [SampleColumns; COLUMNS] {
    let mut columns: [SampleColumns; COLUMNS] = Default::default();
    samples.iter().for_each(|(ts_ms, value)| columns[0].push(*ts_ms, *value));
    columns
}

fn run(input: &[SampleColumns; COLUMNS], window_ms: i64, nature: Nature) -> [SampleColumns; COLUMNS] {
    let mut out = Default::default();
    downsample(input, window_ms, nature, &mut out);
    out
}

fn pairs(columns: &SampleColumns) -> Vec<(i64, f64)> {
    columns.ts_ms.iter().copied().zip(columns.values.iter().copied()).collect()
}

/// What a counter rose by between its first and last sample; after a reset it began at 0.
fn increase(samples: &[(i64, f64)]) -> f64 {
    samples.windows(2).map(|pair| if pair[1].1 < pair[0].1 { pair[1].1 } else { pair[1].1 - pair[0].1 }).sum()
}

#[test]
fn a_window_has_first_last_and_both_sides_of_a_reset() {
    let input = raw(&[(0, 5.0), (1, 7.0), (2, 9.0), (3, 1.0), (4, 2.0), (10, 3.0), (19, 4.0)]);
    let [samples, min, max, sum, count] = run(&input, 10, Nature::Counter);
    assert_eq!(pairs(&samples), [(0, 5.0), (2, 9.0), (3, 1.0), (4, 2.0), (19, 4.0)]);
    assert_eq!(pairs(&min), [(4, 1.0), (19, 3.0)]);
    assert_eq!(pairs(&max), [(4, 9.0), (19, 4.0)]);
    assert_eq!(pairs(&sum), [(4, 24.0), (19, 7.0)]);
    assert_eq!(pairs(&count), [(4, 5.0), (19, 2.0)]);
}

#[test]
fn a_gauge_keeps_the_last_of_each_window() {
    let input = raw(&[(0, 5.0), (1, 3.0), (2, 9.0), (3, 1.0), (10, 3.0), (19, 2.0)]);
    let [samples, ..] = run(&input, 10, Nature::Gauge);
    assert_eq!(pairs(&samples), [(0, 5.0), (3, 1.0), (19, 2.0)]);
}

#[test]
fn a_stale_end_stays_and_is_not_counted() {
    let input = raw(&[(0, 5.0), (1, 6.0), (2, stale_nan()), (10, stale_nan())]);
    let [samples, min, _, _, count] = run(&input, 10, Nature::Counter);
    let [(0, _), (1, last), (2, marker), (10, _)] = pairs(&samples)[..] else {
        panic!("{samples:?}");
    };
    assert!(last == 6.0 && is_stale_nan(marker));
    assert_eq!((pairs(&min), pairs(&count)), (vec![(2, 5.0)], vec![(2, 2.0)]));
}

fn counter() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = (1..40_000_i64, prop_oneof![9 => (0..50_u32).prop_map(Some), 1 => Just(None)]);
    proptest::collection::vec(step, 1..300).prop_map(|steps| {
        let (mut ts_ms, mut value) = (0, 0.0);
        let next = |(step_ms, rise): (i64, Option<u32>)| {
            ts_ms += step_ms;
            value = rise.map_or(0.0, |rise| value + f64::from(rise));
            (ts_ms, value)
        };
        steps.into_iter().map(next).collect()
    })
}

proptest! {
    #[test]
    fn counters_rise_by_the_same_amount(samples in counter()) {
        let fine = run(&raw(&samples), 5 * MINUTE_MS, Nature::Counter);
        let coarse = run(&fine, 60 * MINUTE_MS, Nature::Counter);
        for kept in [&fine, &coarse] {
            let kept = pairs(&kept[0]);
            prop_assert_eq!(increase(&kept), increase(&samples));
            prop_assert!(kept.iter().all(|sample| samples.contains(sample)), "kept samples are real ones");
            prop_assert_eq!((kept.first(), kept.last()), (samples.first(), samples.last()));
        }
    }

    #[test]
    fn windows_fold_what_is_in_them(samples in counter()) {
        let fine = run(&raw(&samples), 5 * MINUTE_MS, Nature::Unknown);
        let coarse = run(&fine, 60 * MINUTE_MS, Nature::Unknown);
        for (windows, window_ms) in [(&fine, 5 * MINUTE_MS), (&coarse, 60 * MINUTE_MS)] {
            let [_, min, max, sum, count] = windows;
            for (index, ts_ms) in count.ts_ms.iter().enumerate() {
                let inside = samples.iter().filter(|(at, _)| at.div_euclid(window_ms) == ts_ms.div_euclid(window_ms));
                let values: Vec<f64> = inside.map(|(_, value)| *value).collect();
                prop_assert_eq!(count.values[index], values.len() as f64);
                prop_assert_eq!(sum.values[index], values.iter().sum::<f64>());
                prop_assert_eq!(Some(min.values[index]), values.iter().copied().reduce(f64::min));
                prop_assert_eq!(Some(max.values[index]), values.iter().copied().reduce(f64::max));
            }
            prop_assert_eq!(count.values.iter().sum::<f64>(), samples.len() as f64);
        }
    }
}
