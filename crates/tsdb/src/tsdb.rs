//! The store as others see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use clock::Clock;
use eino_metrics_core::Registry;
use log::{Log, LogConfig};
use model::{
    Appended, Matcher, MetricBatch, MetricMetadata, MetricSink, MetricSource, SampleColumns, SeriesSet,
    SinkError, SourceError, TimeRange,
};
use roaring::RoaringBitmap;
use tracing::{info, warn};

use crate::block::{Block, BlockSet, Held, Resolution};
use crate::columns::tidy_up;
use crate::config::to_ms;
use crate::head::{Head, Limits, Replayer, put_metadata};
use crate::index::LabelIndex;
use crate::metrics::Metrics;
use crate::select::Selection;
use crate::tombstones::Tombstones;
use crate::upkeep::WorkAtHand;
use crate::{Error, TsdbConfig};

/// After a cut for the head's span the next one waits at least this long, so that old samples that keep arriving do not
/// become a block each.
const CUT_PAUSE: Duration = Duration::from_secs(600);
/// Most metric families with metadata.
const FAMILIES_MAX: usize = 100_000;
/// Metadata is logged in records of so many families.
pub(crate) const METADATA_RECORD_FAMILIES: usize = 1_000;
/// Longest name, help and unit of a family together.
const METADATA_BYTES_MAX: usize = 16 << 10;

/// The metrics store. All methods may be called from many threads.
pub struct Tsdb {
    pub(crate) config: TsdbConfig,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
    pub(crate) head: Head,
    pub(crate) blocks: BlockSet,
    metadata: RwLock<BTreeMap<String, MetricMetadata>>,
    /// Held while blocks are merged, expired, deleted from. Lock order: before everything else.
    pub(crate) work: Mutex<WorkAtHand>,
    /// Held during cuts. Lock order: after `work`, before everything else.
    upkeep: Mutex<Upkeep>,
    log_bytes_at_cut: AtomicU64,
}

/// Takes a block and the ids asked for; `None` are all.
type VisitBlock<'v> = dyn FnMut(&Block, Option<&RoaringBitmap>) -> Result<(), Error> + 'v;

#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    last_cut: Duration,
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
        let head = Head::new();
        let start = clock.monotonic();
        let log_config = LogConfig {
            sync: config.sync,
            disk: config.disk.clone(),
            ..LogConfig::new(config.dir.join("wal"))
        };
        let mut replayer = Replayer::new(&head);
        // The log first: it locks the directory.
        let opened = Log::open(log_config, clock.clone(), registry, &mut |position, record| {
            replayer.record(position, record)
        });
        let metadata = replayer.metadata;
        let (log, recovery) = opened?;
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
            metadata: RwLock::new(metadata),
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
        let cut = if self.is_time_to_cut(&upkeep)? { self.cut(&mut upkeep) } else { Ok(()) };
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
        let cut = self.cut(&mut upkeep);
        upkeep.is_closed = true;
        self.log.close()?;
        cut
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
        let families: Vec<_> = self.read_metadata().values().cloned().collect();
        self.log_metadata(&families)?;
        let frozen = self.head.freeze();
        let mut new = self.blocks.create(&[], Resolution::Raw)?;
        let mut columns = SampleColumns::default();
        for (labels, data) in &frozen {
            columns.clear();
            data.read(TimeRange::ALL, &mut columns)
                .map_err(|error| Error::corrupt(&self.config.dir, error))?;
            tidy_up(TimeRange::ALL, &mut columns);
            new.writer.push(labels, &columns)?;
        }
        self.blocks.commit(new, &[], &[], &self.metrics)?;
        drop(frozen);
        self.metrics.series_removed.add(self.head.thaw());
        self.metrics.head_series.set(self.head.status().series as f64);
        self.metrics.cuts.inc();
        self.log.remove_before(segment)?;
        self.log_bytes_at_cut.store(self.log.disk_bytes()?, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn read_metadata(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, MetricMetadata>> {
        self.metadata.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_metadata(&self, families: &[MetricMetadata]) -> Result<(), Error> {
        let mut record = Vec::new();
        for families in families.chunks(METADATA_RECORD_FAMILIES) {
            put_metadata(families.iter(), &mut record);
            self.log.append(&record)?;
        }
        Ok(())
    }

    /// Logs and remembers what is new in the metadata of a batch. Metadata over a limit is counted and left out: it
    /// is no reason to refuse samples.
    fn append_metadata(&self, batch: &[MetricMetadata]) -> Result<(), Error> {
        let is_new = |known: &BTreeMap<String, MetricMetadata>, metadata: &MetricMetadata| {
            known.get(&metadata.family) != Some(metadata)
        };
        let known = self.read_metadata();
        if !batch.iter().any(|metadata| is_new(&known, metadata)) {
            return Ok(());
        }
        drop(known);
        // Held over the write to the log, so that a cut, which repeats all metadata in the segment it starts, either
        // sees the new ones here or comes before their record.
        let mut known = self.metadata.write().unwrap_or_else(PoisonError::into_inner);
        let room = FAMILIES_MAX.saturating_sub(known.len());
        let new: Vec<_> = batch.iter().filter(|metadata| is_new(&known, metadata)).collect();
        let fits = |metadata: &&&MetricMetadata| {
            metadata.family.len() + metadata.help.len() + metadata.unit.len() <= METADATA_BYTES_MAX
        };
        let accepted: Vec<MetricMetadata> =
            new.iter().filter(fits).take(room).map(|new| (*new).clone()).collect();
        self.metrics.metadata_rejected.add((new.len() - accepted.len()) as u64);
        self.log_metadata(&accepted)?;
        known.extend(accepted.into_iter().map(|metadata| (metadata.family.clone(), metadata)));
        Ok(())
    }

    /// The head's label index, when the head may have samples in `range_ms`.
    fn head_index(&self, range_ms: TimeRange) -> Option<std::sync::RwLockReadGuard<'_, LabelIndex>> {
        let (min_ms, max_ms) = self.head.status().times_ms?;
        TimeRange::new(min_ms, max_ms.saturating_add(1)).overlaps(&range_ms).then(|| self.head.index())
    }

    /// Runs `visit` on every block that may have samples in `range_ms`, with the ids of the series that pass any of
    /// `selectors`, or `None` where that is all of them.
    fn visit_blocks(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
        visit: &mut VisitBlock<'_>,
    ) -> Result<(), Error> {
        for held in self.blocks.state().blocks.iter().filter(|held| held.block.range_ms().overlaps(&range_ms))
        {
            let gone = held.deleted.gone();
            if selectors.is_empty() && gone.is_empty() {
                visit(&held.block, None)?;
                continue;
            }
            let all = [Vec::new()];
            let selectors = if selectors.is_empty() { &all } else { selectors };
            for selector in selectors {
                visit(&held.block, Some(&(held.block.select(selector)? - gone)))?;
            }
        }
        Ok(())
    }
}

impl MetricSink for Tsdb {
    fn append(&self, batch: &MetricBatch) -> Result<Appended, SinkError> {
        self.append_metadata(&batch.metadata)?;
        let limits = Limits { config: &self.config, now_ms: self.clock.unix_ms() };
        let outcome = self.head.append(batch, &limits, &self.log)?;
        if outcome.series_created > 0 {
            self.metrics.series_created.add(outcome.series_created);
            self.metrics.head_series.set(self.head.status().series as f64);
        }
        self.metrics.samples_duplicate.add(outcome.duplicates);
        self.metrics.count(&outcome.appended);
        Ok(outcome.appended)
    }
}

impl MetricSource for Tsdb {
    fn select(&self, matchers: &[Matcher], range_ms: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError> {
        let selection = Selection::new(&self.head, &self.blocks, matchers, range_ms);
        Ok(Box::new(selection.inspect_err(|error| warn!(%error, "selection failed"))?))
    }

    fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        let mut names = BTreeSet::new();
        if let Some(index) = self.head_index(range_ms) {
            if selectors.is_empty() {
                names.extend(index.names().map(str::to_owned));
            }
            for selector in selectors {
                names.extend(index.names_among(&index.select(selector)).map(str::to_owned));
            }
        }
        self.visit_blocks(selectors, range_ms, &mut |block, ids| block.label_names(ids, &mut names))?;
        Ok(names.into_iter().collect())
    }

    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        let mut values = BTreeSet::new();
        if let Some(index) = self.head_index(range_ms) {
            if selectors.is_empty() {
                values.extend(index.values(name).map(str::to_owned));
            }
            for selector in selectors {
                values.extend(index.values_among(name, &index.select(selector)).map(str::to_owned));
            }
        }
        self.visit_blocks(selectors, range_ms, &mut |block, ids| block.label_values(name, ids, &mut values))?;
        Ok(values.into_iter().collect())
    }

    fn metadata(&self, family: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError> {
        let known = self.read_metadata();
        Ok(match family {
            Some(family) => known.get(family).cloned().into_iter().collect(),
            None => known.values().cloned().collect(),
        })
    }
}
