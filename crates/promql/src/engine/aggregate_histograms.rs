//! What aggregations do with native histograms.
//!
//! ```text
//! sum, avg                      added up; with floats in the same group and step, nothing comes out
//! count, group                  as floats
//! min, max, stddev, stdvar      left out, with a note
//! ```

use std::sync::Arc;

use super::annotations::{Note, Operation};
use super::column::{Column, Grid, Map, Steps, absent};
use super::context::Context;
use super::histogram_sum::HistogramMean;
use crate::ast::{Aggregate, AggregateOp};
use crate::error::QueryError;

/// Sums of histograms by group: only groups that have any are in it.
pub(super) struct HistogramFold<'c> {
    context: &'c Context<'c>,
    node: &'c Aggregate,
    grid: Grid,
    groups: Map<usize, Vec<HistogramCell>>,
}

/// What one group knows of histograms at one step.
#[derive(Clone, Default)]
struct HistogramCell {
    mean: Option<HistogramMean>,
    /// Exponential and custom buckets met: nothing comes out.
    is_incompatible: bool,
}

impl<'c> HistogramFold<'c> {
    pub(super) fn new(context: &'c Context<'c>, node: &'c Aggregate, grid: Grid) -> Self {
        Self { context, node, grid, groups: Map::default() }
    }

    /// Adds the histograms of a column to a group that has counted as many floats as `counts` says.
    pub(super) fn add(
        &mut self,
        group: usize,
        column: &Column,
        counts: &mut [f64],
    ) -> Result<(), QueryError> {
        match self.node.op {
            AggregateOp::Sum | AggregateOp::Avg => self.add_up(group, column),
            AggregateOp::Count | AggregateOp::Group => {
                for (step, count) in counts.iter_mut().enumerate() {
                    if column.histogram(step).is_some() {
                        *count += 1.0;
                    }
                }
                Ok(())
            }
            op => {
                self.note(Note::histogram_ignored_in_aggregation(op.as_str()));
                Ok(())
            }
        }
    }

    fn note(&self, note: Note) {
        self.context.note(self.node.expr.unwrap_parens().span, note);
    }

    fn add_up(&mut self, group: usize, column: &Column) -> Result<(), QueryError> {
        let is_mean = self.node.op == AggregateOp::Avg;
        let count = self.grid.count;
        if !self.groups.contains_key(&group) {
            self.context.count_points(count)?;
        }
        let cells = self.groups.entry(group).or_insert_with(|| vec![HistogramCell::default(); count]);
        for (step, cell) in cells.iter_mut().enumerate() {
            let Some(histogram) = column.histogram(step) else { continue };
            if cell.is_incompatible {
                continue;
            }
            let added = match &mut cell.mean {
                None => {
                    cell.mean = Some(HistogramMean::new(histogram));
                    Ok(())
                }
                Some(mean) if is_mean => mean.add_to_mean(histogram),
                Some(mean) => mean.add(histogram),
            };
            if added.is_err() {
                cell.is_incompatible = true;
                let note = Note::mixed_exponential_custom(column.labels.metric_name());
                self.context.note(self.node.expr.unwrap_parens().span, note);
            }
        }
        Ok(())
    }

    /// The group's column, given what came out of its floats.
    pub(super) fn finish(&mut self, group: usize, mut values: Vec<f64>) -> Steps {
        let Some(cells) = self.groups.remove(&group) else {
            return Steps { values, histograms: Vec::new() };
        };
        let is_mean = self.node.op == AggregateOp::Avg;
        let mut histograms = vec![None; values.len()];
        for (step, cell) in cells.into_iter().enumerate() {
            let Some(mean) = cell.mean else { continue };
            if mean.bounds_differed() {
                self.note(Note::bounds_reconciled(Operation::Aggregation));
            }
            let has_floats = !super::column::is_absent(values[step]);
            values[step] = absent();
            if cell.is_incompatible {
                continue;
            }
            if has_floats {
                self.note(Note::mixed_floats_histograms_in_aggregation());
                continue;
            }
            if mean.reset_hints_collided() {
                self.note(Note::reset_hints_collide(Operation::Aggregation));
            }
            histograms[step] = Some(Arc::new(if is_mean { mean.mean() } else { mean.total() }));
        }
        Steps { values, histograms }
    }
}
