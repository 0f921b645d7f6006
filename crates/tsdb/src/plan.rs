//! What to do with the blocks next: one piece of work at a time, the most urgent first.
//!
//! ```text
//! repair     a block that a read found damaged                    → the same without what can't be read; the file is kept aside
//! expire     older than its resolution is kept, or over the size   → the next coarser resolution that is kept longer, or nothing
//! merge      neighbours in time that fit in a longer block         → one block;   2 h → 1 day → … → a tenth of the retention
//! ```
//! - Neighbours in time are merged, not in the order of writing: blocks of imported or late samples join those of their
//!   time. Of two samples at one time the first written counts: so a run is left alone when a block outside it, written
//!   between its members, overlaps it.
//! - Blocks that overlap for the most part are merged as soon as there are two; others when there are four, or when they
//!   fill the longer span.

use std::time::Duration;

use model::TimeRange;

use crate::TsdbConfig;
use crate::block::{Held, Resolution, State};
use crate::config::to_ms;

/// Neighbours are merged when there are so many.
const MERGE_BLOCKS_MIN: usize = 4;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longest block, however long the retention.
const SPAN_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

/// A piece of work.
pub(crate) enum Work {
    /// Rewrite into this resolution.
    Rewrite { sources: Vec<Held>, to: Resolution, why: Why },
    /// Remove without replacement.
    Remove(Vec<Held>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Repair,
    Expired,
    Merge,
}

/// What the plan depends on, beside the blocks.
pub(crate) struct Situation<'c> {
    pub(crate) config: &'c TsdbConfig,
    pub(crate) now_ms: i64,
    /// Bytes of the log.
    pub(crate) log_bytes: u64,
}

impl Situation<'_> {
    /// The most urgent work, if there is any.
    pub(crate) fn next(&self, state: &State) -> Option<Work> {
        self.repair(state).or_else(|| self.expire(state)).or_else(|| self.merge(state))
    }

    fn repair(&self, state: &State) -> Option<Work> {
        let damaged = state.blocks.iter().find(|held| held.block.was_damaged())?;
        let to = damaged.block.resolution();
        Some(Work::Rewrite { sources: vec![damaged.clone()], to, why: Why::Repair })
    }

    fn expire(&self, state: &State) -> Option<Work> {
        let by_time = state.blocks.iter().find(|held| {
            let kept = self.config.kept(held.block.resolution());
            held.block.range_ms().end <= self.now_ms.saturating_sub(to_ms(kept))
        });
        let expired = by_time.or_else(|| self.over_size(state))?;
        let Some(to) = self.coarser(expired) else { return Some(Work::Remove(vec![expired.clone()])) };
        Some(Work::Rewrite { sources: vec![expired.clone()], to, why: Why::Expired })
    }

    /// The block that goes when there are too many bytes: the oldest of the finest resolution.
    fn over_size<'s>(&self, state: &'s State) -> Option<&'s Held> {
        let bytes_max = self.config.retention_bytes?;
        let bytes = self.log_bytes + state.blocks.iter().map(|held| held.block.bytes()).sum::<u64>();
        if bytes <= bytes_max {
            return None;
        }
        state.blocks.iter().min_by_key(|held| (held.block.resolution(), held.block.range_ms().end))
    }

    /// The finest resolution coarser than the block's that is kept long enough for it.
    fn coarser(&self, held: &Held) -> Option<Resolution> {
        let age_ms = self.now_ms.saturating_sub(held.block.range_ms().end);
        let mut coarser = [Resolution::FiveMinutes, Resolution::OneHour].into_iter();
        coarser.find(|to| *to > held.block.resolution() && to_ms(self.config.kept(*to)) > age_ms)
    }

    fn merge(&self, state: &State) -> Option<Work> {
        [Resolution::Raw, Resolution::FiveMinutes, Resolution::OneHour].into_iter().find_map(|resolution| {
            let blocks = state.blocks.iter().filter(|held| held.block.resolution() == resolution);
            let mut blocks: Vec<&Held> = blocks.collect();
            blocks.sort_by_key(|held| (held.block.range_ms().start, held.block.order()));
            let spans: Vec<Span> = blocks.iter().map(|held| Span::of(held)).collect();
            let run = find_run(&spans, &self.tiers(resolution))?;
            let mut sources: Vec<Held> = blocks.get(run)?.iter().map(|held| (*held).clone()).collect();
            sources.sort_by_key(|held| held.block.order());
            Some(Work::Rewrite { sources, to: resolution, why: Why::Merge })
        })
    }

    /// Lengths of blocks that merges aim at, ascending.
    fn tiers(&self, resolution: Resolution) -> Vec<i64> {
        let block_span = self.config.block_span.max(Duration::from_secs(1));
        let longest = (self.config.kept(resolution) / 10).clamp(block_span, SPAN_MAX);
        let mut tiers = vec![to_ms(block_span)];
        let mut tier = DAY;
        while tier < longest {
            tiers.push(to_ms(tier));
            tier *= 4;
        }
        tiers.push(to_ms(longest));
        tiers
    }
}

/// When a block's samples are, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    range_ms: TimeRange,
    order: u64,
}

impl Span {
    fn of(held: &Held) -> Self {
        Self { range_ms: held.block.range_ms(), order: held.block.order() }
    }

    fn length_ms(self) -> i64 {
        self.range_ms.end.saturating_sub(self.range_ms.start)
    }
}

/// The first run to merge of blocks that ascend by start, trying short tiers first.
fn find_run(spans: &[Span], tiers: &[i64]) -> Option<std::ops::Range<usize>> {
    for tier_ms in tiers {
        for start in 0..spans.len() {
            let mut end = start + 1;
            while spans.get(start..=end).is_some_and(|run| around(run).length_ms() <= *tier_ms) {
                end += 1;
            }
            let Some(run) = spans.get(start..end) else { continue };
            if is_worth_it(run, *tier_ms) && !is_torn(spans, start..end) {
                return Some(start..end);
            }
        }
    }
    None
}

fn around(run: &[Span]) -> Span {
    let start = run.iter().map(|span| span.range_ms.start).min().unwrap_or_default();
    let end = run.iter().map(|span| span.range_ms.end).max().unwrap_or_default();
    let order = run.iter().map(|span| span.order).min().unwrap_or_default();
    Span { range_ms: TimeRange::new(start, end), order }
}

fn is_worth_it(run: &[Span], tier_ms: i64) -> bool {
    // Together longer than the time they cover: they overlap for the most part.
    let sum: i64 = run.iter().map(|span| span.length_ms()).fold(0, i64::saturating_add);
    let covered = around(run).length_ms();
    let longest = run.iter().map(|span| span.length_ms()).max().unwrap_or_default();
    let overlap = sum.saturating_sub(covered);
    let do_overlap = overlap > covered / 2;
    let do_fill = covered > tier_ms / 4 * 3 && longest < tier_ms / 2;
    run.len() >= MERGE_BLOCKS_MIN || (run.len() >= 2 && (do_overlap || do_fill))
}

/// Whether a block outside the run was written between its members and overlaps it.
fn is_torn(spans: &[Span], run: std::ops::Range<usize>) -> bool {
    let Some(members) = spans.get(run.clone()) else { return true };
    let all = around(members);
    let last = members.iter().map(|span| span.order).max().unwrap_or_default();
    let outside = spans.iter().enumerate().filter(|(index, _)| !run.contains(index));
    outside
        .into_iter()
        .any(|(_, span)| span.range_ms.overlaps(&all.range_ms) && all.order < span.order && span.order < last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// Blocks as `start-end` in hours, in the order of writing.
    fn spans(blocks: &[(i64, i64)]) -> Vec<Span> {
        let span = |(order, (start, end)): (u64, &(i64, i64))| Span {
            range_ms: TimeRange::new(start * HOUR, end * HOUR),
            order,
        };
        let mut spans: Vec<_> = (1..).zip(blocks).map(span).collect();
        spans.sort_by_key(|span| (span.range_ms.start, span.order));
        spans
    }

    #[track_caller]
    fn check(blocks: &[(i64, i64)], want: Option<std::ops::Range<usize>>) {
        assert_eq!(find_run(&spans(blocks), &[2 * HOUR, 24 * HOUR, 36 * HOUR]), want);
    }

    #[test]
    fn four_neighbours_become_one_and_three_wait() {
        check(&[(0, 3), (3, 6), (6, 9)], None);
        check(&[(0, 3), (3, 6), (6, 9), (9, 12)], Some(0..4));
        check(&[(0, 12), (12, 15), (15, 18), (18, 21)], Some(0..4));
    }

    #[test]
    fn small_ones_go_first() {
        check(&[(0, 12), (12, 13), (13, 14), (12, 14)], Some(1..4));
    }

    #[test]
    fn full_blocks_rest() {
        check(&[(0, 24), (24, 48), (48, 72), (72, 96), (96, 120)], None);
    }

    #[test]
    fn imported_blocks_join_those_of_their_time() {
        check(&[(0, 24), (24, 48), (0, 23)], Some(0..2));
        check(&[(0, 24), (24, 48), (1, 24)], Some(0..2));
    }

    #[test]
    fn a_block_written_in_between_that_overlaps_forbids_it() {
        // By start: 0-4 (1), 1-40 (2), 3-7 (3): the run 0-4, 3-7 is no run, as 1-40 stands between and is too long.
        check(&[(0, 4), (1, 40), (0, 4)], None);
        assert!(is_torn(&spans(&[(0, 4), (1, 40), (0, 4)]), 0..2));
        assert!(!is_torn(&spans(&[(0, 4), (0, 4), (1, 40)]), 0..2));
    }
}
