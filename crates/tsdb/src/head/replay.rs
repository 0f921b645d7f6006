//! Filling the head from the log.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use log::{BadRecord, Position, SegmentId};
use model::{LabelSetRef, MetricMetadata};

use super::record::{Visitor, read};
use super::series::{Rules, Verdict};
use super::{Head, shard_of};
use crate::sample::Sample;

/// Takes the log's records, oldest first.
pub(crate) struct Replayer<'h> {
    head: &'h Head,
    pub(crate) metadata: BTreeMap<String, MetricMetadata>,
    segment: Option<SegmentId>,
    /// What the slots of the current segment stand for: shard and slot in the head.
    slots: HashMap<(u8, u64), (usize, u32), FixedState>,
}

impl<'h> Replayer<'h> {
    pub(crate) fn new(head: &'h Head) -> Self {
        Self { head, metadata: BTreeMap::new(), segment: None, slots: HashMap::default() }
    }

    pub(crate) fn record(&mut self, position: Position, record: &[u8]) -> Result<(), BadRecord> {
        if self.segment != Some(position.segment) {
            self.segment = Some(position.segment);
            self.slots.clear();
        }
        read(record, self)
    }
}

impl Visitor for Replayer<'_> {
    fn series(&mut self, shard: u8, slot: u64, labels: LabelSetRef<'_>) {
        let hash = self.head.hash(labels);
        let number = shard_of(hash);
        let mut guard = self.head.shard(number);
        let found = guard.find(hash, labels.as_bytes());
        let head_slot = found.unwrap_or_else(|| self.head.create(number, &mut guard, hash, labels));
        self.slots.insert((shard, slot), (number, head_slot));
    }

    fn sample(&mut self, shard: u8, slot: u64, sample: Sample) -> Result<(), BadRecord> {
        let known = self.slots.get(&(shard, slot));
        let (number, head_slot) =
            *known.ok_or_else(|| BadRecord(format!("sample of undefined slot {slot}")))?;
        let mut guard = self.head.shard(number);
        let verdict = guard.get_mut(head_slot).map(|series| series.append(sample, Rules::REPLAY));
        drop(guard);
        if verdict == Some(Verdict::Added) {
            self.head.widen(Some(sample.ts_ms), Some(sample.ts_ms));
            self.head.samples.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(())
    }

    fn metadata(&mut self, metadata: MetricMetadata) {
        self.metadata.insert(metadata.family.clone(), metadata);
    }
}
