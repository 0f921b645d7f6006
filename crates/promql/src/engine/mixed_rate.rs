//! `rate` and its family for histograms, start times, and the edges of `anchored` and `smoothed`.
//!
//! A start time that lies between two samples is a reset. One inside the range, before the first sample, is where the
//! counter was zero: nothing is extrapolated to the left then, and one sample is enough.

use std::sync::Arc;

use model::{Histogram, HistogramSample, HistogramSum, ResetHint};

use super::annotations::{Note, Operation};
use super::mixed::{Kind, MixedCall, MixedWindow, merged};
use super::select::seconds;
use super::smoothed::{self, Edges, edge_values, interpolate_histograms};
use crate::ast::Extension;
use crate::functions::Window;
use crate::value::SampleValue;

/// Whether a counter began anew between two samples, given as (start time, time).
pub(super) fn is_start_reset((before_start, before): (i64, i64), (start, at): (i64, i64)) -> bool {
    if start == 0 || start >= at || start < before {
        return false;
    }
    // A start at the sample before is that of a delta, unless that sample did not know its own.
    start > before || (before_start <= before && before_start != 0 && before_start != before)
}

/// Whether a sample says that it began before the one before it did, without being the same counter.
fn is_start_overlap((before_start, before): (i64, i64), start: i64) -> bool {
    start != 0 && start < before && start != before_start
}

impl MixedCall<'_> {
    fn is_counter(&self) -> bool {
        matches!(self.function, Window::Rate | Window::Increase | Window::Irate)
    }

    fn is_per_second(&self) -> bool {
        matches!(self.function, Window::Rate | Window::Irate)
    }

    /// Adds a histogram; nothing when the two do not go together.
    fn add(&self, sum: &mut HistogramSum, other: &Histogram, window: &MixedWindow<'_>) -> Option<()> {
        self.noted(sum.add(other), Operation::Addition, window)
    }

    fn subtract(&self, sum: &mut HistogramSum, other: &Histogram, window: &MixedWindow<'_>) -> Option<()> {
        self.noted(sum.subtract(other), Operation::Subtraction, window)
    }

    fn noted(
        &self,
        outcome: Result<model::Reconciled, model::IncompatibleSchemas>,
        operation: Operation,
        window: &MixedWindow<'_>,
    ) -> Option<()> {
        match outcome {
            Ok(noted) if noted.custom_bounds_differed => self.note(Note::bounds_reconciled(operation)),
            Ok(_) => {}
            Err(_) => {
                self.note(Note::mixed_exponential_custom(window.labels.metric_name()));
                return None;
            }
        }
        Some(())
    }

    /// Notes that counters are asked of gauges, or gauges of counters.
    fn note_kind(&self, window: &MixedWindow<'_>, first: &Histogram, last: &Histogram) {
        let is_gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
        let (any, all) = (is_gauge(first) || is_gauge(last), is_gauge(first) && is_gauge(last));
        let metric = window.labels.metric_name();
        if self.is_counter() && any {
            self.note(Note::not_counter(metric));
        } else if !self.is_counter() && !all {
            self.note(Note::not_gauge(metric));
        }
    }

    /// `(start time, time)` of each sample, if start times count.
    fn starts(&self, window: &MixedWindow<'_>) -> Vec<(i64, i64)> {
        if !self.use_start_times || !self.is_counter() {
            return Vec::new();
        }
        if window.histograms.is_empty() {
            return window.starts.iter().copied().zip(window.ts_ms.iter().copied()).collect();
        }
        window.histograms.iter().map(|sample| (sample.start_ms, sample.ts_ms)).collect()
    }

    /// Which samples (from 1) begin anew by their start time. Notes overlaps, one per window.
    fn start_resets(&self, starts: &[(i64, i64)], window: &MixedWindow<'_>) -> Vec<bool> {
        if starts.windows(2).any(|pair| is_start_overlap(pair[0], pair[1].0)) {
            self.note(Note::start_time_overlaps(window.labels.metric_name()));
        }
        let mut resets = vec![false; starts.len().min(1)];
        resets.extend(starts.windows(2).map(|pair| is_start_reset(pair[0], pair[1])));
        resets
    }
}

/// `rate`, `increase` and `delta`.
pub(super) fn rate(call: &MixedCall<'_>, window: &MixedWindow<'_>) -> Option<SampleValue> {
    if !window.values.is_empty() && !window.histograms.is_empty() {
        call.note_mixed(window);
        return None;
    }
    match (call.extension, window.histograms.is_empty()) {
        (Some(extension), true) => extended_floats(call, window, extension).map(SampleValue::Float),
        (Some(extension), false) => {
            extended_histograms(call, window, extension).map(|h| SampleValue::Histogram(Arc::new(h)))
        }
        (None, _) => extrapolated(call, window),
    }
}

/// What extrapolation needs to know of the samples inside the range.
struct Sampled {
    first_ms: i64,
    last_ms: i64,
    intervals: usize,
    /// Value of the first sample (a histogram's count), and the increase.
    first: f64,
    increase: f64,
}

fn extrapolated(call: &MixedCall<'_>, window: &MixedWindow<'_>) -> Option<SampleValue> {
    let starts = call.starts(window);
    let resets = call.start_resets(&starts, window);
    let first_ms = window.ts_ms.first().copied().or(window.histograms.first().map(|h| h.ts_ms))?;
    let began = starts.first().map(|(start, _)| *start);
    let began = began.filter(|start| *start != 0 && *start > window.start_ms && *start < first_ms);
    if window.histograms.is_empty() {
        let mut increase = float_increase(call, window, &resets);
        if began.is_some() {
            increase += window.values[0];
        }
        let last = window.values.len() - 1;
        let sampled = Sampled {
            first_ms,
            last_ms: window.ts_ms[last],
            intervals: last,
            first: window.values[0],
            increase,
        };
        return Some(SampleValue::Float(increase * factor(call, window, &sampled, began)?));
    }
    let mut sum = match window.histograms {
        [] | [_] => None,
        samples => Some(histogram_increase(call, window, samples, &resets)?),
    };
    let first = &window.histograms[0].histogram;
    if began.is_some() {
        match &mut sum {
            Some(sum) => call.add(sum, first, window)?,
            None => sum = Some(HistogramSum::new(first)),
        }
    }
    let increase = sum.as_ref().map(HistogramSum::total);
    let last = window.histograms.len() - 1;
    let sampled = Sampled {
        first_ms,
        last_ms: window.histograms[last].ts_ms,
        intervals: last,
        first: first.count,
        increase: increase.as_ref().map_or(0.0, |increase| increase.count),
    };
    let factor = factor(call, window, &sampled, began)?;
    let mut increase = increase?.multiplied(factor);
    if last > 0 {
        increase.reset_hint = ResetHint::Gauge;
    }
    Some(SampleValue::Histogram(Arc::new(increase.compacted())))
}

fn float_increase(call: &MixedCall<'_>, window: &MixedWindow<'_>, resets: &[bool]) -> f64 {
    let values = window.values;
    let mut increase = values[values.len() - 1] - values[0];
    if call.is_counter() {
        for (index, pair) in values.windows(2).enumerate() {
            if pair[1] < pair[0] || resets.get(index + 1).copied().unwrap_or(false) {
                increase += pair[0];
            }
        }
    }
    increase
}

/// By how much the increase is multiplied: the share of the range that samples do not cover, and the range's seconds.
fn factor(
    call: &MixedCall<'_>,
    window: &MixedWindow<'_>,
    sampled: &Sampled,
    began: Option<i64>,
) -> Option<f64> {
    let mut to_start = seconds(sampled.first_ms - window.start_ms);
    let mut to_end = seconds(window.end_ms - sampled.last_ms);
    let mut covered = seconds(sampled.last_ms - sampled.first_ms);
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
    let average = if sampled.intervals > 0 { covered / sampled.intervals as f64 } else { 0.0 };
    let threshold = average * 1.1;
    if let Some(began) = began {
        to_start = 0.0;
        covered = seconds(sampled.last_ms - began);
    } else if sampled.intervals == 0 {
        return None;
    } else {
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if call.is_counter() && sampled.increase > 0.0 && sampled.first >= 0.0 {
            to_start = to_start.min(covered * (sampled.first / sampled.increase));
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let factor = if covered == 0.0 { 1.0 } else { (covered + to_start + to_end) / covered };
    Some(if call.is_per_second() { factor / seconds(call.range_ms) } else { factor })
}

/// The last histogram less the first, and what was counted before each reset. Two samples at least.
fn histogram_increase(
    call: &MixedCall<'_>,
    window: &MixedWindow<'_>,
    samples: &[HistogramSample],
    resets: &[bool],
) -> Option<HistogramSum> {
    let is_counter = call.is_counter();
    let metric = window.labels.metric_name();
    let (first, last) = (&samples[0].histogram, &samples[samples.len() - 1].histogram);
    let is_gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    if is_counter && samples.iter().any(|sample| is_gauge(&sample.histogram)) {
        call.note(Note::not_counter(metric));
    }
    call.note_kind(window, first, last);
    let is_reset = |index: usize, before: &Histogram| {
        resets.get(index).copied().unwrap_or(false) || samples[index].histogram.is_reset_after(before)
    };
    // After a reset the first sample does not count, nor does its layout.
    let mut before = first.clone();
    if is_counter && is_reset(1, first) {
        let second = &samples[1].histogram;
        before = Arc::new(Histogram {
            schema: second.schema,
            custom_bounds: second.custom_bounds.clone(),
            ..Histogram::default()
        });
    }
    let middle = &samples[1..samples.len() - 1];
    let is_custom = before.has_custom_bounds();
    let mixes = last.has_custom_bounds() != is_custom
        || (is_counter && middle.iter().any(|sample| sample.histogram.has_custom_bounds() != is_custom));
    if mixes {
        call.note(Note::mixed_exponential_custom(metric));
        return None;
    }
    let mut increase = HistogramSum::new(last);
    call.subtract(&mut increase, &before, window)?;
    if is_counter {
        if let Some(schema) = middle.iter().map(|sample| sample.histogram.schema).min() {
            increase.coarsen(schema);
        }
        for (index, sample) in samples.iter().enumerate().skip(1) {
            if is_reset(index, &before) {
                call.add(&mut increase, &before, window)?;
            }
            before = sample.histogram.clone();
        }
    }
    Some(increase)
}

fn extended_floats(call: &MixedCall<'_>, window: &MixedWindow<'_>, extension: Extension) -> Option<f64> {
    let is_smoothed = extension == Extension::Smoothed;
    let is_counter = call.is_counter();
    let range = (window.start_ms, window.end_ms);
    let point = |index: usize| (window.ts_ms[index], window.values[index]);
    let edges = smoothed::edges(window.ts_ms.len(), |index| window.ts_ms[index], range, is_smoothed)?;
    let (left, right) = edge_values(point, edges, range, is_smoothed, is_counter);
    let mut increase = right - left;
    if is_counter {
        // Resets at the edges are in their values already.
        let mut before = left;
        for index in edges.first..=edges.last {
            let (ts_ms, value) = point(index);
            let is_edge =
                (index == edges.first && ts_ms <= range.0) || (index == edges.last && ts_ms >= range.1);
            if is_edge {
                continue;
            }
            if value < before {
                increase += before;
            }
            before = value;
        }
        if right < before {
            increase += before;
        }
    }
    Some(if call.is_per_second() { increase / seconds(call.range_ms) } else { increase })
}

fn extended_histograms(
    call: &MixedCall<'_>,
    window: &MixedWindow<'_>,
    extension: Extension,
) -> Option<Histogram> {
    let is_smoothed = extension == Extension::Smoothed;
    let is_counter = call.is_counter();
    let samples = window.histograms;
    let range = (window.start_ms, window.end_ms);
    let metric = window.labels.metric_name();
    let edges = smoothed::edges(samples.len(), |index| samples[index].ts_ms, range, is_smoothed)?;
    let is_gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    let is_custom = samples[edges.first].histogram.has_custom_bounds();
    for sample in &samples[edges.first..=edges.last] {
        if sample.histogram.has_custom_bounds() != is_custom {
            call.note(Note::mixed_exponential_custom(metric));
            return None;
        }
        if is_counter && is_gauge(&sample.histogram) {
            call.note(Note::not_counter(metric));
        }
    }
    let between = |first: usize, at_ms: i64| {
        let point = |index: usize| (samples[index].ts_ms, &samples[index].histogram);
        let noted = |operation| call.note(Note::bounds_reconciled(operation));
        interpolate_histograms(point(first), point(first + 1), at_ms, is_counter, noted)
    };
    let Edges { first, last } = edges;
    let starts_before = is_smoothed && samples[first].ts_ms < range.0 && first < last;
    let left = if starts_before { between(first, range.0) } else { Ok(samples[first].histogram.clone()) };
    let ends_after = is_smoothed && last > 0 && samples[last].ts_ms > range.1;
    let right = if ends_after { between(last - 1, range.1) } else { Ok(samples[last].histogram.clone()) };
    let (Ok(left), Ok(right)) = (left, right) else {
        call.note(Note::mixed_exponential_custom(metric));
        return None;
    };
    if !is_counter {
        call.note_kind(window, &left, &right);
    }
    let mut increase = HistogramSum::new(&right);
    call.subtract(&mut increase, &left, window)?;
    if is_counter {
        for lost in lost_to_resets(samples, edges, starts_before, &left, &right) {
            call.add(&mut increase, lost, window)?;
        }
    }
    let mut increase = increase.total();
    if call.is_per_second() {
        increase = increase.divided(seconds(call.range_ms));
    }
    increase.reset_hint = ResetHint::Gauge;
    Some(increase.compacted())
}

/// What was counted before each reset between the two edges. A reset that the left edge's interpolation spans is in
/// its value already.
fn lost_to_resets<'s>(
    samples: &'s [HistogramSample],
    edges: Edges,
    starts_before: bool,
    left: &'s Arc<Histogram>,
    right: &Arc<Histogram>,
) -> Vec<&'s Arc<Histogram>> {
    let mut lost = Vec::new();
    let (mut first, mut before) = (edges.first + 1, left);
    let spans_reset =
        starts_before && samples[first].histogram.is_reset_after(&samples[edges.first].histogram);
    if spans_reset {
        before = &samples[first].histogram;
        first += 1;
    }
    if first > edges.last {
        return lost;
    }
    for sample in &samples[first..edges.last] {
        if sample.histogram.is_reset_after(before) {
            lost.push(before);
        }
        before = &sample.histogram;
    }
    if right.is_reset_after(before) {
        lost.push(before);
    }
    lost
}

/// `irate` and `idelta`: the last two samples, of whatever kind.
pub(super) fn instant(call: &MixedCall<'_>, window: &MixedWindow<'_>) -> Option<SampleValue> {
    let is_counter = call.is_counter();
    let samples = merged(window);
    let [.., before, last] = &samples[..] else { return None };
    let interval = seconds(last.ts_ms - before.ts_ms);
    if interval == 0.0 {
        return None;
    }
    let is_start = call.use_start_times
        && is_counter
        && is_start_reset((before.start_ms, before.ts_ms), (last.start_ms, last.ts_ms));
    match (before.value, last.value) {
        (Kind::Float(first), Kind::Float(second)) => {
            let is_reset = is_counter && (second < first || is_start);
            let change = if is_reset { second } else { second - first };
            Some(SampleValue::Float(if is_counter { change / interval } else { change }))
        }
        (Kind::Histogram(first), Kind::Histogram(second)) => {
            call.note_kind(window, first, second);
            let mut change = HistogramSum::new(second);
            if !is_counter || !(is_start || second.is_reset_after(first)) {
                call.subtract(&mut change, first, window)?;
            }
            let mut change = change.total();
            change.reset_hint = ResetHint::Gauge;
            let change = if is_counter { change.divided(interval) } else { change };
            Some(SampleValue::Histogram(Arc::new(change.compacted())))
        }
        _ => {
            call.note_mixed(window);
            None
        }
    }
}
