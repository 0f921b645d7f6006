//! From accepted samples to log records.

use std::sync::atomic::Ordering;

use log::{Log, SegmentId};

use super::record::{Definitions, Logged, LoggedHistograms, put_histograms, put_samples};
use super::shard::Shard;
use super::{Head, join_id};
use crate::Error;

/// Records are split at about this length.
const RECORD_BYTES: usize = 4 << 20;
/// Longest encoding of a float with its slot and times, and more.
const FLOAT_BYTES: usize = 40;

impl Head {
    /// Writes what a part of a batch has left in the shard's scratch to the log, in as many records as it takes.
    pub(super) fn write_log(&self, number: usize, shard: &mut Shard, log: &Log) -> Result<(), Error> {
        let floats = std::mem::take(&mut shard.scratch.floats);
        let histograms = std::mem::take(&mut shard.scratch.histograms);
        let slot_of = |entry: &Logged| entry.slot;
        let outcome = self.write_records(number, shard, log, &floats, slot_of, |_| FLOAT_BYTES, put_samples);
        let slot_of = |entry: &LoggedHistograms| entry.slot;
        let outcome = outcome.and_then(|()| {
            self.write_records(number, shard, log, &histograms, slot_of, histogram_bytes, put_histograms)
        });
        shard.scratch.floats = floats;
        shard.scratch.floats.clear();
        outcome
    }

    #[expect(clippy::too_many_arguments, reason = "two kinds of entries share one loop")]
    fn write_records<T>(
        &self,
        number: usize,
        shard: &mut Shard,
        log: &Log,
        entries: &[T],
        slot_of: impl Fn(&T) -> u32,
        bytes_of: impl Fn(&T) -> usize,
        put: impl Fn(usize, &Definitions, &[T], &mut Vec<u8>),
    ) -> Result<(), Error> {
        let mut record = std::mem::take(&mut shard.scratch.record);
        let mut rest = entries;
        let mut outcome = Ok(());
        while !rest.is_empty() && outcome.is_ok() {
            let segment = log.current_segment();
            let (count, definitions) = self.define(number, shard, segment, rest, &slot_of, &bytes_of);
            let (written, unwritten) = rest.split_at(count);
            put(number, &definitions, written, &mut record);
            match log.append_to(segment, &record) {
                Ok(Some(_position)) => rest = unwritten,
                // Another segment has begun: say the labels again.
                Ok(None) => undefine(shard, written, &slot_of),
                Err(error) => {
                    undefine(shard, written, &slot_of);
                    outcome = Err(error.into());
                }
            }
        }
        shard.scratch.record = record;
        outcome
    }

    /// How many of `entries` go into one record, and the labels that `segment` lacks; their series count as defined.
    fn define<T>(
        &self,
        number: usize,
        shard: &mut Shard,
        segment: SegmentId,
        entries: &[T],
        slot_of: &impl Fn(&T) -> u32,
        bytes_of: &impl Fn(&T) -> usize,
    ) -> (usize, Definitions) {
        let mut definitions = Definitions::default();
        let mut labels = None;
        let (mut bytes, mut count) = (0, 0);
        for entry in entries {
            let slot = slot_of(entry);
            if let Some(series) = shard.get_mut(slot).filter(|series| series.logged_in != segment) {
                series.logged_in = segment;
                let labels = labels.get_or_insert_with(|| self.labels());
                definitions.push(slot, |out| {
                    let pairs = labels.pairs(join_id(number, slot));
                    labels.index.pairs().put(pairs, out);
                });
            }
            bytes += bytes_of(entry);
            count += 1;
            if bytes + definitions.len() > RECORD_BYTES {
                break;
            }
        }
        self.defined_bytes.fetch_add(definitions.len() as u64, Ordering::Relaxed);
        (count, definitions)
    }
}

/// The series of a record that was not written are not defined in its segment, or in none: they are defined again.
fn undefine<T>(shard: &mut Shard, entries: &[T], slot_of: &impl Fn(&T) -> u32) {
    for entry in entries {
        if let Some(series) = shard.get_mut(slot_of(entry)) {
            series.logged_in = SegmentId(0);
        }
    }
}

fn histogram_bytes(entry: &LoggedHistograms) -> usize {
    let buckets = |sample: &model::HistogramSample| {
        sample.histogram.positive.counts.len() + sample.histogram.negative.counts.len()
    };
    entry.samples.iter().map(|sample| 200 + 12 * buckets(sample)).sum()
}
