//! Span times: nanoseconds since the Unix epoch that never go backwards within a trace.
//!
//! `now = offset + monotonic`. The offset follows the wall clock only when it has moved by more than a
//! millisecond, so slewing does not disturb the order of spans.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

const DRIFT_NS_MAX: u64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct SpanClock {
    origin: Instant,
    /// Unix time of `origin`.
    offset_ns: AtomicU64,
}

impl SpanClock {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), offset_ns: AtomicU64::new(wall_ns()) }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.offset_ns.load(Ordering::Relaxed) + self.monotonic_ns()
    }

    /// Follows the wall clock when it was set.
    pub(crate) fn correct(&self) {
        let offset = wall_ns().saturating_sub(self.monotonic_ns());
        if offset.abs_diff(self.offset_ns.load(Ordering::Relaxed)) > DRIFT_NS_MAX {
            self.offset_ns.store(offset, Ordering::Relaxed);
        }
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "spans carry wall-clock time; this is the SDK's one place that asks for it"
)]
fn wall_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
