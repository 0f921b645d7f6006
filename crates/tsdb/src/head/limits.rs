//! What a batch is held against, and refusals in words.

use model::{HistogramSample, LabelSetRef, METRIC_NAME, RejectReason, SeriesRef};

use super::series::Rules;
use crate::TsdbConfig;
use crate::config::to_ms;

/// What a batch is held against.
pub(crate) struct Limits<'c> {
    pub(crate) config: &'c TsdbConfig,
    pub(crate) now_ms: i64,
    /// Minutes on a clock that never jumps.
    pub(crate) minute: u32,
}

impl Limits<'_> {
    pub(super) fn rules(&self) -> Rules {
        Rules {
            oldest_ms: self.now_ms.saturating_sub(to_ms(self.config.retention)),
            latest_ms: self.now_ms.saturating_add(to_ms(self.config.future_max)),
            window_ms: to_ms(self.config.out_of_order_window),
        }
    }

    /// Whether a series of these labels and samples may be created, as far as it does not depend on other series.
    pub(super) fn admit(&self, entry: &SeriesRef<'_>) -> Result<(), (RejectReason, String)> {
        check_labels(entry.labels, self.config)?;
        // A series none of whose samples can stay would only take memory; one reason stands for all of them.
        let rules = self.rules();
        let times = entry.ts_ms.iter().copied().chain(entry.histograms.iter().map(|sample| sample.ts_ms));
        let refusal = times.into_iter().try_fold(None, |first, ts_ms| {
            rules.refusal(ts_ms).map(|reason| first.or(Some((reason, ts_ms))))
        });
        if let Some(Some((reason, ts_ms))) = refusal {
            return Err((reason, self.example(reason, entry.labels, ts_ms, None)));
        }
        Ok(())
    }

    /// A histogram that makes no sense in words.
    pub(super) fn check_histogram(
        &self,
        labels: LabelSetRef<'_>,
        sample: &HistogramSample,
    ) -> Result<(), String> {
        sample
            .histogram
            .validate()
            .map_err(|error| format!("histogram of {labels} at {} ms: {error}", sample.ts_ms))
    }

    /// A refused sample in words.
    pub(super) fn example(
        &self,
        reason: RejectReason,
        labels: LabelSetRef<'_>,
        ts_ms: i64,
        newest_ms: Option<i64>,
    ) -> String {
        let (now_ms, newest_ms) = (self.now_ms, newest_ms.unwrap_or_default());
        match reason {
            RejectReason::OutOfOrder => format!(
                "sample of {labels} at {ts_ms} ms is over out_of_order_window = {:?} behind the series' newest at {newest_ms} ms",
                self.config.out_of_order_window
            ),
            RejectReason::DuplicateTimestamp => {
                format!("sample of {labels} at {ts_ms} ms has another value than the one stored at that time")
            }
            RejectReason::TooOld => format!(
                "sample of {labels} at {ts_ms} ms is over retention = {:?} before the server's time {now_ms} ms",
                self.config.retention
            ),
            RejectReason::TooFarInFuture => format!(
                "sample of {labels} at {ts_ms} ms is over future_max = {:?} ahead of the server's time {now_ms} ms",
                self.config.future_max
            ),
            _ => format!("sample of {labels} has the negative time {ts_ms} ms, the limit is 0"),
        }
    }
}

fn check_labels(labels: LabelSetRef<'_>, config: &TsdbConfig) -> Result<(), (RejectReason, String)> {
    let name = labels.get(METRIC_NAME).unwrap_or_default();
    if name.is_empty() {
        return Err((RejectReason::InvalidLabels, format!("series {labels} has no metric name")));
    }
    let mut count = 0;
    for (label, value) in labels.iter() {
        count += 1;
        let (bytes, what, limit, setting) = if label.len() > config.label_name_bytes_max {
            (label.len(), "name", config.label_name_bytes_max, "label_name_bytes_max")
        } else if value.len() > config.label_value_bytes_max {
            (value.len(), "value", config.label_value_bytes_max, "label_value_bytes_max")
        } else {
            continue;
        };
        let start: String = label.chars().take(64).collect();
        let example = format!(
            "a series of {name:.64} has a label {what} of {bytes} bytes ({start}), {setting} = {limit}"
        );
        return Err((RejectReason::LabelTooLong, example));
    }
    if count > config.labels_max {
        let example =
            format!("a series of {name:.64} has {count} labels, labels_max = {}", config.labels_max);
        return Err((RejectReason::TooManyLabels, example));
    }
    Ok(())
}
