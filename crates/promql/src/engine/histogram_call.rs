//! `histogram_quantile` and its siblings on vectors of classic buckets.

use model::LabelSet;

use super::annotations::for_metric_name;
use super::column::{Column, Grid, Map, absent, is_absent};
use super::context::Context;
use super::eval::{scalar, string, vector};
use super::histogram::{self, Bucket};
use super::{labels, rank};
use crate::ast::{Expr, Span};
use crate::error::QueryError;

/// The label that holds a bucket's upper bound.
const BUCKET_LABEL: &str = "le";

/// One histogram: its labels without `le`, and its buckets ascending by bound.
struct Group {
    labels: LabelSet,
    metric_name: String,
    buckets: Vec<(f64, Vec<f64>)>,
}

impl Group {
    fn at(&self, step: usize, out: &mut Vec<Bucket>) {
        out.clear();
        let present = self.buckets.iter().filter(|(_, values)| !is_absent(values[step]));
        out.extend(present.map(|(bound, values)| Bucket { upper_bound: *bound, count: values[step] }));
    }
}

fn groups(context: &Context<'_>, argument: &Expr, grid: Grid) -> Result<Vec<Group>, QueryError> {
    let mut index: Map<LabelSet, usize> = Map::default();
    let mut groups: Vec<Group> = Vec::new();
    for column in vector(context, argument, grid)? {
        let written = column.labels.get(BUCKET_LABEL).unwrap_or_default();
        let Some(bound) = parse_bound(written) else {
            remark_bad_bound(context, argument.span, written, column.labels.metric_name());
            continue;
        };
        let labels = column.labels.filtered(|name| name != BUCKET_LABEL);
        let position = *index.entry(labels.clone()).or_insert(groups.len());
        if position == groups.len() {
            let metric_name = labels.metric_name().to_owned();
            groups.push(Group { labels, metric_name, buckets: Vec::new() });
        }
        groups[position].buckets.push((bound, column.values));
    }
    for group in &mut groups {
        group.buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
    }
    Ok(groups)
}

fn parse_bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

fn remark_bad_bound(context: &Context<'_>, span: Span, written: &str, name: &str) {
    let text = format!(
        "bucket label {BUCKET_LABEL:?} is missing or has a malformed value of {written:?}{}",
        for_metric_name(name)
    );
    context.warn(span, &text);
}

/// A column per histogram of what `value` makes of its buckets at each step.
fn columns(
    grid: Grid,
    groups: &[Group],
    mut value: impl FnMut(usize, &Group, &mut Vec<Bucket>) -> f64,
) -> Vec<Column> {
    let mut scratch = Vec::new();
    let mut column = |group: &Group| {
        let values = (0..grid.count)
            .map(|step| {
                group.at(step, &mut scratch);
                if scratch.is_empty() { absent() } else { value(step, group, &mut scratch) }
            })
            .collect();
        Column { labels: group.labels.clone(), drop_name: true, values }
    };
    groups.iter().map(&mut column).collect()
}

fn quantile_columns(
    context: &Context<'_>,
    grid: Grid,
    groups: &[Group],
    phis: &[f64],
    span: Span,
) -> Vec<Column> {
    columns(grid, groups, |step, group, buckets| {
        let quantile = histogram::quantile(phis[step], buckets);
        if quantile.forced_monotonic {
            let text = format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see \
                 https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
                for_metric_name(&group.metric_name)
            );
            context.info(span, &text);
        }
        quantile.value
    })
}

/// `histogram_quantile(φ, v)`.
pub(crate) fn quantile(
    context: &Context<'_>,
    arguments: &[Expr],
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let phis = scalar(context, &arguments[0], grid)?;
    for phi in &phis {
        rank::remark_quantile(context, arguments[0].span, *phi);
    }
    let groups = groups(context, &arguments[1], grid)?;
    Ok(quantile_columns(context, grid, &groups, &phis, arguments[1].span))
}

/// `histogram_quantiles(v, label, φ…)`.
pub(crate) fn quantiles(
    context: &Context<'_>,
    arguments: &[Expr],
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let label = labels::label_name(&string(context, &arguments[1], grid)?)?;
    let groups = groups(context, &arguments[0], grid)?;
    let mut all = Vec::new();
    for argument in &arguments[2..] {
        let phis = scalar(context, argument, grid)?;
        for phi in &phis {
            rank::remark_quantile(context, argument.span, *phi);
        }
        for mut column in quantile_columns(context, grid, &groups, &phis, arguments[0].span) {
            let mut builder = column.labels.to_builder();
            builder.set(&label, &quantile_label(phis.first().copied().unwrap_or(f64::NAN)));
            column.labels = builder.build();
            all.push(column);
        }
    }
    Ok(all)
}

/// φ as OpenMetrics writes it: with a decimal point, or with an exponent from 10⁶ and below 10⁻⁴.
fn quantile_label(phi: f64) -> String {
    if phi.is_finite() && phi != 0.0 && !(1e-4..1e6).contains(&phi.abs()) {
        let text = format!("{phi:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = crate::format_value(phi);
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') { format!("{text}.0") } else { text }
}

/// `histogram_fraction(lower, upper, v)`.
pub(crate) fn fraction(
    context: &Context<'_>,
    arguments: &[Expr],
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let lower = scalar(context, &arguments[0], grid)?;
    let upper = scalar(context, &arguments[1], grid)?;
    let groups = groups(context, &arguments[2], grid)?;
    Ok(columns(grid, &groups, |step, _, buckets| histogram::fraction(lower[step], upper[step], buckets)))
}
