//! What-if: how long would a root have taken, had some spans done their own work faster?
//!
//! A span is replayed as the events of its children, each tied to the latest child that had ended before it:
//! ```text
//!  p  ├own┤    ├own┤         start of B = end of A + own work between     (own work may shrink)
//!   A     ├────┤             end of p   = latest end of A, B + own work after it
//!   B              ├───┤     end of A   = its start + its own replayed duration
//! ```
//! A child that ran beside a shortened one takes over by itself, since every event waits for the latest of all ends
//! before it. That includes ends that did not really matter, so the answer errs towards too small a saving. With no
//! span shortened, the replay is the trace.

use crate::path::awaited;
use crate::{Overflow, Trace};

/// Own work of a span becomes `num / den` of what it was; `num <= den`, `den > 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    pub num: u64,
    pub den: u64,
}

impl Scale {
    fn apply(self, ns: u64) -> u64 {
        debug_assert!(self.num <= self.den && self.den > 0, "BUG: a scale above one");
        let scaled = u128::from(ns) * u128::from(self.num) / u128::from(self.den.max(1));
        u64::try_from(scaled).unwrap_or(ns)
    }
}

/// Duration of `root` in nanoseconds if the own work of spans shrank as `scale` (by index of the span) says.
/// O(n log n); never more than the duration that was.
pub fn replay(trace: &Trace, root: usize, overflow: Overflow, scale: impl Fn(usize) -> Option<Scale>) -> u64 {
    let count = trace.spans().len();
    let mut scratch = Scratch { durations: vec![0; count], starts: vec![(0, 0); count], events: Vec::new() };
    for span in trace.subtree(root).into_iter().rev() {
        scratch.durations[span] = scratch.replay_span(trace, span, overflow, scale(span));
    }
    scratch.durations[root]
}

/// Ends sort before starts at the same moment: who starts when another ends was waiting for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    End,
    Start,
}

/// The latest end so far.
struct Anchor {
    /// As it was (Unix time), and as it is replayed from the span's start.
    old_ns: u64,
    new_ns: u64,
    /// Own work of the span up to then, as it was.
    own_ns: u64,
}

impl Anchor {
    /// When something happens that used to happen at `at_ns`, after `own_ns` of own work.
    fn replayed(&self, at_ns: u64, own_ns: u64, scale: Option<Scale>) -> u64 {
        let own_since = own_ns - self.own_ns;
        let cut = scale.map_or(0, |scale| own_since - scale.apply(own_since));
        self.new_ns + (at_ns - self.old_ns) - cut
    }
}

struct Scratch {
    /// Replayed, by span; children are done before their parents.
    durations: Vec<u64>,
    /// Of children under way, by span: start as it was (cut at the parent's), start replayed.
    starts: Vec<(u64, u64)>,
    events: Vec<(u64, Event, usize)>,
}

impl Scratch {
    fn replay_span(&mut self, trace: &Trace, span: usize, overflow: Overflow, scale: Option<Scale>) -> u64 {
        let start_ns = trace.span(span).start_ns;
        let end_ns = trace.span(span).end_ns.max(start_ns);
        self.events.clear();
        for child in trace.children(span) {
            if let Some((start, end)) = awaited(trace, overflow, span, *child, (start_ns, end_ns)) {
                self.events.push((start, Event::Start, *child));
                self.events.push((end, Event::End, *child));
            }
        }
        self.events.sort_unstable();
        let mut anchor = Anchor { old_ns: start_ns, new_ns: 0, own_ns: 0 };
        let (mut previous_ns, mut own_ns, mut running) = (start_ns, 0, 0);
        for (at_ns, event, child) in self.events.iter().copied() {
            own_ns += if running == 0 { at_ns - previous_ns } else { 0 };
            previous_ns = at_ns;
            if event == Event::Start {
                running += 1;
                self.starts[child] = (at_ns, anchor.replayed(at_ns, own_ns, scale));
                continue;
            }
            running -= 1;
            let (began_ns, new_start_ns) = self.starts[child];
            // A child cut at an edge of its parent: what its replay leaves after the cut at its start, at most as before.
            let before_ns = began_ns - trace.span(child).start_ns.min(began_ns);
            let length_ns = self.durations[child].saturating_sub(before_ns).min(at_ns - began_ns);
            let new_ns = anchor.new_ns.max(new_start_ns + length_ns);
            anchor = Anchor { old_ns: at_ns, new_ns, own_ns };
        }
        own_ns += if running == 0 { end_ns - previous_ns } else { 0 };
        anchor.replayed(end_ns, own_ns, scale)
    }
}

#[cfg(test)]
mod tests;
