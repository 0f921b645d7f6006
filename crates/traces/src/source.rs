//! Answers about spans.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use model::{SourceError, Span, SpanKind, SpanSource, TimeRange, TraceId, TraceQuery};

use crate::block::order_key;
use crate::scan::scan;
use crate::search::search;
use crate::store::TraceStore;

impl SpanSource for TraceStore {
    fn trace(&self, id: TraceId) -> Result<Vec<Arc<Span>>, SourceError> {
        let snapshot = self.snapshot();
        let mut spans = Vec::new();
        for block in snapshot.blocks.iter() {
            block.trace(id, &mut spans)?;
        }
        snapshot.memtables().for_each(|memtable| spans.extend(memtable.trace(id)));
        put_in_order(&mut spans);
        Ok(spans)
    }

    fn search(&self, query: &TraceQuery) -> Result<Vec<TraceId>, SourceError> {
        search(&self.snapshot(), query)
    }

    fn services(&self) -> Result<Vec<Arc<str>>, SourceError> {
        let snapshot = self.snapshot();
        let mut services = BTreeSet::new();
        for block in snapshot.blocks.iter() {
            services.extend(block.footer.operations.keys().cloned());
        }
        for memtable in snapshot.memtables() {
            memtable.with_catalog(|catalog| services.extend(catalog.keys().cloned()));
        }
        Ok(services.into_iter().collect())
    }

    fn operations(&self, service: &str) -> Result<Vec<(Arc<str>, SpanKind)>, SourceError> {
        let snapshot = self.snapshot();
        let mut operations = BTreeSet::new();
        for block in snapshot.blocks.iter() {
            operations.extend(block.footer.operations.get(service).into_iter().flatten().cloned());
        }
        for memtable in snapshot.memtables() {
            memtable.with_catalog(|catalog| {
                operations.extend(catalog.get(service).into_iter().flatten().cloned());
            });
        }
        Ok(operations.into_iter().collect())
    }

    /// Holds about `scan_spans_max` spans and one page at a time.
    fn scan(
        &self,
        range_ns: TimeRange,
        visit: &mut dyn FnMut(&[Arc<Span>]) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        scan(&self.snapshot(), range_ns, self.config.scan_spans_max, visit)
    }
}

/// Sorts by trace id, then start; drops duplicates, of which the first is kept.
pub(crate) fn put_in_order(spans: &mut Vec<Arc<Span>>) {
    spans.sort_by_key(|span| order_key(span));
    spans.dedup_by_key(|span| order_key(span));
}
