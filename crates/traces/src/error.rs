//! What can go wrong when the store opens, flushes or closes.

use std::io;
use std::path::{Path, PathBuf};

use model::{SinkError, SourceError};

/// What went wrong, in terms of what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk said no. Retry later.
    #[error("cannot {op} {}", .path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
    /// The bytes are not ours or are damaged.
    #[error("corrupt data in {}: {detail}", .path.display())]
    Corrupt { path: PathBuf, detail: String },
    /// The directory was written by a newer version of this program.
    #[error("{} has format {found:?}, this program knows {known:?}: use the newer program", .path.display())]
    Format { path: PathBuf, found: String, known: &'static str },
    /// The log failed.
    #[error("the log of the span store failed")]
    Log(#[from] log::Error),
}

impl Error {
    pub(crate) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { op, path, source }
    }

    pub(crate) fn corrupt(path: &Path, detail: impl ToString) -> Self {
        Self::Corrupt { path: path.to_path_buf(), detail: detail.to_string() }
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { op, path, source } => Self::Io { op, path, source },
            Error::Corrupt { path, detail } => Self::Corrupt { path, detail },
            other => Self::Remote(other.to_string()),
        }
    }
}

impl From<Error> for SinkError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { op, path, source } => Self::Io { op, path, source },
            other => Self::Closed(other.to_string()),
        }
    }
}
