//! The file of one instance.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::Error;

/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024;
const SCRAPED: &str = "json";
const EXTERNAL: &str = "external";

/// One running copy of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Name under which others find it.
    pub service: String,
    /// Tells copies of one service apart.
    pub instance_id: String,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Process on this machine; 0 when it runs elsewhere.
    pub pid: u32,
    /// Whether it answers `/metrics`. If not, its file is kept out of the way of Prometheus' file discovery.
    pub exposes_metrics: bool,
}

/// A Prometheus target group.
#[derive(Serialize, Deserialize)]
struct TargetGroup {
    targets: Vec<SocketAddr>,
    labels: Labels,
}

#[derive(Serialize, Deserialize)]
struct Labels {
    service: String,
    #[serde(rename = "__meta_eino_instance_id")]
    instance_id: String,
    #[serde(rename = "__meta_eino_pid")]
    pid: String,
}

impl Instance {
    pub(crate) fn check(&self) -> Result<(), Error> {
        for name in [&self.service, &self.instance_id] {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let inner = |byte: u8| fits(byte) || matches!(byte, b'-' | b'_' | b'.');
            let begins = name.bytes().next().is_some_and(fits);
            if !begins || name.len() > 63 || !name.bytes().all(inner) {
                return Err(Error::Name { name: name.chars().take(80).collect() });
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        let extension = if self.exposes_metrics { SCRAPED } else { EXTERNAL };
        dir.join(format!("{}@{}.{extension}", self.service, self.instance_id))
    }

    /// Writes the file under another name and renames it, so that no reader sees half of it.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        let labels = Labels {
            service: self.service.clone(),
            instance_id: self.instance_id.clone(),
            pid: self.pid.to_string(),
        };
        let group = [TargetGroup { targets: vec![self.addr], labels }];
        let path = self.path(dir);
        let temporary = path.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(&group)?)?;
        drop(file);
        fs::rename(&temporary, &path)
    }

    /// Renews the heartbeat; writes the file again if it is gone.
    pub(crate) fn touch(&self, dir: &Path) -> io::Result<()> {
        match File::options().append(true).open(self.path(dir)) {
            Ok(file) => file.set_modified(now()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.write(dir),
            Err(error) => Err(error),
        }
    }
}

/// The instance in the file at `path`: `None` if it is not one of ours or no longer alive.
pub(crate) fn read_alive(path: &Path, stale_after: Duration) -> io::Result<Option<Instance>> {
    let exposes_metrics = match path.extension().and_then(|extension| extension.to_str()) {
        Some(SCRAPED) => true,
        Some(EXTERNAL) => false,
        _ => return Ok(None),
    };
    let metadata = fs::metadata(path)?;
    // A heartbeat from the future (a clock was set) counts as fresh.
    let age = now().duration_since(metadata.modified()?).unwrap_or_default();
    if age > stale_after || metadata.len() > FILE_BYTES_MAX {
        return Ok(None);
    }
    let groups: Vec<TargetGroup> = serde_json::from_slice(&fs::read(path)?)?;
    let Some(TargetGroup { targets, labels }) = groups.into_iter().next() else { return Ok(None) };
    let Some(addr) = targets.first().copied() else { return Ok(None) };
    let pid = labels.pid.parse().unwrap_or_default();
    let Labels { service, instance_id, .. } = labels;
    let instance = Instance { service, instance_id, addr, pid, exposes_metrics };
    Ok(process_may_live(pid).then_some(instance))
}

/// Where the system has `/proc`, whether the process exists; elsewhere the heartbeat alone decides.
fn process_may_live(pid: u32) -> bool {
    let proc = Path::new("/proc");
    pid == 0 || !proc.join("self").exists() || proc.join(pid.to_string()).exists()
}

#[expect(
    clippy::disallowed_methods,
    reason = "heartbeats are compared with file times, which are wall-clock times"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
