//! A thread that lets the stores cut blocks and drop what is past retention.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use eino_metrics_core::{Counter, Registry};

use crate::stores::Stores;

/// How often the stores are looked after.
pub(crate) const EVERY: Duration = Duration::from_secs(2);

pub(crate) struct Maintenance {
    /// Dropping it tells the thread to stop.
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Maintenance {
    pub(crate) fn start(stores: Arc<Stores>, registry: &Registry) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let failures = |store| {
            let help = "Rounds of background work on a store that failed.";
            registry.counter_with("eino_maintenance_failures_total", help, &[("store", store)])
        };
        let (metrics_failures, traces_failures) = (failures("metrics"), failures("traces"));
        let work = move || {
            while matches!(stopped.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout)) {
                report("metrics", stores.metrics.maintain(), &metrics_failures);
                report("traces", stores.traces.maintain(), &traces_failures);
            }
        };
        let thread = std::thread::Builder::new().name("maintenance".into()).spawn(work)?;
        Ok(Self { stop, thread })
    }

    pub(crate) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the maintenance thread panicked");
        }
    }
}

fn report<E: std::error::Error + 'static>(store: &'static str, result: Result<(), E>, failures: &Counter) {
    if let Err(error) = result {
        failures.inc();
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            store,
            "background work failed; it is tried again"
        );
    }
}
