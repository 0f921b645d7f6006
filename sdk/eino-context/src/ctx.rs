//! The context value.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Remote, SpanId, TraceId};

/// Most entries that [`Metadata`] holds, as W3C baggage.
const METADATA_ENTRIES_MAX: usize = 64;
/// Most bytes of names and values that [`Metadata`] holds, as W3C baggage.
const METADATA_BYTES_MAX: usize = 8 * 1024;

/// What a process attaches for itself (its tracer); never sent.
pub type Local = Arc<dyn Any + Send + Sync>;

/// Where work belongs: ids of the current span, and what travels along. Immutable, cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    trace_id: TraceId,
    span_id: SpanId,
    parent_id: Option<SpanId>,
    sampled: bool,
    shared: Option<Arc<Shared>>,
    local: Option<Local>,
}

/// What all spans of one request have in common.
#[derive(Clone, Debug, Default)]
struct Shared {
    tracestate: Option<Box<str>>,
    deadline: Option<Instant>,
    metadata: Metadata,
}

impl Ctx {
    /// The context of a trace's first span.
    pub fn root(trace_id: TraceId, span_id: SpanId, sampled: bool) -> Self {
        Self { trace_id, span_id, parent_id: None, sampled, shared: None, local: None }
    }

    /// The context of the span that answers a remote caller.
    pub fn from_remote(remote: Remote, span_id: SpanId, sampled: bool) -> Self {
        let has_shared =
            remote.tracestate.is_some() || remote.timeout.is_some() || !remote.metadata.is_empty();
        let shared = has_shared.then(|| {
            let deadline = remote.timeout.map(|timeout| Instant::now() + timeout);
            let tracestate = remote.tracestate.map(String::into_boxed_str);
            Arc::new(Shared { tracestate, deadline, metadata: remote.metadata })
        });
        Self { trace_id: remote.trace_id, span_id, parent_id: remote.span_id, sampled, shared, local: None }
    }

    /// The context of a child span: same trace, decision, deadline and metadata.
    #[must_use]
    pub fn child(&self, span_id: SpanId) -> Self {
        Self { span_id, parent_id: Some(self.span_id), ..self.clone() }
    }

    /// The trace.
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The current span.
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// The span that the current one is a child of, in this process or the caller's.
    pub fn parent_id(&self) -> Option<SpanId> {
        self.parent_id
    }

    /// Whether spans of this trace are recorded.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The caller's `tracestate`, passed on unchanged.
    pub fn tracestate(&self) -> Option<&str> {
        self.shared.as_ref()?.tracestate.as_deref()
    }

    /// When the caller stops waiting.
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.as_ref()?.deadline
    }

    /// Time left until the deadline; zero when it has passed, `None` without one.
    pub fn remaining(&self) -> Option<Duration> {
        Some(self.deadline()?.saturating_duration_since(Instant::now()))
    }

    /// A copy with the earlier of its deadline and this one.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        let mut shared = self.shared_copy();
        shared.deadline = Some(shared.deadline.map_or(deadline, |old| old.min(deadline)));
        Self { shared: Some(Arc::new(shared)), ..self.clone() }
    }

    /// The value of a metadata entry; names are lower-case.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.shared.as_ref()?.metadata.get(name)
    }

    /// All metadata entries.
    pub fn metadata_entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shared.iter().flat_map(|shared| shared.metadata.iter())
    }

    /// A copy with one more metadata entry, which every later hop receives.
    ///
    /// # Errors
    /// When the name or value can't travel in a header, or a limit of [`Metadata`] is reached.
    pub fn with_metadata(&self, name: &str, value: &str) -> Result<Self, MetadataError> {
        let mut shared = self.shared_copy();
        shared.metadata.insert(name, value)?;
        Ok(Self { shared: Some(Arc::new(shared)), ..self.clone() })
    }

    /// What this process attached.
    pub fn local(&self) -> Option<&Local> {
        self.local.as_ref()
    }

    /// A copy with this process's attachment; children inherit it.
    #[must_use]
    pub fn with_local(self, local: Local) -> Self {
        Self { local: Some(local), ..self }
    }

    fn shared_copy(&self) -> Shared {
        self.shared.as_deref().cloned().unwrap_or_default()
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sampled = if self.sampled { "sampled" } else { "unsampled" };
        write!(f, "Ctx({} {} {sampled})", self.trace_id, self.span_id)
    }
}

/// Small named values that travel with a request, at most 64 entries and 8 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Vec<(Box<str>, Box<str>)>);

/// Why an entry can't be metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataError {
    /// The name is not made of `a-z 0-9 - _ .`, or the value not of printable ASCII.
    NotAHeader { name: String },
    /// More than 64 entries or 8 KiB.
    TooLarge { name: String },
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAHeader { name } => write!(f, "metadata {name:?} can't travel in a header"),
            Self::TooLarge { name } => write!(
                f,
                "metadata {name:?} does not fit: the limit is {METADATA_ENTRIES_MAX} entries and {METADATA_BYTES_MAX} bytes"
            ),
        }
    }
}

impl std::error::Error for MetadataError {}

impl Metadata {
    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(entry, _)| *entry == name).map(|(_, value)| value)
    }

    /// All entries in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Adds or replaces an entry.
    ///
    /// # Errors
    /// When the name or value can't travel in a header, or a limit is reached.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), MetadataError> {
        let name_fits = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
        };
        let value_fits = |byte: u8| (b' '..=b'~').contains(&byte);
        if name.is_empty() || !name.bytes().all(name_fits) || !value.bytes().all(value_fits) {
            return Err(MetadataError::NotAHeader { name: name.chars().take(64).collect() });
        }
        let others = self.iter().filter(|(entry, _)| *entry != name);
        let (count, bytes) = others
            .fold((0, 0), |(count, bytes), (name, value)| (count + 1, bytes + name.len() + value.len()));
        if count >= METADATA_ENTRIES_MAX || bytes + name.len() + value.len() > METADATA_BYTES_MAX {
            return Err(MetadataError::TooLarge { name: name.chars().take(64).collect() });
        }
        self.0.retain(|(entry, _)| &**entry != name);
        self.0.push((name.into(), value.into()));
        Ok(())
    }
}
