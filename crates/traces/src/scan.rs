//! Visiting whole traces, oldest first, in bounded memory.
//!
//! ```text
//! 1  from the columns "trace id" and "start" alone: trace id → earliest start in the range, number of spans
//! 2  in that order, as many traces as the budget allows: read their spans, wherever they stand, and visit
//! ```
//! Blocks are sorted by trace id, so step 2 reads each page at most once per budget. A range with too many traces
//! for step 1 is halved. A trace with a span before the range is not visited: its earliest start lies elsewhere.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use model::{SourceError, Span, TimeRange, TraceId};

use crate::memtable::{Memtable, as_i64, overlaps};
use crate::source::put_in_order;
use crate::store::Snapshot;

/// Most traces of which step 1 remembers the start.
const TRACES_MAX: usize = 1_000_000;

pub(crate) fn scan(
    snapshot: &Snapshot,
    range_ns: TimeRange,
    spans_max: usize,
    visit: &mut dyn FnMut(&[Arc<Span>]) -> ControlFlow<()>,
) -> Result<(), SourceError> {
    let mut ranges = vec![clamp(snapshot, range_ns)];
    while let Some(range) = ranges.pop() {
        if range.is_empty() {
            continue;
        }
        let Some(starts) = earliest_starts(snapshot, range, TRACES_MAX)? else {
            let middle = range.start.midpoint(range.end);
            if middle == range.start {
                let text = format!("more than {TRACES_MAX} traces start within one nanosecond");
                return Err(SourceError::LimitExceeded(text));
            }
            ranges.push(TimeRange::new(middle, range.end));
            ranges.push(TimeRange::new(range.start, middle));
            continue;
        };
        if visit_range(snapshot, range, &starts, spans_max, visit)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// The part of the range that has spans, so that halving ends soon.
fn clamp(snapshot: &Snapshot, range_ns: TimeRange) -> TimeRange {
    let sizes: Vec<_> = snapshot.memtables().map(Memtable::size).filter(|size| size.spans > 0).collect();
    let footers = || snapshot.blocks.iter().map(|block| &block.footer);
    let mins = sizes.iter().filter_map(|size| size.start_min_ns);
    let maxs = sizes.iter().map(|size| size.start_max_ns);
    let min = mins.chain(footers().map(|footer| footer.start_min_ns)).min().unwrap_or(1);
    let max = maxs.chain(footers().map(|footer| footer.start_max_ns)).max().unwrap_or(0);
    TimeRange::new(range_ns.start.max(as_i64(min)), range_ns.end.min(as_i64(max).saturating_add(1)))
}

/// A trace with a span that starts in the range.
#[derive(Clone, Copy)]
struct Start {
    start_ns: u64,
    trace_id: TraceId,
    spans: usize,
}

/// Ascending by start; none when there are more than `traces_max`.
fn earliest_starts(
    snapshot: &Snapshot,
    range_ns: TimeRange,
    traces_max: usize,
) -> Result<Option<Vec<Start>>, SourceError> {
    let mut starts: HashMap<TraceId, (u64, usize), foldhash::fast::RandomState> = HashMap::default();
    let mut note = |trace_id: TraceId, start_ns: u64| {
        if range_ns.contains(as_i64(start_ns)) {
            let (earliest, spans) = starts.entry(trace_id).or_insert((start_ns, 0));
            *earliest = (*earliest).min(start_ns);
            *spans += 1;
        }
        starts.len() <= traces_max
    };
    for run in snapshot.memtables().flat_map(Memtable::runs).filter(|run| run.overlaps(range_ns)) {
        if !run.spans.iter().all(|span| note(span.trace_id, span.start_ns)) {
            return Ok(None);
        }
    }
    for block in snapshot.blocks.iter().filter(|block| block.overlaps(range_ns)) {
        for (index, meta) in block.footer.pages.iter().enumerate() {
            if !overlaps(meta.start_min_ns, meta.start_max_ns, range_ns) {
                continue;
            }
            let is_within = block.with_page(index, |page| {
                let core = page.core()?;
                let mut rows = core.runs.iter().flat_map(|run| {
                    let row_starts = core.start_ns.get(run.rows.clone()).unwrap_or_default();
                    row_starts.iter().map(|start_ns| (run.trace_id, *start_ns))
                });
                Ok(rows.all(|(trace_id, start_ns)| note(trace_id, start_ns)))
            })?;
            if is_within == Some(false) {
                return Ok(None);
            }
        }
    }
    let mut starts: Vec<Start> =
        starts.into_iter().map(|(trace_id, (start_ns, spans))| Start { start_ns, trace_id, spans }).collect();
    starts.sort_unstable_by_key(|start| (start.start_ns, start.trace_id));
    Ok(Some(starts))
}

fn visit_range(
    snapshot: &Snapshot,
    range_ns: TimeRange,
    starts: &[Start],
    spans_max: usize,
    visit: &mut dyn FnMut(&[Arc<Span>]) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, SourceError> {
    let mut rest = starts;
    while !rest.is_empty() {
        let (group, after) = rest.split_at(group_len(rest, spans_max));
        rest = after;
        let spans = load(snapshot, group)?;
        for start in group {
            let from = spans.partition_point(|span| span.trace_id < start.trace_id);
            let until = spans.partition_point(|span| span.trace_id <= start.trace_id);
            let trace = spans.get(from..until).unwrap_or_default();
            let starts_here = trace.first().is_some_and(|span| range_ns.contains(as_i64(span.start_ns)));
            if starts_here && visit(trace).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Traces that fit the budget, at least one.
fn group_len(starts: &[Start], spans_max: usize) -> usize {
    let mut total = 0_usize;
    let fits = starts.iter().take_while(|start| {
        total = total.saturating_add(start.spans);
        total <= spans_max
    });
    fits.count().max(1)
}

/// All spans of these traces, in the order of blocks.
fn load(snapshot: &Snapshot, group: &[Start]) -> Result<Vec<Arc<Span>>, SourceError> {
    let mut ids: Vec<TraceId> = group.iter().map(|start| start.trace_id).collect();
    ids.sort_unstable();
    let mut spans = Vec::new();
    for block in snapshot.blocks.iter() {
        block.traces(&ids, &mut spans)?;
    }
    for memtable in snapshot.memtables() {
        ids.iter().for_each(|id| spans.extend(memtable.trace(*id)));
    }
    put_in_order(&mut spans);
    Ok(spans)
}
