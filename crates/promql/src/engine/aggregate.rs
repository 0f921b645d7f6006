//! Aggregations.
//!
//! ```text
//! series ──▶ group of its labels ──▶ accumulators, one per step      memory: groups × steps, not series × steps
//! ```
//! Histograms are added up beside the floats, and only where there are any: see [`HistogramFold`].
//! `topk`, `quantile` and the others that must see all values of a step at once are in [`rank`](super::rank).

use model::LabelSet;

use super::aggregate_histograms::HistogramFold;
use super::column::{Column, Grid, Map, absent, is_absent, is_metadata_label};
use super::context::Context;
use super::math::{KahanSum, Mean};
use super::{eval, rank};
use crate::ast::{Aggregate, AggregateOp, Span};
use crate::error::QueryError;

/// Evaluates an aggregation, which stands at `span`, over all steps.
pub(crate) fn eval(
    context: &Context<'_>,
    node: &Aggregate,
    span: Span,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let fold = match node.op {
        AggregateOp::Sum => Fold::Sum,
        AggregateOp::Avg => Fold::Avg,
        AggregateOp::Min => Fold::Min,
        AggregateOp::Max => Fold::Max,
        AggregateOp::Count => Fold::Count,
        AggregateOp::Group => Fold::Group,
        AggregateOp::Stddev => Fold::Variance { root: true },
        AggregateOp::Stdvar => Fold::Variance { root: false },
        _ => return rank::eval(context, node, span, grid),
    };
    let mut groups = Groups::default();
    let mut cells: Vec<Vec<Cell>> = Vec::new();
    let mut histograms = HistogramFold::new(context, node, grid);
    eval::stream(context, &node.expr, grid, &mut |column| {
        let group = groups.of(node, &column);
        if group == cells.len() {
            context.count_points(grid.count)?;
            cells.push(vec![Cell::default(); grid.count]);
        }
        for (cell, value) in cells[group].iter_mut().zip(&column.values) {
            if !is_absent(*value) {
                fold.add(cell, *value);
            }
        }
        if column.has_histograms() {
            histograms.add(group, &column, &mut cells[group])?;
        }
        Ok(())
    })?;
    let columns = groups.list.into_iter().zip(cells).enumerate().map(|(index, (group, cells))| {
        let values = cells.iter().map(|cell| fold.value(cell)).collect();
        let steps = histograms.finish(index, values);
        Column::new(group.labels, group.drop_name, steps)
    });
    Ok(columns.collect())
}

/// The groups of an aggregation, in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    index: Map<LabelSet, usize>,
    pub(crate) list: Vec<Group>,
}

/// One group: its labels, and whether any member's name is to be dropped.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) labels: LabelSet,
    pub(crate) drop_name: bool,
}

impl Groups {
    /// The group of a column; a new one is put at the end of the list.
    pub(crate) fn of(&mut self, node: &Aggregate, column: &Column) -> usize {
        let labels = group_labels(node, &column.labels);
        let next = self.list.len();
        let position = *self.index.entry(labels.clone()).or_insert(next);
        if position == next {
            self.list.push(Group { labels, drop_name: false });
        }
        self.list[position].drop_name |= column.drop_name;
        position
    }
}

/// The labels by which a series is grouped.
pub(crate) fn group_labels(node: &Aggregate, labels: &LabelSet) -> LabelSet {
    if !node.without && node.labels.is_empty() {
        return LabelSet::empty();
    }
    labels.filtered(|name| {
        let listed = node.labels.iter().any(|label| label == name);
        if node.without { !listed && !is_metadata_label(name) } else { listed }
    })
}

#[derive(Clone, Copy)]
enum Fold {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Variance { root: bool },
}

/// What one group knows at one step. `count` 0 means nothing yet.
#[derive(Clone, Copy, Default)]
pub(super) struct Cell {
    pub(super) count: f64,
    value: f64,
    sum: KahanSum,
    mean: Mean,
}

impl Fold {
    #[inline]
    fn add(self, cell: &mut Cell, value: f64) {
        cell.count += 1.0;
        let first = cell.count == 1.0;
        match self {
            Self::Sum if first => cell.sum = KahanSum { sum: value, carry: 0.0 },
            Self::Sum => cell.sum.add(value),
            Self::Avg => cell.mean.add(value),
            Self::Min if first || value < cell.value || cell.value.is_nan() => cell.value = value,
            Self::Max if first || value > cell.value || cell.value.is_nan() => cell.value = value,
            Self::Min | Self::Max | Self::Count | Self::Group => {}
            Self::Variance { .. } => add_variance(cell, value),
        }
    }

    fn value(self, cell: &Cell) -> f64 {
        if cell.count == 0.0 {
            return absent();
        }
        match self {
            Self::Sum if cell.sum.sum.is_infinite() => cell.sum.sum,
            Self::Sum => cell.sum.total(),
            Self::Avg => cell.mean.mean(),
            Self::Min | Self::Max => cell.value,
            Self::Count => cell.count,
            Self::Group => 1.0,
            Self::Variance { root } => {
                let variance = cell.value / cell.count;
                if root { variance.sqrt() } else { variance }
            }
        }
    }
}

/// Welford's update: `sum` holds the mean, `value` the sum of squared differences.
fn add_variance(cell: &mut Cell, value: f64) {
    let mean = &mut cell.sum.sum;
    if cell.count == 1.0 {
        *mean = value;
        cell.value = if value.is_finite() { 0.0 } else { f64::NAN };
        return;
    }
    let delta = value - *mean;
    *mean += delta / cell.count;
    cell.value += delta * (value - *mean);
}
