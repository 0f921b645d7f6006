//! What takes space: series, samples and bytes by metric, values by label, series by label pair.
//!
//! It walks the pages of all blocks once. In memory are a number per distinct series and one entry per metric, label and
//! pair. What is deleted and not yet cleaned counts: it takes space.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use model::METRIC_NAME;

use crate::block::Held;
use crate::{BlockInfo, Error, Tsdb};

/// The answer of [`Tsdb::analyze`]. Lists are the largest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    pub blocks: Vec<BlockInfo>,
    /// Bytes of all blocks, and those of them that are samples; the rest is index.
    pub bytes: u64,
    pub sample_bytes: u64,
    pub samples: u64,
    /// Distinct series in all blocks.
    pub series: u64,
    /// Those of them that are not in the newest block any more: churn.
    pub series_gone: u64,
    pub metrics: Vec<MetricUse>,
    pub labels: Vec<LabelUse>,
    pub pairs: Vec<PairUse>,
}

/// What one metric takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricUse {
    pub name: String,
    pub series: u64,
    /// Series that are not in the newest block any more.
    pub series_gone: u64,
    pub samples: u64,
    pub sample_bytes: u64,
}

/// How many values a label has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelUse {
    pub name: String,
    pub values: u64,
    /// Series that have the label.
    pub series: u64,
}

/// How many series have a label pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairUse {
    pub name: String,
    pub value: String,
    pub series: u64,
}

impl Tsdb {
    /// Says what takes space in the blocks; each list has at most `limit` entries. What is only in the head does not
    /// count: flush before. `progress` hears how many blocks are done. Blocks as long as it takes to read all indexes.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn analyze(&self, limit: usize, progress: &mut dyn FnMut(u64)) -> Result<Analysis, Error> {
        let state = self.blocks.state();
        let mut counting = Counting::default();
        // The newest first, so that it is known what is gone.
        let mut newest_first: Vec<&Held> = state.blocks.iter().collect();
        newest_first.sort_by_key(|held| std::cmp::Reverse(held.block.range_ms().end));
        for (done, held) in (1..).zip(newest_first) {
            counting.block(held, done == 1)?;
            progress(done);
        }
        Ok(Analysis { blocks: self.blocks(), bytes: self.blocks.bytes(), ..counting.result(limit) })
    }
}

#[derive(Default)]
struct Counting {
    hasher: FixedState,
    seen: HashSet<u64, FixedState>,
    metrics: HashMap<String, MetricUse, FixedState>,
    pairs: HashMap<(String, String), u64, FixedState>,
    gone: u64,
}

impl Counting {
    fn block(&mut self, held: &Held, is_newest: bool) -> Result<(), Error> {
        for number in 0..held.block.page_count() {
            let page = held.block.load_page(number)?;
            for series in &page.series {
                let name = series.labels.get(METRIC_NAME).unwrap_or_default();
                let is_new = self.seen.insert(self.hasher.hash_one(series.labels.as_bytes()));
                let metric = self.metrics.entry(name.to_owned()).or_default();
                for chunk in page.chunks_of(series) {
                    metric.sample_bytes += u64::from(chunk.bytes);
                    metric.samples += if chunk.kind.column() == 0 { u64::from(chunk.samples) } else { 0 };
                }
                if is_new {
                    metric.series += 1;
                    metric.series_gone += u64::from(!is_newest);
                    self.gone += u64::from(!is_newest);
                    for (label, value) in series.labels.iter() {
                        *self.pairs.entry((label.to_owned(), value.to_owned())).or_default() += 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn result(self, limit: usize) -> Analysis {
        let mut analysis = Analysis {
            series: self.seen.len() as u64,
            series_gone: self.gone,
            samples: self.metrics.values().map(|metric| metric.samples).sum(),
            sample_bytes: self.metrics.values().map(|metric| metric.sample_bytes).sum(),
            ..Analysis::default()
        };
        let metrics = self.metrics.into_iter().map(|(name, metric)| MetricUse { name, ..metric });
        analysis.metrics =
            largest(metrics.collect(), limit, |metric| (metric.sample_bytes, metric.name.clone()));
        let mut labels: HashMap<&str, LabelUse, FixedState> = HashMap::default();
        for ((name, _), series) in &self.pairs {
            let label = labels.entry(name).or_default();
            label.values += 1;
            label.series += series;
        }
        let labels = labels.into_iter().map(|(name, label)| LabelUse { name: name.to_owned(), ..label });
        analysis.labels = largest(labels.collect(), limit, |label| (label.values, label.name.clone()));
        let pairs = self.pairs.into_iter();
        let pairs = pairs.map(|((name, value), series)| PairUse { name, value, series }).collect();
        analysis.pairs =
            largest(pairs, limit, |pair: &PairUse| (pair.series, format!("{}={}", pair.name, pair.value)));
        analysis
    }
}

/// The `limit` largest, equal ones by name.
fn largest<T>(mut all: Vec<T>, limit: usize, key: impl Fn(&T) -> (u64, String)) -> Vec<T> {
    all.sort_by_cached_key(|item| {
        let (size, name) = key(item);
        (std::cmp::Reverse(size), name)
    });
    all.truncate(limit);
    all
}
