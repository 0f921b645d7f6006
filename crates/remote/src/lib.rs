//! Other servers as places that samples go to and come from: `remote_write` and `remote_read` of the configuration.
//!
//! ```text
//!  producers ─▶ RemoteSink ─▶ the store                             engines ─▶ RemoteSource ─▶ the store
//!                   └─▶ spool (a log on disk) ─▶ target: relabel            └─▶ target ─▶ HTTP
//!                         position per target      └▶ shards ─▶ HTTP               answers merged by series
//! ```
//! - The log is the queue: memory holds only what the shards are sending. What is in it survives a restart, and each
//!   target resumes at its last acknowledged position, so that a sample may arrive twice and none is left out.
//! - The spool is bounded. Over its limit the oldest segment is given up for whoever lags, counted.
//! - A store that accepted a batch is not held up by a target that does not.
//! - Answers of remote servers that fail leave the local ones, with an info that says so.

mod config;
mod read;
mod write;

pub use config::{MetadataSettings, QueueSettings, ReadConfig, WriteConfig, WriteMessage};
pub use read::RemoteSource;
pub use write::{RemoteSink, RemoteWriter, WriterParts};

/// A spool that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log of it.
    #[error("cannot open the queue of remote_write")]
    Spool(#[source] log::Error),
}
