//! Functions of ranges for all windows of a series at once: the same numbers as window by window, to the bit, for less.
//!
//! ```text
//! rate increase delta   what depends on times alone is shared by all series of the same times     → rate::steps
//! sum avg count         whole numbers: differences of running sums, which are exact below 2^53
//!                       other numbers: a compensated sum without branches
//! min max               four lanes
//! ```
//! What is not here is computed window by window, in [`window`](super::window).

use super::column::absent;
use super::math::KahanSum;
use super::rate::{self, RateKind};
use super::window;
use super::windows::{WindowBounds, Windows};
use crate::functions::Window;

/// Which rate a function is.
pub(super) fn rate_kind(function: Window) -> Option<RateKind> {
    let (is_counter, per_second) = match function {
        Window::Rate => (true, true),
        Window::Increase => (true, false),
        Window::Delta => (false, false),
        _ => return None,
    };
    Some(RateKind { is_counter, per_second })
}

/// Whether [`values`] knows the function.
pub(super) fn knows(function: Window) -> bool {
    rate_kind(function).is_some()
        || matches!(function, Window::Sum | Window::Avg | Window::Count | Window::Min | Window::Max)
}

/// One value per step, absent where the window is empty; `None` when there is none at all. `samples` are floats
/// without stale markers.
///
/// # Panics
/// When [`knows`] says no.
pub(super) fn values(
    function: Window,
    range_ms: i64,
    windows: &Windows,
    samples: &[f64],
) -> Option<Vec<f64>> {
    if let Some(kind) = rate_kind(function) {
        return rate::steps(kind, range_ms, windows, samples);
    }
    if windows.bounds.iter().all(|bounds| bounds.low == bounds.high) {
        return None;
    }
    Some(match function {
        Window::Count => each(windows, count),
        Window::Sum | Window::Avg => sums(windows, samples, function == Window::Avg),
        Window::Min => each(windows, |bounds| smallest(&samples[bounds.range()])),
        Window::Max => each(windows, |bounds| largest(&samples[bounds.range()])),
        _ => unreachable!("`knows` lists the functions"),
    })
}

fn each(windows: &Windows, value: impl Fn(WindowBounds) -> f64) -> Vec<f64> {
    let or_absent = |bounds: &WindowBounds| if bounds.low == bounds.high { absent() } else { value(*bounds) };
    windows.bounds.iter().map(or_absent).collect()
}

fn count(bounds: WindowBounds) -> f64 {
    f64::from(bounds.high - bounds.low)
}

fn sums(windows: &Windows, samples: &[f64], is_mean: bool) -> Vec<f64> {
    if let Some(running) = exact_running_sums(samples) {
        return each(windows, |bounds| {
            let sum = running[bounds.high as usize] - running[bounds.low as usize];
            if is_mean { sum / count(bounds) } else { sum }
        });
    }
    each(windows, |bounds| {
        let samples = &samples[bounds.range()];
        let Some(sum) = finite_sum(samples) else {
            return if is_mean { window::mean(samples) } else { window::sum(samples) };
        };
        if is_mean { sum.sum / count(bounds) + sum.carry / count(bounds) } else { sum.total() }
    })
}

/// Largest integer below which the trick of [`exact_running_sums`] tells integers from others.
const INTEGER_MAX: f64 = (1_u64 << 51) as f64;
/// Sums of integers are exact as floats up to here.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

/// `n + 1` sums of the first 0, 1, … n samples, when all of them are integers and so few and small that every sum of
/// neighbours is exact: then it is what compensated summation gives.
fn exact_running_sums(samples: &[f64]) -> Option<Vec<f64>> {
    // Adding and taking away 1.5 * 2^52 rounds to an integer.
    let rounder = 3.0 * INTEGER_MAX;
    let is_integer = |sample: f64| (sample + rounder) - rounder == sample && sample.abs() < INTEGER_MAX;
    let others: usize = samples.iter().map(|sample| usize::from(!is_integer(*sample))).sum();
    if others > 0 || samples.iter().map(|sample| sample.abs()).sum::<f64>() >= EXACT_MAX {
        return None;
    }
    let mut running = Vec::with_capacity(samples.len() + 1);
    let mut sum = 0.0;
    running.push(sum);
    running.extend(samples.iter().map(|sample| {
        sum += sample;
        sum
    }));
    Some(running)
}

/// The compensated sum, unless it is no finite number. The error of each addition is exact in Knuth's form (TwoSum) as
/// it is in Neumaier's, which asks first which of the two is larger.
fn finite_sum(samples: &[f64]) -> Option<KahanSum> {
    let (mut sum, mut carry) = (0.0, 0.0);
    for sample in samples {
        let total = sum + sample;
        let added = total - sum;
        carry += (sum - (total - added)) + (sample - added);
        sum = total;
    }
    let sum = KahanSum { sum, carry };
    (sum.sum.is_finite() && sum.carry.is_finite()).then_some(sum)
}

fn largest(samples: &[f64]) -> f64 {
    let found = lanes(samples, f64::NEG_INFINITY, |best, sample| if sample > best { sample } else { best });
    // Zeros have two signs, of which the first found counts; and nothing found may mean that all are NaN.
    if found == 0.0 || found == f64::NEG_INFINITY { window::maximum(samples) } else { found }
}

fn smallest(samples: &[f64]) -> f64 {
    let found = lanes(samples, f64::INFINITY, |best, sample| if sample < best { sample } else { best });
    if found == 0.0 || found == f64::INFINITY { window::minimum(samples) } else { found }
}

#[inline]
fn lanes(samples: &[f64], start: f64, better: impl Fn(f64, f64) -> f64) -> f64 {
    let (fours, rest) = samples.as_chunks::<4>();
    let mut best = [start; 4];
    for four in fours {
        for (best, sample) in best.iter_mut().zip(four) {
            *best = better(*best, *sample);
        }
    }
    best.iter().chain(rest).fold(start, |best, sample| better(best, *sample))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::column::Grid;
    use super::super::context::Shift;
    use super::super::windows::WindowShape;
    use super::*;

    fn bits(value: f64) -> u64 {
        let is_ordinary_nan = value.is_nan() && value.to_bits() != absent().to_bits();
        if is_ordinary_nan { f64::NAN.to_bits() } else { value.to_bits() }
    }

    fn sample() -> impl Strategy<Value = f64> {
        prop_oneof![
            12 => (-2_000_i32..2_000).prop_map(f64::from),
            6 => (-2_000_i32..2_000).prop_map(|n| f64::from(n) / 100.0),
            1 => prop_oneof![Just(0.0), Just(-0.0)],
            1 => Just(f64::NAN),
            1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
            1 => prop_oneof![Just(1e100), Just(-1e100), Just(1.7e308), Just(9.007_199_254_740_991e15)],
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn all_at_once_is_one_by_one(
            mut samples in prop::collection::vec(sample(), 0..80),
            tame in 0_u8..3,
            (range_ms, step_ms) in (1_i64..300, 1_i64..60),
            function in prop_oneof![
                Just(Window::Sum), Just(Window::Avg), Just(Window::Count), Just(Window::Min), Just(Window::Max)
            ],
        ) {
            match tame {
                0 => samples.iter_mut().for_each(|sample| *sample = sample.clamp(-1e6, 1e6).round()),
                1 => samples.retain(|sample| sample.abs() < 1e6),
                _ => {}
            }
            let ts_ms: Vec<i64> = (1_i64..).map(|n| n * 10).take(samples.len()).collect();
            let grid = Grid { start_ms: 0, step_ms, count: 30 };
            let shape = WindowShape { grid, shift: Shift::default(), range_ms, rate: None };
            let windows = Windows::new(shape, &ts_ms);
            let naive: Vec<u64> = windows.bounds.iter().map(|bounds| match &samples[bounds.range()] {
                [] => bits(absent()),
                samples => bits(match function {
                    Window::Sum => window::sum(samples),
                    Window::Avg => window::mean(samples),
                    Window::Count => samples.len() as f64,
                    Window::Min => window::minimum(samples),
                    _ => window::maximum(samples),
                }),
            }).collect();
            let fast = values(function, range_ms, &windows, &samples);
            let fast = fast.unwrap_or_else(|| vec![absent(); grid.count]);
            prop_assert_eq!(fast.into_iter().map(bits).collect::<Vec<_>>(), naive);
        }
    }
}
