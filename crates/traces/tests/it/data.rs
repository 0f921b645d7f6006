//! Spans to test with.

use std::sync::Arc;
use std::time::Duration;

use clock::ManualClock;
use eino_metrics_core::Registry;
use model::{
    AttributeValue, Attributes, Resource, Span, SpanBatch, SpanId, SpanKind, SpanSink, SpanSource,
    SpanStatus, TimeRange, TraceId, TraceQuery,
};
use tempfile::TempDir;
use traces::{TraceStore, TraceStoreConfig};

/// The time on the test's clock when it starts, 2025-01-01.
pub(crate) const NOW_NS: u64 = 1_735_689_600_000_000_000;
pub(crate) const MS: u64 = 1_000_000;

/// A store in a directory of its own.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) registry: Registry,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at_unix_ms(NOW_NS / MS);
        Self { dir: tempfile::tempdir().unwrap(), clock, registry: Registry::new() }
    }

    pub(crate) fn config(&self) -> TraceStoreConfig {
        TraceStoreConfig::new(self.dir.path())
    }

    pub(crate) fn open(&self) -> TraceStore {
        self.open_with(self.config())
    }

    pub(crate) fn open_with(&self, config: TraceStoreConfig) -> TraceStore {
        TraceStore::open(config, self.clock.clock(), &self.registry).unwrap()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Files of the blocks directory with this ending.
    pub(crate) fn files(&self, ending: &str) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(self.dir.path().join("blocks")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == ending));
        paths.sort();
        paths
    }

    /// The registry's line that starts with this.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.registry.encode_text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }
}

/// A span of trace `trace` that starts `start_ms` after [`NOW_NS`] and lasts a millisecond.
pub(crate) fn span(trace: u64, id: u64, start_ms: u64) -> Span {
    Span {
        trace_id: trace_id(trace),
        span_id: SpanId(id.to_be_bytes()),
        parent_span_id: (id > 1).then_some(SpanId(1_u64.to_be_bytes())),
        trace_state: "".into(),
        flags: 0,
        name: "op".into(),
        kind: SpanKind::Server,
        start_ns: NOW_NS + start_ms * MS,
        end_ns: NOW_NS + (start_ms + 1) * MS,
        status: SpanStatus::default(),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped_attributes: 0,
        dropped_events: 0,
        dropped_links: 0,
        resource: resource("shop"),
        scope: Arc::default(),
    }
}

pub(crate) fn trace_id(number: u64) -> TraceId {
    TraceId(u128::from(number).to_be_bytes())
}

pub(crate) fn resource(service: &str) -> Arc<Resource> {
    Arc::new(Resource::new(vec![("service.name".into(), text(service))]))
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::String(text.into())
}

pub(crate) fn attributes(pairs: &[(&str, AttributeValue)]) -> Attributes {
    pairs.iter().map(|(key, value)| ((*key).into(), value.clone())).collect()
}

pub(crate) fn batch(spans: impl IntoIterator<Item = Span>) -> SpanBatch {
    SpanBatch { spans: spans.into_iter().map(Arc::new).collect() }
}

/// Appends spans that must all be accepted.
#[track_caller]
pub(crate) fn put(store: &TraceStore, spans: impl IntoIterator<Item = Span>) {
    let appended = store.append(&batch(spans)).unwrap();
    assert_eq!(appended.rejected, []);
}

pub(crate) fn everything(limit: usize) -> TraceQuery {
    TraceQuery {
        service: None,
        operation: None,
        attributes: Vec::new(),
        duration_min_ns: None,
        duration_max_ns: None,
        range_ns: TimeRange::ALL,
        limit,
    }
}

/// Ids of all traces, newest first.
pub(crate) fn newest(store: &TraceStore) -> Vec<u64> {
    numbers(&store.search(&everything(usize::MAX)).unwrap())
}

pub(crate) fn numbers(ids: &[TraceId]) -> Vec<u64> {
    ids.iter().map(|id| u64::try_from(u128::from_be_bytes(id.0)).unwrap()).collect()
}

/// Span ids of a trace, in the store's order.
pub(crate) fn span_numbers(spans: &[Arc<Span>]) -> Vec<u64> {
    spans.iter().map(|span| u64::from_be_bytes(span.span_id.0)).collect()
}
