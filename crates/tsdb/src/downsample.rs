//! Downsampling: a few samples per window that answer what the raw ones did.
//!
//! ```text
//! window          |        5 min or 1 h         |
//! raw      . . . . . . ^ v . . . . . . . . . . .  ^ before a reset, v after it
//! samples  f           ^ v                     l  first of the series, both sides of each reset, last of each window
//! min max sum count                            |  one each, at the time of the window's last sample
//! ```
//! - `samples` are real samples at their own times. A counter rises between two of them by exactly what it rose by in the
//!   raw data, resets accounted: so `increase` over whole windows is the same.
//! - A gauge may fall at every step; of it only the windows' last samples stay. What nobody has called a counter or a
//!   gauge is treated as a counter in windows with at most two falls.
//! - A stale marker stays when it ends a window, with the sample before it. It is in none of the other columns, and
//!   neither are NaNs in `min` and `max`.
//! - Coarser copies are made of finer ones in the same way: smallest of the minima, sum of the sums, and so on.

use model::{Aggregate, HistogramSample, ResetHint, SampleColumns, is_stale_nan};

/// Columns of a downsampled series.
pub(crate) const COLUMNS: usize = 5;
/// The column that answers a question; that of the counts is the last.
pub(crate) fn column_of(aggregate: Aggregate) -> u8 {
    match aggregate {
        Aggregate::Samples => 0,
        Aggregate::Min => 1,
        Aggregate::Max => 2,
        Aggregate::Sum => 3,
    }
}

/// More falls than this in one window are those of a gauge.
const UNKNOWN_FALLS_MAX: usize = 2;

/// What is known of a series' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    Counter,
    Gauge,
    Unknown,
}

/// Replaces `out` by the windows of `input`: raw samples (then the other columns are empty) or finer windows.
pub(crate) fn downsample(
    input: &[SampleColumns; COLUMNS],
    window_ms: i64,
    nature: Nature,
    out: &mut [SampleColumns; COLUMNS],
) {
    out.iter_mut().for_each(SampleColumns::clear);
    let [samples, min, max, sum, count] = input;
    let [out_samples, out_min, out_max, out_sum, out_count] = out;
    pick_samples(samples, window_ms, nature, out_samples);
    pick_histograms(&samples.histograms, window_ms, &mut out_samples.histograms);
    let is_raw = count.is_empty();
    let (min, max, sum) = if is_raw { (samples, samples, samples) } else { (min, max, sum) };
    fold(min, window_ms, f64::min, out_min);
    fold(max, window_ms, f64::max, out_max);
    fold(sum, window_ms, |left, right| left + right, out_sum);
    if is_raw {
        count_samples(samples, window_ms, out_count);
    } else {
        fold(count, window_ms, |left, right| left + right, out_count);
    }
}

/// `[start, end)` of each window with samples.
fn windows(ts_ms: &[i64], window_ms: i64) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let window = ts_ms.get(start)?.div_euclid(window_ms);
        let len = ts_ms.iter().skip(start).take_while(|ts_ms| ts_ms.div_euclid(window_ms) == window).count();
        let range = (start, start + len);
        start += len;
        Some(range)
    })
}

fn pick_samples(samples: &SampleColumns, window_ms: i64, nature: Nature, out: &mut SampleColumns) {
    // The last sample that is no stale marker.
    let mut before: Option<usize> = None;
    let mut kept: Vec<usize> = Vec::new();
    let value = |index: usize| samples.values.get(index).copied().unwrap_or_default();
    for (start, end) in windows(&samples.ts_ms, window_ms) {
        let mut falls = Vec::new();
        for index in (start..end).filter(|index| !is_stale_nan(value(*index))) {
            match before {
                None => kept.push(index),
                Some(before) if value(index) < value(before) => falls.push((before, index)),
                Some(_) => {}
            }
            before = Some(index);
        }
        let are_resets = match nature {
            Nature::Counter => true,
            Nature::Gauge => false,
            Nature::Unknown => falls.len() <= UNKNOWN_FALLS_MAX,
        };
        if are_resets {
            kept.extend(falls.into_iter().flat_map(|(before, after)| [before, after]));
        }
        kept.extend(before.filter(|before| *before >= start));
        kept.push(end - 1);
    }
    kept.sort_unstable();
    kept.dedup();
    for index in kept {
        let ts_ms = samples.ts_ms.get(index).copied().unwrap_or_default();
        out.ts_ms.push(ts_ms);
        out.values.push(value(index));
        out.start_ms.extend(samples.start_ms.get(index));
    }
}

/// The first histogram, both sides of each reset, the last of each window.
fn pick_histograms(samples: &[HistogramSample], window_ms: i64, out: &mut Vec<HistogramSample>) {
    let ts_ms: Vec<i64> = samples.iter().map(|sample| sample.ts_ms).collect();
    let mut kept: Vec<usize> = Vec::new();
    kept.extend(samples.first().map(|_| 0));
    for (index, pair) in samples.windows(2).enumerate() {
        if let [before, after] = pair
            && is_reset(before, after)
        {
            kept.extend([index, index + 1]);
        }
    }
    kept.extend(windows(&ts_ms, window_ms).map(|(_, end)| end - 1));
    kept.sort_unstable();
    kept.dedup();
    out.extend(kept.into_iter().filter_map(|index| samples.get(index).cloned()));
}

fn is_reset(before: &HistogramSample, after: &HistogramSample) -> bool {
    match after.histogram.reset_hint {
        ResetHint::Gauge => false,
        ResetHint::Reset => true,
        ResetHint::Unknown | ResetHint::NotReset => {
            after.histogram.is_stale()
                || before.histogram.is_stale()
                || after.histogram.count < before.histogram.count
        }
    }
}

fn fold(samples: &SampleColumns, window_ms: i64, add: fn(f64, f64) -> f64, out: &mut SampleColumns) {
    for (start, end) in windows(&samples.ts_ms, window_ms) {
        let values = samples.values.get(start..end).unwrap_or_default();
        let folded = values.iter().copied().filter(|value| !is_stale_nan(*value)).reduce(add);
        if let (Some(folded), Some(ts_ms)) = (folded, samples.ts_ms.get(end - 1)) {
            out.push(*ts_ms, folded);
        }
    }
}

fn count_samples(samples: &SampleColumns, window_ms: i64, out: &mut SampleColumns) {
    for (start, end) in windows(&samples.ts_ms, window_ms) {
        let values = samples.values.get(start..end).unwrap_or_default();
        let count = values.iter().filter(|value| !is_stale_nan(**value)).count();
        if let Some(ts_ms) = samples.ts_ms.get(end - 1).filter(|_| count > 0) {
            out.push(*ts_ms, count as f64);
        }
    }
}

#[cfg(test)]
mod tests;
