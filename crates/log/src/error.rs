//! What can go wrong, in terms of what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::RECORD_BYTES_MAX;

/// Why the log did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk said no; nothing was appended. Try again later.
    #[error("cannot {op} {}", .path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
    /// An earlier fsync failed. Only opening the log again helps.
    #[error("log {} refuses writes after a failed sync: {detail}", .path.display())]
    Failed { path: PathBuf, detail: String },
    /// [`Log::close`](crate::Log::close) was called.
    #[error("log {} is closed", .path.display())]
    Closed { path: PathBuf },
    /// The caller should split the record.
    #[error("record of {bytes} bytes is over the limit of {RECORD_BYTES_MAX} bytes")]
    TooLarge { bytes: usize },
    /// The files were written by a newer program.
    #[error("{} has format version {version}, this program knows up to {known}", .path.display())]
    NewerVersion { path: PathBuf, version: u32, known: u32 },
    /// Another process has the directory open.
    #[error("{} is in use by another process", .path.display())]
    Locked { path: PathBuf },
}

impl Error {
    pub(crate) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, path: path.to_owned(), source }
    }
}

/// A record that the store can't read: its checksum is right, its content is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRecord(pub String);
