//! The store as others see it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use clock::Clock;
use eino_metrics_core::Registry;
use log::{Log, LogConfig, SegmentId};
use model::{MetricMetadata, SampleColumns, TimeRange};
use tracing::{info, warn};

use crate::block::{BlockSet, Held, Resolution};
use crate::columns::tidy_up;
use crate::config::to_ms;
use crate::head::snapshot::{self, load_newest, remove_before as remove_snapshots_before};
use crate::head::{Cut, Exemplars, Frozen, Head, Replayer, put_exemplars, put_metadata};
use crate::index::LabelStats;
use crate::metrics::Metrics;
use crate::tombstones::Tombstones;
use crate::upkeep::WorkAtHand;
use crate::{Error, TsdbConfig};

/// After a cut for the head's span the next one waits at least this long, so that old samples that keep arriving do not
/// become a block each.
const CUT_PAUSE: Duration = Duration::from_secs(600);
/// Metadata is logged in records of so many families.
pub(crate) const METADATA_RECORD_FAMILIES: usize = 1_000;

/// A segment says once what its series are called: the names of a million take 150 MB.
const SEGMENT_BYTES: u64 = 1 << 30;
/// Idle series leave early only when there are so many of them, and when they are one in so many.
const IDLE_SERIES_MIN: u64 = 1_000;
const IDLE_SHARE: u64 = 10;

/// The metrics store. All methods may be called from many threads.
pub struct Tsdb {
    pub(crate) config: TsdbConfig,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
    pub(crate) head: Head,
    pub(crate) blocks: BlockSet,
    pub(crate) metadata: RwLock<BTreeMap<String, MetricMetadata>>,
    /// Lock order: before the log's.
    pub(crate) exemplars: Mutex<Exemplars>,
    /// Held while blocks are merged, expired, deleted from. Lock order: before everything else.
    pub(crate) work: Mutex<WorkAtHand>,
    /// Held during cuts. Lock order: after `work`, before everything else.
    upkeep: Mutex<Upkeep>,
    log_bytes_at_cut: AtomicU64,
    /// What is known of the head's snapshot. Lock order: after `upkeep`.
    snapshot: Mutex<SnapshotState>,
}

#[derive(Clone, Copy, Debug, Default)]
struct SnapshotState {
    /// Length of the newest one.
    bytes: u64,
    /// Length of the log when it was written.
    log_bytes: u64,
    /// What of it said what series are called.
    defined_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    last_cut: Duration,
    /// Minute.
    last_idle_check: u32,
    is_closed: bool,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TsdbStatus {
    /// Series in the head: those with samples since the cut before the last.
    pub head_series: u64,
    /// Samples in the head.
    pub head_samples: u64,
    /// Samples in head and blocks; one that is in two blocks counts twice.
    pub samples: u64,
    /// Times of the oldest and newest sample.
    pub min_ms: Option<i64>,
    pub max_ms: Option<i64>,
    pub blocks: u64,
    /// Bytes of blocks on disk.
    pub block_bytes: u64,
    /// Bytes of the write-ahead log on disk.
    pub log_bytes: u64,
}

/// A block, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// The file's name without its ending.
    pub name: String,
    pub range_ms: TimeRange,
    /// Samples are downsampled to windows of so many milliseconds; 0: they are as they came.
    pub window_ms: i64,
    pub series: u64,
    pub samples: u64,
    pub bytes: u64,
}

impl Tsdb {
    /// Opens or makes the store in `config.dir` and replays its log.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NewerVersion`], and [`Error::Log`] when another process has the directory open. Damaged
    /// files are put aside, counted and logged.
    pub fn open(config: TsdbConfig, clock: Clock, registry: &Registry) -> Result<Self, Error> {
        let metrics = Metrics::new(registry);
        let mut head = Head::new();
        let start = clock.monotonic();
        let log_config = LogConfig {
            sync: config.sync,
            disk: config.disk.clone(),
            segment_bytes: SEGMENT_BYTES,
            ..LogConfig::new(config.dir.join("wal"))
        };
        let mut exemplars = Exemplars::new(config.exemplars_max);
        // The log first: it locks the directory.
        let locked = Log::lock(log_config)?;
        let (threads, minute) = (config.replay_threads, minute_of(start));
        let loaded = load_newest(&config.disk, &config.dir, &mut head, threads, minute)?;
        metrics.snapshots_damaged.add(loaded.damaged);
        let (log, recovery, found) = std::thread::scope(|scope| {
            let metadata = BTreeMap::new();
            let mut replayer = Replayer::start(scope, &head, &mut exemplars, metadata, threads, minute);
            for record in &loaded.records {
                if let Err(error) = replayer.record_of_snapshot(record) {
                    warn!(%error, "record of the snapshot can't be read, skipped");
                }
            }
            let opened = locked.open(loaded.segment, clock.clone(), registry, &mut |position, record| {
                replayer.record(position, record)
            });
            let found = replayer.finish(&head);
            opened.map(|(log, recovery)| (log, recovery, found))
        })?;
        for segment in &found.bad_segments {
            log.quarantine(*segment)?;
        }
        metrics.records_refused.add(found.refused);
        let metadata = found.metadata;
        let snapshot_log_bytes = log.disk_bytes()?.saturating_sub(recovery.bytes);
        let tombstones = Tombstones::load(&config.disk, &config.dir, &metrics)?;
        metrics.tombstones.set(tombstones.len() as f64);
        let cache_bytes_max = config.index_cache_bytes_max;
        let blocks_dir = config.dir.join("blocks");
        let blocks = BlockSet::open(&config.disk, &blocks_dir, tombstones, cache_bytes_max, &metrics)?;
        let took = clock.monotonic().saturating_sub(start);
        let status = head.status();
        info!(
            series = status.series,
            samples = status.samples,
            records = recovery.records,
            ?took,
            "metrics store opened"
        );
        metrics.head_series.set(status.series as f64);
        Ok(Self {
            work: Mutex::default(),
            upkeep: Mutex::new(Upkeep { last_cut: clock.monotonic(), ..Upkeep::default() }),
            log_bytes_at_cut: AtomicU64::new(0),
            snapshot: Mutex::new(SnapshotState {
                bytes: loaded.bytes,
                log_bytes: snapshot_log_bytes,
                defined_bytes: 0,
            }),
            metadata: RwLock::new(metadata),
            exemplars: Mutex::new(exemplars),
            config,
            clock,
            metrics,
            log,
            head,
            blocks,
        })
    }

    /// Puts everything at rest: the head becomes a block, and the log is emptied.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Log`]; the samples then stay in head and log, and the next try takes them along.
    pub fn flush(&self) -> Result<(), Error> {
        self.flush_and_hold().map(drop)
    }

    /// Cuts a block if it is time, merges small ones, downsamples or deletes expired ones, repairs damaged ones: each
    /// call a step of bounded size. To be called every few seconds; blocks.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn maintain(&self) -> Result<(), Error> {
        let mut upkeep = self.upkeep();
        if upkeep.is_closed {
            return Ok(());
        }
        self.metrics.head_series.set(self.head.status().series as f64);
        let cut = if self.is_time_to_cut(&upkeep)? {
            self.cut(&mut upkeep)
        } else {
            self.evict_idle(&mut upkeep).and_then(|()| self.snapshot_if_due(&mut upkeep))
        };
        drop(upkeep);
        // A failed cut must not keep space from being freed.
        let kept = self.keep_blocks();
        cut.and(kept)
    }

    /// Puts everything at rest, so that the next start is fast, and refuses further appends.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); nothing acknowledged is lost then, the next start replays the log.
    pub fn close(&self) -> Result<(), Error> {
        self.drop_work();
        let mut upkeep = self.upkeep();
        if upkeep.is_closed {
            return Ok(());
        }
        let written = self.write_snapshot(&mut upkeep);
        upkeep.is_closed = true;
        self.log.close()?;
        written
    }

    /// What the store holds now.
    pub fn status(&self) -> TsdbStatus {
        let head = self.head.status();
        let state = self.blocks.state();
        let blocks = || state.blocks.iter().map(|held| &held.block);
        let block_times = blocks().map(|block| block.range_ms()).map(|range| (range.start, range.end - 1));
        let times = block_times.chain(head.times_ms);
        let times =
            times.reduce(|(min, max), (other_min, other_max)| (min.min(other_min), max.max(other_max)));
        TsdbStatus {
            head_series: head.series,
            head_samples: head.samples,
            samples: head.samples + blocks().map(|block| block.samples()).sum::<u64>(),
            min_ms: times.map(|(min, _)| min),
            max_ms: times.map(|(_, max)| max),
            blocks: state.blocks.len() as u64,
            block_bytes: self.blocks.bytes(),
            log_bytes: self.log.disk_bytes().unwrap_or_default(),
        }
    }

    /// Which names and values the head's series have most, `limit` of each kind.
    pub fn label_stats(&self, limit: usize) -> LabelStats {
        self.head.labels().index.stats(limit)
    }

    /// The blocks, in the order of writing.
    pub fn blocks(&self) -> Vec<BlockInfo> {
        let info = |Held { block, .. }: &Held| BlockInfo {
            name: block.stem().to_owned(),
            range_ms: block.range_ms(),
            window_ms: block.resolution().window_ms(),
            series: block.series_count(),
            samples: block.samples(),
            bytes: block.bytes(),
        };
        self.blocks.state().blocks.iter().map(info).collect()
    }

    /// Flushes, and keeps the next cut waiting as long as the answer lives.
    pub(crate) fn flush_and_hold(&self) -> Result<MutexGuard<'_, Upkeep>, Error> {
        let mut upkeep = self.upkeep();
        self.cut(&mut upkeep)?;
        Ok(upkeep)
    }

    pub(crate) fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_time_to_cut(&self, upkeep: &Upkeep) -> Result<bool, Error> {
        let log_bytes = self.log.disk_bytes()?.saturating_sub(self.log_bytes_at_cut.load(Ordering::Relaxed));
        if log_bytes > self.config.log_bytes_max {
            return Ok(true);
        }
        let Some((oldest_ms, newest_ms)) = self.head.status().times_ms else { return Ok(false) };
        let span_max_ms = to_ms(self.config.block_span).saturating_mul(3) / 2;
        let is_rested = self.clock.monotonic().saturating_sub(upkeep.last_cut) >= CUT_PAUSE;
        Ok(is_rested && newest_ms.saturating_sub(oldest_ms) > span_max_ms)
    }

    /// Head to block. Samples appended meanwhile may be in the block and in the kept log: they are read once.
    fn cut(&self, upkeep: &mut Upkeep) -> Result<(), Error> {
        let outcome = self.try_cut();
        match &outcome {
            Ok(()) => upkeep.last_cut = self.clock.monotonic(),
            Err(_) => self.metrics.cut_failures.inc(),
        }
        outcome
    }

    fn try_cut(&self) -> Result<(), Error> {
        let segment = self.log.rotate()?;
        let defined_bytes = self.head.defined_bytes();
        let families: Vec<_> = self.read_metadata().values().cloned().collect();
        self.log_metadata(&families)?;
        self.log_exemplars(&self.log)?;
        let frozen = self.head.freeze(Cut::Everything);
        self.write_block(&frozen)?;
        drop(frozen);
        // One that was written right before goes on in this very segment, when nothing was logged in between.
        let next = SegmentId(segment.0.saturating_add(1));
        remove_snapshots_before(&self.config.disk, &self.config.dir, next)?;
        *self.snapshot_state() = SnapshotState { defined_bytes, ..SnapshotState::default() };
        self.metrics.series_removed.add(self.head.thaw(Cut::Everything));
        self.metrics.head_series.set(self.head.status().series as f64);
        self.metrics.cuts.inc();
        self.log.remove_before(segment)?;
        self.log_bytes_at_cut.store(self.log.disk_bytes()?, Ordering::Relaxed);
        Ok(())
    }

    fn write_block(&self, frozen: &Frozen<'_>) -> Result<(), Error> {
        let mut new = self.blocks.create(&[], Resolution::Raw)?;
        let mut columns = SampleColumns::default();
        for (labels, data) in frozen.iter() {
            columns.clear();
            data.read(TimeRange::ALL, &mut columns)
                .map_err(|error| Error::corrupt(&self.config.dir, error))?;
            tidy_up(TimeRange::ALL, &mut columns);
            new.writer.push(&labels, &columns)?;
        }
        self.blocks.commit(new, &[], &[], &self.metrics)?;
        Ok(())
    }

    /// Moves the series that nobody writes to any more into a block, when they are many: the memory of the head is for
    /// live ones. Their samples stay in the log until the next cut, and come back for a while after a restart.
    fn evict_idle(&self, upkeep: &mut Upkeep) -> Result<(), Error> {
        let minute = self.minute();
        if upkeep.last_idle_check == minute {
            return Ok(());
        }
        upkeep.last_idle_check = minute;
        let idle_minutes = u32::try_from(self.config.idle_after.as_secs() / 60).unwrap_or(u32::MAX);
        let cut = Cut::IdleSince(minute.saturating_sub(idle_minutes));
        let idle = self.head.count(cut);
        if idle < IDLE_SERIES_MIN || idle * IDLE_SHARE < self.head.status().series {
            return Ok(());
        }
        let frozen = self.head.freeze(cut);
        self.write_block(&frozen)?;
        drop(frozen);
        let removed = self.head.thaw(cut);
        info!(series = removed, "idle series left the head");
        self.metrics.series_removed.add(removed);
        self.metrics.series_evicted.add(removed);
        self.metrics.head_series.set(self.head.status().series as f64);
        Ok(())
    }

    fn snapshot_state(&self) -> MutexGuard<'_, SnapshotState> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot_if_due(&self, upkeep: &mut Upkeep) -> Result<(), Error> {
        let SnapshotState { bytes, log_bytes, defined_bytes } = *self.snapshot_state();
        // Each new segment says again what its series are called. If that counted, every snapshot of a head with many
        // series would soon bring about the next one.
        let defined_by = self.head.defined_bytes().saturating_sub(defined_bytes);
        let grown_by = self.log.disk_bytes()?.saturating_sub(log_bytes).saturating_sub(defined_by);
        if grown_by < self.config.snapshot_log_bytes.max(bytes / 2) {
            Ok(())
        } else {
            self.write_snapshot(upkeep)
        }
    }

    /// Writes the head to disk, so that a restart replays only what the log says from now on. The log stays as it is
    /// until the next cut. Holding `upkeep` keeps cuts away.
    pub(crate) fn write_snapshot(&self, _upkeep: &mut Upkeep) -> Result<(), Error> {
        let start = self.clock.monotonic();
        let segment = self.log.rotate()?;
        let log_bytes = self.log.disk_bytes()?;
        let defined_bytes = self.head.defined_bytes();
        let mut records = Vec::new();
        let families: Vec<_> = self.read_metadata().values().cloned().collect();
        for families in families.chunks(METADATA_RECORD_FAMILIES) {
            put_metadata(families.iter(), new_record(&mut records));
        }
        for exemplars in self.read_exemplars().all().chunks(1_000) {
            let exemplars = exemplars.iter().map(|(labels, exemplar)| (labels, exemplar));
            put_exemplars(exemplars, new_record(&mut records));
        }
        let written = snapshot::write(&self.config.disk, &self.config.dir, segment, &self.head, &records);
        let bytes = written.inspect_err(|_error| self.metrics.snapshot_failures.inc())?;
        *self.snapshot_state() = SnapshotState { bytes, log_bytes, defined_bytes };
        self.metrics.snapshots.inc();
        self.metrics.snapshot_bytes.set(bytes as f64);
        let took = self.clock.monotonic().saturating_sub(start);
        info!(bytes, ?took, segment = segment.0, "snapshot of the head written");
        Ok(())
    }

    pub(crate) fn read_exemplars(&self) -> MutexGuard<'_, Exemplars> {
        self.exemplars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The minute now, on a clock that never jumps.
    pub(crate) fn minute(&self) -> u32 {
        minute_of(self.clock.monotonic())
    }

    /// Repeats all exemplars in the log: earlier segments are about to go.
    pub(crate) fn log_exemplars(&self, log: &Log) -> Result<(), Error> {
        let exemplars = self.read_exemplars();
        let mut record = Vec::new();
        for exemplars in exemplars.all().chunks(1_000) {
            put_exemplars(exemplars.iter().map(|(labels, exemplar)| (labels, exemplar)), &mut record);
            log.append(&record)?;
        }
        Ok(())
    }

    pub(crate) fn read_metadata(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, MetricMetadata>> {
        self.metadata.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log_metadata(&self, families: &[MetricMetadata]) -> Result<(), Error> {
        let mut record = Vec::new();
        for families in families.chunks(METADATA_RECORD_FAMILIES) {
            put_metadata(families.iter(), &mut record);
            self.log.append(&record)?;
        }
        Ok(())
    }
}

/// Minutes of a clock's monotonic time.
fn minute_of(monotonic: Duration) -> u32 {
    u32::try_from(monotonic.as_secs() / 60).unwrap_or(u32::MAX)
}

fn new_record(records: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
    records.push(Vec::new());
    let last = records.len() - 1;
    &mut records[last]
}
