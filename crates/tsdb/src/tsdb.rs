//! The store as others see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use clock::Clock;
use eino_metrics_core::Registry;
use log::{Log, LogConfig};
use model::{
    Appended, Matcher, MetricBatch, MetricMetadata, MetricSink, MetricSource, SampleColumns, SeriesSet,
    SinkError, SourceError, TimeRange,
};
use tracing::{info, warn};

use crate::block::{Block, BlockSet, Cuts};
use crate::columns::tidy_up;
use crate::config::to_ms;
use crate::head::{Head, Limits, Replayer, put_metadata};
use crate::index::LabelIndex;
use crate::metrics::Metrics;
use crate::select::Selection;
use crate::{Error, TsdbConfig};

/// After a cut for the head's span the next one waits at least this long, so that old samples that keep arriving do not
/// become a block each.
const CUT_PAUSE: Duration = Duration::from_secs(600);
/// Idle block indexes are forgotten this often.
const FORGET_INDEX_AFTER: Duration = Duration::from_secs(600);
/// Most metric families with metadata.
const FAMILIES_MAX: usize = 100_000;
/// Longest name, help and unit of a family together.
const METADATA_BYTES_MAX: usize = 16 << 10;

/// The metrics store. All methods may be called from many threads.
pub struct Tsdb {
    config: TsdbConfig,
    clock: Clock,
    metrics: Metrics,
    log: Log,
    head: Head,
    blocks: BlockSet,
    metadata: RwLock<BTreeMap<String, MetricMetadata>>,
    /// Held during cuts, merges and retention. Lock order: before everything else.
    upkeep: Mutex<Upkeep>,
    log_bytes_at_cut: AtomicU64,
}

#[derive(Debug, Default)]
struct Upkeep {
    last_cut: Duration,
    last_forget: Duration,
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
        let log_config = LogConfig { sync: config.sync, ..LogConfig::new(config.dir.join("wal")) };
        let mut replayer = Replayer::new(&head);
        // The log first: it locks the directory.
        let opened = Log::open(log_config, clock.clone(), registry, &mut |position, record| {
            replayer.record(position, record)
        });
        let metadata = replayer.metadata;
        let (log, recovery) = opened?;
        let blocks = BlockSet::open(&config.dir.join("blocks"), &metrics)?;
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
        let mut upkeep = self.upkeep();
        self.cut(&mut upkeep)
    }

    /// Cuts a block if it is time, merges small ones, deletes expired ones. To be called every few seconds; blocks.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn maintain(&self) -> Result<(), Error> {
        let mut upkeep = self.upkeep();
        if upkeep.is_closed {
            return Ok(());
        }
        self.metrics.head_series.set(self.head.status().series as f64);
        if self.is_time_to_cut(&upkeep)? {
            self.cut(&mut upkeep)?;
        }
        let oldest_ms = self.clock.unix_ms().saturating_sub(to_ms(self.config.retention));
        self.blocks.expire(oldest_ms, &self.metrics)?;
        self.blocks.merge_one(&self.config, &self.metrics)?;
        let now = self.clock.monotonic();
        if now.saturating_sub(upkeep.last_forget) >= FORGET_INDEX_AFTER {
            upkeep.last_forget = now;
            self.blocks.list().iter().for_each(|(_, block)| block.forget_idle_index());
        }
        Ok(())
    }

    /// Puts everything at rest, so that the next start is fast, and refuses further appends.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); nothing acknowledged is lost then, the next start replays the log.
    pub fn close(&self) -> Result<(), Error> {
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
        let blocks = self.blocks.list();
        let block_times =
            blocks.iter().map(|(_, block)| block.range_ms()).map(|range| (range.start, range.end - 1));
        let times = block_times.chain(head.times_ms);
        let times =
            times.reduce(|(min, max), (other_min, other_max)| (min.min(other_min), max.max(other_max)));
        TsdbStatus {
            head_series: head.series,
            head_samples: head.samples,
            samples: head.samples + blocks.iter().map(|(_, block)| block.samples()).sum::<u64>(),
            min_ms: times.map(|(min, _)| min),
            max_ms: times.map(|(_, max)| max),
            blocks: blocks.len() as u64,
            block_bytes: blocks.iter().map(|(_, block)| block.bytes()).sum(),
            log_bytes: self.log.disk_bytes().unwrap_or_default(),
        }
    }

    /// The blocks, oldest cut first.
    pub fn blocks(&self) -> Vec<BlockInfo> {
        let info = |(cuts, block): &(Cuts, Arc<Block>)| BlockInfo {
            name: cuts.to_string(),
            range_ms: block.range_ms(),
            samples: block.samples(),
            bytes: block.bytes(),
        };
        self.blocks.list().iter().map(info).collect()
    }

    fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
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
        let cuts = Cuts::one(self.blocks.next_cut());
        let mut columns = SampleColumns::default();
        let fill = |writer: &mut crate::block::BlockWriter| {
            frozen.iter().try_for_each(|(labels, data)| {
                columns.clear();
                data.read(TimeRange::ALL, &mut columns)
                    .map_err(|error| Error::corrupt(&self.config.dir, error))?;
                tidy_up(TimeRange::ALL, &mut columns);
                writer.push(labels, &columns)
            })
        };
        self.blocks.write(cuts, fill, &self.metrics)?;
        drop(frozen);
        self.metrics.series_removed.add(self.head.thaw());
        self.metrics.head_series.set(self.head.status().series as f64);
        self.metrics.cuts.inc();
        self.log.remove_before(segment)?;
        self.log_bytes_at_cut.store(self.log.disk_bytes()?, Ordering::Relaxed);
        Ok(())
    }

    fn read_metadata(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, MetricMetadata>> {
        self.metadata.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_metadata(&self, families: &[MetricMetadata]) -> Result<(), Error> {
        let mut record = Vec::new();
        for families in families.chunks(1_000) {
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

    /// Runs `visit` on every label index that may have series in `range_ms`.
    fn visit_indexes(&self, range_ms: TimeRange, visit: &mut dyn FnMut(&LabelIndex)) -> Result<(), Error> {
        let head_times =
            self.head.status().times_ms.map(|(min, max)| TimeRange::new(min, max.saturating_add(1)));
        if head_times.is_some_and(|times| times.overlaps(&range_ms)) {
            visit(&self.head.index());
        }
        for (_, block) in self.blocks.list().iter().filter(|(_, block)| block.range_ms().overlaps(&range_ms))
        {
            visit(&block.index()?.labels);
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
        self.visit_indexes(range_ms, &mut |index| {
            if selectors.is_empty() {
                names.extend(index.names().map(str::to_owned));
            }
            for selector in selectors {
                names.extend(index.names_among(&index.select(selector)).map(str::to_owned));
            }
        })?;
        Ok(names.into_iter().collect())
    }

    fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Result<Vec<String>, SourceError> {
        let mut values = BTreeSet::new();
        self.visit_indexes(range_ms, &mut |index| {
            if selectors.is_empty() {
                values.extend(index.values(name).map(str::to_owned));
            }
            for selector in selectors {
                values.extend(index.values_among(name, &index.select(selector)).map(str::to_owned));
            }
        })?;
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
