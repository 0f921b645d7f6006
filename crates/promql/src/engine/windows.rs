//! Where the windows of a grid begin and end among the samples of a series.
//!
//! ```text
//! samples    0  1   2  3  4   5        times of one series
//! window          (low ... high]       step 0: 0..3, step 1: 2..5, …
//! ```
//! All series of one scrape target have the same times, so their windows are the same, and so is everything in a rate
//! that depends on times alone. [`WindowCache`] keeps both, found by the times themselves: with 8 CPUs and 8 modes a
//! host's windows are computed once and used 64 times.

use std::sync::{Mutex, PoisonError};

use super::column::{Grid, Map};
use super::context::Shift;
use super::rate::{self, RateKind, RateStep};
use super::tracer::Queryable;

/// The windows of one query over one column of times.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    ts_ms: Vec<i64>,
    /// One per step.
    pub(super) bounds: Vec<WindowBounds>,
    /// One per step, when a rate was asked for.
    pub(super) rates: Vec<RateStep>,
    /// Samples of all windows together.
    samples: u64,
}

/// The samples of one window: `low..high`, none when both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowBounds {
    pub(super) low: u32,
    pub(super) high: u32,
}

impl WindowBounds {
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.low as usize..self.high as usize
    }
}

/// What determines windows besides the times of samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowShape {
    pub(super) grid: Grid,
    pub(super) shift: Shift,
    pub(super) range_ms: i64,
    /// Whether what rates need is computed too.
    pub(super) rate: Option<RateKind>,
}

impl Windows {
    /// The windows over `ts_ms`, ascending, at most `u32::MAX` of them.
    pub(super) fn new(shape: WindowShape, ts_ms: &[i64]) -> Self {
        let mut windows = Self { ts_ms: ts_ms.to_vec(), ..Self::default() };
        windows.bounds.reserve_exact(shape.grid.count);
        let (mut low, mut high) = (0, 0);
        for time_ms in shape.grid.times_ms() {
            let end_ms = shape.shift.apply(time_ms);
            let start_ms = end_ms.saturating_sub(shape.range_ms);
            while ts_ms.get(high).is_some_and(|ts_ms| *ts_ms <= end_ms) {
                high += 1;
            }
            while low < high && ts_ms[low] <= start_ms {
                low += 1;
            }
            let position = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
            windows.samples += (high - low) as u64;
            windows.bounds.push(WindowBounds { low: position(low), high: position(high) });
            if let Some(kind) = shape.rate {
                let range = (start_ms, end_ms);
                windows.rates.push(rate::step(kind, shape.range_ms, range, &ts_ms[low..high]));
            }
        }
        windows
    }

    /// Tells how many samples each step sees.
    pub(super) fn count_samples(&self, queryable: &Queryable) {
        if !queryable.is_per_step() {
            return queryable.add(0, self.samples);
        }
        for (step, bounds) in self.bounds.iter().enumerate() {
            queryable.add(step, u64::from(bounds.high - bounds.low));
        }
    }

    fn cost(&self) -> usize {
        self.ts_ms.len() + self.bounds.len() + 4 * self.rates.len()
    }
}

/// Numbers that a cache holds, about 8 bytes each, before it begins anew.
const HELD_MAX: usize = 1 << 20;

/// Windows by times.
#[derive(Debug, Default)]
pub(crate) struct WindowCache {
    entries: Map<Key, Windows>,
    held: usize,
}

type Key = (usize, i64, i64, i64);

impl WindowCache {
    /// The windows over `ts_ms`. One cache serves one shape.
    pub(super) fn windows(&mut self, shape: WindowShape, ts_ms: &[i64]) -> &Windows {
        let at = |index: usize| ts_ms.get(index).copied().unwrap_or_default();
        let key = (ts_ms.len(), at(0), at(ts_ms.len() / 2), at(ts_ms.len().saturating_sub(1)));
        let is_known = self.entries.get(&key).is_some_and(|windows| windows.ts_ms == ts_ms);
        if !is_known {
            let windows = Windows::new(shape, ts_ms);
            if self.held > HELD_MAX {
                *self = Self::default();
            }
            self.held += windows.cost();
            self.entries.insert(key, windows);
        }
        &self.entries[&key]
    }
}

/// Caches that threads take in turn.
#[derive(Debug, Default)]
pub(crate) struct CachePool(Mutex<Vec<WindowCache>>);

impl CachePool {
    /// Runs `work` with a cache that no other thread uses meanwhile.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut WindowCache) -> T) -> T {
        let mut cache = self.lock().pop().unwrap_or_default();
        let done = work(&mut cache);
        self.lock().push(cache);
        done
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<WindowCache>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(count: usize) -> WindowShape {
        let grid = Grid { start_ms: 100, step_ms: 20, count };
        WindowShape { grid, shift: Shift::default(), range_ms: 50, rate: None }
    }

    #[test]
    fn windows_are_open_at_their_start_and_closed_at_their_end() {
        let windows = Windows::new(shape(4), &[40, 50, 51, 100, 120, 130]);
        let bounds: Vec<_> = windows.bounds.iter().map(|bounds| (bounds.low, bounds.high)).collect();
        assert_eq!(bounds, [(2, 4), (3, 5), (3, 6), (4, 6)]);
    }

    #[test]
    fn windows_of_other_times_with_the_same_key_are_not_taken() {
        let mut cache = WindowCache::default();
        let first = cache.windows(shape(2), &[60, 70, 80, 90, 100]).bounds.clone();
        let other = cache.windows(shape(2), &[60, 61, 80, 120, 100]).bounds.clone();
        assert_eq!(first, Windows::new(shape(2), &[60, 70, 80, 90, 100]).bounds);
        assert_eq!(other, Windows::new(shape(2), &[60, 61, 80, 120, 100]).bounds);
        assert_eq!(cache.entries.len(), 1);
    }

    #[test]
    fn a_full_cache_begins_anew() {
        let mut cache = WindowCache::default();
        for offset in 0..2_000 {
            let ts_ms: Vec<i64> = (0..1_000).map(|n| offset + n * 10).collect();
            let bounds = cache.windows(shape(3), &ts_ms).bounds.clone();
            assert_eq!(bounds, Windows::new(shape(3), &ts_ms).bounds);
            assert!(cache.held <= HELD_MAX + 2_000);
        }
    }
}
