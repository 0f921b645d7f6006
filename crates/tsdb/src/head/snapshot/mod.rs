//! The head on disk, so that a restart replays only the end of the log.
//!
//! ```text
//! <dir>/head/00000012.snap      everything that the log's segments before 12 say, and maybe some of what later ones do
//!
//! snapshot := header[16] | section* | table | table bytes u64 | table crc32c u32 | "eino.end"
//! header   := "eino.snp" | version u32 | crc32c u32 of the 12 bytes before
//! table    := n varint | (kind u8, offset varint, bytes varint, crc32c u32)*n
//! section  := series of one shard | pairs | a log record of metadata or exemplars                 see `series`
//! ```
//! - It is never the only copy: the log keeps its segments until a cut has put their samples into a block. A damaged
//!   snapshot is put aside, counted, and the log is replayed from its start.
//! - The log is rotated first, then each shard is written under its lock. What is appended in between is in both, and
//!   replay finds that it is there already.
//! - Chunks are not copied on open: they stay in the map of the file until a cut.
//! - A cut removes it, before it removes the log's segments.

mod load;
mod series;
mod write;

use std::path::{Path, PathBuf};

use disk::Disk;

use crate::Error;

pub(crate) use load::load_newest;
pub(crate) use write::write;

const MAGIC: &[u8; 8] = b"eino.snp";
const END_MAGIC: &[u8; 8] = b"eino.end";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
/// Length of what follows the table.
const END_BYTES: usize = 20;

const SERIES: u8 = 0;
const PAIRS: u8 = 1;
const RECORD: u8 = 2;

/// Where a section is.
#[derive(Clone, Copy, Debug)]
struct Section {
    kind: u8,
    offset: u64,
    bytes: u64,
    sum: u32,
}

fn header(version: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let (start, sum) = header.split_at_mut(12);
    let (magic, number) = start.split_at_mut(8);
    magic.copy_from_slice(MAGIC);
    number.copy_from_slice(&version.to_le_bytes());
    sum.copy_from_slice(&crc32c::crc32c(start).to_le_bytes());
    header
}

fn snapshots_dir(dir: &Path) -> PathBuf {
    dir.join("head")
}

fn path_of(dir: &Path, segment: log::SegmentId) -> PathBuf {
    snapshots_dir(dir).join(format!("{:08}.snap", segment.0))
}

/// Removes what a crash left of a snapshot that was being written.
fn remove_unfinished(disk: &Disk, dir: &Path) -> Result<(), Error> {
    let dir = snapshots_dir(dir);
    if !disk.exists(&dir).map_err(Error::io("stat", &dir))? {
        return Ok(());
    }
    let paths = disk.list(&dir).map_err(Error::io("list", &dir))?;
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "tmp")) {
        disk.remove_file(path).map_err(Error::io("remove", path))?;
    }
    Ok(())
}

/// Snapshots and the segments that they end before, newest first.
fn list(disk: &Disk, dir: &Path) -> Result<Vec<(log::SegmentId, PathBuf)>, Error> {
    let dir = snapshots_dir(dir);
    if !disk.exists(&dir).map_err(Error::io("stat", &dir))? {
        return Ok(Vec::new());
    }
    let paths = disk.list(&dir).map_err(Error::io("list", &dir))?;
    let mut found: Vec<_> = paths
        .into_iter()
        .filter_map(|path| {
            let number = path.file_name()?.to_str()?.strip_suffix(".snap")?.parse().ok()?;
            Some((log::SegmentId(number), path))
        })
        .collect();
    found.sort_unstable_by(|(left, _), (right, _)| right.cmp(left));
    Ok(found)
}

/// Removes the snapshots that end before `segment`.
pub(crate) fn remove_before(disk: &Disk, dir: &Path, segment: log::SegmentId) -> Result<(), Error> {
    let mut has_removed = false;
    for (_, path) in list(disk, dir)?.into_iter().filter(|(other, _)| *other < segment) {
        disk.remove_file(&path).map_err(Error::io("remove", &path))?;
        has_removed = true;
    }
    let dir = snapshots_dir(dir);
    if has_removed { disk.sync_dir(&dir).map_err(Error::io("sync", &dir)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
