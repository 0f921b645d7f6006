//! Traces of a window, out of the span store and into the analysis engine.

use std::ops::ControlFlow;
use std::sync::Arc;

use analysis::{Lang, Report, ReportOptions, Trace, Window};
use model::{Span, TimeRange, TraceId};
use serde_json::Value;

use crate::Api;
use crate::error::ApiError;

/// The bottleneck report of a window in milliseconds.
pub(crate) fn report(api: &Api, window_ms: TimeRange, lang: Lang) -> Result<Report, ApiError> {
    let sample = read_traces(api, window_ms)?;
    let (window, sample_one_in) = (window(window_ms), sample.one_in);
    let options = ReportOptions { window, lang, sample_one_in, ..ReportOptions::default() };
    Ok(analysis::report(&sample.traces, &options))
}

/// Before and after: what each operation contributed to the change of its entry point.
pub(crate) fn compare(api: &Api, before_ms: TimeRange, after_ms: TimeRange) -> Result<Value, ApiError> {
    let (before, after) = (read_traces(api, before_ms)?, read_traces(api, after_ms)?);
    to_value(&analysis::compare(&before.traces, &after.traces))
}

/// Services of a window with their rates, quantiles and errors.
pub(crate) fn services(api: &Api, window_ms: TimeRange) -> Result<Value, ApiError> {
    let sample = read_traces(api, window_ms)?;
    to_value(&analysis::services(&sample.traces, window(window_ms)).scaled(sample.one_in))
}

/// Nodes and edges of a window.
pub(crate) fn service_graph(api: &Api, window_ms: TimeRange) -> Result<Value, ApiError> {
    to_value(&report(api, window_ms, Lang::En)?.service_graph)
}

fn window(window_ms: TimeRange) -> Window {
    Window { start_ms: window_ms.start, end_ms: window_ms.end }
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value)
        .map_err(|error| ApiError::Internal(format!("cannot write the answer: {error}")))
}

/// Traces of a window: all of them, or an even sample.
struct Sample {
    traces: Vec<Trace>,
    /// One trace of this many was kept.
    one_in: u64,
}

/// Traces that start in the window. When there are more than the limit, an even sample by trace id: which traces are
/// kept depends on their ids alone, so two windows keep comparable ones.
fn read_traces(api: &Api, window_ms: TimeRange) -> Result<Sample, ApiError> {
    let range_ns =
        TimeRange::new(window_ms.start.saturating_mul(1_000_000), window_ms.end.saturating_mul(1_000_000));
    let mut sampler = Sampler { kept: Vec::new(), traces_max: api.limits.report_traces_max, one_in: 1 };
    api.span_source.scan(range_ns, &mut |spans| {
        sampler.offer(spans);
        ControlFlow::Continue(())
    })?;
    Ok(Sample { traces: sampler.kept.into_iter().map(|(_, trace)| trace).collect(), one_in: sampler.one_in })
}

struct Sampler {
    kept: Vec<(u64, Trace)>,
    traces_max: usize,
    one_in: u64,
}

impl Sampler {
    fn offer(&mut self, spans: &[Arc<Span>]) {
        let Some(first) = spans.first() else { return };
        let key = mixed(first.trace_id);
        if !key.is_multiple_of(self.one_in) {
            return;
        }
        self.kept.push((key, Trace::assemble(spans)));
        while self.kept.len() > self.traces_max {
            self.one_in *= 2;
            let one_in = self.one_in;
            self.kept.retain(|(key, _)| key.is_multiple_of(one_in));
        }
    }
}

/// Ids may be counters or clocks in one of their parts: all bits count here (the finalizer of MurmurHash3).
fn mixed(id: TraceId) -> u64 {
    let id = u128::from_be_bytes(id.0);
    let mut key = (id >> 64) as u64 ^ id as u64;
    key = (key ^ (key >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    key = (key ^ (key >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    key ^ (key >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_count_up_are_sampled_evenly() {
        for one_in in [2, 4, 8] {
            let kept =
                (0..8_000_u128).filter(|id| mixed(TraceId(id.to_be_bytes())).is_multiple_of(one_in)).count();
            let wanted = 8_000 / usize::try_from(one_in).expect("small");
            assert!(kept.abs_diff(wanted) < wanted / 5, "1 in {one_in}: {kept} of 8000");
        }
    }
}
