//! One series of the head, and what it does with a sample.

use std::sync::Arc;

use log::SegmentId;
use model::{LabelSet, RejectReason, TimeRange};

use super::{Data, Snapshot};
use crate::sample::Sample;

pub(super) struct Series {
    pub(super) labels: LabelSet,
    pub(super) hash: u64,
    /// Next slot with the same hash.
    pub(super) next: Option<u32>,
    /// Value of the head's counter of births after this one.
    pub(super) born: u64,
    /// The segment that holds the labels.
    pub(super) logged_in: SegmentId,
    /// The newest sample since the series is in the head. It outlives the data's move into a block.
    newest: Option<Sample>,
    pub(super) live: Data,
    /// Data on its way into a block.
    pub(super) frozen: Option<Arc<Data>>,
}

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
    pub(super) fn new(labels: LabelSet, hash: u64, born: u64) -> Self {
        Self {
            labels,
            hash,
            next: None,
            born,
            logged_in: SegmentId(0),
            newest: None,
            live: Data::default(),
            frozen: None,
        }
    }

    #[inline]
    pub(super) fn append(&mut self, sample: Sample, rules: Rules) -> Verdict {
        if let Some(reason) = rules.refusal(sample.ts_ms) {
            return Verdict::Rejected(reason);
        }
        match self.newest {
            Some(newest) if sample.ts_ms <= newest.ts_ms => self.append_late(sample, newest, rules.window_ms),
            _ => {
                self.newest = Some(sample);
                self.live.push(sample);
                Verdict::Added
            }
        }
    }

    fn append_late(&mut self, sample: Sample, newest: Sample, window_ms: i64) -> Verdict {
        let known = if sample.ts_ms == newest.ts_ms { Some(newest.value) } else { self.find(sample.ts_ms) };
        match known {
            Some(value) if value.to_bits() == sample.value.to_bits() => Verdict::Same,
            Some(_) => Verdict::Rejected(RejectReason::DuplicateTimestamp),
            None if sample.ts_ms < newest.ts_ms.saturating_sub(window_ms) => {
                Verdict::Rejected(RejectReason::OutOfOrder)
            }
            None => {
                self.live.insert_late(sample);
                Verdict::Added
            }
        }
    }

    fn find(&self, ts_ms: i64) -> Option<f64> {
        self.live.find(ts_ms).or_else(|| self.frozen.as_ref()?.find(ts_ms))
    }

    /// The newest sample has been deleted: its time may be taken again.
    pub(super) fn forget_newest(&mut self) {
        if self.live.is_empty() && self.frozen.is_none() {
            self.newest = None;
        }
    }

    pub(super) fn newest_ms(&self) -> Option<i64> {
        self.newest.map(|sample| sample.ts_ms)
    }

    pub(super) fn snapshot(&self, range_ms: TimeRange) -> Option<Snapshot> {
        let frozen = self.frozen.as_ref().filter(|data| data.overlaps(range_ms)).cloned();
        let live = self.live.clipped(range_ms);
        let has_data = frozen.is_some() || !live.is_empty();
        has_data.then(|| Snapshot { labels: self.labels.clone(), frozen, live })
    }

    /// Live data becomes frozen.
    pub(super) fn freeze(&mut self) {
        if self.live.is_empty() {
            return;
        }
        let live = std::mem::take(&mut self.live);
        match &mut self.frozen {
            Some(frozen) => Arc::make_mut(frozen).absorb(live),
            None => self.frozen = Some(Arc::new(live)),
        }
    }
}
