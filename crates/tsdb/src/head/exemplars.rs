//! Exemplars: the newest ones of all series, up to a limit.
//!
//! ```text
//! series ─▶ [e e e]  ascending in time          arrivals  series of each exemplar, oldest arrival first
//! ```
//! When there is no room, the one that came first goes. One that is older than its series' newest is dropped.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;
use model::{Exemplar, LabelSet, Matcher, TimeRange};

/// Longest label names and values of an exemplar together, in characters: the limit of OpenMetrics.
pub(crate) const EXEMPLAR_CHARS_MAX: usize = 128;

#[derive(Debug)]
pub(crate) struct Exemplars {
    by_series: HashMap<LabelSet, VecDeque<Exemplar>, FixedState>,
    arrivals: VecDeque<LabelSet>,
    max: usize,
}

/// What becomes of an exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExemplarVerdict {
    New,
    /// The newest of its series says the same.
    Same,
    OutOfOrder,
    TooLong,
}

impl Exemplars {
    pub(crate) fn new(max: usize) -> Self {
        Self { by_series: HashMap::default(), arrivals: VecDeque::new(), max }
    }

    pub(crate) fn len(&self) -> usize {
        self.arrivals.len()
    }

    pub(crate) fn judge(&self, series: &[u8], exemplar: &Exemplar) -> ExemplarVerdict {
        let chars = |text: &str| text.chars().count();
        let length: usize = exemplar.labels.iter().map(|(name, value)| chars(name) + chars(value)).sum();
        if length > EXEMPLAR_CHARS_MAX {
            return ExemplarVerdict::TooLong;
        }
        match self.by_series.get(series).and_then(VecDeque::back) {
            Some(newest) if is_same(newest, exemplar) => ExemplarVerdict::Same,
            Some(newest) if exemplar.ts_ms < newest.ts_ms => ExemplarVerdict::OutOfOrder,
            _ => ExemplarVerdict::New,
        }
    }

    /// Adds an exemplar that was judged new.
    pub(crate) fn add(&mut self, series: LabelSet, exemplar: Exemplar) {
        if self.max == 0 {
            return;
        }
        while self.arrivals.len() >= self.max {
            self.drop_oldest();
        }
        self.arrivals.push_back(series.clone());
        self.by_series.entry(series).or_default().push_back(exemplar);
    }

    fn drop_oldest(&mut self) {
        let Some(series) = self.arrivals.pop_front() else { return };
        if let Some(exemplars) = self.by_series.get_mut(&series) {
            exemplars.pop_front();
            if exemplars.is_empty() {
                self.by_series.remove(&series);
            }
        }
    }

    /// All of them: series by series, those of one series ascending in time.
    pub(crate) fn all(&self) -> Vec<(LabelSet, Exemplar)> {
        let mut taken: HashMap<&LabelSet, usize, FixedState> = HashMap::default();
        let in_order = self.arrivals.iter().filter_map(|series| {
            let next = taken.entry(series).or_default();
            let exemplar = self.by_series.get(series)?.get(*next)?;
            *next += 1;
            Some((series.clone(), exemplar.clone()))
        });
        in_order.collect()
    }

    /// Those in `range_ms` of series that pass any of `selectors`, series ascending by labels.
    pub(crate) fn select(
        &self,
        selectors: &[Vec<Matcher>],
        range_ms: TimeRange,
    ) -> Vec<(LabelSet, Vec<Exemplar>)> {
        let passes = |labels: &LabelSet| {
            let passes = |matcher: &Matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default());
            selectors.iter().any(|selector| selector.iter().all(passes))
        };
        let mut found: Vec<_> = self
            .by_series
            .iter()
            .filter(|(labels, _)| passes(labels))
            .map(|(labels, exemplars)| {
                let inside = exemplars.iter().filter(|exemplar| range_ms.contains(exemplar.ts_ms));
                (labels.clone(), inside.cloned().collect::<Vec<_>>())
            })
            .filter(|(_, exemplars)| !exemplars.is_empty())
            .collect();
        found.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        found
    }
}

fn is_same(left: &Exemplar, right: &Exemplar) -> bool {
    left.ts_ms == right.ts_ms && left.value.to_bits() == right.value.to_bits() && left.labels == right.labels
}
