//! Deltas become cumulative: the running totals of the streams that send deltas.
//!
//! ```text
//! point   (start 10, end 20] +3   (start 20, end 30] +4        start 90, end 95: a gap, the stream goes on
//! total    3                       7                            ≤ 30: out of order, refused
//! ```
//! - Totals live in memory: after a restart, or when a stream was evicted, it begins anew at the start of its next
//!   point, which readers see as a counter reset.
//! - Bounded: streams stand in two generations. When the young one is full it becomes the old one, and what was in the
//!   old one and not seen since is evicted. So a live stream is kept as long as fewer than half of the limit are seen
//!   between two of its points.
//! - A request that could not be stored is taken back ([`DeltaSession::roll_back`]), because its sender will repeat it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use model::Histogram;

use crate::native;

/// The running totals of all streams.
#[derive(Debug)]
pub struct Deltas {
    /// Protects all of it; held for one addition at a time.
    streams: Mutex<Streams>,
    streams_max: usize,
}

#[derive(Debug, Default)]
struct Streams {
    young: HashMap<Box<[u8]>, Stream, RandomState>,
    old: HashMap<Box<[u8]>, Stream, RandomState>,
    evicted: u64,
}

#[derive(Clone, Debug)]
struct Stream {
    start_ns: u64,
    time_ns: u64,
    total: Total,
}

/// A total, or what is added to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Total {
    Number(f64),
    /// Bounds as bits of `f64`.
    Explicit {
        count: u64,
        sum: Option<f64>,
        counts: Vec<u64>,
        bounds: Vec<u64>,
    },
    Exponential(Histogram),
}

impl Deltas {
    /// Nothing yet; at most `streams_max` streams are remembered (at least 2).
    pub fn new(streams_max: usize) -> Self {
        Self { streams: Mutex::default(), streams_max: streams_max.max(2) }
    }

    /// Streams remembered now.
    pub fn stream_count(&self) -> usize {
        let streams = self.lock();
        streams.young.len() + streams.old.len()
    }

    /// Streams forgotten because there were too many, since this was asked last.
    pub fn take_evicted(&self) -> u64 {
        std::mem::take(&mut self.lock().evicted)
    }

    /// Starts the additions of one request.
    pub fn begin(&self) -> DeltaSession<'_> {
        DeltaSession { deltas: self, undo: Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The additions of one request. Dropping it keeps them.
pub struct DeltaSession<'d> {
    deltas: &'d Deltas,
    undo: Vec<Undo>,
}

struct Undo {
    key: Box<[u8]>,
    before: Option<Stream>,
    /// The stream's time after the addition: a later addition of another request stays.
    time_ns: u64,
}

/// The time of a point that is not after the one before: `(its time, the stream's time)`.
pub(super) struct OutOfOrder(pub(super) u64, pub(super) u64);

impl DeltaSession<'_> {
    /// Adds a delta to the stream `key` and gives back its total with the time at which it began.
    pub(super) fn add(
        &mut self,
        key: &[u8],
        start_ns: u64,
        time_ns: u64,
        delta: Total,
    ) -> Result<(Total, u64), OutOfOrder> {
        let mut streams = self.deltas.lock();
        let before = streams.take(key);
        let stream = match &before {
            Some(stream) if time_ns <= stream.time_ns => {
                let stream_time_ns = stream.time_ns;
                streams.put(key, before, self.deltas.streams_max);
                return Err(OutOfOrder(time_ns, stream_time_ns));
            }
            Some(Stream { start_ns, total, .. }) if total.adds_up_with(&delta) => {
                Stream { start_ns: *start_ns, time_ns, total: total.plus(&delta) }
            }
            _ => Stream { start_ns, time_ns, total: delta },
        };
        let answer = (stream.total.clone(), stream.start_ns);
        streams.put(key, Some(stream), self.deltas.streams_max);
        drop(streams);
        self.undo.push(Undo { key: key.into(), before, time_ns });
        Ok(answer)
    }

    /// Ends the stream `key`: its next delta begins anew.
    pub(super) fn end(&mut self, key: &[u8]) {
        self.deltas.lock().take(key);
    }

    /// Takes all additions back.
    pub fn roll_back(self) {
        let mut streams = self.deltas.lock();
        for undo in self.undo.into_iter().rev() {
            match streams.take(&undo.key) {
                Some(stream) if stream.time_ns != undo.time_ns => {
                    streams.put(&undo.key, Some(stream), self.deltas.streams_max);
                }
                _ => streams.put(&undo.key, undo.before, self.deltas.streams_max),
            }
        }
    }
}

impl Streams {
    fn take(&mut self, key: &[u8]) -> Option<Stream> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    fn put(&mut self, key: &[u8], stream: Option<Stream>, streams_max: usize) {
        let Some(stream) = stream else { return };
        if self.young.len() >= streams_max / 2 {
            self.evicted += self.old.len() as u64;
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key.into(), stream);
    }
}

impl Total {
    /// Whether a delta continues this total; buckets that changed begin anew.
    fn adds_up_with(&self, delta: &Self) -> bool {
        match (self, delta) {
            (Self::Number(_), Self::Number(_)) | (Self::Exponential(_), Self::Exponential(_)) => true,
            (Self::Explicit { counts, bounds, .. }, Self::Explicit { counts: more, bounds: theirs, .. }) => {
                bounds == theirs && counts.len() == more.len()
            }
            _ => false,
        }
    }

    fn plus(&self, delta: &Self) -> Self {
        match (self, delta) {
            (Self::Number(total), Self::Number(delta)) => Self::Number(total + delta),
            (Self::Exponential(total), Self::Exponential(delta)) => {
                Self::Exponential(native::sum(total, delta))
            }
            (
                Self::Explicit { count, sum, counts, bounds },
                Self::Explicit { count: more, sum: delta_sum, counts: delta_counts, .. },
            ) => Self::Explicit {
                count: count.saturating_add(*more),
                sum: sum.zip(*delta_sum).map(|(sum, delta)| sum + delta),
                counts: counts.iter().zip(delta_counts).map(|(a, b)| a.saturating_add(*b)).collect(),
                bounds: bounds.clone(),
            },
            (_, other) => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(session: &mut DeltaSession<'_>, key: &str, times: (u64, u64), value: f64) -> Option<(f64, u64)> {
        match session.add(key.as_bytes(), times.0, times.1, Total::Number(value)) {
            Ok((Total::Number(total), start_ns)) => Some((total, start_ns)),
            _ => None,
        }
    }

    #[test]
    fn deltas_add_up_and_late_ones_are_refused() {
        let deltas = Deltas::new(10);
        let mut session = deltas.begin();
        assert_eq!(add(&mut session, "a", (10, 20), 3.0), Some((3.0, 10)));
        assert_eq!(add(&mut session, "a", (20, 30), 4.0), Some((7.0, 10)));
        assert_eq!(add(&mut session, "a", (20, 30), 4.0), None);
        assert_eq!(add(&mut session, "a", (90, 95), 1.0), Some((8.0, 10)));
        session.end(b"a");
        assert_eq!(add(&mut session, "a", (95, 96), 1.0), Some((1.0, 95)));
    }

    #[test]
    fn what_was_not_stored_is_taken_back() {
        let deltas = Deltas::new(10);
        add(&mut deltas.begin(), "a", (0, 10), 1.0);
        let mut failed = deltas.begin();
        for times in [(10, 20), (20, 30)] {
            add(&mut failed, "a", times, 5.0);
        }
        add(&mut failed, "b", (0, 10), 5.0);
        failed.roll_back();
        assert_eq!(add(&mut deltas.begin(), "a", (10, 20), 5.0), Some((6.0, 0)));
        assert_eq!(add(&mut deltas.begin(), "b", (0, 10), 5.0), Some((5.0, 0)));
    }

    #[test]
    fn streams_not_seen_for_long_are_evicted() {
        let deltas = Deltas::new(4);
        let mut session = deltas.begin();
        for (index, key) in ["a", "b", "c", "a", "d", "e"].into_iter().enumerate() {
            add(&mut session, key, (0, index as u64 + 1), 1.0);
        }
        assert!(deltas.stream_count() <= 4);
        assert_eq!(deltas.take_evicted(), 1);
        assert_eq!(add(&mut session, "a", (0, 9), 1.0), Some((3.0, 0)));
        assert_eq!(add(&mut session, "b", (8, 9), 1.0), Some((1.0, 8)));
    }
}
