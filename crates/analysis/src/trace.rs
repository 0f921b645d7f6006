//! A trace as a forest of spans.
//!
//! ```text
//!  spans    [0]──┬─[1]──[3]        ascending by (start, longest first, id), so indices do not depend on arrival
//!                └─[2]             children of a span: a slice, ascending likewise
//!  roots    [0] [4]                4 names a parent that never came: an orphan is a root too
//! ```
//! - A span id seen twice counts once (the longest one wins).
//! - Parents that form a cycle: the earliest span of those that no root reaches becomes a root, until all are reached.

use std::cmp::Reverse;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use model::{Span, SpanId, SpanKind, TraceId};

/// All spans of one trace, linked. Spans are named by their index.
#[derive(Clone, Debug)]
pub struct Trace {
    spans: Vec<Arc<Span>>,
    parents: Vec<Option<usize>>,
    /// Children of span `i` are `children[child_starts[i]..child_starts[i + 1]]`.
    children: Vec<usize>,
    child_starts: Vec<usize>,
    roots: Vec<usize>,
    duplicates: usize,
}

impl Trace {
    /// Links spans of one trace, given in any order. O(n log n).
    pub fn assemble(spans: &[Arc<Span>]) -> Self {
        let given = spans.len();
        let spans = sorted_unique(spans);
        let mut index_of = HashMap::with_capacity(spans.len());
        for (index, span) in spans.iter().enumerate() {
            index_of.insert(span.span_id, index);
        }
        let mut parents: Vec<_> =
            spans.iter().enumerate().map(|(index, span)| parent_of(index, span, &index_of)).collect();
        break_cycles(&mut parents);
        let (child_starts, children) = children_of(&parents);
        let roots = (0..spans.len()).filter(|index| parents[*index].is_none()).collect();
        Self { duplicates: given - spans.len(), spans, parents, children, child_starts, roots }
    }

    /// Id of the trace; all zero for a trace without spans.
    pub fn trace_id(&self) -> TraceId {
        self.spans.first().map_or(TraceId([0; 16]), |span| span.trace_id)
    }

    /// Spans ascending by start.
    pub fn spans(&self) -> &[Arc<Span>] {
        &self.spans
    }

    /// Span `index`.
    ///
    /// # Panics
    /// When `index` is not below the number of spans.
    pub fn span(&self, index: usize) -> &Arc<Span> {
        &self.spans[index]
    }

    /// Parent of span `index`, unless it is a root.
    pub fn parent(&self, index: usize) -> Option<usize> {
        self.parents[index]
    }

    /// Children of span `index`, ascending by start.
    pub fn children(&self, index: usize) -> &[usize] {
        &self.children[self.child_starts[index]..self.child_starts[index + 1]]
    }

    /// Spans without a (known) parent, ascending by start.
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// The root that stands for the trace: the earliest one that names no parent, else the longest.
    pub fn headline_root(&self) -> Option<usize> {
        let named = self.roots.iter().copied().find(|root| self.spans[*root].parent_span_id.is_none());
        named.or_else(|| {
            self.roots
                .iter()
                .copied()
                .max_by_key(|root| (self.spans[*root].duration_ns(), Reverse(self.spans[*root].span_id)))
        })
    }

    /// Spans that were left out because their id had been seen.
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// The subtree of `root`, parents before children.
    pub fn subtree(&self, root: usize) -> Vec<usize> {
        let mut found = vec![root];
        let mut next = 0;
        while let Some(index) = found.get(next).copied() {
            found.extend_from_slice(self.children(index));
            next += 1;
        }
        found
    }

    /// Whether `child` runs elsewhere than `parent`: a CLIENT calling a SERVER, or another service.
    pub(crate) fn is_remote(&self, parent: usize, child: usize) -> bool {
        let (parent, child) = (&self.spans[parent], &self.spans[child]);
        let called = parent.kind == SpanKind::Client && child.kind == SpanKind::Server;
        called || parent.service() != child.service()
    }

    /// Whether `parent` handed `child` a message and went on.
    pub(crate) fn is_message(&self, parent: usize, child: usize) -> bool {
        self.spans[parent].kind == SpanKind::Producer && self.spans[child].kind == SpanKind::Consumer
    }
}

fn sorted_unique(spans: &[Arc<Span>]) -> Vec<Arc<Span>> {
    let mut spans = spans.to_vec();
    let longest_first = |span: &Span| (span.span_id, Reverse(span.duration_ns()), span.start_ns, span.kind);
    spans.sort_by(|a, b| {
        longest_first(a)
            .cmp(&longest_first(b))
            .then_with(|| (a.service(), &a.name).cmp(&(b.service(), &b.name)))
    });
    spans.dedup_by_key(|span| span.span_id);
    spans.sort_by_key(|span| (span.start_ns, Reverse(span.end_ns), span.span_id));
    spans
}

fn parent_of(index: usize, span: &Span, index_of: &HashMap<SpanId, usize>) -> Option<usize> {
    let parent = index_of.get(&span.parent_span_id?).copied()?;
    (parent != index).then_some(parent)
}

fn break_cycles(parents: &mut [Option<usize>]) {
    let (child_starts, children) = children_of(parents);
    let mut reached = vec![false; parents.len()];
    let below = |index: usize| &children[child_starts[index]..child_starts[index + 1]];
    for (root, _) in parents.iter().enumerate().filter(|(_, parent)| parent.is_none()) {
        reach(root, &below, &mut reached);
    }
    for (earliest, parent) in parents.iter_mut().enumerate() {
        if !reached[earliest] {
            *parent = None;
            reach(earliest, &below, &mut reached);
        }
    }
}

fn reach<'c>(root: usize, below: &impl Fn(usize) -> &'c [usize], reached: &mut [bool]) {
    let mut stack = vec![root];
    while let Some(index) = stack.pop() {
        if !std::mem::replace(&mut reached[index], true) {
            stack.extend_from_slice(below(index));
        }
    }
}

fn children_of(parents: &[Option<usize>]) -> (Vec<usize>, Vec<usize>) {
    let mut starts = vec![0; parents.len() + 1];
    for parent in parents.iter().flatten() {
        starts[parent + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut next = starts.clone();
    let mut children = vec![0; starts[parents.len()]];
    for (child, parent) in parents.iter().enumerate() {
        if let Some(parent) = parent {
            children[next[*parent]] = child;
            next[*parent] += 1;
        }
    }
    (starts, children)
}

#[cfg(test)]
mod tests;
