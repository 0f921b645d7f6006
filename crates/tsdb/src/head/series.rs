//! One series of the head, and what it does with a sample.

use std::sync::Arc;

use log::SegmentId;
use model::{HistogramSample, RejectReason};

use super::data::{Data, Known};
use super::reset::{hint_after, is_same};
use super::tail::Tail;
use crate::sample::Sample;

pub(super) struct Series {
    pub(super) hash: u64,
    /// Value of the head's counter of births after this one.
    pub(super) born: u64,
    /// The minute in which somebody wrote to it last, on a clock that never jumps.
    pub(super) touched: u32,
    /// The segment that holds the labels.
    pub(super) logged_in: SegmentId,
    /// Time of the newest sample since the series is in the head. It outlives the data's move into a block.
    pub(super) newest_ms: i64,
    /// The newest histogram; likewise.
    pub(super) last_histogram: Option<Box<HistogramSample>>,
    pub(super) live: Data,
    /// Data on its way into a block.
    pub(super) frozen: Option<Arc<Data>>,
}

/// No sample yet.
pub(super) const NEVER_MS: i64 = i64::MIN;

/// Bounds of time for samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) oldest_ms: i64,
    pub(super) latest_ms: i64,
    pub(super) window_ms: i64,
}

impl Rules {
    /// Accepts again what was accepted before.
    pub(super) const REPLAY: Self = Self { oldest_ms: i64::MIN, latest_ms: i64::MAX, window_ms: i64::MAX };

    /// Why no series takes a sample at this time.
    #[inline]
    pub(super) fn refusal(&self, ts_ms: i64) -> Option<RejectReason> {
        if ts_ms < 0 {
            Some(RejectReason::InvalidTime)
        } else if ts_ms > self.latest_ms {
            Some(RejectReason::TooFarInFuture)
        } else if ts_ms < self.oldest_ms {
            Some(RejectReason::TooOld)
        } else {
            None
        }
    }
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Added,
    /// It was there already, with the same value.
    Same,
    Rejected(RejectReason),
}

impl Series {
    pub(super) fn new(hash: u64, born: u64, touched: u32) -> Self {
        Self {
            hash,
            born,
            touched,
            logged_in: SegmentId(0),
            newest_ms: NEVER_MS,
            last_histogram: None,
            live: Data::default(),
            frozen: None,
        }
    }

    #[inline]
    pub(super) fn append(&mut self, sample: Sample, rules: Rules) -> Verdict {
        if let Some(reason) = rules.refusal(sample.ts_ms) {
            return Verdict::Rejected(reason);
        }
        if sample.ts_ms > self.newest_ms {
            self.newest_ms = sample.ts_ms;
            self.live.push(sample);
            return Verdict::Added;
        }
        match self.find(sample.ts_ms) {
            Some(Known::Float(value)) if value.to_bits() == sample.value.to_bits() => Verdict::Same,
            Some(_) => Verdict::Rejected(RejectReason::DuplicateTimestamp),
            None => {
                let late = self.late_verdict(sample.ts_ms, rules);
                if late == Verdict::Added {
                    self.live.insert_late(sample);
                }
                late
            }
        }
    }

    /// `sample.histogram` gets the hint that fits its place.
    pub(super) fn append_histogram(&mut self, sample: &mut HistogramSample, rules: Rules) -> Verdict {
        if let Some(reason) = rules.refusal(sample.ts_ms) {
            return Verdict::Rejected(reason);
        }
        if sample.ts_ms > self.newest_ms {
            let before = self.last_histogram.as_ref().filter(|last| last.ts_ms == self.newest_ms);
            let hint = hint_after(before.map(|last| last.histogram.as_ref()), &sample.histogram);
            set_hint(sample, hint);
            self.newest_ms = sample.ts_ms;
            self.last_histogram = Some(Box::new(sample.clone()));
            self.live.push_histogram(sample.clone());
            return Verdict::Added;
        }
        match self.find(sample.ts_ms) {
            Some(Known::Histogram(known)) if is_same(&known, &sample.histogram) => Verdict::Same,
            Some(_) => Verdict::Rejected(RejectReason::DuplicateTimestamp),
            None => {
                let late = self.late_verdict(sample.ts_ms, rules);
                if late == Verdict::Added {
                    // Who comes before it may change yet.
                    set_hint(sample, hint_after(None, &sample.histogram));
                    self.live.insert_late_histogram(sample.clone());
                }
                late
            }
        }
    }

    fn late_verdict(&self, ts_ms: i64, rules: Rules) -> Verdict {
        if ts_ms < self.newest_ms.saturating_sub(rules.window_ms) {
            Verdict::Rejected(RejectReason::OutOfOrder)
        } else {
            Verdict::Added
        }
    }

    fn find(&self, ts_ms: i64) -> Option<Known> {
        if let Some(last) = self.live.tail.last().filter(|last| last.ts_ms == ts_ms) {
            return Some(Known::Float(last.value));
        }
        if let Some(last) = self.last_histogram.as_ref().filter(|last| last.ts_ms == ts_ms) {
            return Some(Known::Histogram(Arc::clone(&last.histogram)));
        }
        self.live.find(ts_ms).or_else(|| self.frozen.as_ref()?.find(ts_ms))
    }

    /// The newest sample has been deleted: its time may be taken again.
    pub(super) fn forget_newest(&mut self) {
        if self.live.is_empty() && self.frozen.is_none() {
            self.newest_ms = NEVER_MS;
            self.last_histogram = None;
            self.live.tail = Tail::default();
        }
    }

    pub(super) fn newest_ms(&self) -> Option<i64> {
        (self.newest_ms != NEVER_MS).then_some(self.newest_ms)
    }

    /// Live data becomes frozen.
    pub(super) fn freeze(&mut self) {
        if self.live.is_empty() {
            return;
        }
        let live = self.live.take();
        match &mut self.frozen {
            Some(frozen) => Arc::make_mut(frozen).absorb(live),
            None => self.frozen = Some(Arc::new(live)),
        }
    }
}

fn set_hint(sample: &mut HistogramSample, hint: model::ResetHint) {
    if sample.histogram.reset_hint != hint {
        Arc::make_mut(&mut sample.histogram).reset_hint = hint;
    }
}
