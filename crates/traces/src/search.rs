//! Search: the newest traces with a span that matches.
//!
//! Places where spans stand (runs of the memtable, blocks, pages) are visited by their latest start, newest first.
//! As soon as `limit` traces are found and no place left has a later start than the oldest of them, the answer is
//! settled: it is exact, and the same whatever the layout on disk.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::{SourceError, TraceId, TraceQuery};

use crate::block::Block;
use crate::memtable::{Run, as_i64, overlaps};
use crate::page::{Core, Page, PageError, Strings};
use crate::span_match::{matches, matches_duration};
use crate::store::Snapshot;

/// Runs the query on a snapshot.
pub(crate) fn search(snapshot: &Snapshot, query: &TraceQuery) -> Result<Vec<TraceId>, SourceError> {
    let mut newest = Newest::new(query.limit);
    let mut places = places(snapshot, query);
    places.sort_by_key(|place| Reverse(place.start_max_ns()));
    for place in &places {
        if newest.is_settled(place.start_max_ns()) {
            break;
        }
        match place {
            Place::Run(run) => search_run(run, query, &mut newest),
            Place::Block(block) => search_block(block, query, &mut newest)?,
        }
    }
    Ok(newest.into_ids())
}

enum Place {
    Run(Arc<Run>),
    Block(Arc<Block>),
}

impl Place {
    fn start_max_ns(&self) -> u64 {
        match self {
            Self::Run(run) => run.start_max_ns,
            Self::Block(block) => block.footer.start_max_ns,
        }
    }
}

fn places(snapshot: &Snapshot, query: &TraceQuery) -> Vec<Place> {
    let runs = snapshot.memtables().flat_map(|memtable| memtable.runs());
    let runs = runs.filter(|run| run.overlaps(query.range_ns)).map(Place::Run);
    let blocks = snapshot.blocks.iter().filter(|block| may_match(block, query)).cloned().map(Place::Block);
    runs.chain(blocks).collect()
}

/// Whether the footer allows a match.
fn may_match(block: &Block, query: &TraceQuery) -> bool {
    block.overlaps(query.range_ns)
        && query.duration_min_ns.is_none_or(|min| min <= block.footer.duration_max_ns)
        && query.service.as_ref().is_none_or(|service| block.footer.operations.contains_key(service.as_str()))
}

fn search_run(run: &Run, query: &TraceQuery, newest: &mut Newest) {
    for span in &run.spans {
        if newest.wants(span.trace_id, span.start_ns) && matches(query, span) {
            newest.offer(span.trace_id, span.start_ns);
        }
    }
}

fn search_block(block: &Block, query: &TraceQuery, newest: &mut Newest) -> Result<(), SourceError> {
    let footer = &block.footer;
    let service = query
        .service
        .as_ref()
        .and_then(|service| footer.operations.keys().position(|candidate| **candidate == **service));
    for (index, meta) in footer.pages.iter().enumerate() {
        let may_match = overlaps(meta.start_min_ns, meta.start_max_ns, query.range_ns)
            && service.is_none_or(|service| meta.has_service(service))
            && query.duration_min_ns.is_none_or(|min| min <= meta.duration_max_ns);
        if may_match && !newest.is_settled(meta.start_max_ns) {
            block.with_page(index, |page| search_page(page, query, newest))?;
        }
    }
    Ok(())
}

fn search_page(page: &Page<'_>, query: &TraceQuery, newest: &mut Newest) -> Result<(), PageError> {
    let mut strings = page.strings()?;
    let Some(wanted) = Wanted::of(query, &strings) else { return Ok(()) };
    let core = page.core()?;
    let mut rows = vec![false; core.rows()];
    let mut any = false;
    for run in &core.runs {
        for row in run.rows.clone() {
            let is_candidate = wanted.accepts(query, &core, row)
                && core.start_ns.get(row).is_some_and(|start| newest.wants(run.trace_id, *start));
            if let Some(cell) = rows.get_mut(row) {
                *cell = is_candidate;
            }
            any |= is_candidate;
        }
    }
    if !any {
        return Ok(());
    }
    page.keep_rows_with(&core, &mut strings, &query.attributes, &mut rows)?;
    for run in &core.runs {
        for row in run.rows.clone() {
            if rows.get(row).copied().unwrap_or(false)
                && let Some(start) = core.start_ns.get(row)
            {
                newest.offer(run.trace_id, *start);
            }
        }
    }
    Ok(())
}

/// Service and operation as codes of a page.
struct Wanted {
    service: Option<u32>,
    operation: Option<u32>,
}

impl Wanted {
    /// None when the page lacks one of the names.
    fn of(query: &TraceQuery, strings: &Strings<'_>) -> Option<Self> {
        let code = |name: &Option<String>| match name {
            Some(name) => strings.find(name).map(Some),
            None => Some(None),
        };
        Some(Self { service: code(&query.service)?, operation: code(&query.operation)? })
    }

    fn accepts(&self, query: &TraceQuery, core: &Core, row: usize) -> bool {
        let service = || core.resource.get(row).and_then(|resource| core.services.get(*resource as usize));
        self.operation.is_none_or(|operation| core.name.get(row) == Some(&operation))
            && self.service.is_none_or(|wanted| service() == Some(&wanted))
            && core.duration_ns.get(row).is_some_and(|duration| matches_duration(query, *duration))
            && core.start_ns.get(row).is_some_and(|start| query.range_ns.contains(as_i64(*start)))
    }
}

/// The newest traces found so far, each with its latest matching start; ties go to the smaller id.
struct Newest {
    limit: usize,
    starts: HashMap<TraceId, u64, foldhash::fast::RandomState>,
    order: BTreeSet<(Reverse<u64>, TraceId)>,
}

impl Newest {
    fn new(limit: usize) -> Self {
        Self { limit, starts: HashMap::default(), order: BTreeSet::new() }
    }

    /// Whether spans that start at `start_max_ns` or earlier can't change the answer.
    fn is_settled(&self, start_max_ns: u64) -> bool {
        self.limit == 0 || self.oldest().is_some_and(|(Reverse(start), _)| start_max_ns < start)
    }

    /// The last of the answer, once it is full.
    fn oldest(&self) -> Option<(Reverse<u64>, TraceId)> {
        if self.order.len() < self.limit { None } else { self.order.last().copied() }
    }

    /// Whether offering this would change the answer.
    fn wants(&self, id: TraceId, start_ns: u64) -> bool {
        let is_late = self.oldest().is_none_or(|oldest| (Reverse(start_ns), id) < oldest);
        is_late && self.starts.get(&id).is_none_or(|known| *known < start_ns)
    }

    fn offer(&mut self, id: TraceId, start_ns: u64) {
        if self.limit == 0 || !self.wants(id, start_ns) {
            return;
        }
        if let Some(old) = self.starts.insert(id, start_ns) {
            self.order.remove(&(Reverse(old), id));
        }
        self.order.insert((Reverse(start_ns), id));
        if self.order.len() > self.limit
            && let Some((_, dropped)) = self.order.pop_last()
        {
            self.starts.remove(&dropped);
        }
    }

    fn into_ids(self) -> Vec<TraceId> {
        self.order.into_iter().map(|(_, id)| id).collect()
    }
}
