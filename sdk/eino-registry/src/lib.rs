//! Who runs where: a registry that is a directory of small files.
//!
//! ```text
//! DIR/payment-service@6f1c.json      one file per instance, written under another name and renamed
//!     [{"targets":["127.0.0.1:40123"],"labels":{"service":"payment-service",…}}]
//! DIR/card-processor@77.external     the same, for a peer that exposes no metrics
//! ```
//! - The `.json` files are what Prometheus' file discovery reads: `file_sd_configs: [{files: [DIR/*.json]}]`
//!   scrapes every service that registers.
//! - The file's modification time is the heartbeat. An instance is alive while it is younger than
//!   [`RegistryConfig::stale_after`] and, where the system can tell, its process exists.
//! - Registering is a loop towards a wanted state: a file that someone removed comes back.
//! - Lookups are answered from memory and refreshed in the background of [`FileRegistry::resolve`].

mod file;
mod registration;
mod resolver;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use file::Instance;
pub use registration::Registration;

/// Settings of a [`FileRegistry`].
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// How often an instance touches its file.
    pub heartbeat: Duration,
    /// Age of the last heartbeat from which on an instance is ignored.
    pub stale_after: Duration,
    /// Age of a lookup's answer from which on the directory is read again.
    pub refresh: Duration,
    /// Most instances that are read; more are ignored with a warning.
    pub instances_max: usize,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(3),
            stale_after: Duration::from_secs(10),
            refresh: Duration::from_millis(500),
            instances_max: 10_000,
        }
    }
}

/// Why the registry could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or a file can't be read or written.
    #[error("cannot {op} {}", .path.display())]
    Io { op: &'static str, path: PathBuf, source: std::io::Error },
    /// The name can't be a service's.
    #[error(
        "invalid service name {name:?}: 1 to 63 of a-z, 0-9, '-', '_' and '.', beginning with a letter or digit"
    )]
    Name { name: String },
    /// No live instance is registered.
    #[error("no live instance of {service:?} in {}", .path.display())]
    NoInstance { service: String, path: PathBuf },
}

/// A directory in which services find each other. Clones share their cache.
#[derive(Clone, Debug)]
pub struct FileRegistry {
    dir: Arc<Path>,
    config: RegistryConfig,
    cache: Arc<resolver::Cache>,
}

impl FileRegistry {
    /// Opens the registry in `dir`, which is created when it does not exist.
    ///
    /// # Errors
    /// When the directory can't be made.
    pub fn open(dir: impl Into<PathBuf>, config: RegistryConfig) -> Result<Self, Error> {
        let dir = dir.into();
        std::fs::create_dir_all(&dir).map_err(|source| Error::Io {
            op: "create the registry directory",
            path: dir.clone(),
            source,
        })?;
        Ok(Self { dir: dir.into(), config, cache: Arc::default() })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes `instance` and keeps it registered until [`Registration::deregister`] or a drop.
    ///
    /// # Errors
    /// When the name is not a service's or the file can't be written.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn register(&self, instance: Instance) -> Result<Registration, Error> {
        Registration::start(Arc::clone(&self.dir), self.config.heartbeat, instance).await
    }

    /// Live instances of `service`, ascending by instance id; at most `refresh` old.
    ///
    /// # Errors
    /// When the directory can't be read or nothing that lives is registered.
    pub async fn resolve(&self, service: &str) -> Result<Vec<SocketAddr>, Error> {
        let found = self.cache.instances(&self.dir, &self.config).await?;
        match found.get(service) {
            Some(addrs) => Ok(addrs.clone()),
            None => Err(Error::NoInstance { service: service.to_owned(), path: self.dir.to_path_buf() }),
        }
    }
}
