//! Aggregations that need all values of a step at once: `topk`, `bottomk`, `limitk`, `limit_ratio`, `quantile`,
//! `count_values`; and `sort`.

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hasher};

use model::{LabelSet, METRIC_NAME};

use super::aggregate::{Groups, group_labels};
use super::column::{Column, Grid, Map, absent, is_absent};
use super::context::Context;
use super::eval::{scalar, string, vector};
use super::{labels, math};
use crate::ast::{Aggregate, AggregateOp, Span};
use crate::error::QueryError;

/// Evaluates one of them.
pub(crate) fn eval(context: &Context<'_>, node: &Aggregate, grid: Grid) -> Result<Vec<Column>, QueryError> {
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
            for phi in &parameters {
                remark_quantile(context, parameter.span, *phi);
            }
            Ok(quantile(node, &columns, &parameters, grid))
        }
        AggregateOp::LimitRatio => limit_ratio(context, columns, &parameters, parameter.span),
        _ => keep_k(node, columns, &parameters, grid),
    }
}

/// Warns of a φ outside 0..=1.
pub(crate) fn remark_quantile(context: &Context<'_>, span: Span, phi: f64) {
    if phi.is_nan() || !(0.0..=1.0).contains(&phi) {
        let text = format!("quantile value should be between 0 and 1, got {}", crate::format_value(phi));
        context.warn(span, &text);
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
    let columns = groups.list.into_iter().zip(&members).map(|(group, members)| Column {
        labels: group.labels,
        drop_name: group.drop_name,
        values: values(members),
    });
    columns.collect()
}

/// `topk`, `bottomk` and `limitk`: the kept series with what is kept of them.
fn keep_k(node: &Aggregate, columns: Vec<Column>, ks: &[f64], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let ks = ks.iter().map(|k| whole_k(*k)).collect::<Result<Vec<usize>, QueryError>>()?;
    let (_, members) = members(node, &columns);
    let mut kept: Vec<Vec<f64>> = columns.iter().map(|_| Vec::new()).collect();
    let mut order = Vec::new();
    for members in &members {
        for (step, k) in ks.iter().enumerate().filter(|(_, k)| **k > 0) {
            let value = |member: &usize| columns[*member].values[step];
            let mut present: Vec<usize> =
                members.iter().copied().filter(|member| !is_absent(value(member))).collect();
            match node.op {
                AggregateOp::Topk => present.sort_by(|left, right| rank_order(value(right), value(left))),
                AggregateOp::Bottomk => {
                    present.sort_by(|left, right| rank_order(-value(right), -value(left)))
                }
                _ => {}
            }
            for member in present.into_iter().take(*k) {
                if kept[member].is_empty() {
                    kept[member] = vec![absent(); grid.count];
                    order.push(member);
                }
                kept[member][step] = value(&member);
            }
        }
    }
    let keep = |member: usize| Column {
        labels: columns[member].labels.clone(),
        drop_name: columns[member].drop_name,
        values: std::mem::take(&mut kept[member]),
    };
    Ok(order.into_iter().map(keep).collect())
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
    for ratio in ratios.iter().filter(|ratio| ratio.abs() > 1.0) {
        context.warn(
            span,
            &format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                crate::format_value(*ratio),
                ratio.signum()
            ),
        );
    }
    for column in &mut columns {
        let place = hash_ratio(&column.labels);
        for (value, ratio) in column.values.iter_mut().zip(ratios) {
            let ratio = ratio.clamp(-1.0, 1.0);
            let keep = if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio };
            if !keep {
                *value = absent();
            }
        }
    }
    columns.retain(|column| column.values.iter().any(|value| !is_absent(*value)));
    Ok(columns)
}

/// A place in 0..1 that depends on the labels alone.
#[expect(clippy::cast_precision_loss, reason = "a place, not a count")]
fn hash_ratio(labels: &LabelSet) -> f64 {
    let mut hasher = foldhash::quality::FixedState::with_seed(0).build_hasher();
    hasher.write(labels.as_bytes());
    (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64
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
        for (step, value) in column.values.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
            let mut builder = base.to_builder();
            builder.set(label, &crate::format_value(*value));
            let labels = builder.build();
            let position = *index.entry(labels.clone()).or_insert(counts.len());
            if position == counts.len() {
                context.count_points(grid.count)?;
                counts.push(Column { labels, drop_name: false, values: vec![absent(); grid.count] });
            }
            let group = &mut counts[position];
            group.drop_name |= column.drop_name && label != METRIC_NAME;
            let count = &mut group.values[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }
    Ok(counts)
}

/// Orders by value; NaN last either way.
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
