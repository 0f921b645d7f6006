//! `rate`, `increase`, `delta`, `irate`, `idelta`.
//!
//! ```text
//! range   (start ........................................ end]
//! samples        first . . . . . . . . . . . . last
//!         └──────┘ extrapolated when the gap is below 1.1 × the average distance of samples,
//!                  else by half that distance; a counter never below zero
//! ```
//! [`extrapolated`] is the function of one window. [`steps`] gives the very same numbers for all windows of a series:
//! what depends on times alone is in [`RateStep`], computed once for all series of the same times.

use super::column::{absent, is_absent};
use super::range::WindowView;
use super::windows::Windows;

/// Which of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateKind {
    /// A drop is a reset to zero.
    pub(crate) is_counter: bool,
    /// Divide by the range's seconds.
    pub(crate) per_second: bool,
}

pub(crate) fn extrapolated(kind: RateKind, range_ms: i64, window: &WindowView<'_>) -> Option<f64> {
    let values = window.values;
    let last = values.len().checked_sub(1).filter(|last| *last >= 1)?;
    let (first_ms, last_ms) = (window.ts_ms[0], window.ts_ms[last]);
    let mut result = values[last] - values[0];
    if kind.is_counter {
        let in_window = window.resets.iter().take_while(|reset| **reset <= window.first + last);
        for reset in in_window {
            result += values[reset - window.first - 1];
        }
    }
    let mut to_start = seconds(first_ms - window.start_ms);
    let mut to_end = seconds(window.end_ms - last_ms);
    let sampled = seconds(last_ms - first_ms);
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
    let average = sampled / last as f64;
    let threshold = average * 1.1;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if kind.is_counter {
        let to_zero =
            if result > 0.0 && values[0] >= 0.0 { sampled * (values[0] / result) } else { to_start };
        to_start = to_start.min(to_zero);
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if kind.per_second {
        factor /= seconds(range_ms);
    }
    Some(result * factor)
}

/// What a window's times say of its rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RateStep {
    /// Seconds from the first sample to the last; not positive when there are fewer than two.
    sampled: f64,
    /// Seconds extrapolated before the first sample, but for a counter that would get below zero.
    to_start: f64,
    /// Seconds extrapolated after the last sample.
    to_end: f64,
    /// Of the difference: what [`factor`] gives.
    factor: f64,
}

/// The step whose window `(start_ms, end_ms]` holds the samples at `ts_ms`.
pub(super) fn step(kind: RateKind, range_ms: i64, (start_ms, end_ms): (i64, i64), ts_ms: &[i64]) -> RateStep {
    let [first_ms, .., last_ms] = ts_ms else {
        return RateStep { sampled: 0.0, to_start: 0.0, to_end: 0.0, factor: 0.0 };
    };
    let sampled = seconds(last_ms - first_ms);
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
    let average = sampled / (ts_ms.len() - 1) as f64;
    let within = |gap: f64| if gap >= average * 1.1 { average / 2.0 } else { gap };
    let (to_start, to_end) = (within(seconds(first_ms - start_ms)), within(seconds(end_ms - last_ms)));
    let mut step = RateStep { sampled, to_start, to_end, factor: 0.0 };
    step.factor = factor(kind, range_ms, step, to_start);
    step
}

fn factor(kind: RateKind, range_ms: i64, step: RateStep, to_start: f64) -> f64 {
    let factor = (step.sampled + to_start + step.to_end) / step.sampled;
    if kind.per_second { factor / seconds(range_ms) } else { factor }
}

/// The rates of all windows of a series of floats, none stale; `None` when no window has one.
pub(super) fn steps(kind: RateKind, range_ms: i64, windows: &Windows, values: &[f64]) -> Option<Vec<f64>> {
    let resets = if kind.is_counter { resets(values) } else { Vec::new() };
    let mut first_reset = 0;
    let mut rates = Vec::with_capacity(windows.bounds.len());
    for (bounds, step) in windows.bounds.iter().zip(&windows.rates) {
        let [first, .., last] = values[bounds.range()] else {
            rates.push(absent());
            continue;
        };
        let mut difference = last - first;
        while resets.get(first_reset).is_some_and(|reset| *reset <= bounds.low as usize) {
            first_reset += 1;
        }
        for reset in resets[first_reset..].iter().take_while(|reset| **reset < bounds.high as usize) {
            difference += values[reset - 1];
        }
        let mut factor_of_step = step.factor;
        // A counter that grew by no more than its first value was zero at least as long ago as the samples span, and
        // of three samples less than that is extrapolated: no need to divide.
        let may_reach_zero = kind.is_counter && difference > 0.0 && first >= 0.0;
        if may_reach_zero && (first < difference || bounds.range().len() < 3) {
            let to_zero = step.sampled * (first / difference);
            if to_zero < step.to_start {
                factor_of_step = factor(kind, range_ms, *step, to_zero);
            }
        }
        rates.push(difference * factor_of_step);
    }
    rates.iter().any(|rate| !is_absent(*rate)).then_some(rates)
}

/// Indexes of samples that are below the one before.
fn resets(values: &[f64]) -> Vec<usize> {
    let pairs = || values.iter().zip(values.iter().skip(1));
    // Without a branch, as it is asked of every series and almost always none.
    let count: usize = pairs().map(|(before, value)| usize::from(value < before)).sum();
    if count == 0 {
        return Vec::new();
    }
    pairs().zip(1..).filter(|((before, value), _)| value < before).map(|(_, index)| index).collect()
}

/// From the last two samples.
pub(crate) fn instant(kind: RateKind, window: &WindowView<'_>) -> Option<f64> {
    let [.., before, last] = window.values else { return None };
    let [.., before_ms, last_ms] = window.ts_ms else { return None };
    let mut result = if kind.is_counter && last < before { *last } else { last - before };
    if kind.per_second {
        let interval_ms = last_ms - before_ms;
        if interval_ms == 0 {
            return None;
        }
        result /= seconds(interval_ms);
    }
    Some(result)
}

#[expect(clippy::cast_precision_loss, reason = "intervals are far below 2^53 ms")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::column::Grid;
    use super::super::context::Shift;
    use super::super::windows::WindowShape;
    use super::*;

    /// One NaN is as good as another, but for the one that means absent.
    fn bits(value: f64) -> u64 {
        if value.is_nan() && !is_absent(value) { f64::NAN.to_bits() } else { value.to_bits() }
    }

    /// One window after the other, as [`extrapolated`] has it.
    fn naive(kind: RateKind, range_ms: i64, grid: Grid, ts_ms: &[i64], values: &[f64]) -> Vec<u64> {
        let resets: Vec<usize> = (1..values.len()).filter(|at| values[*at] < values[at - 1]).collect();
        let rate = |(step, time_ms): (usize, i64)| {
            let low = ts_ms.partition_point(|ts_ms| *ts_ms <= time_ms - range_ms);
            let high = ts_ms.partition_point(|ts_ms| *ts_ms <= time_ms);
            let view = WindowView {
                ts_ms: &ts_ms[low..high],
                values: &values[low..high],
                resets: &resets[resets.partition_point(|reset| *reset <= low)..],
                first: low,
                start_ms: time_ms - range_ms,
                end_ms: time_ms,
                step,
                time_ms,
            };
            let rate = if low == high { None } else { extrapolated(kind, range_ms, &view) };
            bits(rate.unwrap_or_else(absent))
        };
        grid.times_ms().enumerate().map(rate).collect()
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (0_u32..200).prop_map(f64::from),
            2 => -5.0..5.0,
            1 => Just(0.0),
            1 => Just(f64::NAN),
            1 => Just(f64::INFINITY),
            1 => 1e300..1e308,
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn all_at_once_is_one_by_one(
            gaps in prop::collection::vec(1_i64..40, 0..60),
            values in prop::collection::vec(value(), 60),
            ascending: bool,
            (range_ms, step_ms, start_ms, count) in (1_i64..200, 1_i64..50, -50_i64..300, 1_usize..40),
            (is_counter, per_second) in any::<(bool, bool)>(),
        ) {
            let ts_ms: Vec<i64> = gaps.iter().scan(0, |now, gap| { *now += gap; Some(*now) }).collect();
            let mut values = values[..ts_ms.len()].to_vec();
            if ascending {
                values.sort_by(f64::total_cmp);
            }
            let kind = RateKind { is_counter, per_second };
            let grid = Grid { start_ms, step_ms, count };
            let shape = WindowShape { grid, shift: Shift::default(), range_ms, rate: Some(kind) };
            let fast = steps(kind, range_ms, &Windows::new(shape, &ts_ms), &values);
            let fast = fast.unwrap_or_else(|| vec![absent(); count]);
            let fast: Vec<u64> = fast.into_iter().map(bits).collect();
            prop_assert_eq!(fast, naive(kind, range_ms, grid, &ts_ms, &values));
        }
    }
}
