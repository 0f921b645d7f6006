//! The queue on disk: a log of batches, and how far each target is.
//!
//! ```text
//! 00000007.log   record record record …      record := snappy block of a remote write 2.0 request
//! NAME.position  "segment offset checksum\n"   the target has everything before it
//! ```
//! A segment is deleted when every target is past it, or when the spool is over its limit.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clock::Clock;
use disk::Disk;
use eino_metrics_core::Registry;
use log::{Log, LogConfig, Position, SegmentId, SyncPolicy};
use model::{Appended, MetricBatch};
use tokio::sync::watch;
use tracing::{error, warn};

use super::metrics::SpoolMetrics;

const SEGMENT_BYTES: u64 = 16 << 20;
/// Bytes of records read at once.
const READ_BYTES: usize = 4 << 20;

pub(super) struct Spool {
    log: Log,
    dir: PathBuf,
    disk: Disk,
    bytes_max: u64,
    metrics: SpoolMetrics,
    /// How far each target is. Lock order: not held over reads of the log.
    positions: Mutex<HashMap<String, Position>>,
    /// Changes with each append.
    grown: watch::Sender<()>,
}

/// Why a batch is not queued.
pub(super) struct Refused {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Batches with the position behind each.
pub(super) struct Read {
    pub(super) batches: Vec<(Position, MetricBatch)>,
    pub(super) next: Position,
}

impl Spool {
    /// Opens or makes the spool. Blocks while it reads what is there.
    pub(super) fn open(
        dir: PathBuf,
        disk: Disk,
        bytes_max: u64,
        clock: Clock,
        registry: &Registry,
        metrics: SpoolMetrics,
    ) -> Result<Self, log::Error> {
        let config = LogConfig {
            dir: dir.clone(),
            segment_bytes: SEGMENT_BYTES.min(bytes_max / 4).max(1 << 16),
            sync: SyncPolicy::Every(Duration::from_millis(100)),
            disk: disk.clone(),
        };
        let (log, _) = Log::open(config, clock, registry, &mut |_, _| Ok(()))?;
        let (grown, _) = watch::channel(());
        Ok(Self { log, dir, disk, bytes_max, metrics, positions: Mutex::default(), grown })
    }

    fn positions(&self) -> MutexGuard<'_, HashMap<String, Position>> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a batch.
    pub(super) fn append(&self, batch: &MetricBatch) -> Result<(), Refused> {
        let refused = |reason, message| Refused { reason, message };
        if batch.series_count() == 0 {
            return Ok(());
        }
        let body = wire::remote_write::encode_v2(batch);
        let record = wire::compress::to_snappy_block(&body).map_err(|error| refused("too_large", error))?;
        match self.log.append(&record) {
            Ok(_) => {
                self.grown.send_replace(());
                Ok(())
            }
            Err(error @ log::Error::TooLarge { .. }) => Err(refused("too_large", error.to_string())),
            Err(error) => Err(refused("disk", error.to_string())),
        }
    }

    /// Tells when something was queued.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.grown.subscribe()
    }

    /// Where the target goes on: where it was, or at the end if it is new.
    pub(super) fn start(&self, target: &str) -> Position {
        let known = self.read_position(target).or_else(|| self.positions().get(target).copied());
        let position = known.unwrap_or_else(|| self.log.end());
        self.positions().insert(target.to_owned(), position);
        // Written down at once: what is queued from now on is the target's, whenever this process ends.
        if known.is_none() {
            self.note(target, position);
        }
        position
    }

    /// Forgets targets that are not among these.
    pub(super) fn keep_targets<'n>(&self, names: impl Iterator<Item = &'n String>) {
        let names: Vec<&String> = names.collect();
        self.positions().retain(|name, _| names.contains(&name));
    }

    /// The batches from `from` on. Blocks.
    pub(super) fn read(&self, from: Position) -> Result<Read, log::Error> {
        let read = self.log.read_from(from, READ_BYTES)?;
        let mut batches = Vec::with_capacity(read.records.len());
        for (end, record) in read.records {
            let (mut batch, mut rejected) = (MetricBatch::new(), Appended::default());
            let body = wire::compress::snappy_block(&record, usize::MAX);
            let decoded =
                body.and_then(|body| wire::remote_write::decode_v2(&body, &mut batch, &mut rejected));
            if let Err(error) = decoded {
                // Checksums are right, so this is a record of another version of this program.
                warn!(%error, "a queued batch cannot be read and is skipped");
                batch.clear();
            }
            batches.push((end, batch));
        }
        Ok(Read { batches, next: read.next })
    }

    /// The target has everything before `position`. Blocks.
    pub(super) fn acknowledge(&self, target: &str, position: Position) {
        if self.positions().insert(target.to_owned(), position) != Some(position) {
            self.note(target, position);
        }
        self.trim();
    }

    fn note(&self, target: &str, position: Position) {
        if let Err(error) = self.write_position(target, position) {
            error!(%error, target, "the position in the queue was not written down");
        }
    }

    /// Deletes segments that nobody needs, and older ones while the spool is over its limit.
    fn trim(&self) {
        let result = self.trim_acknowledged().and_then(|()| self.trim_to_limit());
        if let Err(error) = result {
            error!(error = &error as &dyn std::error::Error, "the queue of remote write was not trimmed");
        }
    }

    fn trim_acknowledged(&self) -> Result<(), log::Error> {
        let oldest = self.positions().values().map(|position| position.segment).min();
        oldest.map_or(Ok(()), |oldest| self.log.remove_before(oldest))
    }

    fn trim_to_limit(&self) -> Result<(), log::Error> {
        let mut bytes = self.log.disk_bytes()?;
        while bytes > self.bytes_max {
            let Some(oldest) = self.log.oldest_segment()? else { break };
            if oldest == self.log.current_segment() {
                break;
            }
            self.log.remove_before(SegmentId(oldest.0 + 1))?;
            self.metrics.segments_given_up.inc();
            warn!(
                segment = oldest.0,
                limit = self.bytes_max,
                "the queue of remote write is full: its oldest part is given up"
            );
            bytes = self.log.disk_bytes()?;
        }
        self.metrics.bytes.set(bytes as f64);
        Ok(())
    }

    /// Syncs what is queued.
    pub(super) fn close(&self) {
        if let Err(error) = self.log.close() {
            error!(error = &error as &dyn std::error::Error, "the queue of remote write was not synced");
        }
    }

    fn position_path(&self, target: &str) -> PathBuf {
        // Names may have any character; the checksum keeps two that look alike apart.
        let plain: String = target
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
            .take(60)
            .collect();
        self.dir.join(format!("{plain}-{:08x}.position", checksum(target)))
    }

    fn write_position(&self, target: &str, position: Position) -> std::io::Result<()> {
        let path = self.position_path(target);
        let new = path.with_extension("position.new");
        let line = format!("{} {}", position.segment.0, position.offset);
        let line = format!("{line} {:08x}\n", checksum(&line));
        let file = self.disk.create(&new)?;
        file.write_all_at(line.as_bytes(), 0)?;
        file.sync_data()?;
        self.disk.rename(&new, &path)?;
        self.disk.sync_dir(&self.dir)
    }

    /// A position that cannot be read is none: the target then starts at the end, which is said.
    fn read_position(&self, target: &str) -> Option<Position> {
        let path = self.position_path(target);
        if !self.disk.exists(&path).unwrap_or(false) {
            return None;
        }
        let parsed = self.disk.read(&path).ok().and_then(|bytes| parse_position(&bytes));
        if parsed.is_none() {
            warn!(path = %Path::display(&path), "the position of a remote write target cannot be read: it starts at the end");
        }
        parsed
    }
}

fn parse_position(bytes: &[u8]) -> Option<Position> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (numbers, sum) = line.rsplit_once(' ')?;
    let (segment, offset) = numbers.split_once(' ')?;
    let position = Position { segment: SegmentId(segment.parse().ok()?), offset: offset.parse().ok()? };
    (u32::from_str_radix(sum, 16).ok()? == checksum(numbers)).then_some(position)
}

/// FNV-1a.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
