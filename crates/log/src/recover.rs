//! Opening a directory that an earlier process left behind.
//!
//! ```text
//!                         ┌ reaches the end, or only zeros follow: torn tail ──▶ cut (last segment only)
//!  record not intact ─────┤
//!                         └ anything else ──▶ original becomes `.log.bad`, a copy of what precedes takes its place
//! ```
//! A damaged length in the last segment can look like a torn tail; it is cut, counted and said like one.

use std::path::{Path, PathBuf};

use disk::Disk;
use tracing::warn;

use crate::files::{list_segments, segment_path, sync_dir};
use crate::metrics::Metrics;
use crate::record::{
    Header, RECORD_BYTES_MAX, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, VERSION, is_intact,
    read_record_header, read_segment_header,
};
use crate::{BadRecord, Error, Position, SegmentId};

/// What was found on open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records replayed.
    pub records: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Bytes of an incomplete record cut off the last segment.
    pub torn_bytes: u64,
    /// Records that were intact but that the store could not read. Their segments are among `quarantined`.
    pub refused_records: u64,
    /// Copies of damaged segments, for an operator to look at.
    pub quarantined: Vec<PathBuf>,
}

pub(crate) type Replay<'a> = dyn FnMut(Position, &[u8]) -> Result<(), BadRecord> + 'a;

/// Replays the segments of `dir` from `from` on, repairs them, and answers the id of the segment to write next.
pub(crate) fn recover(
    disk: &Disk,
    dir: &Path,
    from: SegmentId,
    metrics: &Metrics,
    replay: &mut Replay<'_>,
) -> Result<(SegmentId, Recovery), Error> {
    let mut recovery = Recovery::default();
    let ids = list_segments(disk, dir)?;
    for (index, &id) in ids.iter().enumerate().filter(|(_, id)| **id >= from) {
        let is_last = index + 1 == ids.len();
        recover_segment(disk, dir, id, is_last, &mut recovery, replay)?;
    }
    metrics.torn_bytes.add(recovery.torn_bytes);
    metrics.segments_quarantined.add(recovery.quarantined.len() as u64);
    metrics.records_refused.add(recovery.refused_records);
    let next = ids.last().map_or(1, |last| last.0 + 1).max(from.0);
    Ok((SegmentId(next), recovery))
}

fn recover_segment(
    disk: &Disk,
    dir: &Path,
    id: SegmentId,
    is_last: bool,
    recovery: &mut Recovery,
    replay: &mut Replay<'_>,
) -> Result<(), Error> {
    let path = segment_path(dir, id);
    let mut refused = 0;
    let map = disk.map(&path).map_err(Error::io("read", &path))?;
    let end = read_segment(&map, &path, &mut |offset, payload| {
        recovery.records += 1;
        recovery.bytes += payload.len() as u64;
        if let Err(error) = replay(Position { segment: id, offset }, payload) {
            refused += 1;
            warn!(%error, path = %path.display(), offset, "record can't be read, skipped");
        }
    })?;
    // What follows changes the file.
    drop(map);
    recovery.refused_records += refused;
    let mut bad = None;
    match end {
        End::Clean => {}
        End::Torn { offset, bytes } if is_last => {
            warn!(path = %path.display(), offset, bytes, "incomplete record cut off");
            recovery.torn_bytes += bytes;
            cut(disk, &path, offset)?;
        }
        End::Torn { offset, .. } | End::Bad { offset } => {
            warn!(path = %path.display(), offset, "bad record, segment put aside and kept up to here");
            bad = Some(put_aside(disk, dir, &path)?);
            keep_prefix(disk, dir, &path, offset)?;
        }
    }
    if refused > 0 && bad.is_none() && !disk.exists(&bad_name(&path, 0)).map_err(Error::io("stat", &path))? {
        bad = Some(put_aside(disk, dir, &path)?);
    }
    recovery.quarantined.extend(bad);
    Ok(())
}

/// How a segment ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With its last record.
    Clean,
    /// Inside a record, or with zeros, from `offset` on.
    Torn { offset: u64, bytes: u64 },
    /// Never mind the end: at `offset` is no record, and bytes follow.
    Bad { offset: u64 },
}

/// Hands out the records of a segment.
fn read_segment(bytes: &[u8], path: &Path, visit: &mut dyn FnMut(u64, &[u8])) -> Result<End, Error> {
    let len = bytes.len() as u64;
    let Some((header, _)) = bytes.split_first_chunk::<SEGMENT_HEADER_BYTES>() else {
        return Ok(if len == 0 { End::Clean } else { End::Torn { offset: 0, bytes: len } });
    };
    match read_segment_header(header) {
        Header::Ours => {}
        Header::Newer(version) => {
            return Err(Error::NewerVersion { path: path.to_owned(), version, known: VERSION });
        }
        Header::Bad if is_zero(bytes) => return Ok(End::Torn { offset: 0, bytes: len }),
        Header::Bad => return Ok(End::Bad { offset: 0 }),
    }
    let mut offset = SEGMENT_HEADER_BYTES;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let torn = End::Torn { offset: offset as u64, bytes: rest.len() as u64 };
        let Some((header, after)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() else { return Ok(torn) };
        let (record_len, sum) = read_record_header(*header);
        let Some((payload, behind)) = after.split_at_checked(record_len as usize) else { return Ok(torn) };
        // A length over the limit is below the file's length here, so it is damage.
        let is_plausible = payload.len() <= RECORD_BYTES_MAX;
        if !is_plausible || !is_intact(record_len, sum, payload) {
            let is_tail = behind.is_empty() || is_zero(rest);
            return Ok(if is_tail { torn } else { End::Bad { offset: offset as u64 } });
        }
        visit(offset as u64, payload);
        offset += RECORD_HEADER_BYTES + payload.len();
    }
    Ok(End::Clean)
}

/// Nothing but zeros: what a file system may show of a write that never reached the disk.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn cut(disk: &Disk, path: &Path, len: u64) -> Result<(), Error> {
    let file = disk.open(path).map_err(Error::io("open", path))?;
    file.set_len(len).and_then(|()| file.sync_data()).map_err(Error::io("truncate", path))
}

/// Gives the segment a second name that is not taken.
pub(crate) fn put_aside(disk: &Disk, dir: &Path, path: &Path) -> Result<PathBuf, Error> {
    let mut attempt = 0;
    loop {
        let bad = bad_name(path, attempt);
        match disk.hard_link(path, &bad) {
            Ok(()) => return sync_dir(disk, dir).map(|()| bad),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => attempt += 1,
            Err(source) => return Err(Error::Io { op: "put aside", path: path.to_owned(), source }),
        }
    }
}

/// `….log.bad`, then `….log.bad1` and so on.
fn bad_name(path: &Path, attempt: u32) -> PathBuf {
    let suffix = if attempt == 0 { String::new() } else { attempt.to_string() };
    path.with_extension(format!("log.bad{suffix}"))
}

/// Replaces the segment by a copy of its first `len` bytes, in one step.
fn keep_prefix(disk: &Disk, dir: &Path, path: &Path, len: u64) -> Result<(), Error> {
    let copy = path.with_extension("log.tmp");
    let bytes = disk.read(path).map_err(Error::io("read", path))?;
    let kept = usize::try_from(len).ok().and_then(|len| bytes.get(..len)).unwrap_or(&bytes);
    let target = disk.create(&copy).map_err(Error::io("create", &copy))?;
    target.write_all_at(kept, 0).and_then(|()| target.sync_data()).map_err(Error::io("write", &copy))?;
    disk.rename(&copy, path).map_err(Error::io("rename", &copy))?;
    sync_dir(disk, dir)
}
