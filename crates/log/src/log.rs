//! The log: one writer at a time, group commit behind it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clock::Clock;
use disk::{Disk, File, Lock};
use eino_metrics_core::Registry;
use tracing::error;

use crate::files::{create_segment, list_segments, lock_dir, segment_path, sync_dir};
use crate::metrics::Metrics;
use crate::record::{RECORD_BYTES_MAX, SEGMENT_HEADER_BYTES, frame};
use crate::recover::{Recovery, Replay, put_aside, recover};
use crate::sync::{SyncState, Unsynced};
use crate::{Error, Position, SegmentId};

/// When appended records reach the disk itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// A background thread syncs at least this often: power loss costs at most that much.
    Every(Duration),
    /// Before [`Log::append`] answers.
    Always,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self::Every(Duration::from_millis(100))
    }
}

/// Settings of a log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Holds nothing but this log. Made if absent.
    pub dir: PathBuf,
    /// A record that would make a segment longer than this starts the next one.
    pub segment_bytes: u64,
    pub sync: SyncPolicy,
    /// Where `dir` is.
    pub disk: Disk,
}

impl LogConfig {
    /// The defaults: segments of 128 MiB, fsync every 100 ms, the real disk.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), segment_bytes: 128 << 20, sync: SyncPolicy::default(), disk: Disk::real() }
    }
}

/// A log whose directory is ours, but that has not been read yet.
#[derive(Debug)]
pub struct LockedLog {
    config: LogConfig,
    lock: Lock,
}

/// An open log. Share it by reference or `Arc`; all methods may be called from many threads.
pub struct Log {
    shared: Arc<Shared>,
    syncer: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    pub(crate) config: LogConfig,
    metrics: Metrics,
    /// Protects the end of the log; held during `write(2)`. Lock order: before `SyncState`'s.
    writer: Mutex<Writer>,
    sync: SyncState,
    /// Held for as long as the log is open.
    _lock: Lock,
}

pub(crate) struct Writer {
    pub(crate) segment: SegmentId,
    file: Arc<File>,
    /// Length of the current segment.
    pub(crate) offset: u64,
    /// Bytes appended since open, over all segments.
    written: u64,
    /// Earlier segments with bytes that no fsync has covered yet.
    retired: Vec<Arc<File>>,
    is_closed: bool,
    frame: Vec<u8>,
}

impl Log {
    /// Opens or makes the log in `config.dir` and hands every record to `replay`, oldest first. A record that
    /// `replay` refuses is counted and skipped. Blocks while it reads all segments.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Locked`], [`Error::NewerVersion`]. Damaged files are no error: see [`Recovery`].
    pub fn open(
        config: LogConfig,
        clock: Clock,
        registry: &Registry,
        replay: &mut Replay<'_>,
    ) -> Result<(Self, Recovery), Error> {
        Self::lock(config)?.open(SegmentId(0), clock, registry, replay)
    }

    /// Makes the directory if it is absent and takes it for this process.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Locked`].
    pub fn lock(config: LogConfig) -> Result<LockedLog, Error> {
        config.disk.create_dir_all(&config.dir).map_err(Error::io("create", &config.dir))?;
        let lock = lock_dir(&config.disk, &config.dir)?;
        Ok(LockedLog { config, lock })
    }
}

impl LockedLog {
    /// As [`Log::open`], but segments before `from` are left alone: someone else knows what they say.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open(
        self,
        from: SegmentId,
        clock: Clock,
        registry: &Registry,
        replay: &mut Replay<'_>,
    ) -> Result<(Log, Recovery), Error> {
        let Self { config, lock } = self;
        let metrics = Metrics::new(registry);
        let (segment, recovery) = recover(&config.disk, &config.dir, from, &metrics, replay)?;
        let file = create_segment(&config.disk, &config.dir, segment)?;
        let writer = Writer {
            segment,
            file: Arc::new(file),
            offset: SEGMENT_HEADER_BYTES as u64,
            written: 0,
            retired: Vec::new(),
            is_closed: false,
            frame: Vec::new(),
        };
        let sync = SyncState::new(config.dir.clone(), clock, metrics.clone());
        let shared = Arc::new(Shared { config, metrics, writer: Mutex::new(writer), sync, _lock: lock });
        let syncer = match shared.config.sync {
            SyncPolicy::Always => None,
            SyncPolicy::Every(interval) => Some(spawn_syncer(&shared, interval)?),
        };
        Ok((Log { shared, syncer }, recovery))
    }
}

impl Log {
    /// Appends a record and returns when it survives `kill -9`; under [`SyncPolicy::Always`], power loss too.
    ///
    /// # Errors
    /// Whatever the error, the record is not acknowledged; after [`Error::Io`] it is not in the log either.
    pub fn append(&self, record: &[u8]) -> Result<Position, Error> {
        match self.append_when(record, |_segment| true)? {
            Some(position) => Ok(position),
            None => unreachable!("every segment is accepted"),
        }
    }

    /// Appends a record only if it would stand in `segment`, and answers `None` otherwise: for records that lean on
    /// earlier ones of the same segment. Ask [`current_segment`](Self::current_segment) and try again.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_to(&self, segment: SegmentId, record: &[u8]) -> Result<Option<Position>, Error> {
        self.append_when(record, |current| current == segment)
    }

    /// The segment that the next record goes to, unless it does not fit.
    pub fn current_segment(&self) -> SegmentId {
        self.shared.writer().segment
    }

    /// Returns when everything appended so far is on disk.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub fn sync(&self) -> Result<(), Error> {
        let written = self.shared.writer().written;
        self.shared.sync_to(written)
    }

    /// Starts a new segment, unless the current one is empty. Records appended afterwards stand in the returned
    /// segment or later ones.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Failed`], [`Error::Closed`].
    pub fn rotate(&self) -> Result<SegmentId, Error> {
        let mut writer = self.shared.writer();
        self.shared.check_open(&writer)?;
        self.shared.rotate(&mut writer)?;
        Ok(writer.segment)
    }

    /// Deletes the segments before `segment`, oldest first; the one being written always stays.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_before(&self, segment: SegmentId) -> Result<(), Error> {
        let (disk, dir) = (&self.shared.config.disk, &self.shared.config.dir);
        let end = segment.min(self.current_segment());
        let mut has_removed = false;
        for id in list_segments(disk, dir)?.into_iter().take_while(|id| *id < end) {
            let path = segment_path(dir, id);
            disk.remove_file(&path).map_err(Error::io("remove", &path))?;
            has_removed = true;
        }
        if has_removed { sync_dir(disk, dir) } else { Ok(()) }
    }

    /// Keeps a copy of a segment under another name, for an operator: some of its records could not be read.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn quarantine(&self, segment: SegmentId) -> Result<PathBuf, Error> {
        let (disk, dir) = (&self.shared.config.disk, &self.shared.config.dir);
        let bad = put_aside(disk, dir, &segment_path(dir, segment))?;
        self.shared.metrics.segments_quarantined.inc();
        Ok(bad)
    }

    /// Bytes of all segments on disk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        let (disk, dir) = (&self.shared.config.disk, &self.shared.config.dir);
        let mut bytes = 0;
        for id in list_segments(disk, dir)? {
            let path = segment_path(dir, id);
            bytes += disk.len(&path).map_err(Error::io("stat", &path))?;
        }
        Ok(bytes)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Syncs and refuses further appends.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub fn close(&self) -> Result<(), Error> {
        self.shared.writer().is_closed = true;
        self.sync()
    }

    fn append_when(
        &self,
        record: &[u8],
        accepts: impl FnOnce(SegmentId) -> bool,
    ) -> Result<Option<Position>, Error> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Error::TooLarge { bytes: record.len() });
        }
        let Some((position, written)) = self.shared.write(record, accepts)? else { return Ok(None) };
        if self.shared.config.sync == SyncPolicy::Always {
            self.shared.sync_to(written)?;
        }
        Ok(Some(position))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.sync.stop();
        if let Some(syncer) = self.syncer.take()
            && syncer.join().is_err()
        {
            error!(path = %self.shared.config.dir.display(), "log sync thread panicked");
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_open(&self, writer: &Writer) -> Result<(), Error> {
        if writer.is_closed {
            return Err(Error::Closed { path: self.config.dir.clone() });
        }
        self.sync.check()
    }

    /// Writes one record and answers its position and the end of all that is written.
    fn write(
        &self,
        record: &[u8],
        accepts: impl FnOnce(SegmentId) -> bool,
    ) -> Result<Option<(Position, u64)>, Error> {
        let mut writer = self.writer();
        self.check_open(&writer)?;
        let mut framed = std::mem::take(&mut writer.frame);
        frame(record, &mut framed);
        let outcome = self.write_framed(&mut writer, &framed, accepts);
        writer.frame = framed;
        outcome.inspect_err(|_error| self.metrics.append_failures.inc())
    }

    fn write_framed(
        &self,
        writer: &mut Writer,
        framed: &[u8],
        accepts: impl FnOnce(SegmentId) -> bool,
    ) -> Result<Option<(Position, u64)>, Error> {
        if writer.offset + framed.len() as u64 > self.config.segment_bytes {
            self.rotate(writer)?;
        }
        if !accepts(writer.segment) {
            return Ok(None);
        }
        let position = Position { segment: writer.segment, offset: writer.offset };
        if let Err(source) = writer.file.write_all_at(framed, position.offset) {
            return Err(self.take_back(writer, source));
        }
        writer.offset += framed.len() as u64;
        writer.written += framed.len() as u64;
        self.metrics.appends.inc();
        self.metrics.append_bytes.add(framed.len() as u64);
        Ok(Some((position, writer.written)))
    }

    /// Cuts off what a failed write left, so that the next record follows the last whole one.
    fn take_back(&self, writer: &Writer, source: std::io::Error) -> Error {
        let path = segment_path(&self.config.dir, writer.segment);
        if let Err(error) = writer.file.set_len(writer.offset) {
            self.sync.fail(format!("a partial record could not be cut off: {error}"));
        }
        Error::Io { op: "append to", path, source }
    }

    fn rotate(&self, writer: &mut Writer) -> Result<(), Error> {
        if writer.offset == SEGMENT_HEADER_BYTES as u64 {
            return Ok(());
        }
        let next = SegmentId(writer.segment.0 + 1);
        let file = Arc::new(create_segment(&self.config.disk, &self.config.dir, next)?);
        let full = std::mem::replace(&mut writer.file, file);
        writer.retired.push(full);
        writer.segment = next;
        writer.offset = SEGMENT_HEADER_BYTES as u64;
        Ok(())
    }

    fn sync_to(&self, target: u64) -> Result<(), Error> {
        self.sync.sync_to(target, || {
            let mut writer = self.writer();
            let mut files = std::mem::take(&mut writer.retired);
            files.push(Arc::clone(&writer.file));
            Unsynced { written: writer.written, files }
        })
    }
}

fn spawn_syncer(shared: &Arc<Shared>, interval: Duration) -> Result<JoinHandle<()>, Error> {
    let syncing = Arc::clone(shared);
    let spawned = thread::Builder::new().name("log-sync".into()).spawn(move || {
        while syncing.sync.pause(interval) {
            let written = syncing.writer().written;
            if let Err(error) = syncing.sync_to(written) {
                error!(%error, "log can't be synced and takes no more writes");
                return;
            }
        }
        let written = syncing.writer().written;
        if let Err(error) = syncing.sync_to(written) {
            error!(%error, "last sync of a log failed");
        }
    });
    spawned.map_err(Error::io("start the sync thread of", &shared.config.dir))
}
