//! `rate`, `increase`, `delta`, `irate`, `idelta`.
//!
//! ```text
//! range   (start ........................................ end]
//! samples        first . . . . . . . . . . . . last
//!         └──────┘ extrapolated when the gap is below 1.1 × the average distance of samples,
//!                  else by half that distance; a counter never below zero
//! ```

use super::range::WindowView;

/// Which of the family.
#[derive(Clone, Copy, Debug)]
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
