//! How many queries run at the same time, and how long others wait.
//!
//! The wait counts against the query's timeout. A queue that is full refuses at once: a client that is told early can
//! ask elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use clock::Clock;
use eino_metrics_core::{Counter, Gauge, Histogram, Registry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

const SECONDS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0];

pub(crate) struct QueryGate {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    clock: Clock,
    metrics: Metrics,
}

struct Metrics {
    running: Gauge,
    waiting: Gauge,
    queue_full: Counter,
    queue_timeout: Counter,
    canceled: Counter,
    queue_seconds: Histogram,
    eval_seconds: Histogram,
}

/// A running query's place. Dropping it lets the next one in.
pub(crate) struct Ticket {
    /// Set when the client is gone.
    pub(crate) cancel: Arc<AtomicBool>,
    /// What is left of the timeout.
    pub(crate) time_left: Duration,
    /// How long it waited.
    pub(crate) waited: Duration,
    started: Duration,
    clock: Clock,
    running: Gauge,
    eval_seconds: Histogram,
    canceled: Counter,
    _permit: OwnedSemaphorePermit,
}

/// Tells the query that its client is gone, when it is dropped.
pub(crate) struct ClientWatch(Arc<AtomicBool>);

impl Drop for ClientWatch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Ticket {
    /// Since the query arrived.
    pub(crate) fn elapsed(&self) -> Duration {
        self.waited + self.clock.monotonic().saturating_sub(self.started)
    }
}

impl QueryGate {
    pub(crate) fn new(concurrency: usize, waiting_max: usize, clock: Clock, registry: &Registry) -> Self {
        let refused = |reason| {
            let help = "Queries that were not run, by reason.";
            registry.counter_with("eino_queries_refused_total", help, &[("reason", reason)])
        };
        let seconds = |phase| {
            let help = "How long queries waited and ran.";
            registry.histogram_with("eino_query_duration_seconds", help, &SECONDS, &[("phase", phase)])
        };
        let metrics = Metrics {
            running: registry.gauge("eino_queries_running", "Queries that run now."),
            waiting: registry.gauge("eino_queries_waiting", "Queries that wait for their turn."),
            queue_full: refused("queue_full"),
            queue_timeout: refused("queue_timeout"),
            canceled: registry
                .counter("eino_queries_canceled_total", "Queries whose client left before the answer."),
            queue_seconds: seconds("queue"),
            eval_seconds: seconds("eval"),
        };
        let permits = Arc::new(Semaphore::new(concurrency));
        Self { permits, waiting: AtomicUsize::new(0), waiting_max, clock, metrics }
    }

    /// Waits for a place, at most `timeout`.
    ///
    /// # Errors
    /// [`ApiError::Timeout`] in Prometheus's words; [`ApiError::Unavailable`] when too many wait.
    pub(crate) async fn enter(&self, timeout: Duration) -> Result<(Ticket, ClientWatch), ApiError> {
        let arrived = self.clock.monotonic();
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait(timeout).await?,
        };
        let started = self.clock.monotonic();
        let waited = started.saturating_sub(arrived);
        self.metrics.queue_seconds.observe(waited.as_secs_f64());
        self.metrics.running.add(1.0);
        let cancel = Arc::new(AtomicBool::new(false));
        let ticket = Ticket {
            cancel: Arc::clone(&cancel),
            time_left: timeout.saturating_sub(waited),
            waited,
            started,
            clock: self.clock.clone(),
            running: self.metrics.running.clone(),
            eval_seconds: self.metrics.eval_seconds.clone(),
            canceled: self.metrics.canceled.clone(),
            _permit: permit,
        };
        Ok((ticket, ClientWatch(cancel)))
    }

    async fn wait(&self, timeout: Duration) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = Place::take(self)?;
        let permit = tokio::time::timeout(timeout, Arc::clone(&self.permits).acquire_owned()).await;
        drop(place);
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(ApiError::Unavailable("the server is stopping".into())),
            Err(_) => {
                self.metrics.queue_timeout.inc();
                Err(ApiError::Timeout("query timed out in query queue".into()))
            }
        }
    }
}

/// A place in the queue, given back also when the client leaves.
struct Place<'g>(&'g QueryGate);

impl<'g> Place<'g> {
    fn take(gate: &'g QueryGate) -> Result<Self, ApiError> {
        if gate.waiting.fetch_add(1, Ordering::Relaxed) >= gate.waiting_max {
            gate.waiting.fetch_sub(1, Ordering::Relaxed);
            gate.metrics.queue_full.inc();
            let max = gate.waiting_max;
            let text = format!("{max} queries are waiting already (limits.query_queue); try again later");
            return Err(ApiError::Unavailable(text));
        }
        gate.metrics.waiting.add(1.0);
        Ok(Self(gate))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.waiting.add(-1.0);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.running.add(-1.0);
        self.eval_seconds.observe(self.clock.monotonic().saturating_sub(self.started).as_secs_f64());
        if self.cancel.load(Ordering::Relaxed) {
            self.canceled.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn others_wait_and_the_wait_counts() {
        let manual = clock::ManualClock::at_unix_ms(0);
        let registry = Registry::new();
        let gate = Arc::new(QueryGate::new(1, 1, manual.clock(), &registry));
        let (first, _watch) = gate.enter(Duration::from_secs(5)).await.expect("free");
        let second = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter(Duration::from_secs(5)).await.map(|(ticket, _)| ticket.time_left) }
        });
        while gate.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let full = gate.enter(Duration::from_secs(5)).await.map(|_| ());
        assert!(matches!(full, Err(ApiError::Unavailable(text)) if text.contains("1 queries are waiting")));
        manual.advance(Duration::from_secs(2));
        drop(first);
        assert_eq!(second.await.expect("no panic").expect("entered"), Duration::from_secs(3));
        let (_holder, _watch) = gate.enter(Duration::from_secs(5)).await.expect("free again");
        let late = gate.enter(Duration::from_secs(5)).await.map(|_| ());
        assert!(matches!(late, Err(ApiError::Timeout(text)) if text == "query timed out in query queue"));
        let text = registry.encode_text();
        for line in ["{reason=\"queue_full\"} 1", "{reason=\"queue_timeout\"} 1", "eino_queries_running 1"] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[tokio::test]
    async fn a_client_that_leaves_cancels() {
        let registry = Registry::new();
        let gate = QueryGate::new(1, 1, Clock::system(), &registry);
        let (ticket, watch) = gate.enter(Duration::from_secs(5)).await.expect("free");
        drop(watch);
        assert!(ticket.cancel.load(Ordering::Relaxed));
        drop(ticket);
        assert!(registry.encode_text().contains("eino_queries_canceled_total 1"));
    }
}
