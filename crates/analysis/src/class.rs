//! What a stretch of the critical path was spent on, read off names, kinds and structure.
//!
//! ```text
//!  name → words: "db.pool.acquire" → db pool acquire     "HikariPool.getConnection" → hikari pool get connection
//!
//!  pool  + acquire|wait|checkout|get|borrow|lease|pending   → pool_wait      connection + acquire|wait|checkout|borrow
//!  lock|mutex|rwlock|semaphore|latch                        → lock_wait
//!  queue + wait|waiting|delay|time, or queued               → queue_wait
//! ```

use foldhash::{HashMap, HashMapExt};
use model::{Span, SpanKind};

use crate::Trace;
use crate::operation::operation;

/// What a section of a critical path was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The operation's own work, as far as anyone can see.
    #[serde(rename = "self")]
    SelfTime,
    /// Between a client and the server it called.
    Network,
    PoolWait,
    LockWait,
    QueueWait,
    /// A failed attempt that was tried again, and the pause before the next one.
    Retry,
}

impl Class {
    /// All classes, each at the place of its `index`.
    pub const ALL: [Self; 6] =
        [Self::SelfTime, Self::Network, Self::PoolWait, Self::LockWait, Self::QueueWait, Self::Retry];

    /// Place in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name in JSON and in metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SelfTime => "self",
            Self::Network => "network",
            Self::PoolWait => "pool_wait",
            Self::LockWait => "lock_wait",
            Self::QueueWait => "queue_wait",
            Self::Retry => "retry",
        }
    }
}

/// The class of every span's own time, and the attempts that were tried again.
pub(crate) struct Classes {
    own: Vec<Class>,
    retried: Vec<bool>,
}

impl Classes {
    pub(crate) fn of(trace: &Trace) -> Self {
        let count = trace.spans().len();
        let mut retried = vec![false; count];
        (0..count).for_each(|parent| mark_retried(trace, parent, &mut retried));
        let mut own: Vec<_> = (0..count).map(|index| own_class(trace, index)).collect();
        for root in trace.roots() {
            for index in trace.subtree(*root) {
                let inherited = trace.parent(index).is_some_and(|parent| own[parent] == Class::Retry);
                if retried[index] || inherited {
                    own[index] = Class::Retry;
                }
            }
        }
        Self { own, retried }
    }

    /// Class of span `index` itself.
    pub(crate) fn of_span(&self, index: usize) -> Class {
        self.own[index]
    }

    /// Class of the time of `parent` that follows the end of its child `before`.
    pub(crate) fn of_gap(&self, parent: usize, before: usize) -> Class {
        if self.retried[before] { Class::Retry } else { self.own[parent] }
    }
}

fn own_class(trace: &Trace, index: usize) -> Class {
    let span = trace.span(index);
    if let Some(wait) = wait_class(span) {
        return wait;
    }
    let calls_out = matches!(span.kind, SpanKind::Client | SpanKind::Unspecified);
    let answered = calls_out && trace.children(index).iter().any(|child| trace.is_remote(index, *child));
    if answered { Class::Network } else { Class::SelfTime }
}

/// Failed children that are followed by another try: failures first, then at most one success.
fn mark_retried(trace: &Trace, parent: usize, retried: &mut [bool]) {
    let children = trace.children(parent);
    if children.len() < 2 {
        return;
    }
    let mut attempts: HashMap<_, Vec<usize>> = HashMap::new();
    for child in children {
        let span = trace.span(*child);
        attempts.entry((span.service(), operation(span), span.kind)).or_default().push(*child);
    }
    for attempts in attempts.values().filter(|attempts| attempts.len() > 1) {
        let failures = attempts.iter().take_while(|attempt| has_failed(trace, **attempt)).count();
        let sequential =
            attempts.windows(2).all(|pair| trace.span(pair[0]).end_ns <= trace.span(pair[1]).start_ns);
        if sequential && failures > 0 && attempts.len() - failures <= 1 {
            let last = attempts.len() - 1;
            attempts.iter().take(failures.min(last)).for_each(|attempt| retried[*attempt] = true);
        }
    }
}

/// A client span may not know what its server knows.
fn has_failed(trace: &Trace, index: usize) -> bool {
    let server_failed = |child: &usize| trace.is_remote(index, *child) && trace.span(*child).is_error();
    trace.span(index).is_error() || trace.children(index).iter().any(server_failed)
}

/// What a span that stands for waiting waits for.
pub(crate) fn wait_class(span: &Span) -> Option<Class> {
    if matches!(span.kind, SpanKind::Server | SpanKind::Producer | SpanKind::Consumer) {
        return None;
    }
    let words = words(&span.name);
    let has = |candidates: &[&str]| words.iter().any(|word| candidates.contains(&word.as_str()));
    let takes = has(&["acquire", "acquiring", "wait", "waiting", "checkout", "borrow", "lease", "pending"]);
    let gets = takes || has(&["get", "obtain"]);
    if (has(&["pool", "threadpool"]) && gets) || (has(&["connection", "conn", "connections"]) && takes) {
        return Some(Class::PoolWait);
    }
    if has_pool_attribute(span) && takes {
        return Some(Class::PoolWait);
    }
    if has(&["lock", "mutex", "rwlock", "semaphore", "latch"]) {
        return Some(Class::LockWait);
    }
    let queue_wait = has(&["queue", "backlog"]) && has(&["wait", "waiting", "delay", "time"]);
    (queue_wait || has(&["queued", "queueing"])).then_some(Class::QueueWait)
}

fn has_pool_attribute(span: &Span) -> bool {
    let names_pool = |key: &str| key.starts_with("db.client.connection") || key.starts_with("pool.");
    span.attributes.iter().any(|(key, _)| names_pool(key))
}

/// Lower-case words of a name; words end at punctuation and where capitals begin.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut after_lower = false;
    for c in name.chars().take(256) {
        let starts_word = c.is_uppercase() && after_lower;
        if (!c.is_alphanumeric() || starts_word) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests;
