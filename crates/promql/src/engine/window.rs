//! Functions of the samples in a range, but for the rates. Those that are asked for most are computed for all windows at
//! once where that gives the same numbers: see [`whole_series`](super::whole_series).

use super::math::{self, KahanSum, Mean};
use super::range::WindowView;
use super::rate::{self, RateKind};
use super::select::seconds;
use crate::functions::Window;

/// Scalar arguments, one value per step: φ of a quantile, seconds of a prediction, factors of a smoothing.
pub(crate) type Parameters<'p> = &'p [Vec<f64>];

/// Value of `function` for one window that holds at least one sample.
pub(crate) fn value(
    function: Window,
    parameters: Parameters<'_>,
    range_ms: i64,
    window: &WindowView<'_>,
) -> Option<f64> {
    let values = window.values;
    let rate_of = |is_counter, per_second| RateKind { is_counter, per_second };
    let parameter = |index: usize| parameters[index][window.step];
    Some(match function {
        Window::Rate => return rate::extrapolated(rate_of(true, true), range_ms, window),
        Window::Increase => return rate::extrapolated(rate_of(true, false), range_ms, window),
        Window::Delta => return rate::extrapolated(rate_of(false, false), range_ms, window),
        Window::Irate => return rate::instant(rate_of(true, true), window),
        Window::Idelta => return rate::instant(rate_of(false, false), window),
        Window::Deriv => return regression(window, window.ts_ms[0]).map(|line| line.slope),
        Window::PredictLinear => {
            let line = regression(window, window.time_ms)?;
            line.slope * parameter(0) + line.intercept
        }
        Window::Smoothing => return smoothing(values, parameter(0), parameter(1)),
        Window::Changes => count(values.windows(2).filter(|pair| changed(pair[0], pair[1])).count()),
        Window::Resets => count(values.windows(2).filter(|pair| pair[1] < pair[0]).count()),
        Window::Sum => sum(values),
        Window::Avg => mean(values),
        Window::Min => minimum(values),
        Window::Max => maximum(values),
        Window::Count => count(values.len()),
        Window::Last => *values.last()?,
        Window::First => *values.first()?,
        Window::Present => 1.0,
        Window::Stdvar => variance(values),
        Window::Stddev => variance(values).sqrt(),
        Window::Quantile => {
            let mut sorted = values.to_vec();
            math::sort_nan_first(&mut sorted);
            math::quantile_sorted(parameter(0), &sorted)
        }
        Window::Mad => median_deviation(values),
        Window::TsOfFirst => seconds(*window.ts_ms.first()?),
        Window::TsOfLast => seconds(*window.ts_ms.last()?),
        Window::TsOfMin => seconds(time_of(window, |value, best| value <= best || best.is_nan())?),
        Window::TsOfMax => seconds(time_of(window, |value, best| value >= best || best.is_nan())?),
    })
}

/// Whether the function keeps the metric's name.
pub(crate) fn keeps_name(function: Window) -> bool {
    matches!(function, Window::Last | Window::First)
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
fn count(count: usize) -> f64 {
    count as f64
}

pub(super) fn changed(before: f64, after: f64) -> bool {
    before != after && !(before.is_nan() && after.is_nan())
}

fn smaller(best: f64, value: f64) -> f64 {
    if value < best || best.is_nan() { value } else { best }
}

fn larger(best: f64, value: f64) -> f64 {
    if value > best || best.is_nan() { value } else { best }
}

/// The smallest; NaN only when all are.
pub(super) fn minimum(values: &[f64]) -> f64 {
    values.iter().copied().reduce(smaller).unwrap_or(f64::NAN)
}

/// The largest; NaN only when all are.
pub(super) fn maximum(values: &[f64]) -> f64 {
    values.iter().copied().reduce(larger).unwrap_or(f64::NAN)
}

pub(super) fn sum(values: &[f64]) -> f64 {
    let mut sum = KahanSum::default();
    for value in values {
        sum.add(*value);
    }
    if sum.sum.is_infinite() { sum.sum } else { sum.total() }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    let mut mean = Mean::default();
    for value in values {
        mean.add(*value);
    }
    mean.mean()
}

fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (KahanSum::default(), KahanSum::default());
    for (index, value) in values.iter().enumerate() {
        let delta = value - mean.total();
        mean.add(delta / count(index + 1));
        squares.add(delta * (value - mean.total()));
    }
    squares.total() / count(values.len())
}

fn median_deviation(values: &[f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    let middle = median(&mut sorted);
    let mut deviations: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&mut deviations)
}

fn time_of(window: &WindowView<'_>, replaces: impl Fn(f64, f64) -> bool) -> Option<i64> {
    let mut best = 0;
    for (index, value) in window.values.iter().enumerate() {
        if replaces(*value, window.values[best]) {
            best = index;
        }
    }
    window.ts_ms.get(best).copied()
}

struct Line {
    slope: f64,
    /// Value at the time asked for.
    intercept: f64,
}

/// The median of values, which are sorted for it.
fn median(values: &mut [f64]) -> f64 {
    math::sort_nan_first(values);
    math::quantile_sorted(0.5, values)
}

/// Least squares through the samples; two at least.
fn regression(window: &WindowView<'_>, intercept_ms: i64) -> Option<Line> {
    let values = window.values;
    if values.len() < 2 {
        return None;
    }
    if values.iter().all(|value| *value == values[0]) {
        let flat = values[0];
        let (slope, intercept) = if flat.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, flat) };
        return Some(Line { slope, intercept });
    }
    let mut sums = [KahanSum::default(); 4];
    for (ts_ms, y) in window.ts_ms.iter().zip(values) {
        let x = seconds(ts_ms.saturating_sub(intercept_ms));
        for (sum, term) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            sum.add(term);
        }
    }
    let [x, y, xy, xx] = sums.map(KahanSum::total);
    let n = count(values.len());
    let slope = (xy - x * y / n) / (xx - x * x / n);
    Some(Line { slope, intercept: y / n - slope * x / n })
}

/// Holt's linear method; factors are checked by the caller. Two samples at least.
fn smoothing(values: &[f64], level_factor: f64, trend_factor: f64) -> Option<f64> {
    let [first, second, ..] = values else { return None };
    let (mut before, mut level) = (0.0, *first);
    let mut trend = second - first;
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = level_factor * value + (1.0 - level_factor) * (level + trend);
        (before, level) = (level, next);
    }
    Some(level)
}
