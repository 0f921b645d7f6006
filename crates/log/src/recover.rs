//! Opening a directory that an earlier process left behind.
//!
//! ```text
//!                         ┌ reaches the end, or only zeros follow: torn tail ──▶ cut (last segment only)
//!  record not intact ─────┤
//!                         └ anything else ──▶ original becomes `.log.bad`, a copy of what precedes takes its place
//! ```
//! A damaged length in the last segment can look like a torn tail; it is cut, counted and said like one.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

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

/// Replays all segments of `dir`, repairs them, and answers the id of the segment to write next.
pub(crate) fn recover(
    dir: &Path,
    metrics: &Metrics,
    replay: &mut Replay<'_>,
) -> Result<(SegmentId, Recovery), Error> {
    let mut recovery = Recovery::default();
    let ids = list_segments(dir)?;
    for (index, &id) in ids.iter().enumerate() {
        let is_last = index + 1 == ids.len();
        recover_segment(dir, id, is_last, &mut recovery, replay)?;
    }
    metrics.torn_bytes.add(recovery.torn_bytes);
    metrics.segments_quarantined.add(recovery.quarantined.len() as u64);
    metrics.records_refused.add(recovery.refused_records);
    let next = ids.last().map_or(1, |last| last.0 + 1);
    Ok((SegmentId(next), recovery))
}

fn recover_segment(
    dir: &Path,
    id: SegmentId,
    is_last: bool,
    recovery: &mut Recovery,
    replay: &mut Replay<'_>,
) -> Result<(), Error> {
    let path = segment_path(dir, id);
    let mut refused = 0;
    let end = read_segment(&path, &mut |offset, payload| {
        recovery.records += 1;
        recovery.bytes += payload.len() as u64;
        if let Err(error) = replay(Position { segment: id, offset }, payload) {
            refused += 1;
            warn!(%error, path = %path.display(), offset, "record can't be read, skipped");
        }
    })?;
    recovery.refused_records += refused;
    let mut bad = None;
    match end {
        End::Clean => {}
        End::Torn { offset, bytes } if is_last => {
            warn!(path = %path.display(), offset, bytes, "incomplete record cut off");
            recovery.torn_bytes += bytes;
            cut(&path, offset)?;
        }
        End::Torn { offset, .. } | End::Bad { offset } => {
            warn!(path = %path.display(), offset, "bad record, segment put aside and kept up to here");
            bad = Some(put_aside(dir, &path)?);
            keep_prefix(dir, &path, offset)?;
        }
    }
    if refused > 0 && bad.is_none() && !bad_name(&path, 0).try_exists().map_err(Error::io("stat", &path))? {
        bad = Some(put_aside(dir, &path)?);
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

fn read_segment(path: &Path, visit: &mut dyn FnMut(u64, &[u8])) -> Result<End, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let len = file.metadata().map_err(Error::io("stat", path))?.len();
    let mut reader = BufReader::with_capacity(256 << 10, file);
    if len < SEGMENT_HEADER_BYTES as u64 {
        return Ok(if len == 0 { End::Clean } else { End::Torn { offset: 0, bytes: len } });
    }
    let mut header = [0; SEGMENT_HEADER_BYTES];
    reader.read_exact(&mut header).map_err(Error::io("read", path))?;
    match read_segment_header(&header) {
        Header::Ours => {}
        Header::Newer(version) => {
            return Err(Error::NewerVersion { path: path.to_owned(), version, known: VERSION });
        }
        Header::Bad if header == [0; SEGMENT_HEADER_BYTES] && is_zero(&mut reader, path)? => {
            return Ok(End::Torn { offset: 0, bytes: len });
        }
        Header::Bad => return Ok(End::Bad { offset: 0 }),
    }
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    let mut payload = Vec::new();
    while offset < len {
        let left = len - offset;
        if left < RECORD_HEADER_BYTES as u64 {
            return Ok(End::Torn { offset, bytes: left });
        }
        let mut header = [0; RECORD_HEADER_BYTES];
        reader.read_exact(&mut header).map_err(Error::io("read", path))?;
        let (record_len, sum) = read_record_header(header);
        let end = offset + RECORD_HEADER_BYTES as u64 + u64::from(record_len);
        if end > len {
            return Ok(End::Torn { offset, bytes: left });
        }
        // A length over the limit is below the file's length here, so it is damage and not a large allocation.
        let is_plausible = record_len as usize <= RECORD_BYTES_MAX;
        payload.resize(if is_plausible { record_len as usize } else { 0 }, 0);
        reader.read_exact(&mut payload).map_err(Error::io("read", path))?;
        if !is_plausible || !is_intact(record_len, sum, &payload) {
            let is_tail = end == len || (header == [0; RECORD_HEADER_BYTES] && is_zero(&mut reader, path)?);
            return Ok(if is_tail { End::Torn { offset, bytes: left } } else { End::Bad { offset } });
        }
        visit(offset, &payload);
        offset = end;
    }
    Ok(End::Clean)
}

/// Whether nothing but zeros is left: what a file system may show of a write that never reached the disk.
fn is_zero(reader: &mut impl Read, path: &Path) -> Result<bool, Error> {
    let mut buffer = [0; 4096];
    loop {
        let read = reader.read(&mut buffer).map_err(Error::io("read", path))?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

fn cut(path: &Path, len: u64) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).open(path).map_err(Error::io("open", path))?;
    file.set_len(len).and_then(|()| file.sync_all()).map_err(Error::io("truncate", path))
}

/// Gives the segment a second name that is not taken.
fn put_aside(dir: &Path, path: &Path) -> Result<PathBuf, Error> {
    let mut attempt = 0;
    loop {
        let bad = bad_name(path, attempt);
        match fs::hard_link(path, &bad) {
            Ok(()) => return sync_dir(dir).map(|()| bad),
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
fn keep_prefix(dir: &Path, path: &Path, len: u64) -> Result<(), Error> {
    let copy = path.with_extension("log.tmp");
    let mut source = File::open(path).map_err(Error::io("open", path))?.take(len);
    let mut target = File::create(&copy).map_err(Error::io("create", &copy))?;
    std::io::copy(&mut source, &mut target)
        .and_then(|_copied| target.sync_all())
        .map_err(Error::io("write", &copy))?;
    fs::rename(&copy, path).map_err(Error::io("rename", &copy))?;
    sync_dir(dir)
}
