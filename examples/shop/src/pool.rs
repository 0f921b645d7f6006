//! A bounded pool of SQLite connections for async code.
//!
//! ```text
//! acquire ── wait in order of arrival ──▶ Pooled ── run(statement) on a blocking thread ──▶ Pooled ── drop ──▶ idle
//! ```
//! A [`Pooled`] moves into the blocking thread and back. So when a request is cancelled in the middle of a
//! statement, the connection returns to the pool when the statement ends, not before.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eino::metrics::{Gauge, Registry, SECONDS};
use eino::prelude::*;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long SQLite waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

labels! {
    /// What connections do.
    pub(crate) enum State as "state" { Idle = "idle", Used = "used" }
}
labels! {
    /// The pools of this process.
    pub(crate) enum PoolName as "pool" { Payment = "payment" }
}

/// What a pool shows of itself.
#[derive(Clone, Debug)]
pub(crate) struct PoolMetrics {
    connections: Gauge<(PoolName, State)>,
    size: Gauge<PoolName>,
    wait: Histogram<PoolName>,
}

/// A statement as its span describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    pub(crate) operation: &'static str,
    pub(crate) table: &'static str,
    pub(crate) sql: &'static str,
}

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot use the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the pool is closed")]
    Closed,
    #[error("the database thread panicked")]
    Panicked,
}

/// A fixed number of connections to one database.
#[derive(Debug)]
pub(crate) struct Pool {
    name: &'static str,
    file: String,
    size: usize,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    metrics: PoolMetrics,
}

/// A connection that is in use; dropped, it is idle again.
#[derive(Debug)]
pub(crate) struct Pooled {
    pool: Arc<Pool>,
    /// There until the drop.
    connection: Option<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Opens `size` connections to the database at `path` and runs `prepare` on the first.
    pub(crate) fn open(
        name: &'static str,
        path: &Path,
        size: usize,
        prepare: fn(&mut Connection) -> rusqlite::Result<()>,
        metrics: PoolMetrics,
    ) -> Result<Self, Error> {
        let mut idle: Vec<Connection> = (0..size).map(|_| connect(path)).collect::<Result<_, _>>()?;
        if let Some(first) = idle.first_mut() {
            prepare(first)?;
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pool = Self {
            name,
            file,
            size,
            idle: Mutex::new(idle),
            permits: Arc::new(Semaphore::new(size)),
            metrics,
        };
        pool.metrics.size.with(PoolName::Payment).set(size as f64);
        pool.metrics.connections.with((PoolName::Payment, State::Idle)).set(size as f64);
        Ok(pool)
    }

    /// Waits for a connection, first come first served.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Pooled, Error> {
        let wait = span("db.pool.acquire")
            .attr("db.client.connection.pool.name", self.name)
            .attr("db.client.connection.max", self.size);
        let started = Instant::now();
        let permit =
            wait.around(Arc::clone(&self.permits).acquire_owned()).await.map_err(|_| Error::Closed)?;
        self.metrics.wait.observe_time(PoolName::Payment, started.elapsed());
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        self.metrics.moved(State::Idle, State::Used);
        Ok(Pooled { pool: Arc::clone(self), connection, _permit: permit })
    }
}

impl Pooled {
    /// Runs `work` on a blocking thread, in a span that describes `statement`.
    pub(crate) async fn run<T: Send + 'static>(
        mut self,
        statement: Statement,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<(Self, T), Error> {
        let span = statement.span(&self.pool.file);
        let blocking = async {
            let done = eino::spawn_blocking(move || {
                let connection = self.connection.as_mut().ok_or(Error::Closed)?;
                let value = work(connection)?;
                Ok((self, value))
            });
            done.await.unwrap_or(Err(Error::Panicked))
        };
        span.around_result(blocking).await
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        self.pool.metrics.moved(State::Used, State::Idle);
    }
}

impl Statement {
    /// A CLIENT span, as OpenTelemetry's database conventions want it.
    fn span(&self, file: &str) -> eino::Span {
        let span = span(self.operation).kind(Kind::Client);
        if !span.is_recording() {
            return span;
        }
        span.named(format!("{} {}", self.operation, self.table))
            .attr("db.system.name", "sqlite")
            .attr("db.namespace", file)
            .attr("db.operation.name", self.operation)
            .attr("db.collection.name", self.table)
            .attr("db.query.text", self.sql)
    }
}

impl PoolMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        Self {
            connections: Gauge::register(registry, "db_pool_connections", "Connections by what they do."),
            size: Gauge::register(registry, "db_pool_size", "Connections that the pool has."),
            wait: Histogram::register(
                registry,
                "db_pool_wait_seconds",
                "Time waited for a connection.",
                SECONDS,
            ),
        }
    }

    fn moved(&self, from: State, to: State) {
        self.connections.with((PoolName::Payment, from)).add(-1.0);
        self.connections.with((PoolName::Payment, to)).add(1.0);
    }
}

/// WAL: readers and the writer do not wait for each other. NORMAL: a commit does not wait for the disk.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
