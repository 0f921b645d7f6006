//! Spans that are in the log and not yet in a block.
//!
//! ```text
//! memtable = runs [1024 spans][1024 spans]… open [< 1024]      in order of arrival, each with its times and services
//!          + trace id → spans                                    for questions by id
//! ```
//! A reader takes pointers to the closed runs and a copy of the open one under the lock, then reads without it: a
//! consistent snapshot that holds up writers for microseconds.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Span, SpanKind, TimeRange, TraceId};

/// Spans of a run.
const RUN_SPANS: usize = 1024;

/// Most operations of one service listed; names made of ids would fill the memory otherwise.
pub(crate) const OPERATIONS_MAX: usize = 10_000;

/// Operations by service.
pub(crate) type Catalog = HashMap<Arc<str>, HashSet<(Arc<str>, SpanKind)>>;

/// Adds the operation of a span; at most [`OPERATIONS_MAX`] a service.
pub(crate) fn add_to_catalog(catalog: &mut Catalog, span: &Span) {
    let operations = match catalog.get_mut(span.service()) {
        Some(operations) => operations,
        None => catalog.entry(Arc::clone(span.service())).or_default(),
    };
    let is_full = operations.len() >= OPERATIONS_MAX;
    let operation = (Arc::clone(&span.name), span.kind);
    if !is_full && !operations.contains(&operation) {
        operations.insert(operation);
    }
}

/// Spans in order of arrival, with what lets a search skip them.
pub(crate) struct Run {
    pub(crate) spans: Vec<Arc<Span>>,
    pub(crate) start_min_ns: u64,
    pub(crate) start_max_ns: u64,
}

impl Run {
    pub(crate) fn new(spans: Vec<Arc<Span>>) -> Self {
        let starts = || spans.iter().map(|span| span.start_ns);
        let (start_min_ns, start_max_ns) = (starts().min().unwrap_or(u64::MAX), starts().max().unwrap_or(0));
        Self { spans, start_min_ns, start_max_ns }
    }

    pub(crate) fn overlaps(&self, range_ns: TimeRange) -> bool {
        overlaps(self.start_min_ns, self.start_max_ns, range_ns)
    }
}

/// Whether a span that starts in `[min, max]` may start in `range_ns`.
pub(crate) fn overlaps(min_ns: u64, max_ns: u64, range_ns: TimeRange) -> bool {
    min_ns <= max_ns && as_i64(min_ns) < range_ns.end && range_ns.start <= as_i64(max_ns)
}

/// Span times are checked to be below 2^63 when they come in.
pub(crate) fn as_i64(time_ns: u64) -> i64 {
    i64::try_from(time_ns).unwrap_or(i64::MAX)
}

#[derive(Default)]
struct Content {
    runs: Vec<Arc<Run>>,
    open: Vec<Arc<Span>>,
    traces: HashMap<TraceId, Vec<Arc<Span>>, foldhash::fast::RandomState>,
    catalog: Catalog,
    spans: usize,
    bytes: usize,
    start_min_ns: Option<u64>,
    start_max_ns: u64,
    /// Clock's time of the first span.
    since_ns: Option<u64>,
}

/// Size of a memtable.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemtableSize {
    pub(crate) spans: usize,
    pub(crate) traces: usize,
    pub(crate) bytes: usize,
    pub(crate) start_min_ns: Option<u64>,
    pub(crate) start_max_ns: u64,
    pub(crate) since_ns: Option<u64>,
}

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Memtable {
    /// Protects everything; held for moving pointers only.
    content: Mutex<Content>,
}

impl Memtable {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds spans that take about `bytes`.
    pub(crate) fn insert(&self, spans: &[Arc<Span>], bytes: usize, now_ns: u64) {
        let mut content = self.lock();
        content.spans += spans.len();
        content.bytes += bytes;
        content.since_ns.get_or_insert(now_ns);
        for span in spans {
            let start_min = content.start_min_ns.unwrap_or(u64::MAX).min(span.start_ns);
            content.start_min_ns = Some(start_min);
            content.start_max_ns = content.start_max_ns.max(span.start_ns);
            content.traces.entry(span.trace_id).or_default().push(Arc::clone(span));
            add_to_catalog(&mut content.catalog, span);
            content.open.push(Arc::clone(span));
            if content.open.len() >= RUN_SPANS {
                let run = Run::new(std::mem::take(&mut content.open));
                content.runs.push(Arc::new(run));
            }
        }
    }

    pub(crate) fn size(&self) -> MemtableSize {
        let content = self.lock();
        MemtableSize {
            spans: content.spans,
            traces: content.traces.len(),
            bytes: content.bytes,
            start_min_ns: content.start_min_ns,
            start_max_ns: content.start_max_ns,
            since_ns: content.since_ns,
        }
    }

    /// Spans held of each of these traces, in the same order.
    pub(crate) fn trace_lens(&self, ids: impl Iterator<Item = TraceId>) -> Vec<usize> {
        let content = self.lock();
        ids.map(|id| content.traces.get(&id).map_or(0, Vec::len)).collect()
    }

    /// Spans of a trace in order of arrival.
    pub(crate) fn trace(&self, id: TraceId) -> Vec<Arc<Span>> {
        self.lock().traces.get(&id).cloned().unwrap_or_default()
    }

    /// All spans at one moment.
    pub(crate) fn runs(&self) -> Vec<Arc<Run>> {
        let (mut runs, open) = {
            let content = self.lock();
            (content.runs.clone(), content.open.clone())
        };
        if !open.is_empty() {
            runs.push(Arc::new(Run::new(open)));
        }
        runs
    }

    /// Calls `visit` with the operations by service.
    pub(crate) fn with_catalog<T>(&self, visit: impl FnOnce(&Catalog) -> T) -> T {
        visit(&self.lock().catalog)
    }
}
