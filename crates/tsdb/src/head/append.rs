//! The write path of the head.
//!
//! ```text
//! batch ─▶ hash labels ─▶ group by shard ─▶ per shard: find series ─▶ create the missing ones, all at once
//!                                                      ─▶ verdict per sample ─▶ log records ─▶ unlock
//! ```

use std::hash::BuildHasher;
use std::sync::atomic::Ordering;

use log::Log;
use model::{Appended, LabelSetRef, MetricBatch, RejectReason, SeriesRef};

use super::limits::Limits;
use super::record::{Logged, LoggedHistograms};
use super::series::{Rules, Series, Verdict};
use super::shard::Shard;
use super::{Head, SHARDS, join_id, shard_of};
use crate::Error;
use crate::sample::Sample;

/// What became of a batch, beyond the caller's answer.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) appended: Appended,
    pub(crate) duplicates: u64,
    pub(crate) series_created: u64,
    added: u64,
    oldest_ms: Option<i64>,
    newest_ms: Option<i64>,
}

/// A series of a batch.
#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    /// Position in the batch.
    index: u32,
}

impl Head {
    /// Appends a batch; when it returns `Ok`, what is accepted is in the log.
    pub(crate) fn append(
        &self,
        batch: &MetricBatch,
        limits: &Limits<'_>,
        log: &Log,
    ) -> Result<Outcome, Error> {
        let (entries, ends) = self.group_by_shard(batch);
        let mut outcome = Outcome::default();
        let start = self.next_start.fetch_add(7, Ordering::Relaxed) as usize;
        let mut result = Ok(());
        for number in (0..SHARDS).map(|step| (start + step) % SHARDS) {
            let from = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or_default();
            let part = ends.get(number).and_then(|end| entries.get(from..*end)).unwrap_or_default();
            if part.is_empty() {
                continue;
            }
            result = self.append_part(&Part { number, batch, entries: part, limits, log }, &mut outcome);
            if result.is_err() {
                break;
            }
        }
        self.samples.fetch_add(outcome.added, Ordering::Relaxed);
        result.map(|()| outcome)
    }

    /// The series of a batch, those of one shard together, and where each shard's end.
    fn group_by_shard(&self, batch: &MetricBatch) -> (Vec<Entry>, [usize; SHARDS]) {
        let hashes: Vec<u64> = batch.series().map(|series| self.hash(series.labels)).collect();
        let mut ends = [0; SHARDS];
        for hash in &hashes {
            if let Some(end) = ends.get_mut(shard_of(*hash)) {
                *end += 1;
            }
        }
        let mut next = [0; SHARDS];
        let mut sum = 0;
        for (end, next) in ends.iter_mut().zip(&mut next) {
            *next = sum;
            sum += *end;
            *end = sum;
        }
        let mut entries = vec![Entry { hash: 0, index: 0 }; hashes.len()];
        for (index, hash) in (0..).zip(hashes) {
            if let Some(next) = next.get_mut(shard_of(hash))
                && let Some(place) = entries.get_mut(*next)
            {
                *place = Entry { hash, index };
                *next += 1;
            }
        }
        (entries, ends)
    }

    pub(super) fn hash(&self, labels: LabelSetRef<'_>) -> u64 {
        self.hasher.hash_one(labels.as_bytes())
    }

    fn append_part(&self, part: &Part<'_>, outcome: &mut Outcome) -> Result<(), Error> {
        let rules = part.limits.rules();
        let mut guard = self.shard(part.number);
        let shard = &mut *guard;
        let mut slots = std::mem::take(&mut shard.scratch.slots);
        self.find_or_create(part, shard, &mut slots, outcome);
        for (entry, slot) in part.entries.iter().zip(&slots) {
            if let (Some(series), Some(slot)) = (part.series(*entry), *slot) {
                append_floats(shard, slot, &series, rules, part.limits, outcome);
                if !series.histograms.is_empty() {
                    append_histograms(shard, slot, &series, rules, part.limits, outcome);
                }
            }
        }
        shard.scratch.slots = slots;
        // Before the lock is released: a cut resets the bounds shard by shard.
        self.widen(outcome.oldest_ms, outcome.newest_ms);
        self.write_log(part.number, shard, part.log)
    }

    /// Fills `slots`: one for each entry of the part, none where the series was refused.
    fn find_or_create(
        &self,
        part: &Part<'_>,
        shard: &mut Shard,
        slots: &mut Vec<Option<u32>>,
        outcome: &mut Outcome,
    ) {
        slots.clear();
        slots.extend(part.entries.iter().map(|entry| shard.candidate(entry.hash)));
        let mut missing = Vec::new();
        let labels = self.labels();
        for (place, (entry, slot)) in part.entries.iter().zip(&mut *slots).enumerate() {
            let Some(series) = part.series(*entry) else { continue };
            let is_it = |slot| labels.are(join_id(part.number, slot), series.labels.as_bytes());
            if slot.is_some_and(is_it) {
                continue;
            }
            *slot = shard.find(entry.hash, is_it);
            if slot.is_none() && series.sample_count() > 0 {
                missing.push((place, *entry, series));
            }
        }
        drop(labels);
        if missing.is_empty() {
            return;
        }
        let room = (part.limits.config.series_max as u64).saturating_sub(self.series.load(Ordering::Relaxed));
        let mut created = 0;
        let mut labels = self.labels_mut();
        for (place, entry, series) in missing {
            let is_it = |slot| labels.are(join_id(part.number, slot), series.labels.as_bytes());
            let mut slot = shard.find(entry.hash, is_it);
            if slot.is_none() {
                let admitted = part.limits.admit(&series).and_then(|()| {
                    let series_max = part.limits.config.series_max;
                    let example = || format!("new series {} over series_max = {series_max}", series.labels);
                    if created < room { Ok(()) } else { Err((RejectReason::TooManySeries, example())) }
                });
                match admitted {
                    Ok(()) => {
                        let new =
                            shard.insert(Series::new(entry.hash, self.next_birth(), part.limits.minute));
                        labels.insert(join_id(part.number, new), series.labels);
                        created += 1;
                        slot = Some(new);
                    }
                    Err((reason, example)) => {
                        outcome.appended.reject(reason, series.sample_count() as u64, || example);
                    }
                }
            }
            if let Some(found) = slots.get_mut(place) {
                *found = slot;
            }
        }
        self.series.fetch_add(created, Ordering::Relaxed);
        outcome.series_created += created;
    }

    pub(super) fn next_birth(&self) -> u64 {
        self.births.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn widen(&self, oldest_ms: Option<i64>, newest_ms: Option<i64>) {
        if let Some(oldest_ms) = oldest_ms {
            self.oldest_ms.fetch_min(oldest_ms, Ordering::AcqRel);
        }
        if let Some(newest_ms) = newest_ms {
            self.newest_ms.fetch_max(newest_ms, Ordering::AcqRel);
        }
    }
}

/// One shard's part of a batch.
struct Part<'b> {
    number: usize,
    batch: &'b MetricBatch,
    entries: &'b [Entry],
    limits: &'b Limits<'b>,
    log: &'b Log,
}

impl<'b> Part<'b> {
    #[inline]
    fn series(&self, entry: Entry) -> Option<SeriesRef<'b>> {
        self.batch.get(entry.index as usize)
    }
}

impl Outcome {
    #[inline]
    fn added(&mut self, ts_ms: i64) {
        self.added += 1;
        self.oldest_ms = Some(self.oldest_ms.map_or(ts_ms, |oldest| oldest.min(ts_ms)));
        self.newest_ms = Some(self.newest_ms.map_or(ts_ms, |newest| newest.max(ts_ms)));
    }

    /// Notes the verdict on a sample, and answers whether it is accepted.
    #[inline]
    fn judged(
        &mut self,
        verdict: Verdict,
        ts_ms: i64,
        newest_ms: Option<i64>,
        labels: LabelSetRef<'_>,
        limits: &Limits<'_>,
    ) -> bool {
        match verdict {
            Verdict::Added => self.added(ts_ms),
            Verdict::Same => self.duplicates += 1,
            Verdict::Rejected(reason) => {
                self.appended.reject(reason, 1, || limits.example(reason, labels, ts_ms, newest_ms));
                return false;
            }
        }
        self.appended.accepted += 1;
        true
    }
}

fn append_floats(
    shard: &mut Shard,
    slot: u32,
    entry: &SeriesRef<'_>,
    rules: Rules,
    limits: &Limits<'_>,
    outcome: &mut Outcome,
) {
    let mut logged = std::mem::take(&mut shard.scratch.floats);
    if let Some(series) = shard.get_mut(slot) {
        series.touched = limits.minute;
        for (index, (&ts_ms, &value)) in entry.ts_ms.iter().zip(entry.values).enumerate() {
            let start_ms = entry.start_ms.get(index).copied().unwrap_or_default();
            let sample = Sample { ts_ms, value, start_ms };
            let verdict = series.append(sample, rules);
            if outcome.judged(verdict, ts_ms, series.newest_ms(), entry.labels, limits) {
                logged.push(Logged { slot, sample });
            }
        }
    }
    shard.scratch.floats = logged;
}

fn append_histograms(
    shard: &mut Shard,
    slot: u32,
    entry: &SeriesRef<'_>,
    rules: Rules,
    limits: &Limits<'_>,
    outcome: &mut Outcome,
) {
    let Some(series) = shard.get_mut(slot) else { return };
    let mut samples = Vec::new();
    for sample in entry.histograms {
        if let Err(example) = limits.check_histogram(entry.labels, sample) {
            outcome.appended.reject(RejectReason::InvalidHistogram, 1, || example);
            continue;
        }
        let mut sample = sample.clone();
        let verdict = series.append_histogram(&mut sample, rules);
        if outcome.judged(verdict, sample.ts_ms, series.newest_ms(), entry.labels, limits) {
            samples.push(sample);
        }
    }
    outcome.appended.accepted_histograms += samples.len() as u64;
    if !samples.is_empty() {
        shard.scratch.histograms.push(LoggedHistograms { slot, samples });
    }
}
