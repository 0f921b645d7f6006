//! Axes with round numbers.

use time::OffsetDateTime;
use time::macros::format_description;

use crate::query::number::short;

/// Rows between two numbers of the axis, about.
const ROWS_PER_TICK: f64 = 3.0;

/// The axis of values.
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Numbers by row.
    labels: Vec<Option<String>>,
}

impl Scale {
    /// An axis that holds `low..=high` in `rows` rows of text. It begins at zero when that costs less than half of it.
    pub(super) fn new(low: f64, high: f64, rows: usize) -> Self {
        let (mut low, mut high) = (low, high);
        if low > 0.0 && low < high / 2.0 {
            low = 0.0;
        }
        if high < 0.0 && high > low / 2.0 {
            high = 0.0;
        }
        if low == high {
            let margin = if low == 0.0 { 1.0 } else { low.abs() / 10.0 };
            (low, high) = (low - margin, high + margin);
        }
        #[expect(clippy::cast_precision_loss, reason = "a few dozen rows")]
        let count = rows as f64;
        let step = round_step((high - low) / (count / ROWS_PER_TICK));
        (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        let mut labels = vec![None; rows];
        let mut tick = 0.0;
        while low + tick * step <= high + step / 2.0 && tick <= count {
            let value = low + tick * step;
            let row = ((high - value) / (high - low) * (count - 1.0)).round();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of the rows"
            )]
            let row = row.max(0.0) as usize;
            // What is left of zero after the sum is zero.
            let shown = if value.abs() < step / 1e6 { 0.0 } else { value };
            if let Some(label) = labels.get_mut(row) {
                *label = Some(short(shown));
            }
            tick += 1.0;
        }
        Self { low, high, labels }
    }

    /// Where a value lies: 0 at the bottom, 1 at the top.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The number beside a row, if there is one.
    pub(super) fn label(&self, row: usize) -> Option<String> {
        self.labels.get(row).cloned().flatten()
    }
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|round| *round >= step)
        .unwrap_or(step)
}

/// A time as the axis shows it: as fine as the span needs.
pub(super) fn time(unix_seconds: f64, span_seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "saturates; a time out of range has no name")]
    let Ok(time) = OffsetDateTime::from_unix_timestamp(unix_seconds.round() as i64) else {
        return format!("{unix_seconds}");
    };
    let format = if span_seconds < 1_200.0 {
        format_description!("[hour]:[minute]:[second]")
    } else if span_seconds < 86_400.0 {
        format_description!("[hour]:[minute]")
    } else {
        format_description!("[month]-[day] [hour]:[minute]")
    };
    time.format(format).unwrap_or_else(|_| format!("{unix_seconds}"))
}
