//! The disk, handed in: the real one, and a simulated one for tests of faults.
//!
//! ```text
//!  store ──▶ Disk, File, Map ──▶ real files
//!                            └─▶ SimDisk: memory that knows what is synced, fails the n-th operation, crashes
//! ```
//! - It has what stores need and no more: files written at an offset, maps of files that do not change any more,
//!   names, locks. Errors are `io::Error`; the caller adds path and operation.
//! - A name (of a file made, renamed or removed) survives power loss after [`Disk::sync_dir`], content after
//!   [`File::sync_data`]. [`SimDisk`] holds its users to that.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod map;
mod real;
mod sim;

use std::io;
use std::path::{Path, PathBuf};

pub use map::Map;
pub use sim::{Fault, Loss, SimDisk};

/// A disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct Disk(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Real,
    Sim(SimDisk),
}

/// An open file. Dropping it closes it.
#[derive(Debug)]
pub struct File(Handle);

#[derive(Debug)]
enum Handle {
    Real(std::fs::File),
    Sim(sim::SimFile),
}

/// A directory that is this process's for as long as the lock lives.
#[derive(Debug)]
pub struct Lock {
    _handle: LockHandle,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for their drop")]
enum LockHandle {
    Real(std::fs::File),
    Sim(sim::SimLock),
}

impl Default for Disk {
    /// The real one.
    fn default() -> Self {
        Self::real()
    }
}

impl Disk {
    /// The disk of this machine.
    pub fn real() -> Self {
        Self(Kind::Real)
    }

    /// Makes a directory and its parents; one that is there is fine.
    pub fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Real => std::fs::create_dir_all(path),
            Kind::Sim(sim) => sim.create_dir_all(path),
        }
    }

    /// Files and directories in `dir`, ascending by path.
    pub fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        match &self.0 {
            Kind::Real => real::list(dir),
            Kind::Sim(sim) => sim.list(dir),
        }
    }

    /// Whether there is something of that name.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        match &self.0 {
            Kind::Real => path.try_exists(),
            Kind::Sim(sim) => sim.exists(path),
        }
    }

    /// Length of a file in bytes.
    pub fn len(&self, path: &Path) -> io::Result<u64> {
        match &self.0 {
            Kind::Real => std::fs::metadata(path).map(|metadata| metadata.len()),
            Kind::Sim(sim) => sim.len(path),
        }
    }

    /// Makes an empty file for writing; one of that name is an error.
    pub fn create_new(&self, path: &Path) -> io::Result<File> {
        match &self.0 {
            Kind::Real => real::create_new(path).map(|file| File(Handle::Real(file))),
            Kind::Sim(sim) => sim.create(path, true).map(|file| File(Handle::Sim(file))),
        }
    }

    /// Makes an empty file for writing; one of that name is emptied.
    pub fn create(&self, path: &Path) -> io::Result<File> {
        match &self.0 {
            Kind::Real => real::create(path).map(|file| File(Handle::Real(file))),
            Kind::Sim(sim) => sim.create(path, false).map(|file| File(Handle::Sim(file))),
        }
    }

    /// Opens a file for reading and writing.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        match &self.0 {
            Kind::Real => real::open(path).map(|file| File(Handle::Real(file))),
            Kind::Sim(sim) => sim.open(path).map(|file| File(Handle::Sim(file))),
        }
    }

    /// A view of a whole file. Nobody may change the file's content as long as a view lives; to rename or remove
    /// it is fine.
    pub fn map(&self, path: &Path) -> io::Result<Map> {
        match &self.0 {
            Kind::Real => Map::of_file(path),
            Kind::Sim(sim) => sim.read(path).map(Map::of_bytes),
        }
    }

    /// The whole file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match &self.0 {
            Kind::Real => std::fs::read(path),
            Kind::Sim(sim) => sim.read(path),
        }
    }

    /// Gives a file another name, replacing what has that name.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Real => std::fs::rename(from, to),
            Kind::Sim(sim) => sim.rename(from, to),
        }
    }

    /// Gives a file a second name that nothing has yet.
    pub fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Real => std::fs::hard_link(from, to),
            Kind::Sim(sim) => sim.hard_link(from, to),
        }
    }

    /// Takes a name away. Open files and views stay as they are.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Real => std::fs::remove_file(path),
            Kind::Sim(sim) => sim.remove_file(path),
        }
    }

    /// Makes names in `dir` durable: new, changed and removed ones.
    pub fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Real => std::fs::File::open(dir).and_then(|dir| dir.sync_all()),
            Kind::Sim(sim) => sim.sync_dir(dir),
        }
    }

    /// Takes the lock file `path`, or answers `None` when another process (or part of this one) holds it.
    pub fn try_lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let handle = match &self.0 {
            Kind::Real => real::try_lock(path)?.map(LockHandle::Real),
            Kind::Sim(sim) => sim.try_lock(path)?.map(LockHandle::Sim),
        };
        Ok(handle.map(|handle| Lock { _handle: handle }))
    }
}

impl File {
    /// Writes all of `bytes` at `offset`. On an error a part may have been written.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match &self.0 {
            Handle::Real(file) => std::os::unix::fs::FileExt::write_all_at(file, bytes, offset),
            Handle::Sim(file) => file.write_all_at(bytes, offset),
        }
    }

    /// Fills `out` from `offset` on.
    pub fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.0 {
            Handle::Real(file) => std::os::unix::fs::FileExt::read_exact_at(file, out, offset),
            Handle::Sim(file) => file.read_exact_at(out, offset),
        }
    }

    /// Cuts off or fills up with zeros.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        match &self.0 {
            Handle::Real(file) => file.set_len(len),
            Handle::Sim(file) => file.set_len(len),
        }
    }

    /// Makes content durable.
    pub fn sync_data(&self) -> io::Result<()> {
        match &self.0 {
            Handle::Real(file) => file.sync_data(),
            Handle::Sim(file) => file.sync_data(),
        }
    }
}

/// A writer that appends from the start of a file, with a buffer of its own.
#[derive(Debug)]
pub struct Appender {
    file: File,
    offset: u64,
    buffer: Vec<u8>,
}

/// Bytes that an [`Appender`] collects before it writes.
const APPENDER_BYTES: usize = 1 << 20;

impl Appender {
    /// Writes to `file` from offset 0 on.
    pub fn new(file: File) -> Self {
        Self { file, offset: 0, buffer: Vec::new() }
    }

    /// Bytes appended so far.
    pub fn offset(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// Appends, sooner or later.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() >= APPENDER_BYTES {
            // What is long enough is not collected.
            self.flush()?;
            self.file.write_all_at(bytes, self.offset)?;
            self.offset += bytes.len() as u64;
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= APPENDER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what is collected and makes all of it durable.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_data()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.offset)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
