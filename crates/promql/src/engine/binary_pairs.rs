//! What the pairs of one group make, and where it goes.
//!
//! ```text
//! pair ─▶ sample      ─▶ column of its labels: one at each step, two are an error
//!      ─▶ filtered    ─▶ nothing, but it takes the place of its labels at that step
//!      ─▶ incompatible
//! ```

use model::LabelSet;

use super::column::{Column, Map, is_absent};
use crate::error::QueryError;
use crate::value::SampleValue;

/// What two samples make.
pub(super) enum Pair {
    Sample(SampleValue),
    /// They met, and a comparison keeps nothing of them.
    Filtered,
    /// Their types do not go together, so they have not met.
    Incompatible,
}

impl Pair {
    pub(super) fn of_float(value: f64) -> Self {
        if is_absent(value) { Self::Filtered } else { Self::Sample(SampleValue::Float(value)) }
    }
}

/// Where one group's results go.
pub(super) struct GroupOutput<'c> {
    pub(super) index: Map<(LabelSet, bool), usize>,
    pub(super) columns: &'c mut Vec<Column>,
    /// The first column of this group.
    first: usize,
    /// Steps of which a comparison kept nothing, by column from the first of this group. Shorter lists have none.
    filtered: Vec<Vec<bool>>,
}

impl<'c> GroupOutput<'c> {
    pub(super) fn new(columns: &'c mut Vec<Column>) -> Self {
        Self { index: Map::default(), first: columns.len(), columns, filtered: Vec::new() }
    }

    /// Takes what a pair made. Two pairs with the same labels at one step are an error.
    pub(super) fn put(&mut self, position: usize, step: usize, pair: Pair) -> Result<(), QueryError> {
        let column = &mut self.columns[position];
        let place = position - self.first;
        let was_filtered = self.filtered.get(place).and_then(|steps| steps.get(step)) == Some(&true);
        if was_filtered || column.is_present(step) {
            return Err(not_unique());
        }
        match pair {
            Pair::Sample(SampleValue::Float(value)) => column.values[step] = value,
            Pair::Sample(histogram) => column.set(step, histogram),
            Pair::Filtered => {
                self.filtered.resize_with(self.filtered.len().max(place + 1), Vec::new);
                self.filtered[place].resize(column.values.len(), false);
                self.filtered[place][step] = true;
            }
            Pair::Incompatible => {}
        }
        Ok(())
    }
}

pub(super) fn not_unique() -> QueryError {
    QueryError::Execution("multiple matches for labels: grouping labels must ensure unique matches".into())
}
