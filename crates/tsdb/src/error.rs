//! What can go wrong, in terms of what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use model::{SinkError, SourceError};

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk said no. Try again later.
    #[error("cannot {op} {}", .path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
    /// The write-ahead log said no.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// Stored bytes are damaged.
    #[error("corrupt data in {}: {detail}", .path.display())]
    Corrupt { path: PathBuf, detail: String },
    /// The files were written by a newer program.
    #[error("{} has format version {version}, this program knows up to {known}", .path.display())]
    NewerVersion { path: PathBuf, version: u32, known: u32 },
}

impl Error {
    pub(crate) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, path: path.to_owned(), source }
    }

    pub(crate) fn corrupt(path: &Path, detail: impl ToString) -> Self {
        Self::Corrupt { path: path.to_owned(), detail: detail.to_string() }
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { op, path, source } => Self::Io { op, path, source },
            Error::Corrupt { path, detail } => Self::Corrupt { path, detail },
            Error::NewerVersion { ref path, .. } => {
                Self::Corrupt { path: path.clone(), detail: error.to_string() }
            }
            Error::Log(error) => Self::Remote(error.to_string()),
        }
    }
}

impl From<Error> for SinkError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { op, path, source } | Error::Log(log::Error::Io { op, path, source }) => {
                Self::Io { op, path, source }
            }
            other => Self::Closed(other.to_string()),
        }
    }
}
