//! A disk in memory that knows what would survive, and fails where it is told to.
//!
//! ```text
//! names   path ─▶ node            now, and as of the last sync of the directory
//! node    bytes                   now, and as of the last sync of the file
//! restart Loss::Process  names and bytes as they are now          kill -9: the kernel has the pages
//!         Loss::Power    names and bytes as they were synced
//! ```
//! Every operation has a number, from 1 on. A fault is tied to a number: the operation fails, a write after its first
//! half; after a crash all further ones fail until [`SimDisk::restart`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, Kind};

/// What an operation meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This operation fails with this error; later ones work.
    Error(io::ErrorKind),
    /// The process dies here.
    Crash,
}

/// What a crash takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The process is gone, the machine is not.
    Process,
    /// Everything that was not synced.
    Power,
}

/// The simulated disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    names: Names,
    durable_names: Names,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    has_crashed: bool,
    /// Counts restarts: files and locks of an earlier process are dead.
    epoch: u64,
    capacity_bytes: Option<u64>,
}

type Names = BTreeMap<PathBuf, Arc<Node>>;

#[derive(Debug, Default)]
struct Node(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct SimFile {
    disk: SimDisk,
    node: Arc<Node>,
    epoch: u64,
}

#[derive(Debug)]
pub(super) struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    epoch: u64,
}

impl SimDisk {
    /// Empty, without faults, without end.
    pub fn new() -> Self {
        Self::default()
    }

    /// This disk as stores take it.
    pub fn disk(&self) -> Disk {
        Disk(Kind::Sim(self.clone()))
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Ties a fault to the operation with this number.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().faults.insert(operation, fault);
    }

    /// From now on all files together hold at most so many bytes; writes beyond fail like those on a full disk.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity_bytes = bytes;
    }

    /// Whether a crash has happened since the last restart.
    pub fn has_crashed(&self) -> bool {
        self.state().has_crashed
    }

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// The disk as the next process finds it. Files and locks that are open are dead; faults are forgotten.
    pub fn restart(&self, loss: Loss) {
        let mut state = self.state();
        state.has_crashed = false;
        state.faults.clear();
        state.locks.clear();
        state.epoch += 1;
        if loss == Loss::Power {
            state.names = state.durable_names.clone();
        }
        for node in state.names.values() {
            let mut content = node.content();
            if loss == Loss::Power {
                content.now = content.durable.clone();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation and lets it meet its fault.
    fn operate(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operate()?;
        Ok(state)
    }

    pub(super) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        state.dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.operate()?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let paths = state.names.keys().chain(&state.dirs).filter(|path| path.parent() == Some(dir));
        let paths: BTreeSet<_> = paths.cloned().collect();
        Ok(paths.into_iter().collect())
    }

    pub(super) fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.operate()?;
        Ok(state.names.contains_key(path) || state.dirs.contains(path))
    }

    pub(super) fn len(&self, path: &Path) -> io::Result<u64> {
        let state = self.operate()?;
        Ok(state.node(path)?.content().now.len() as u64)
    }

    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.operate()?;
        Ok(state.node(path)?.content().now.clone())
    }

    pub(super) fn create(&self, path: &Path, is_new: bool) -> io::Result<SimFile> {
        let mut state = self.operate()?;
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if is_new && state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = Arc::clone(state.names.entry(path.to_owned()).or_default());
        node.content().now.clear();
        Ok(SimFile { disk: self.clone(), node, epoch: state.epoch })
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<SimFile> {
        let state = self.operate()?;
        Ok(SimFile { disk: self.clone(), node: state.node(path)?, epoch: state.epoch })
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        let node = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), node);
        Ok(())
    }

    pub(super) fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        let node = state.node(from)?;
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.names.insert(to.to_owned(), node);
        Ok(())
    }

    pub(super) fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        state.names.remove(path).map(|_node| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        let mut names = state.durable_names.clone();
        names.retain(|path, _| path.parent() != Some(dir));
        let now = state.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        names.extend(now.map(|(path, node)| (path.clone(), Arc::clone(node))));
        state.durable_names = names;
        Ok(())
    }

    pub(super) fn try_lock(&self, path: &Path) -> io::Result<Option<SimLock>> {
        let mut state = self.operate()?;
        let is_free = state.locks.insert(path.to_owned());
        let epoch = state.epoch;
        Ok(is_free.then(|| SimLock { disk: self.clone(), path: path.to_owned(), epoch }))
    }
}

/// Why an operation does not happen.
enum Refused {
    /// It meets its fault.
    Now(io::Error),
    /// There is no process any more that could do it.
    Dead(io::Error),
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        let (Refused::Now(error) | Refused::Dead(error)) = refused;
        error
    }
}

impl State {
    fn operate(&mut self) -> Result<(), Refused> {
        if self.has_crashed {
            return Err(Refused::Dead(io::Error::other("the process has crashed")));
        }
        self.operations += 1;
        match self.faults.remove(&self.operations) {
            Some(Fault::Error(kind)) => Err(Refused::Now(kind.into())),
            Some(Fault::Crash) => {
                self.has_crashed = true;
                Err(Refused::Now(io::Error::other("the process crashes")))
            }
            None => Ok(()),
        }
    }

    fn node(&self, path: &Path) -> io::Result<Arc<Node>> {
        self.names.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|node| node.content().now.len() as u64).sum()
    }

    /// How many more bytes fit.
    fn room_bytes(&self) -> usize {
        let room = self.capacity_bytes.map(|capacity| capacity.saturating_sub(self.used_bytes()));
        room.and_then(|room| usize::try_from(room).ok()).unwrap_or(usize::MAX)
    }
}

impl Node {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimFile {
    fn operate(&self) -> (MutexGuard<'_, State>, Result<(), Refused>) {
        let mut state = self.disk.state();
        let outcome = if state.epoch == self.epoch {
            state.operate()
        } else {
            Err(Refused::Dead(io::Error::other("the file was opened before the restart")))
        };
        (state, outcome)
    }

    pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (state, outcome) = self.operate();
        let room = state.room_bytes();
        let (len, outcome) = match outcome {
            Err(Refused::Dead(error)) => return Err(error),
            Err(Refused::Now(error)) => (bytes.len() / 2, Err(error)),
            Ok(()) if bytes.len() > room => (room, Err(io::ErrorKind::StorageFull.into())),
            Ok(()) => (bytes.len(), Ok(())),
        };
        let mut content = self.node.content();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.saturating_add(len);
        if content.now.len() < end {
            content.now.resize(end, 0);
        }
        if let (Some(place), Some(bytes)) = (content.now.get_mut(start..end), bytes.get(..len)) {
            place.copy_from_slice(bytes);
        }
        outcome
    }

    pub(super) fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let (_state, outcome) = self.operate();
        outcome?;
        let content = self.node.content();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = content.now.get(start..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        let (_state, outcome) = self.operate();
        outcome?;
        self.node.content().now.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        Ok(())
    }

    pub(super) fn sync_data(&self) -> io::Result<()> {
        let (_state, outcome) = self.operate();
        outcome?;
        let mut content = self.node.content();
        content.durable = content.now.clone();
        Ok(())
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.epoch == self.epoch {
            state.locks.remove(&self.path);
        }
    }
}
