//! Aggregations that need all values of a step at once: `topk`, `bottomk`, `limitk`, `limit_ratio`, `quantile`,
//! `count_values`; and `sort`.

use std::cmp::Ordering;

use model::{LabelSet, METRIC_NAME};

use super::aggregate::{Groups, group_labels};
use super::annotations::Note;
use super::column::{Cell, Column, Grid, Map, Steps, absent, is_absent};
use super::context::Context;
use super::eval::{scalar, string, vector};
use super::{labels, math, sampling};
use crate::ast::{Aggregate, AggregateOp, Span};
use crate::error::QueryError;

/// Evaluates one of them, which stands at `span`.
pub(crate) fn eval(
    context: &Context<'_>,
    node: &Aggregate,
    span: Span,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let Some(parameter) = &node.parameter else {
        return Err(QueryError::Execution("BUG: this aggregation takes a parameter".into()));
    };
    if node.op == AggregateOp::CountValues {
        let label = labels::label_name(&string(context, parameter, grid)?)?;
        let columns = vector(context, &node.expr, grid)?;
        return count_values(context, node, &label, &columns, grid);
    }
    let parameters = scalar(context, parameter, grid)?;
    let columns = vector(context, &node.expr, grid)?;
    match node.op {
        AggregateOp::Quantile => {
            remark_extreme_quantiles(context, parameter.unwrap_parens().span, &parameters);
            if columns.iter().any(Column::has_histograms) {
                context
                    .note(node.expr.unwrap_parens().span, Note::histogram_ignored_in_aggregation("quantile"));
            }
            Ok(quantile(node, &columns, &parameters, grid))
        }
        AggregateOp::LimitRatio => limit_ratio(context, columns, &parameters, parameter.unwrap_parens().span),
        _ => {
            let ks = parameters.iter().map(|k| whole_k(*k)).collect::<Result<Vec<usize>, QueryError>>()?;
            let ignores = |column: &Column, step: usize| ks[step] > 0 && column.histogram(step).is_some();
            let keeps_histograms = node.op == AggregateOp::Limitk;
            if !keeps_histograms && columns.iter().any(|c| (0..grid.count).any(|step| ignores(c, step))) {
                context.note(span, Note::histogram_ignored_in_aggregation(node.op.as_str()));
            }
            Ok(keep_k(node, columns, &ks, grid))
        }
    }
}

/// Warns of each φ outside 0..=1 at the steps that use it.
pub(crate) fn remark_quantiles(
    context: &Context<'_>,
    span: Span,
    phis: &[f64],
    is_used: impl Fn(usize) -> bool,
) {
    let mut last = None;
    for (step, phi) in phis.iter().enumerate() {
        if !(0.0..=1.0).contains(phi) && last != Some(phi.to_bits()) && is_used(step) {
            context.note(span, Note::invalid_quantile(*phi));
            last = Some(phi.to_bits());
        }
    }
}

/// Warns of the largest and the smallest φ outside 0..=1.
fn remark_extreme_quantiles(context: &Context<'_>, span: Span, phis: &[f64]) {
    let nan = phis.iter().copied().find(|phi| phi.is_nan());
    let largest = phis.iter().copied().reduce(f64::max).filter(|phi| *phi > 1.0);
    let smallest = phis.iter().copied().reduce(f64::min).filter(|phi| *phi < 0.0);
    for phi in nan.into_iter().chain(largest).chain(smallest) {
        context.note(span, Note::invalid_quantile(phi));
    }
}

/// Members of each group: positions in `columns`.
fn members(node: &Aggregate, columns: &[Column]) -> (Groups, Vec<Vec<usize>>) {
    let mut groups = Groups::default();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let group = groups.of(node, column);
        if group == members.len() {
            members.push(Vec::new());
        }
        members[group].push(index);
    }
    (groups, members)
}

fn quantile(node: &Aggregate, columns: &[Column], phis: &[f64], grid: Grid) -> Vec<Column> {
    let (groups, members) = members(node, columns);
    let mut present = Vec::new();
    let mut values = |members: &[usize]| {
        (0..grid.count)
            .map(|step| {
                present.clear();
                present.extend(members.iter().map(|m| columns[*m].values[step]).filter(|v| !is_absent(*v)));
                math::sort_nan_first(&mut present);
                if present.is_empty() { absent() } else { math::quantile_sorted(phis[step], &present) }
            })
            .collect()
    };
    let groups = groups.list.into_iter().zip(&members);
    groups.map(|(group, members)| Column::floats(group.labels, group.drop_name, values(members))).collect()
}

/// `topk`, `bottomk` and `limitk`: the kept series with what is kept of them. Only `limitk` keeps histograms.
fn keep_k(node: &Aggregate, columns: Vec<Column>, ks: &[usize], grid: Grid) -> Vec<Column> {
    let (_, members) = members(node, &columns);
    let mut kept: Vec<Option<Column>> = vec![None; columns.len()];
    let mut order = Vec::new();
    let is_candidate = |member: usize, step: usize| match node.op {
        AggregateOp::Limitk => columns[member].is_present(step),
        _ => !is_absent(columns[member].values[step]),
    };
    for members in &members {
        for (step, k) in ks.iter().enumerate().filter(|(_, k)| **k > 0) {
            let value = |member: &usize| columns[*member].values[step];
            let mut present: Vec<usize> =
                members.iter().copied().filter(|member| is_candidate(*member, step)).collect();
            match node.op {
                AggregateOp::Topk => present.sort_by(|left, right| rank_order(value(right), value(left))),
                AggregateOp::Bottomk => {
                    present.sort_by(|left, right| rank_order(-value(right), -value(left)))
                }
                _ => {}
            }
            for member in present.into_iter().take(*k) {
                let column = &columns[member];
                let kept = kept[member].get_or_insert_with(|| {
                    order.push(member);
                    Column::new(column.labels.clone(), column.drop_name, Steps::absent(grid.count))
                });
                if let Some(sample) = column.sample(step) {
                    kept.set(step, sample);
                }
            }
        }
    }
    order.into_iter().filter_map(|member| kept[member].take()).collect()
}

/// NaN is below everything.
fn rank_order(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
    }
}

fn whole_k(k: f64) -> Result<usize, QueryError> {
    if k.is_nan() {
        return Err(QueryError::Execution("Parameter value is NaN".into()));
    }
    #[expect(clippy::cast_precision_loss, reason = "a bound, not a count")]
    let bound = i64::MAX as f64;
    if k >= bound {
        return Err(QueryError::Execution(format!(
            "Scalar value {} overflows int64",
            crate::format_value(k)
        )));
    }
    if k <= -bound {
        return Err(QueryError::Execution(format!(
            "Scalar value {} underflows int64",
            crate::format_value(k)
        )));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and i64::MAX")]
    Ok(k.max(0.0) as usize)
}

/// Keeps the share `ratio` of the series, chosen by a hash of their labels; `-ratio` keeps exactly the others.
fn limit_ratio(
    context: &Context<'_>,
    mut columns: Vec<Column>,
    ratios: &[f64],
    span: Span,
) -> Result<Vec<Column>, QueryError> {
    if ratios.iter().any(|ratio| ratio.is_nan()) {
        return Err(QueryError::Execution("Ratio value is NaN".into()));
    }
    let largest = ratios.iter().copied().reduce(f64::max).filter(|ratio| *ratio > 1.0);
    let smallest = ratios.iter().copied().reduce(f64::min).filter(|ratio| *ratio < -1.0);
    for ratio in largest.into_iter().chain(smallest) {
        context.note(span, Note::invalid_ratio(ratio));
    }
    for column in &mut columns {
        let place = sampling::place(&column.labels);
        for (step, ratio) in ratios.iter().enumerate() {
            let ratio = ratio.clamp(-1.0, 1.0);
            let keep = if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio };
            if !keep {
                column.clear(step);
            }
        }
    }
    columns.retain(Column::any);
    Ok(columns)
}

fn count_values(
    context: &Context<'_>,
    node: &Aggregate,
    label: &str,
    columns: &[Column],
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let mut index: Map<LabelSet, usize> = Map::default();
    let mut counts: Vec<Column> = Vec::new();
    for column in columns {
        let base = group_labels(node, &column.labels);
        for step in 0..grid.count {
            let written = match column.at(step) {
                Some(Cell::Float(value)) => crate::format_value(value),
                Some(Cell::Histogram(histogram)) => histogram.to_string(),
                None => continue,
            };
            let mut builder = base.to_builder();
            builder.set(label, &written);
            let labels = builder.build();
            let position = *index.entry(labels.clone()).or_insert(counts.len());
            if position == counts.len() {
                context.count_points(grid.count)?;
                counts.push(Column::new(labels, false, Steps::absent(grid.count)));
            }
            let group = &mut counts[position];
            group.drop_name |= column.drop_name && label != METRIC_NAME;
            let count = &mut group.values[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }
    Ok(counts)
}

/// Orders by value; NaN last either way. Histograms are left out: they have no order.
pub(crate) fn sort(mut columns: Vec<Column>, descending: bool) -> Vec<Column> {
    columns.retain(|column| !is_absent(column.values[0]));
    columns.sort_by(|left, right| {
        let (left, right) = (left.values[0], right.values[0]);
        match (left.is_nan(), right.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if descending => right.partial_cmp(&left).unwrap_or(Ordering::Equal),
            (false, false) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
        }
    });
    columns
}
