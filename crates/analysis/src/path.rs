//! Critical path: at every moment of a root, the one span that everyone was waiting for.
//!
//! ```text
//!  root   ├──────────────────────────────┤
//!    A      ├──────┤                            walk from the end: who finished last before the cursor?
//!    B      ├─────────────┤                     B; inside B the same; then go on at B's start.
//!    C                       ├──────┤           A ran beside B, nobody waited for it last: not on the path.
//!  path   r─┤──────B──────┤r─┤──C───┤──r─┤      sections touch, do not overlap and add up to the root
//! ```
//! A child that outlives its parent is a question of policy: [`Overflow`]. A PRODUCER does not wait for its CONSUMER.

use crate::Trace;
use crate::class::{Class, Classes};

/// What to make of a child that ends after its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overflow {
    /// A remote call is cut at its parent's end (the caller waited until it gave up); any other child was not waited
    /// for, if it overran its parent by more than 1 % of the parent's duration.
    #[default]
    Auto,
    /// The child is cut at its parent's end.
    Clip,
    /// The child was not waited for: it is off the path with all below it.
    Async,
}

/// How to walk.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathOptions {
    pub overflow: Overflow,
    /// Siblings that overlap by at most this much still count as one after the other.
    pub tolerance_ns: u64,
}

/// A stretch `[start_ns, end_ns)` of a critical path, Unix nanoseconds; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Index of the span in its [`Trace`].
    pub span: usize,
    pub start_ns: u64,
    pub end_ns: u64,
    pub class: Class,
}

impl Section {
    /// `end - start`.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns - self.start_ns
    }
}

/// Critical path of one root, earliest section first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPath {
    pub root: usize,
    pub sections: Vec<Section>,
}

/// Critical path of every root of a trace, in the order of [`Trace::roots`]. The sections of a root partition its
/// duration exactly. O(n log n), without recursion.
pub fn critical_path(trace: &Trace, overflow: Overflow) -> Vec<RootPath> {
    critical_path_with(trace, PathOptions { overflow, tolerance_ns: 0 })
}

/// [`critical_path`] with all options.
pub fn critical_path_with(trace: &Trace, options: PathOptions) -> Vec<RootPath> {
    let classes = Classes::of(trace);
    trace.roots().iter().map(|root| walk(trace, *root, options, &classes)).collect()
}

/// Critical path of one root.
pub(crate) fn critical_path_of(trace: &Trace, root: usize, overflow: Overflow) -> RootPath {
    walk(trace, root, PathOptions { overflow, tolerance_ns: 0 }, &Classes::of(trace))
}

/// Whether and when `parent` waited for `child`, within `[lo, hi]`.
pub(crate) fn awaited(
    trace: &Trace,
    overflow: Overflow,
    parent: usize,
    child: usize,
    (lo, hi): (u64, u64),
) -> Option<(u64, u64)> {
    if trace.is_message(parent, child) || !waits_for_end(trace, overflow, parent, child) {
        return None;
    }
    let span = trace.span(child);
    let (start, end) = (span.start_ns.max(lo), span.end_ns.min(hi));
    (start < end).then_some((start, end))
}

fn waits_for_end(trace: &Trace, overflow: Overflow, parent: usize, child: usize) -> bool {
    let parent_span = trace.span(parent);
    let overrun_ns = trace.span(child).end_ns.saturating_sub(parent_span.end_ns);
    match overflow {
        Overflow::Clip => true,
        Overflow::Async => overrun_ns == 0,
        Overflow::Auto => overrun_ns <= parent_span.duration_ns() / 100 || trace.is_remote(parent, child),
    }
}

struct Child {
    span: usize,
    start_ns: u64,
    end_ns: u64,
}

/// A span being walked from its end towards its start.
struct Frame {
    span: usize,
    start_ns: u64,
    cursor_ns: u64,
    /// Where its children begin in the shared stack of children; latest end first.
    children_from: usize,
    next_child: usize,
    chained: bool,
}

fn walk(trace: &Trace, root: usize, options: PathOptions, classes: &Classes) -> RootPath {
    let mut sections = Vec::new();
    let mut emit = |span, start_ns, end_ns, class| {
        if start_ns < end_ns {
            sections.push(Section { span, start_ns, end_ns, class });
        }
    };
    let mut children = Vec::new();
    let span = trace.span(root);
    let mut frames = vec![open_frame(
        trace,
        options,
        root,
        (span.start_ns, span.end_ns.max(span.start_ns)),
        &mut children,
    )];
    while let Some(frame) = frames.last_mut() {
        match next_child(frame, &children, options.tolerance_ns) {
            Some((child, end_ns)) => {
                emit(frame.span, end_ns, frame.cursor_ns, classes.of_gap(frame.span, child.span));
                let (span, range) = (child.span, (child.start_ns, end_ns));
                frame.cursor_ns = child.start_ns;
                frame.chained = true;
                let below = open_frame(trace, options, span, range, &mut children);
                frames.push(below);
            }
            None => {
                emit(frame.span, frame.start_ns, frame.cursor_ns, classes.of_span(frame.span));
                children.truncate(frame.children_from);
                frames.pop();
            }
        }
    }
    sections.reverse();
    RootPath { root, sections }
}

fn open_frame(
    trace: &Trace,
    options: PathOptions,
    span: usize,
    range: (u64, u64),
    children: &mut Vec<Child>,
) -> Frame {
    let children_from = children.len();
    for child in trace.children(span) {
        if let Some((start_ns, end_ns)) = awaited(trace, options.overflow, span, *child, range) {
            children.push(Child { span: *child, start_ns, end_ns });
        }
    }
    let latest_end_first = |a: &Child, b: &Child| {
        let id = |child: &Child| trace.span(child.span).span_id;
        (b.end_ns, a.start_ns, id(a)).cmp(&(a.end_ns, b.start_ns, id(b)))
    };
    children[children_from..].sort_by(latest_end_first);
    Frame {
        span,
        start_ns: range.0,
        cursor_ns: range.1,
        children_from,
        next_child: children_from,
        chained: false,
    }
}

/// The next child that ended before the cursor, and where it is cut. Those skipped ran beside a later one.
fn next_child<'c>(frame: &mut Frame, children: &'c [Child], tolerance_ns: u64) -> Option<(&'c Child, u64)> {
    while let Some(child) = children.get(frame.next_child) {
        frame.next_child += 1;
        if child.end_ns <= frame.cursor_ns {
            return Some((child, child.end_ns));
        }
        let overlap_ns = child.end_ns - frame.cursor_ns;
        if frame.chained && overlap_ns <= tolerance_ns && child.start_ns < frame.cursor_ns {
            return Some((child, frame.cursor_ns));
        }
    }
    None
}

#[cfg(test)]
mod tests;
