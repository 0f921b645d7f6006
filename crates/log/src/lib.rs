//! Write-ahead log: an append-only sequence of checksummed records in segment files.
//!
//! ```text
//! 00000001.log 00000002.log …        segment := header record*
//! header := magic[8] | version u32 | crc32c u32 of the 12 bytes before          (all little-endian)
//! record := len u32 | crc32c u32 of len and payload | payload[len]
//! ```
//! - [`Log::append`] answers after `write(2)` of the whole record, so that it survives `kill -9`; under
//!   [`SyncPolicy::Always`] after an `fsync` that covers it, which concurrent callers share.
//! - A torn tail of the last segment is cut on open. A bad record before the tail puts the segment aside as
//!   `….log.bad` and keeps what precedes it. Neither stops the start.
//! - After one failed `fsync` the log refuses writes: the kernel may have dropped the pages, so that a retry
//!   would report a success that did not happen.
//! - A failed write (a full disk) is taken back; later appends are accepted again when they succeed.
//! - One process at a time: the directory is locked.
//! - It does not know what a record means. Bytes on disk: `docs/format/log.md`.

mod error;
mod files;
mod log;
mod metrics;
mod record;
mod recover;
mod sync;
mod tail;

pub use error::{BadRecord, Error};
pub use log::{LockedLog, Log, LogConfig, SyncPolicy};
pub use record::RECORD_BYTES_MAX;
pub use recover::Recovery;
pub use tail::Tail;

/// Number of a segment file; later segments have higher numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

/// Where a record starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub segment: SegmentId,
    /// Bytes from the start of the segment file.
    pub offset: u64,
}

#[cfg(test)]
mod tests;
