//! Lookups: the directory in memory, read again when it is old.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::warn;

use crate::file::read_alive;
use crate::{Error, RegistryConfig};

/// Addresses by service.
type Services = HashMap<String, Vec<SocketAddr>>;

#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// Held while the directory is read, so that only one lookup reads it.
    last: Mutex<Option<Snapshot>>,
}

#[derive(Debug)]
struct Snapshot {
    read_at: Instant,
    services: Arc<Services>,
}

impl Cache {
    pub(crate) async fn instances(
        &self,
        dir: &Arc<Path>,
        config: &RegistryConfig,
    ) -> Result<Arc<Services>, Error> {
        let mut last = self.last.lock().await;
        if let Some(snapshot) = &*last
            && snapshot.read_at.elapsed() < config.refresh
        {
            return Ok(Arc::clone(&snapshot.services));
        }
        let (dir, config) = (Arc::clone(dir), config.clone());
        let path = dir.to_path_buf();
        let read = spawn_blocking(move || read_dir(&dir, &config)).await;
        let read = read.unwrap_or_else(|join| Err(std::io::Error::other(join)));
        match (read, &*last) {
            (Ok(services), _) => {
                let services = Arc::new(services);
                *last = Some(Snapshot { read_at: Instant::now(), services: Arc::clone(&services) });
                Ok(services)
            }
            // Better what was true a moment ago than nothing.
            (Err(error), Some(snapshot)) => {
                warn!(%error, path = %path.display(), "registry can't be read, the last answer is used");
                Ok(Arc::clone(&snapshot.services))
            }
            (Err(source), None) => Err(Error::Io { op: "read the registry", path, source }),
        }
    }
}

fn read_dir(dir: &Path, config: &RegistryConfig) -> std::io::Result<Services> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        if found.len() >= config.instances_max {
            warn!(limit = config.instances_max, "registry has more instances than instances_max");
            break;
        }
        let path = entry?.path();
        match read_alive(&path, config.stale_after) {
            Ok(Some(instance)) => found.push(instance),
            Ok(None) => {}
            // Removed between listing and reading.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => warn!(%error, path = %path.display(), "registry file skipped"),
        }
    }
    found.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
    let mut services = Services::new();
    for instance in found {
        services.entry(instance.service).or_default().push(instance.addr);
    }
    Ok(services)
}
