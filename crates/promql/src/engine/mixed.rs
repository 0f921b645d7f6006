//! Windows of series that are not floats alone: with histograms, start times, or edges beyond the range.
//!
//! The general path: every window is cut out of both kinds of samples. What only floats can answer is left to
//! [`window`](super::window).

use std::sync::Arc;

use model::{Histogram, HistogramSample, LabelSet, SampleColumns};

use super::annotations::{Note, Operation};
use super::column::{Grid, Steps};
use super::context::{Context, Shift};
use super::histogram_sum::HistogramMean;
use super::mixed_rate;
use super::range::WindowView;
use super::select::seconds;
use super::tracer::histogram_samples;
use super::window::{self, Parameters};
use crate::ast::{Extension, Span};
use crate::error::QueryError;
use crate::functions::Window;
use crate::value::SampleValue;

/// The samples of one step's range (with what its edges reach), and the range itself.
pub(crate) struct MixedWindow<'s> {
    pub(crate) labels: &'s LabelSet,
    pub(crate) ts_ms: &'s [i64],
    pub(crate) values: &'s [f64],
    /// When the counter began at each float; empty when nobody knows.
    pub(crate) starts: &'s [i64],
    pub(crate) histograms: &'s [HistogramSample],
    /// The range is `(start, end]`.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step: usize,
    pub(crate) time_ms: i64,
}

/// What a function makes of such a window.
pub(crate) type MixedFn<'f> = &'f (dyn Fn(&MixedWindow<'_>) -> Option<SampleValue> + Sync);

/// Slides over a series.
#[expect(clippy::too_many_arguments, reason = "a window is made of all of them, and there is one caller")]
pub(super) fn slide(
    context: &Context<'_>,
    labels: &LabelSet,
    samples: &SampleColumns,
    grid: Grid,
    shift: Shift,
    range_ms: i64,
    (before_ms, after_ms): (i64, i64),
    function: MixedFn<'_>,
) -> Result<Option<Steps>, QueryError> {
    let mut steps = Steps::default();
    for step in 0..grid.count {
        if step % 128 == 127 {
            context.check_running()?;
        }
        let time_ms = grid.time_ms(step);
        let end_ms = shift.apply(time_ms);
        let start_ms = end_ms.saturating_sub(range_ms);
        let is_before = |ts_ms: i64| ts_ms <= start_ms.saturating_sub(before_ms);
        let is_within = |ts_ms: i64| ts_ms <= end_ms.saturating_add(after_ms);
        let low = samples.ts_ms.partition_point(|ts_ms| is_before(*ts_ms));
        let high = samples.ts_ms.partition_point(|ts_ms| is_within(*ts_ms)).max(low);
        let first = samples.histograms.partition_point(|sample| is_before(sample.ts_ms));
        let end = samples.histograms.partition_point(|sample| is_within(sample.ts_ms)).max(first);
        let weights =
            samples.histograms[first..end].iter().map(|sample| histogram_samples(&sample.histogram));
        context.queryable.add(step, (high - low) as u64 + weights.sum::<u64>());
        let window = MixedWindow {
            labels,
            ts_ms: &samples.ts_ms[low..high],
            values: &samples.values[low..high],
            starts: samples.start_ms.get(low..high).unwrap_or_default(),
            histograms: &samples.histograms[first..end],
            start_ms,
            end_ms,
            step,
            time_ms,
        };
        let sample = if low == high && first == end { None } else { function(&window) };
        steps.push(sample, grid.count);
    }
    Ok(steps.any().then_some(steps))
}

/// A function of ranges with all that it needs to evaluate a window.
pub(crate) struct MixedCall<'c> {
    pub(crate) context: &'c Context<'c>,
    pub(crate) function: Window,
    pub(crate) parameters: Parameters<'c>,
    pub(crate) range_ms: i64,
    pub(crate) extension: Option<Extension>,
    /// Whether start times count.
    pub(crate) use_start_times: bool,
    /// Where annotations point.
    pub(crate) span: Span,
}

/// One sample of a window.
#[derive(Clone, Copy)]
pub(super) struct Sample<'s> {
    pub(super) ts_ms: i64,
    /// When the counter began, 0 when nobody knows.
    pub(super) start_ms: i64,
    pub(super) value: Kind<'s>,
}

/// A sample's value, of either kind.
#[derive(Clone, Copy)]
pub(super) enum Kind<'s> {
    Float(f64),
    Histogram(&'s Arc<Histogram>),
}

impl MixedCall<'_> {
    /// The value of one window.
    pub(crate) fn value(&self, window: &MixedWindow<'_>) -> Option<SampleValue> {
        let float = |value: f64| Some(SampleValue::Float(value));
        match self.function {
            Window::Rate | Window::Increase | Window::Delta => mixed_rate::rate(self, window),
            Window::Irate | Window::Idelta => mixed_rate::instant(self, window),
            Window::Changes => float(self.count_pairs(window, Self::has_changed)?),
            Window::Resets => float(self.count_pairs(window, Self::was_reset)?),
            Window::Sum | Window::Avg => self.sum(window),
            Window::Count => float(count(window.values.len() + window.histograms.len())),
            Window::Present => float(1.0),
            Window::Last => Some(last(window)),
            Window::First => Some(first(window)),
            Window::TsOfFirst => {
                let histogram = window.histograms.first().map(|sample| sample.ts_ms);
                let first = window.ts_ms.first().copied().into_iter().chain(histogram).min()?;
                float(seconds(first))
            }
            Window::TsOfLast => {
                let histogram = window.histograms.last().map(|sample| sample.ts_ms);
                float(seconds(window.ts_ms.last().copied().into_iter().chain(histogram).max()?))
            }
            _ => self.of_floats(window),
        }
    }

    pub(super) fn note(&self, note: Note) {
        self.context.note(self.span, note);
    }

    /// Notes that floats and histograms do not go together here.
    pub(super) fn note_mixed(&self, window: &MixedWindow<'_>) {
        self.note(Note::mixed_floats_histograms(window.labels.metric_name()));
    }

    /// Functions that leave histograms out.
    fn of_floats(&self, window: &MixedWindow<'_>) -> Option<SampleValue> {
        if window.values.is_empty() {
            return None;
        }
        if !window.histograms.is_empty() {
            self.note(Note::histogram_ignored_in_range(window.labels.metric_name()));
        }
        let view = WindowView {
            ts_ms: window.ts_ms,
            values: window.values,
            resets: &[],
            first: 0,
            start_ms: window.start_ms,
            end_ms: window.end_ms,
            step: window.step,
            time_ms: window.time_ms,
        };
        window::value(self.function, self.parameters, self.range_ms, &view).map(SampleValue::Float)
    }

    fn sum(&self, window: &MixedWindow<'_>) -> Option<SampleValue> {
        let Some((first, others)) = window.histograms.split_first() else {
            return self.of_floats(window);
        };
        if !window.values.is_empty() {
            self.note_mixed(window);
            return None;
        }
        let mut sum = HistogramMean::new(&first.histogram);
        for sample in others {
            let added = match self.function {
                Window::Avg => sum.add_to_mean(&sample.histogram),
                _ => sum.add(&sample.histogram),
            };
            if added.is_err() {
                self.note(Note::mixed_exponential_custom(window.labels.metric_name()));
                return None;
            }
        }
        if sum.reset_hints_collided() {
            self.note(Note::reset_hints_collide(Operation::Aggregation));
        }
        if sum.bounds_differed() {
            self.note(Note::bounds_reconciled(Operation::Aggregation));
        }
        let value = if self.function == Window::Avg { sum.mean() } else { sum.total() };
        Some(SampleValue::Histogram(Arc::new(value)))
    }

    /// Counts pairs of neighbours, of either kind, that `counts` picks. An anchored window begins with the latest sample
    /// at or before its range.
    fn count_pairs(
        &self,
        window: &MixedWindow<'_>,
        counts: impl Fn(&Self, Sample<'_>, Sample<'_>) -> bool,
    ) -> Option<f64> {
        let mut samples = merged(window);
        if self.extension.is_some() {
            let inside = samples.iter().position(|sample| sample.ts_ms > window.start_ms)?;
            samples.drain(..inside.saturating_sub(1));
        }
        if samples.is_empty() {
            return None;
        }
        Some(count(samples.windows(2).filter(|pair| counts(self, pair[0], pair[1])).count()))
    }

    fn has_changed(&self, before: Sample<'_>, after: Sample<'_>) -> bool {
        match (before.value, after.value) {
            (Kind::Float(before), Kind::Float(after)) => window::changed(before, after),
            (Kind::Histogram(before), Kind::Histogram(after)) => !before.same_data(after),
            _ => true,
        }
    }

    fn was_reset(&self, before: Sample<'_>, after: Sample<'_>) -> bool {
        let is_start = self.use_start_times
            && mixed_rate::is_start_reset((before.start_ms, before.ts_ms), (after.start_ms, after.ts_ms));
        match (before.value, after.value) {
            (Kind::Float(before), Kind::Float(after)) => after < before || is_start,
            (Kind::Histogram(before), Kind::Histogram(after)) => is_start || after.is_reset_after(before),
            _ => true,
        }
    }
}

/// The samples of both kinds, ascending in time.
pub(super) fn merged<'s>(window: &MixedWindow<'s>) -> Vec<Sample<'s>> {
    let start = |index: usize| window.starts.get(index).copied().unwrap_or(0);
    let floats = window.ts_ms.iter().zip(window.values).enumerate().map(|(index, (ts_ms, value))| Sample {
        ts_ms: *ts_ms,
        start_ms: start(index),
        value: Kind::Float(*value),
    });
    let histograms = window.histograms.iter().map(|sample| Sample {
        ts_ms: sample.ts_ms,
        start_ms: sample.start_ms,
        value: Kind::Histogram(&sample.histogram),
    });
    let mut samples: Vec<Sample<'s>> = floats.chain(histograms).collect();
    samples.sort_by_key(|sample| sample.ts_ms);
    samples
}

fn last(window: &MixedWindow<'_>) -> SampleValue {
    pick(window, window.ts_ms.len().checked_sub(1), window.histograms.last(), |float, histogram| {
        float > histogram
    })
}

fn first(window: &MixedWindow<'_>) -> SampleValue {
    let float = (!window.ts_ms.is_empty()).then_some(0);
    pick(window, float, window.histograms.first(), |float, histogram| float < histogram)
}

/// The float if it is `better` placed in time, or alone; else the histogram.
fn pick(
    window: &MixedWindow<'_>,
    float: Option<usize>,
    histogram: Option<&HistogramSample>,
    better: impl Fn(i64, i64) -> bool,
) -> SampleValue {
    match (float, histogram) {
        (Some(float), None) => SampleValue::Float(window.values[float]),
        (Some(float), Some(sample)) if better(window.ts_ms[float], sample.ts_ms) => {
            SampleValue::Float(window.values[float])
        }
        (_, Some(sample)) => SampleValue::Histogram(sample.histogram.clone()),
        (None, None) => unreachable!("BUG: a window without samples"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
fn count(count: usize) -> f64 {
    count as f64
}
