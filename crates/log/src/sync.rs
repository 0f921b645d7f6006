//! Group commit: many writers, one fsync at a time.
//!
//! ```text
//!  written ──────────────────────────────▶ bytes appended so far, over all segments
//!  synced  ───────────────▶                bytes known to be on disk
//!                 sync_to(n): synced >= n ? done : someone syncing ? wait : sync everything written, tell all
//! ```

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clock::Clock;
use disk::File;

use crate::Error;
use crate::metrics::Metrics;

/// What one fsync round has to cover.
pub(crate) struct Unsynced {
    /// Bytes written when the files were collected.
    pub(crate) written: u64,
    pub(crate) files: Vec<Arc<File>>,
}

/// Who syncs, and how far it got.
pub(crate) struct SyncState {
    path: PathBuf,
    clock: Clock,
    metrics: Metrics,
    /// Protects the progress below. Lock order: never held while a file is synced or the writer is locked.
    progress: Mutex<Progress>,
    changed: Condvar,
    /// Copy of `progress.failed.is_some()` for the append path.
    has_failed: AtomicBool,
}

#[derive(Default)]
struct Progress {
    synced: u64,
    is_syncing: bool,
    failed: Option<String>,
    is_stopping: bool,
}

impl SyncState {
    pub(crate) fn new(path: PathBuf, clock: Clock, metrics: Metrics) -> Self {
        Self {
            path,
            clock,
            metrics,
            progress: Mutex::default(),
            changed: Condvar::new(),
            has_failed: AtomicBool::new(false),
        }
    }

    /// # Errors
    /// [`Error::Failed`] after a failed fsync or a write that could not be taken back.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.has_failed.load(Ordering::Acquire) {
            return Err(self.failure(self.lock().failed.as_deref().unwrap_or_default()));
        }
        Ok(())
    }

    /// Refuses everything from now on.
    pub(crate) fn fail(&self, detail: String) {
        self.lock().failed.get_or_insert(detail);
        self.has_failed.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// Returns when all bytes up to `target` are on disk; `collect` says what to sync.
    pub(crate) fn sync_to(&self, target: u64, collect: impl Fn() -> Unsynced) -> Result<(), Error> {
        let mut progress = self.lock();
        loop {
            if let Some(detail) = &progress.failed {
                return Err(self.failure(detail));
            }
            if progress.synced >= target {
                return Ok(());
            }
            if progress.is_syncing {
                progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            progress.is_syncing = true;
            drop(progress);
            let unsynced = collect();
            let outcome = self.sync_files(&unsynced.files);
            progress = self.lock();
            progress.is_syncing = false;
            match outcome {
                Ok(()) => progress.synced = progress.synced.max(unsynced.written),
                Err(error) => {
                    self.metrics.sync_failures.inc();
                    progress.failed = Some(error.to_string());
                    self.has_failed.store(true, Ordering::Release);
                }
            }
            self.changed.notify_all();
        }
    }

    /// Waits for `interval` or until [`stop`](Self::stop); answers whether to go on.
    pub(crate) fn pause(&self, interval: Duration) -> bool {
        let waiting =
            self.changed.wait_timeout_while(self.lock(), interval, |progress| !progress.is_stopping);
        let (progress, _timeout) = waiting.unwrap_or_else(PoisonError::into_inner);
        !progress.is_stopping
    }

    /// Makes [`pause`](Self::pause) answer `false`.
    pub(crate) fn stop(&self) {
        self.lock().is_stopping = true;
        self.changed.notify_all();
    }

    fn sync_files(&self, files: &[Arc<File>]) -> std::io::Result<()> {
        for file in files {
            let start = self.clock.monotonic();
            file.sync_data()?;
            self.metrics.synced(self.clock.monotonic().saturating_sub(start));
        }
        Ok(())
    }

    fn failure(&self, detail: &str) -> Error {
        Error::Failed { path: self.path.clone(), detail: detail.to_owned() }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
