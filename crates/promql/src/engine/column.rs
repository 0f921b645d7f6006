//! Steps, columns, and what an expression evaluates to.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{Histogram, LabelSet, METRIC_NAME, is_stale_nan, stale_nan};

use crate::error::QueryError;
use crate::value::SampleValue;

/// The moments at which an expression is evaluated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Grid {
    /// The moment of a step.
    pub(crate) fn time_ms(&self, step: usize) -> i64 {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        self.start_ms.saturating_add(self.step_ms.saturating_mul(step))
    }

    /// All moments.
    pub(crate) fn times_ms(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.count).map(|step| self.time_ms(step))
    }

    /// The last moment.
    pub(crate) fn last_ms(&self) -> i64 {
        self.time_ms(self.count.saturating_sub(1))
    }

    /// Only its first moment.
    pub(crate) fn first(&self) -> Self {
        Self { count: 1, ..*self }
    }
}

/// The samples of one series, one per step: a float, a histogram or none.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) labels: LabelSet,
    /// The name, type and unit go away at the end.
    pub(crate) drop_name: bool,
    /// The floats; where there is none, the stale marker.
    pub(crate) values: Vec<f64>,
    /// The histograms: empty, as almost always, or as long as `values`, which is then absent where there is one.
    pub(crate) histograms: Vec<Option<Arc<Histogram>>>,
}

/// What is computed for all steps of one series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    pub(crate) values: Vec<f64>,
    /// As those of a [`Column`].
    pub(crate) histograms: Vec<Option<Arc<Histogram>>>,
}

/// One sample of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'c> {
    Float(f64),
    Histogram(&'c Arc<Histogram>),
}

impl Steps {
    /// Without any sample.
    pub(crate) fn absent(count: usize) -> Self {
        Self { values: vec![absent(); count], histograms: Vec::new() }
    }

    /// Adds the next step's sample, of `count` in all.
    pub(crate) fn push(&mut self, sample: Option<SampleValue>, count: usize) {
        match sample {
            Some(SampleValue::Histogram(histogram)) => {
                self.values.push(absent());
                if self.histograms.is_empty() {
                    self.histograms = vec![None; count];
                }
                self.histograms[self.values.len() - 1] = Some(histogram);
            }
            Some(SampleValue::Float(value)) => self.values.push(value),
            None => self.values.push(absent()),
        }
    }

    /// Whether there is any sample.
    pub(crate) fn any(&self) -> bool {
        self.values.iter().any(|value| !is_absent(*value)) || self.histograms.iter().any(Option::is_some)
    }
}

impl Column {
    /// A column of floats.
    pub(crate) fn floats(labels: LabelSet, drop_name: bool, values: Vec<f64>) -> Self {
        Self { labels, drop_name, values, histograms: Vec::new() }
    }

    /// A column of both kinds.
    pub(crate) fn new(labels: LabelSet, drop_name: bool, steps: Steps) -> Self {
        Self { labels, drop_name, values: steps.values, histograms: steps.histograms }
    }

    /// A column of one step, for a series that keeps its name.
    pub(crate) fn of(labels: LabelSet, sample: SampleValue) -> Self {
        match sample {
            SampleValue::Float(value) => Self::floats(labels, false, vec![value]),
            SampleValue::Histogram(histogram) => {
                Self { labels, drop_name: false, values: vec![absent()], histograms: vec![Some(histogram)] }
            }
        }
    }

    /// The sample of a step.
    #[inline]
    pub(crate) fn at(&self, step: usize) -> Option<Cell<'_>> {
        let value = self.values[step];
        if !is_absent(value) {
            return Some(Cell::Float(value));
        }
        self.histogram(step).map(Cell::Histogram)
    }

    /// The histogram of a step.
    #[inline]
    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        self.histograms.get(step)?.as_ref()
    }

    /// Whether the step has a sample of any kind.
    #[inline]
    pub(crate) fn is_present(&self, step: usize) -> bool {
        !is_absent(self.values[step]) || self.histogram(step).is_some()
    }

    /// Whether any step has a histogram.
    pub(crate) fn has_histograms(&self) -> bool {
        self.histograms.iter().any(Option::is_some)
    }

    /// Whether any step has a sample.
    pub(crate) fn any(&self) -> bool {
        self.values.iter().any(|value| !is_absent(*value)) || self.has_histograms()
    }

    /// Takes the step's sample away.
    pub(crate) fn clear(&mut self, step: usize) {
        self.values[step] = absent();
        if let Some(histogram) = self.histograms.get_mut(step) {
            *histogram = None;
        }
    }

    /// Puts a sample in the place of the step's.
    pub(crate) fn set(&mut self, step: usize, sample: SampleValue) {
        self.clear(step);
        match sample {
            SampleValue::Float(value) => self.values[step] = value,
            SampleValue::Histogram(histogram) => {
                if self.histograms.is_empty() {
                    self.histograms = vec![None; self.values.len()];
                }
                self.histograms[step] = Some(histogram);
            }
        }
    }

    /// The step's sample as an answer has it.
    pub(crate) fn sample(&self, step: usize) -> Option<SampleValue> {
        self.at(step).map(Cell::into_sample)
    }

    /// Takes all histograms away: most functions know only floats.
    pub(crate) fn drop_histograms(&mut self) {
        self.histograms = Vec::new();
    }
}

impl Cell<'_> {
    pub(crate) fn into_sample(self) -> SampleValue {
        match self {
            Self::Float(value) => SampleValue::Float(value),
            Self::Histogram(histogram) => SampleValue::Histogram(histogram.clone()),
        }
    }
}

/// What an expression evaluates to. Vectors may hold columns without any value.
#[derive(Clone, Debug)]
pub(crate) enum Evaluated {
    Scalar(Vec<f64>),
    String(Vec<u8>),
    Vector(Vec<Column>),
}

/// The value of a step without a sample.
pub(crate) fn absent() -> f64 {
    stale_nan()
}

/// Whether a step has no sample.
pub(crate) fn is_absent(value: f64) -> bool {
    is_stale_nan(value)
}

/// A hash map with the crate's hasher.
pub(crate) type Map<K, V> = HashMap<K, V, RandomState>;

/// Labels that describe the metric and not the series: they go when the name goes.
pub(crate) const METADATA_LABELS: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

fn is_metadata_label(name: &str) -> bool {
    METADATA_LABELS.contains(&name)
}

/// The labels without those of the metric.
pub(crate) fn without_metadata(labels: &LabelSet) -> LabelSet {
    labels.filtered(|name| !is_metadata_label(name))
}

/// Removes the names that were to be dropped, then joins what became equal.
pub(crate) fn remove_dropped_names(mut columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    for column in &mut columns {
        if column.drop_name {
            column.labels = without_metadata(&column.labels);
            column.drop_name = false;
        }
    }
    join_equal(columns)
}

/// Joins columns of equal labels (and equal fate of their name).
///
/// # Errors
/// When two of them have a value at the same step.
pub(crate) fn join_equal(columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    let mut index: Map<(LabelSet, bool), usize> =
        Map::with_capacity_and_hasher(columns.len(), RandomState::default());
    let mut joined: Vec<Column> = Vec::with_capacity(columns.len());
    for column in columns {
        let position = *index.entry((column.labels.clone(), column.drop_name)).or_insert(joined.len());
        match joined.get_mut(position) {
            Some(first) => join(first, &column)?,
            None => joined.push(column),
        }
    }
    Ok(joined)
}

fn join(first: &mut Column, second: &Column) -> Result<(), QueryError> {
    for step in 0..second.values.len() {
        let Some(sample) = second.sample(step) else { continue };
        if first.is_present(step) {
            return Err(QueryError::Execution("vector cannot contain metrics with the same labelset".into()));
        }
        first.set(step, sample);
    }
    Ok(())
}
