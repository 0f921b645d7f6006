//! The store: taking spans in, bringing them to rest.
//!
//! ```text
//! dir/format            "eino-traces 1"
//! dir/wal/00000001.log  batches not yet in a block
//! dir/blocks/*.blk
//! ```
//! A cut gives the log a new segment and the store a new memtable in one step, so that a memtable holds exactly
//! the records of the segments before. When its block is on disk, those segments go. A crash between the two leaves
//! spans in both; they are equal and dropped as duplicates.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use clock::Clock;
use eino_metrics_core::Registry;
use log::{BadRecord, Log, LogConfig, SegmentId};
use model::{Appended, RejectReason, SinkError, Span, SpanBatch, SpanSink, TraceId};

use crate::admit::{admit, span_bytes};
use crate::block::{self, Block, BlockId, BlockWriter, order_key};
use crate::config::TraceStoreConfig;
use crate::error::Error;
use crate::memtable::Memtable;
use crate::metrics::Metrics;
use crate::wal;

const FORMAT: &str = "eino-traces 1";

/// A full memtable whose block can't be written stops appends at this many times its size.
const OVERFLOW_FACTOR: usize = 4;

/// The span store. All methods may be called from many threads; they block on disk.
pub struct TraceStore {
    pub(crate) config: TraceStoreConfig,
    clock: Clock,
    metrics: Metrics,
    log: Log,
    /// Lock order: `cutting` or `merging` (never both), `gate`, `state`, then a memtable's own.
    /// Held while a memtable becomes a block; protects the number of the next block.
    cutting: Mutex<u64>,
    /// Held while blocks are merged or deleted, which may take long and must not hold up a cut. A cut only adds
    /// blocks at the end, so positions found under this lock stay right.
    merging: Mutex<()>,
    /// Read: between the append to the log and the insert into the memtable. Write: while both are switched. It is
    /// the one lock held across I/O, so that a record and its spans never part.
    gate: RwLock<()>,
    /// Protects what a snapshot is made of; held for moving pointers only.
    state: RwLock<Snapshot>,
}

/// What the store consists of at one moment.
#[derive(Clone)]
pub(crate) struct Snapshot {
    active: Arc<Memtable>,
    /// On its way into a block.
    frozen: Option<Frozen>,
    /// Oldest first.
    pub(crate) blocks: Arc<Vec<Arc<Block>>>,
}

#[derive(Clone)]
struct Frozen {
    memtable: Arc<Memtable>,
    /// Its records are in segments before this one.
    before: SegmentId,
}

impl Snapshot {
    /// Older first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Memtable> {
        self.frozen.iter().map(|frozen| &*frozen.memtable).chain([&*self.active])
    }
}

/// What the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceStoreStatus {
    /// Spans in blocks and in memory.
    pub spans: u64,
    /// Traces, counted once in each block and in memory: an upper bound.
    pub traces: u64,
    /// Blocks on disk.
    pub blocks: u64,
    /// Bytes of blocks and log on disk.
    pub bytes: u64,
    /// Earliest start of a span, Unix nanoseconds; none when empty.
    pub start_min_ns: Option<u64>,
    /// Latest start of a span.
    pub start_max_ns: Option<u64>,
    /// Damaged blocks and pages found since the start.
    pub damaged: u64,
}

impl TraceStore {
    /// Opens or makes a store and brings back what the log holds.
    ///
    /// # Errors
    /// `Io`, `Log` when the disk fails or another process has the store; `Format` when the directory was written by
    /// a newer version. Damage is no error: it is cut or set aside, counted and logged.
    pub fn open(config: TraceStoreConfig, clock: Clock, registry: &Registry) -> Result<Self, Error> {
        let metrics = Metrics::new(registry);
        let blocks_dir = config.dir.join("blocks");
        fs::create_dir_all(&blocks_dir).map_err(Error::io("create", &blocks_dir))?;
        check_format(&config.dir)?;
        let memtable = Memtable::default();
        let mut replay = |_, record: &[u8]| {
            let spans = wal::decode(record).map_err(|error| BadRecord(error.to_string()))?;
            let bytes = spans.iter().map(|span| span_bytes(span)).sum();
            memtable.insert(&spans, bytes, clock.unix_ns());
            Ok(())
        };
        let log_config = LogConfig { sync: config.sync, ..LogConfig::new(config.dir.join("wal")) };
        let (log, recovery) = Log::open(log_config, clock.clone(), registry, &mut replay)?;
        metrics.records_corrupt.add(recovery.refused_records);
        // After the log: its directory lock keeps a second process from touching our blocks.
        let blocks = block::open_all(&blocks_dir, &metrics.pages_corrupt, &metrics.blocks_quarantined)?;
        let next_block = blocks.iter().map(|block| block.id.last + 1).max().unwrap_or(1);
        let state = Snapshot { active: Arc::new(memtable), frozen: None, blocks: Arc::new(blocks) };
        let store = Self {
            config,
            clock,
            metrics,
            log,
            cutting: Mutex::new(next_block),
            merging: Mutex::new(()),
            gate: RwLock::new(()),
            state: RwLock::new(state),
        };
        store.show_sizes();
        Ok(store)
    }

    /// Brings all spans into blocks: when it returns, all is at rest and the log is empty.
    ///
    /// # Errors
    /// When the disk fails; nothing is lost and the next call tries again.
    pub fn flush(&self) -> Result<(), Error> {
        let mut next_block = self.cutting();
        self.cut(&mut next_block)
    }

    /// Cuts the memtable when it is due, merges at most one group of blocks and deletes what retention has passed.
    /// To be called every few seconds.
    ///
    /// # Errors
    /// When the disk fails; nothing is lost and the next call tries again.
    pub fn maintain(&self) -> Result<(), Error> {
        let now_ns = self.clock.unix_ns();
        self.cut_if_due(now_ns)?;
        let _merging = self.merging.lock().unwrap_or_else(PoisonError::into_inner);
        self.merge_blocks()?;
        self.expire_blocks(now_ns)
    }

    fn cut_if_due(&self, now_ns: u64) -> Result<(), Error> {
        let mut next_block = self.cutting();
        let size = self.snapshot().active.size();
        let age_max_ns = u64::try_from(self.config.memtable_age.as_nanos()).unwrap_or(u64::MAX);
        let is_old = size.since_ns.is_some_and(|since_ns| now_ns.saturating_sub(since_ns) >= age_max_ns);
        let is_stuck = self.snapshot().frozen.is_some();
        if is_old || is_stuck || self.fill() >= 1 {
            self.cut(&mut next_block)?;
        }
        Ok(())
    }

    /// Flushes and closes the log; later appends are refused.
    ///
    /// # Errors
    /// When the disk fails. Spans not flushed are in the log and come back on the next open.
    pub fn close(&self) -> Result<(), Error> {
        let flushed = self.flush();
        self.log.close()?;
        flushed
    }

    /// What the store holds now.
    pub fn status(&self) -> TraceStoreStatus {
        let snapshot = self.snapshot();
        let sizes: Vec<_> = snapshot.memtables().map(Memtable::size).collect();
        let footers = || snapshot.blocks.iter().map(|block| &block.footer);
        let sum = |of: fn(&Block) -> u64| snapshot.blocks.iter().map(|block| of(block)).sum::<u64>();
        let mins = sizes.iter().filter_map(|size| size.start_min_ns);
        let maxs = sizes.iter().filter(|size| size.spans > 0).map(|size| size.start_max_ns);
        TraceStoreStatus {
            spans: sum(|block| block.footer.spans) + sizes.iter().map(|size| size.spans as u64).sum::<u64>(),
            traces: sum(|block| block.footer.traces)
                + sizes.iter().map(|size| size.traces as u64).sum::<u64>(),
            blocks: snapshot.blocks.len() as u64,
            bytes: sum(|block| block.bytes) + self.log.disk_bytes().unwrap_or_default(),
            start_min_ns: mins.chain(footers().map(|footer| footer.start_min_ns)).min(),
            start_max_ns: maxs.chain(footers().map(|footer| footer.start_max_ns)).max(),
            damaged: self.metrics.blocks_quarantined.get() + self.metrics.pages_corrupt.get(),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cutting(&self) -> MutexGuard<'_, u64> {
        self.cutting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many times over the active memtable is full.
    fn fill(&self) -> usize {
        let size = self.snapshot().active.size();
        (size.spans / self.config.memtable_spans.max(1)).max(size.bytes / self.config.memtable_bytes.max(1))
    }

    /// Makes a block of the memtable, first of one left over from a failed try.
    fn cut(&self, next_block: &mut u64) -> Result<(), Error> {
        self.write_frozen(next_block)?;
        if self.snapshot().active.size().spans > 0 {
            self.freeze()?;
            self.write_frozen(next_block)?;
        }
        Ok(())
    }

    fn freeze(&self) -> Result<(), Error> {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let before = self.log.rotate()?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let memtable = std::mem::take(&mut state.active);
        state.frozen = Some(Frozen { memtable, before });
        Ok(())
    }

    fn write_frozen(&self, next_block: &mut u64) -> Result<(), Error> {
        let Some(frozen) = self.snapshot().frozen else { return Ok(()) };
        let id = BlockId { first: *next_block, last: *next_block };
        let block =
            self.write_block(&frozen.memtable, id).inspect_err(|_| self.metrics.flush_failures.inc())?;
        *next_block += 1;
        self.metrics.blocks_written.inc();
        self.change_blocks(|state, blocks| {
            blocks.push(Arc::new(block));
            state.frozen = None;
        });
        Ok(self.log.remove_before(frozen.before)?)
    }

    fn write_block(&self, memtable: &Memtable, id: BlockId) -> Result<Block, Error> {
        let runs = memtable.runs();
        let mut spans: Vec<&Arc<Span>> = runs.iter().flat_map(|run| &run.spans).collect();
        // Stable: of duplicates the first to arrive comes first and is kept.
        spans.sort_by_key(|span| order_key(span));
        let mut writer = BlockWriter::create(id.path(&self.blocks_dir()))?;
        for span in spans {
            writer.push(Arc::clone(span))?;
        }
        Block::open(&writer.finish()?, id, &self.metrics.pages_corrupt)
    }

    fn merge_blocks(&self) -> Result<(), Error> {
        let blocks = self.snapshot().blocks;
        let Some(range) = block::choose_merge(&blocks, self.config.block_spans_max) else { return Ok(()) };
        let inputs = blocks.get(range.clone()).unwrap_or_default();
        let (id, path) = block::merge(inputs, &self.blocks_dir())?;
        let merged = Arc::new(Block::open(&path, id, &self.metrics.pages_corrupt)?);
        self.metrics.blocks_merged.add(inputs.len() as u64);
        self.change_blocks(|_, blocks| drop(blocks.splice(range, [merged])));
        for input in inputs {
            if input.is_damaged() {
                block::quarantine(&input.path)?;
            } else {
                fs::remove_file(&input.path).map_err(Error::io("remove", &input.path))?;
            }
        }
        Ok(())
    }

    fn expire_blocks(&self, now_ns: u64) -> Result<(), Error> {
        let retention_ns = u64::try_from(self.config.retention.as_nanos()).unwrap_or(u64::MAX);
        let oldest_ns = now_ns.saturating_sub(retention_ns);
        let is_expired = |block: &Arc<Block>| block.footer.start_max_ns < oldest_ns;
        let expired: Vec<_> =
            self.snapshot().blocks.iter().filter(|block| is_expired(block)).cloned().collect();
        if expired.is_empty() {
            return Ok(());
        }
        self.change_blocks(|_, blocks| blocks.retain(|block| !is_expired(block)));
        for block in &expired {
            fs::remove_file(&block.path).map_err(Error::io("remove", &block.path))?;
        }
        self.metrics.blocks_expired.add(expired.len() as u64);
        block::sync_dir(&self.blocks_dir())
    }

    fn change_blocks(&self, change: impl FnOnce(&mut Snapshot, &mut Vec<Arc<Block>>)) {
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let mut blocks = Vec::clone(&state.blocks);
            change(&mut state, &mut blocks);
            state.blocks = Arc::new(blocks);
        }
        self.show_sizes();
    }

    fn show_sizes(&self) {
        let snapshot = self.snapshot();
        let bytes: u64 = snapshot.blocks.iter().map(|block| block.bytes).sum();
        self.metrics.blocks.set(snapshot.blocks.len() as f64);
        self.metrics.bytes.set(bytes as f64);
        let sizes: Vec<_> = snapshot.memtables().map(Memtable::size).collect();
        self.metrics.memtable_spans.set(sizes.iter().map(|size| size.spans).sum::<usize>() as f64);
        self.metrics.memtable_bytes.set(sizes.iter().map(|size| size.bytes).sum::<usize>() as f64);
    }

    fn blocks_dir(&self) -> std::path::PathBuf {
        self.config.dir.join("blocks")
    }
}

/// Spans of a batch that passed, with their sizes.
#[derive(Default)]
struct Accepted {
    spans: Vec<Arc<Span>>,
    sizes: Vec<usize>,
}

impl SpanSink for TraceStore {
    /// Stores the spans that are within the limits. A batch of duplicates is accepted; readers drop them.
    fn append(&self, batch: &SpanBatch) -> Result<Appended, SinkError> {
        self.make_room()?;
        let mut appended = Appended::default();
        let accepted = self.admit_batch(batch, &mut appended);
        appended.accepted = accepted.spans.len() as u64;
        if !accepted.spans.is_empty() {
            self.store(&accepted)?;
        }
        self.metrics.count(&appended);
        Ok(appended)
    }
}

impl TraceStore {
    fn admit_batch(&self, batch: &SpanBatch, appended: &mut Appended) -> Accepted {
        let now_ns = self.clock.unix_ns();
        let mut lens = self.snapshot().active.trace_lens(batch.spans.iter().map(|span| span.trace_id));
        let mut accepted = Accepted::default();
        let mut room = TraceRoom::new(self.config.spans_per_trace_max, batch, &mut lens);
        for span in &batch.spans {
            match admit(span, &self.config, now_ns) {
                Ok(_) if !room.take(span.trace_id) => {
                    let (id, max) = (span.trace_id, self.config.spans_per_trace_max);
                    let text =
                        || format!("trace {id} has more spans in memory than spans_per_trace_max ({max})");
                    appended.reject(RejectReason::TooLarge, 1, text);
                }
                Ok(admitted) => {
                    self.metrics.parts_cut.add(admitted.cut);
                    accepted.spans.push(admitted.span);
                    accepted.sizes.push(admitted.bytes);
                }
                Err((reason, text)) => appended.reject(reason, 1, || text),
            }
        }
        accepted
    }

    fn store(&self, accepted: &Accepted) -> Result<(), SinkError> {
        let records = wal::encode(&accepted.spans, &accepted.sizes);
        let bytes = accepted.sizes.iter().sum();
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        for record in &records {
            self.log.append(record).map_err(Error::from)?;
        }
        self.snapshot().active.insert(&accepted.spans, bytes, self.clock.unix_ns());
        Ok(())
    }

    /// Cuts a full memtable. One appender does it while others go on; when the memtable grows several times over
    /// its size because the disk is slow or refuses blocks, appenders wait, and then fail.
    fn make_room(&self) -> Result<(), Error> {
        let fill = self.fill();
        if fill == 0 {
            return Ok(());
        }
        let mut next_block = match self.cutting.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if fill < OVERFLOW_FACTOR => return Ok(()),
            Err(TryLockError::WouldBlock) => self.cutting(),
        };
        if self.fill() == 0 {
            return Ok(());
        }
        match self.cut(&mut next_block) {
            Err(error) if fill < OVERFLOW_FACTOR => {
                tracing::warn!(%error, "memtable not cut, the log keeps its spans");
                Ok(())
            }
            result => result,
        }
    }
}

/// Spans that each trace of a batch may still add.
struct TraceRoom {
    left: std::collections::HashMap<TraceId, usize, foldhash::fast::RandomState>,
}

impl TraceRoom {
    fn new(max: usize, batch: &SpanBatch, lens: &mut [usize]) -> Self {
        let ids = batch.spans.iter().map(|span| span.trace_id);
        Self { left: ids.zip(lens.iter().map(|len| max.saturating_sub(*len))).collect() }
    }

    fn take(&mut self, id: TraceId) -> bool {
        match self.left.get_mut(&id) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

/// Checks or writes the file that names the directory's format.
fn check_format(dir: &Path) -> Result<(), Error> {
    let path = dir.join("format");
    match fs::read_to_string(&path) {
        Ok(text) if text.trim() == FORMAT => Ok(()),
        Ok(text) => {
            let found = text.trim().chars().take(80).collect();
            Err(Error::Format { path, found, known: FORMAT })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::write(&path, format!("{FORMAT}\n")).map_err(Error::io("write", &path))?;
            block::sync_dir(dir)
        }
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}
