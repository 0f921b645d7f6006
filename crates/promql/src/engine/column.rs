//! Steps, columns, and what an expression evaluates to.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use model::{LabelSet, METRIC_NAME, is_stale_nan, stale_nan};

use crate::error::QueryError;

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

/// The values of one series, one per step. Absent ones are the stale marker.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) labels: LabelSet,
    /// The name, type and unit go away at the end.
    pub(crate) drop_name: bool,
    pub(crate) values: Vec<f64>,
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
pub(crate) fn is_metadata_label(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
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
    for (value, other) in first.values.iter_mut().zip(&second.values) {
        if is_absent(*other) {
            continue;
        }
        if !is_absent(*value) {
            return Err(QueryError::Execution("vector cannot contain metrics with the same labelset".into()));
        }
        *value = *other;
    }
    Ok(())
}
