//! Filling the head from the log, on several threads.
//!
//! ```text
//! log (one reader, checks sums) ─▶ records by shard ─▶ workers, each with its own shards ─▶ head
//!                              └─▶ metadata, exemplars: on the reader's thread
//! ```
//! All records of a shard go to one worker, in their order. Queues are short, so that memory stays bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use log::{BadRecord, Position, SegmentId};
use model::{Exemplar, HistogramSample, LabelSetRef, MetricMetadata};
use tracing::warn;

use super::exemplars::{ExemplarVerdict, Exemplars};
use super::record::{self, Visitor};
use super::series::{Rules, Series, Verdict};
use super::shard::Shard;
use super::{Head, SHARDS, join_id, shard_of};
use crate::sample::Sample;

/// Records waiting for one worker.
const QUEUE_RECORDS: usize = 64;
/// Highest slot that a record may define: bounds what a forged one makes us allocate.
const SLOT_MAX: u64 = 1 << 28;

/// Takes the log's records, oldest first.
pub(crate) struct Replayer<'s, 'h> {
    workers: Vec<Worker<'s>>,
    rest: Rest<'h>,
}

struct Worker<'s> {
    queue: SyncSender<(Position, Vec<u8>)>,
    thread: ScopedJoinHandle<'s, Replayed>,
}

/// What a worker did.
#[derive(Debug, Default)]
struct Replayed {
    samples: u64,
    refused: u64,
    bad_segments: BTreeSet<SegmentId>,
}

/// What replay found beside samples.
pub(crate) struct Found {
    pub(crate) metadata: BTreeMap<String, MetricMetadata>,
    pub(crate) refused: u64,
    /// Segments with a record that could not be read.
    pub(crate) bad_segments: BTreeSet<SegmentId>,
}

impl<'s, 'h: 's> Replayer<'s, 'h> {
    /// Starts `threads` workers, at least one.
    pub(crate) fn start(
        scope: &'s Scope<'s, '_>,
        head: &'h Head,
        exemplars: &'h mut Exemplars,
        metadata: BTreeMap<String, MetricMetadata>,
        threads: usize,
        minute: u32,
    ) -> Self {
        let workers = (0..threads.clamp(1, SHARDS)).map(|_| {
            let (queue, records) = sync_channel(QUEUE_RECORDS);
            let thread = scope.spawn(move || ShardReplayer::new(head, minute).run(&records));
            Worker { queue, thread }
        });
        Self { workers: workers.collect(), rest: Rest { exemplars, metadata } }
    }

    pub(crate) fn record(&mut self, position: Position, record: &[u8]) -> Result<(), BadRecord> {
        let Some(shard) = record::shard_of(record) else { return record::read(record, &mut self.rest) };
        let worker = self.workers.get(usize::from(shard) % self.workers.len());
        let sent = worker.map(|worker| worker.queue.send((position, record.to_vec())));
        assert!(matches!(sent, Some(Ok(()))), "BUG: a replay worker ended early");
        Ok(())
    }

    /// Takes a record of what is not in shards, from a snapshot.
    pub(crate) fn record_of_snapshot(&mut self, record: &[u8]) -> Result<(), BadRecord> {
        record::read(record, &mut self.rest)
    }

    /// Waits for the workers.
    pub(crate) fn finish(self, head: &Head) -> Found {
        let mut found = Found { metadata: self.rest.metadata, refused: 0, bad_segments: BTreeSet::new() };
        for Worker { queue, thread } in self.workers {
            drop(queue);
            match thread.join() {
                Ok(replayed) => {
                    head.samples.fetch_add(replayed.samples, Ordering::Relaxed);
                    found.refused += replayed.refused;
                    found.bad_segments.extend(replayed.bad_segments);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    }
}

/// What is not in shards.
struct Rest<'h> {
    exemplars: &'h mut Exemplars,
    metadata: BTreeMap<String, MetricMetadata>,
}

impl Visitor for Rest<'_> {
    fn series(&mut self, _shard: u8, _series: &[(u64, LabelSetRef<'_>)]) -> Result<(), BadRecord> {
        Err(BadRecord("series in a record without shard".into()))
    }

    fn sample(&mut self, _shard: u8, _slot: u64, _sample: Sample) -> Result<(), BadRecord> {
        Err(BadRecord("sample in a record without shard".into()))
    }

    fn histograms(
        &mut self,
        _shard: u8,
        _slot: u64,
        _samples: Vec<HistogramSample>,
    ) -> Result<(), BadRecord> {
        Err(BadRecord("histogram in a record without shard".into()))
    }

    fn metadata(&mut self, metadata: MetricMetadata) {
        self.metadata.insert(metadata.family.clone(), metadata);
    }

    fn exemplar(&mut self, series: LabelSetRef<'_>, exemplar: Exemplar) {
        if self.exemplars.judge(series.as_bytes(), &exemplar) == ExemplarVerdict::New {
            self.exemplars.add(series.to_owned(), exemplar);
        }
    }
}

/// Replays the records of some shards.
struct ShardReplayer<'h> {
    head: &'h Head,
    segment: Option<SegmentId>,
    /// What the slots of the current segment stand for, by shard of the record: shard and slot in the head.
    slots: Vec<Vec<Option<(u8, u32)>>>,
    /// The shard of the head that was needed last stays locked.
    locked: Option<(usize, MutexGuard<'h, Shard>)>,
    bounds: Option<(i64, i64)>,
    samples: u64,
    minute: u32,
}

impl<'h> ShardReplayer<'h> {
    fn new(head: &'h Head, minute: u32) -> Self {
        Self { head, minute, segment: None, slots: Vec::new(), locked: None, bounds: None, samples: 0 }
    }

    fn run(mut self, records: &Receiver<(Position, Vec<u8>)>) -> Replayed {
        let mut replayed = Replayed::default();
        for (position, record) in records {
            if self.segment != Some(position.segment) {
                self.segment = Some(position.segment);
                self.slots.clear();
            }
            if let Err(error) = record::read(&record, &mut self) {
                warn!(%error, segment = position.segment.0, offset = position.offset, "record can't be read, skipped");
                replayed.refused += 1;
                replayed.bad_segments.insert(position.segment);
            }
            self.locked = None;
        }
        let (oldest_ms, newest_ms) = self.bounds.unzip();
        self.head.widen(oldest_ms, newest_ms);
        replayed.samples = self.samples;
        replayed
    }

    fn lock(&mut self, number: usize) -> &mut Shard {
        if self.locked.as_ref().is_none_or(|(locked, _)| *locked != number) {
            // One at a time: two workers that each hold a shard the other wants would wait for ever.
            self.locked = None;
        }
        let head = self.head;
        &mut self.locked.get_or_insert_with(|| (number, head.shard(number))).1
    }

    fn slot(&self, shard: u8, slot: u64) -> Result<(usize, u32), BadRecord> {
        let slots = self.slots.get(usize::from(shard));
        let known = slots.and_then(|slots| slots.get(usize::try_from(slot).ok()?).copied().flatten());
        let (number, slot) = known.ok_or_else(|| BadRecord(format!("sample of undefined slot {slot}")))?;
        Ok((usize::from(number), slot))
    }

    fn added(&mut self, verdict: Verdict, ts_ms: i64) {
        if verdict == Verdict::Added {
            self.samples += 1;
            let (oldest_ms, newest_ms) = self.bounds.unwrap_or((ts_ms, ts_ms));
            self.bounds = Some((oldest_ms.min(ts_ms), newest_ms.max(ts_ms)));
        }
    }
}

impl Visitor for ShardReplayer<'_> {
    fn series(&mut self, shard: u8, series: &[(u64, LabelSetRef<'_>)]) -> Result<(), BadRecord> {
        if self.slots.len() <= usize::from(shard) {
            self.slots.resize_with(usize::from(shard) + 1, Vec::new);
        }
        for &(slot, labels) in series {
            if slot > SLOT_MAX {
                return Err(BadRecord(format!("slot {slot} is over {SLOT_MAX}")));
            }
            let hash = self.head.hash(labels);
            let number = shard_of(hash);
            let head = self.head;
            let minute = self.minute;
            let found = head.find_or_insert(number, self.lock(number), hash, labels, minute);
            let slots = self.slots.get_mut(usize::from(shard));
            let slots = slots.ok_or_else(|| BadRecord("shard out of range".into()))?;
            if slots.len() <= slot as usize {
                slots.resize(slot as usize + 1, None);
            }
            if let Some(place) = slots.get_mut(slot as usize) {
                *place = Some((number as u8, found));
            }
        }
        Ok(())
    }

    fn sample(&mut self, shard: u8, slot: u64, sample: Sample) -> Result<(), BadRecord> {
        let (number, slot) = self.slot(shard, slot)?;
        if let Some(series) = self.lock(number).get_mut(slot) {
            let verdict = series.append(sample, Rules::REPLAY);
            self.added(verdict, sample.ts_ms);
        }
        Ok(())
    }

    fn histograms(&mut self, shard: u8, slot: u64, samples: Vec<HistogramSample>) -> Result<(), BadRecord> {
        let (number, slot) = self.slot(shard, slot)?;
        for mut sample in samples {
            if let Some(series) = self.lock(number).get_mut(slot) {
                let verdict = series.append_histogram(&mut sample, Rules::REPLAY);
                self.added(verdict, sample.ts_ms);
            }
        }
        Ok(())
    }

    fn metadata(&mut self, _metadata: MetricMetadata) {}

    fn exemplar(&mut self, _series: LabelSetRef<'_>, _exemplar: Exemplar) {}
}

impl Head {
    /// The slot of a series, which is created if it is not there.
    pub(super) fn find_or_insert(
        &self,
        number: usize,
        shard: &mut Shard,
        hash: u64,
        labels: LabelSetRef<'_>,
        minute: u32,
    ) -> u32 {
        let known = self.labels();
        let found = shard.find(hash, |slot| known.are(join_id(number, slot), labels.as_bytes()));
        drop(known);
        found.unwrap_or_else(|| {
            let slot = shard.insert(Series::new(hash, self.next_birth(), minute));
            self.labels_mut().insert(join_id(number, slot), labels);
            self.series.fetch_add(1, Ordering::Relaxed);
            slot
        })
    }
}
