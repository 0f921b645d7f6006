//! Keeping one instance registered.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::{Error, Instance};

/// Keeps an instance registered while it lives. Dropped without [`Registration::deregister`], it stops the
/// heartbeat and removes the file.
#[derive(Debug)]
pub struct Registration {
    dir: Arc<Path>,
    instance: Arc<Instance>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Registration {
    pub(crate) async fn start(
        dir: Arc<Path>,
        heartbeat: Duration,
        instance: Instance,
    ) -> Result<Self, Error> {
        instance.check()?;
        let instance = Arc::new(instance);
        on_disk(&dir, &instance, "write", Instance::write).await?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keep_registered(Arc::clone(&dir), Arc::clone(&instance), heartbeat, stopped));
        Ok(Self { dir, instance, stop: Some(stop), task: Some(task) })
    }

    /// What is registered.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Removes the instance; when it returns, no new lookup finds it.
    ///
    /// # Errors
    /// When the file exists and can't be removed.
    pub async fn deregister(mut self) -> Result<(), Error> {
        drop(self.stop.take());
        if let Some(task) = self.task.take() {
            let _ended = task.await;
        }
        on_disk(&self.dir, &self.instance, "remove", remove).await
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Without its task this was deregistered in good order.
        if let Some(task) = self.task.take() {
            task.abort();
            let _removed = remove(&self.instance, &self.dir);
        }
    }
}

/// The loop towards "registered": failures are said once, and it goes on for ever.
async fn keep_registered(
    dir: Arc<Path>,
    instance: Arc<Instance>,
    heartbeat: Duration,
    mut stop: oneshot::Receiver<()>,
) {
    let mut ticks = interval(heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = &mut stop => return,
            _ = ticks.tick() => {}
        }
        match on_disk(&dir, &instance, "touch", Instance::touch).await {
            Ok(()) if failing => info!(service = instance.service, "registered again"),
            Err(error) if !failing => {
                warn!(%error, source = ?std::error::Error::source(&error), "registration fails")
            }
            Ok(()) | Err(_) => continue,
        }
        failing = !failing;
    }
}

fn remove(instance: &Instance, dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(instance.path(dir)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

async fn on_disk(
    dir: &Arc<Path>,
    instance: &Arc<Instance>,
    op: &'static str,
    work: fn(&Instance, &Path) -> std::io::Result<()>,
) -> Result<(), Error> {
    let (dir, instance) = (Arc::clone(dir), Arc::clone(instance));
    let path = instance.path(&dir);
    let done = spawn_blocking(move || work(&instance, &dir)).await;
    let done = done.unwrap_or_else(|join| Err(std::io::Error::other(join)));
    done.map_err(|source| Error::Io { op, path, source })
}
