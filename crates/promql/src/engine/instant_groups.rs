//! Aggregations of an instant selector at one step: what rules and single numbers on dashboards ask.
//!
//! ```text
//! label job   0 0 1 0 2 1 …     one number per series, from the source
//! label le    3 4 3 5 3 4 …     together they number the groups: no label set is looked at
//! latest      1.5 4.0 – 2.2 …   one sample per series
//! ```

use model::{LabelIds, LabelSet, SeriesSet};

use super::aggregate_histograms::HistogramFold;
use super::column::{Column, Grid, Map};
use super::context::Context;
use super::fold::Fold;
use super::select;
use crate::ast::{Aggregate, ExprKind, Selector};
use crate::error::QueryError;
use crate::value::SampleValue;

/// The selector, if the aggregation is one of those evaluated here.
pub(super) fn selector_of<'e>(
    context: &Context<'_>,
    node: &'e Aggregate,
    grid: Grid,
) -> Option<&'e Selector> {
    let expr = node.expr.unwrap_parens();
    let ExprKind::Selector(selector) = &expr.kind else { return None };
    let is_plain = selector.extension.is_none() && !context.is_statistics_only(expr.span);
    (is_plain && grid.count == 1 && !node.without && !context.explains()).then_some(selector)
}

/// One column per group, in order of appearance.
///
/// # Errors
/// As reading the series has.
pub(super) fn eval(
    context: &Context<'_>,
    node: &Aggregate,
    selector: &Selector,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let range = select::read_range(grid, context.shift(&selector.shift), context.lookback_ms);
    let set = select::select(context, &selector.matchers, range)?;
    let mut numbered = Numbered::new(node, set.as_ref());
    let mut groups: Vec<(LabelSet, Fold)> = Vec::new();
    let mut histograms = HistogramFold::new(context, node, grid);
    select::each_latest(context, set.as_ref(), &mut |index, latest| {
        let group = numbered.of(index);
        if group == groups.len() {
            context.count_points(1)?;
            groups.extend(Fold::new(node.op, 1).map(|fold| (numbered.labels(node, index), fold)));
        }
        let Some((_, fold)) = groups.get_mut(group) else { return Ok(()) };
        match latest {
            SampleValue::Float(value) => fold.add(&[value]),
            histogram @ SampleValue::Histogram(_) => {
                let column = Column::of(set.labels(index).clone(), histogram);
                histograms.add(group, &column, &mut fold.counts)?;
            }
        }
        Ok(())
    })?;
    let columns = groups
        .into_iter()
        .enumerate()
        .map(|(group, (labels, fold))| Column::new(labels, false, histograms.finish(group, fold.finish())));
    Ok(columns.collect())
}

/// Numbers groups in order of appearance.
struct Numbered {
    columns: Vec<LabelIds>,
    /// By the value's number, when there is one label.
    by_value: Vec<usize>,
    /// By the values' numbers, when there are several.
    by_values: Map<Vec<u32>, usize>,
    key: Vec<u32>,
    count: usize,
}

const NONE: usize = usize::MAX;

impl Numbered {
    fn new(node: &Aggregate, set: &dyn SeriesSet) -> Self {
        let columns: Vec<_> = node.labels.iter().map(|label| set.label_ids(label)).collect();
        let values = columns.first().map_or(1, |column| column.values.len());
        Self { columns, by_value: vec![NONE; values], by_values: Map::default(), key: Vec::new(), count: 0 }
    }

    fn of(&mut self, index: usize) -> usize {
        let next = self.count;
        let group = match self.columns.as_slice() {
            [] => &mut self.by_value[0],
            [column] => &mut self.by_value[column.ids[index] as usize],
            columns => {
                self.key.clear();
                self.key.extend(columns.iter().map(|column| column.ids[index]));
                if !self.by_values.contains_key(self.key.as_slice()) {
                    self.by_values.insert(self.key.clone(), NONE);
                }
                match self.by_values.get_mut(self.key.as_slice()) {
                    Some(group) => group,
                    None => unreachable!("it was put there above"),
                }
            }
        };
        if *group == NONE {
            *group = next;
            self.count += 1;
        }
        *group
    }

    /// The group's labels, read off a member.
    fn labels(&self, node: &Aggregate, index: usize) -> LabelSet {
        let pairs = node.labels.iter().zip(&self.columns).map(|(label, column)| {
            (label.as_str(), column.values.get(column.ids[index] as usize).map_or("", |value| &**value))
        });
        // A label may be named twice.
        let mut builder = LabelSet::empty().to_builder();
        pairs.for_each(|(name, value)| {
            builder.set(name, value);
        });
        builder.build()
    }
}
