//! The write path of the head.

use std::hash::BuildHasher;
use std::sync::atomic::Ordering;

use log::Log;
use model::{Appended, LabelSetRef, METRIC_NAME, MetricBatch, RejectReason, SeriesRef};

use super::record::{Logged, put_samples};
use super::series::{Rules, Series, Verdict};
use super::shard::Shard;
use super::{Head, SHARDS, join_id, shard_of};
use crate::config::to_ms;
use crate::sample::Sample;
use crate::{Error, TsdbConfig};

/// What a batch is held against.
pub(crate) struct Limits<'c> {
    pub(crate) config: &'c TsdbConfig,
    pub(crate) now_ms: i64,
}

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

impl Head {
    /// Appends a batch; when it returns `Ok`, what is accepted is in the log.
    pub(crate) fn append(
        &self,
        batch: &MetricBatch,
        limits: &Limits<'_>,
        log: &Log,
    ) -> Result<Outcome, Error> {
        let mut by_shard: [Vec<(u64, SeriesRef<'_>)>; SHARDS] = Default::default();
        let expected = batch.series_count() / SHARDS + batch.series_count() / 64;
        by_shard.iter_mut().for_each(|part| part.reserve(expected));
        for series in batch.series() {
            let hash = self.hash(series.labels);
            if let Some(part) = by_shard.get_mut(shard_of(hash)) {
                part.push((hash, series));
            }
        }
        let mut outcome = Outcome::default();
        let start = self.next_start.fetch_add(7, Ordering::Relaxed) as usize;
        let mut failure = None;
        for number in (0..SHARDS).map(|step| (start + step) % SHARDS) {
            let part = by_shard.get(number).map(Vec::as_slice).unwrap_or_default();
            if part.is_empty() {
                continue;
            }
            if let Err(error) = self.append_part(number, part, limits, log, &mut outcome) {
                failure = Some(error);
                break;
            }
        }
        self.samples.fetch_add(outcome.added, Ordering::Relaxed);
        match failure {
            Some(error) => Err(error),
            None => Ok(outcome),
        }
    }

    pub(super) fn hash(&self, labels: LabelSetRef<'_>) -> u64 {
        self.hasher.hash_one(labels.as_bytes())
    }

    fn append_part(
        &self,
        number: usize,
        part: &[(u64, SeriesRef<'_>)],
        limits: &Limits<'_>,
        log: &Log,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let rules = limits.rules();
        let mut guard = self.shard(number);
        let shard = &mut *guard;
        shard.logged.clear();
        for (hash, entry) in part {
            if !entry.histograms.is_empty() {
                let example = || format!("native histograms of {} are not stored yet", entry.labels);
                outcome.appended.reject(RejectReason::Unsupported, entry.histograms.len() as u64, example);
            }
            if entry.ts_ms.is_empty() {
                continue;
            }
            let slot = match shard.find(*hash, entry.labels.as_bytes()) {
                Some(slot) => slot,
                None => match self.admit(entry, limits) {
                    Ok(()) => {
                        outcome.series_created += 1;
                        self.create(number, shard, *hash, entry.labels)
                    }
                    Err((reason, example)) => {
                        outcome.appended.reject(reason, entry.ts_ms.len() as u64, || example);
                        continue;
                    }
                },
            };
            append_entry(shard, slot, entry, rules, limits, outcome);
        }
        // Before the lock is released: a cut resets the bounds shard by shard.
        self.widen(outcome.oldest_ms, outcome.newest_ms);
        write_log(number, shard, log)
    }

    pub(super) fn create(&self, number: usize, shard: &mut Shard, hash: u64, labels: LabelSetRef<'_>) -> u32 {
        let born = self.births.fetch_add(1, Ordering::AcqRel) + 1;
        let slot = shard.insert(Series::new(labels.to_owned(), hash, born));
        self.index_mut().insert(join_id(number, slot), labels);
        self.series.fetch_add(1, Ordering::Relaxed);
        slot
    }

    pub(super) fn widen(&self, oldest_ms: Option<i64>, newest_ms: Option<i64>) {
        if let Some(oldest_ms) = oldest_ms {
            self.oldest_ms.fetch_min(oldest_ms, Ordering::AcqRel);
        }
        if let Some(newest_ms) = newest_ms {
            self.newest_ms.fetch_max(newest_ms, Ordering::AcqRel);
        }
    }

    /// Whether the series may be created.
    fn admit(&self, entry: &SeriesRef<'_>, limits: &Limits<'_>) -> Result<(), (RejectReason, String)> {
        check_labels(entry.labels, limits.config)?;
        // A series none of whose samples can stay would only take memory; one reason stands for all of them.
        let rules = limits.rules();
        let refusal = entry.ts_ms.iter().try_fold(None, |first, &ts_ms| {
            rules.refusal(ts_ms).map(|reason| first.or(Some((reason, ts_ms))))
        });
        if let Some(Some((reason, ts_ms))) = refusal {
            return Err((reason, limits.example(reason, entry.labels, ts_ms, None)));
        }
        let series_max = limits.config.series_max;
        if self.series.load(Ordering::Relaxed) >= series_max as u64 {
            let example = format!("new series {} over series_max = {series_max}", entry.labels);
            return Err((RejectReason::TooManySeries, example));
        }
        Ok(())
    }
}

fn append_entry(
    shard: &mut Shard,
    slot: u32,
    entry: &SeriesRef<'_>,
    rules: Rules,
    limits: &Limits<'_>,
    outcome: &mut Outcome,
) {
    let mut logged = std::mem::take(&mut shard.logged);
    if let Some(series) = shard.get_mut(slot) {
        for (&ts_ms, &value) in entry.ts_ms.iter().zip(entry.values) {
            let sample = Sample { ts_ms, value };
            match series.append(sample, rules) {
                Verdict::Added => {
                    outcome.added += 1;
                    outcome.oldest_ms = Some(outcome.oldest_ms.map_or(ts_ms, |oldest| oldest.min(ts_ms)));
                    outcome.newest_ms = Some(outcome.newest_ms.map_or(ts_ms, |newest| newest.max(ts_ms)));
                }
                Verdict::Same => outcome.duplicates += 1,
                Verdict::Rejected(reason) => {
                    let newest_ms = series.newest_ms();
                    outcome
                        .appended
                        .reject(reason, 1, || limits.example(reason, entry.labels, ts_ms, newest_ms));
                    continue;
                }
            }
            outcome.appended.accepted += 1;
            logged.push(Logged { slot, sample });
        }
    }
    shard.logged = logged;
}

/// Writes the accepted samples of a part to the log, in as many records as it takes.
fn write_log(number: usize, shard: &mut Shard, log: &Log) -> Result<(), Error> {
    let logged = std::mem::take(&mut shard.logged);
    let mut record = std::mem::take(&mut shard.record);
    let mut rest = logged.as_slice();
    let mut outcome = Ok(());
    while !rest.is_empty() && outcome.is_ok() {
        let segment = log.current_segment();
        let count = put_samples(number, shard, rest, segment, &mut record);
        match log.append_to(segment, &record) {
            Ok(Some(_position)) => {
                let (written, unwritten) = rest.split_at(count);
                for entry in written {
                    if let Some(series) = shard.get_mut(entry.slot) {
                        series.logged_in = segment;
                    }
                }
                rest = unwritten;
            }
            // Another segment has begun: say the labels again.
            Ok(None) => {}
            Err(error) => outcome = Err(error.into()),
        }
    }
    shard.logged = logged;
    shard.record = record;
    outcome
}

impl Limits<'_> {
    fn rules(&self) -> Rules {
        Rules {
            oldest_ms: self.now_ms.saturating_sub(to_ms(self.config.retention)),
            latest_ms: self.now_ms.saturating_add(to_ms(self.config.future_max)),
            window_ms: to_ms(self.config.out_of_order_window),
        }
    }

    /// A refused sample in words.
    fn example(
        &self,
        reason: RejectReason,
        labels: LabelSetRef<'_>,
        ts_ms: i64,
        newest_ms: Option<i64>,
    ) -> String {
        let (now_ms, newest_ms) = (self.now_ms, newest_ms.unwrap_or_default());
        match reason {
            RejectReason::OutOfOrder => format!(
                "sample of {labels} at {ts_ms} ms is over out_of_order_window = {:?} behind the series' newest at {newest_ms} ms",
                self.config.out_of_order_window
            ),
            RejectReason::DuplicateTimestamp => {
                format!("sample of {labels} at {ts_ms} ms has another value than the one stored at that time")
            }
            RejectReason::TooOld => format!(
                "sample of {labels} at {ts_ms} ms is over retention = {:?} before the server's time {now_ms} ms",
                self.config.retention
            ),
            RejectReason::TooFarInFuture => format!(
                "sample of {labels} at {ts_ms} ms is over future_max = {:?} ahead of the server's time {now_ms} ms",
                self.config.future_max
            ),
            _ => format!("sample of {labels} has the negative time {ts_ms} ms"),
        }
    }
}

fn check_labels(labels: LabelSetRef<'_>, config: &TsdbConfig) -> Result<(), (RejectReason, String)> {
    let name = labels.get(METRIC_NAME).unwrap_or_default();
    if name.is_empty() {
        return Err((RejectReason::InvalidLabels, format!("series {labels} has no metric name")));
    }
    let mut count = 0;
    for (label, value) in labels.iter() {
        count += 1;
        let (bytes, what, limit, setting) = if label.len() > config.label_name_bytes_max {
            (label.len(), "name", config.label_name_bytes_max, "label_name_bytes_max")
        } else if value.len() > config.label_value_bytes_max {
            (value.len(), "value", config.label_value_bytes_max, "label_value_bytes_max")
        } else {
            continue;
        };
        let start: String = label.chars().take(64).collect();
        let example = format!(
            "a series of {name:.64} has a label {what} of {bytes} bytes ({start}), {setting} = {limit}"
        );
        return Err((RejectReason::LabelTooLong, example));
    }
    if count > config.labels_max {
        let example =
            format!("a series of {name:.64} has {count} labels, labels_max = {}", config.labels_max);
        return Err((RejectReason::TooManyLabels, example));
    }
    Ok(())
}
