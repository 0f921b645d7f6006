//! Time, handed in.
//!
//! Stores and engines never ask the operating system for the time. They hold a [`Clock`]: the system's in
//! production, a [`ManualClock`] in tests and in simulation. `clippy.toml` bans every other way.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A cheap handle to a source of time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System { origin: Instant },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The operating system's clocks.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn system() -> Self {
        Self(Source::System { origin: Instant::now() })
    }

    /// Wall-clock time as nanoseconds since the Unix epoch; 0 before it.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn unix_ns(&self) -> u64 {
        match &self.0 {
            Source::System { .. } => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
            }
            Source::Manual(now_ns) => now_ns.load(Ordering::Acquire),
        }
    }

    /// Wall-clock time as milliseconds since the Unix epoch.
    pub fn unix_ms(&self) -> i64 {
        i64::try_from(self.unix_ns() / 1_000_000).unwrap_or(i64::MAX)
    }

    /// Monotonic time since some fixed moment: for measuring durations and deadlines.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System { origin } => origin.elapsed(),
            Source::Manual(now_ns) => Duration::from_nanos(now_ns.load(Ordering::Acquire)),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System { .. } => f.write_str("Clock::system"),
            Source::Manual(now_ns) => write!(f, "Clock::manual({} ns)", now_ns.load(Ordering::Relaxed)),
        }
    }
}

/// A clock that stands still until it is told to move. Clones of [`ManualClock::clock`] move with it.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows `unix_ms` milliseconds since the epoch.
    pub fn at_unix_ms(unix_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(unix_ms * 1_000_000)))
    }

    /// The handle to give to the code under test.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.0)))
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(by_ns, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_all_its_handles() {
        let manual = ManualClock::at_unix_ms(1_000);
        let clock = manual.clock();
        manual.advance(Duration::from_millis(250));
        assert_eq!(clock.unix_ms(), 1_250);
        assert_eq!(clock.monotonic(), Duration::from_millis(1_250));
    }

    #[test]
    fn system_clock_is_after_2024_and_monotonic() {
        let clock = Clock::system();
        assert!(clock.unix_ms() > 1_704_067_200_000);
        let before = clock.monotonic();
        assert!(clock.monotonic() >= before);
    }
}
