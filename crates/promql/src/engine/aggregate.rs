//! Aggregations.
//!
//! ```text
//! series ──▶ group of its labels ──▶ accumulators, one per step      memory: groups × steps, not series × steps
//! ```
//! Histograms are added up beside the floats, and only where there are any: see [`HistogramFold`].
//! `topk`, `quantile` and the others that must see all values of a step at once are in [`rank`](super::rank).

use model::{LabelSet, LabelSetRef};

use super::aggregate_histograms::HistogramFold;
use super::column::{Column, Grid, METADATA_LABELS, Map};
use super::context::Context;
use super::fold::Fold;
use super::{eval, instant_groups, rank};
use crate::ast::{Aggregate, Span};
use crate::error::QueryError;

/// Evaluates an aggregation, which stands at `span`, over all steps.
pub(crate) fn eval(
    context: &Context<'_>,
    node: &Aggregate,
    span: Span,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    if Fold::new(node.op, 0).is_none() {
        return rank::eval(context, node, span, grid);
    }
    if let Some(selector) = instant_groups::selector_of(context, node, grid) {
        return instant_groups::eval(context, node, selector, grid);
    }
    let mut groups = Groups::default();
    let mut folds: Vec<Fold> = Vec::new();
    let mut histograms = HistogramFold::new(context, node, grid);
    eval::stream(context, &node.expr, grid, &mut |column| {
        let group = groups.of(node, &column);
        if group == folds.len() {
            context.count_points(grid.count)?;
            folds.extend(Fold::new(node.op, grid.count));
        }
        folds[group].add(&column.values);
        if column.has_histograms() {
            histograms.add(group, &column, &mut folds[group].counts)?;
        }
        Ok(())
    })?;
    let columns = groups.list.into_iter().zip(folds).enumerate().map(|(index, (group, fold))| {
        let steps = histograms.finish(index, fold.finish());
        Column::new(group.labels, group.drop_name, steps)
    });
    Ok(columns.collect())
}

/// The groups of an aggregation, in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    index: Map<LabelSet, usize>,
    pub(crate) list: Vec<Group>,
    /// The labels asked for, in canonical bytes. Looking a group up allocates nothing once the group is known.
    key: Vec<u8>,
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
        self.key.clear();
        if node.without || !node.labels.is_empty() {
            let keep = |name: &[u8]| is_group_label(node, name);
            column.labels.as_ref().write_filtered(keep, &mut self.key);
        }
        let position = match self.index.get(self.key.as_slice()) {
            Some(position) => *position,
            None => {
                let labels = LabelSetRef::from_canonical_trusted(&self.key).to_owned();
                self.index.insert(labels.clone(), self.list.len());
                self.list.push(Group { labels, drop_name: false });
                self.list.len() - 1
            }
        };
        self.list[position].drop_name |= column.drop_name;
        position
    }
}

/// The labels by which a series is grouped.
pub(crate) fn group_labels(node: &Aggregate, labels: &LabelSet) -> LabelSet {
    if !node.without && node.labels.is_empty() {
        return LabelSet::empty();
    }
    labels.filtered(|name| is_group_label(node, name.as_bytes()))
}

fn is_group_label(node: &Aggregate, name: &[u8]) -> bool {
    let listed = node.labels.iter().any(|label| label.as_bytes() == name);
    if node.without {
        !listed && !METADATA_LABELS.iter().any(|label| label.as_bytes() == name)
    } else {
        listed
    }
}
