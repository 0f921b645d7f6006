//! `histogram_quantile` and its siblings on vectors of classic buckets and of native histograms.
//!
//! ```text
//! x{le="1"} 3   x{le="+Inf"} 4    ─ one group, labels without `le` ─▶ quantile of cumulative counts
//! x {{count:4 …}}                 ─ its own column ────────────────▶ quantile of the histogram
//! both at one step                ─ neither: a warning
//! ```

use model::LabelSet;

use super::annotations::{Forced, Note};
use super::column::{Column, Grid, Map, Steps, absent, is_absent};
use super::context::Context;
use super::eval::{scalar, string, vector};
use super::histogram::{self, Bucket};
use super::{labels, native, rank};
use crate::ast::{Expr, Span};
use crate::error::QueryError;
use crate::functions::Statistic;

/// The label that holds a bucket's upper bound.
const BUCKET_LABEL: &str = "le";

/// One classic histogram: its labels without `le`, and its buckets ascending by bound.
struct Group {
    labels: LabelSet,
    buckets: Vec<(f64, Vec<f64>)>,
}

impl Group {
    fn at(&self, step: usize, out: &mut Vec<Bucket>) {
        out.clear();
        let present = self.buckets.iter().filter(|(_, values)| !is_absent(values[step]));
        out.extend(present.map(|(bound, values)| Bucket { upper_bound: *bound, count: values[step] }));
    }

    fn is_present(&self, step: usize) -> bool {
        self.buckets.iter().any(|(_, values)| !is_absent(values[step]))
    }
}

/// The histograms of a vector.
struct Histograms {
    classic: Vec<Group>,
    /// Columns of native ones.
    native: Vec<Column>,
}

fn histograms(context: &Context<'_>, argument: &Expr, grid: Grid) -> Result<Histograms, QueryError> {
    let mut index: Map<LabelSet, usize> = Map::default();
    let mut classic: Vec<Group> = Vec::new();
    let mut native: Vec<Column> = Vec::new();
    for mut column in vector(context, argument, grid)? {
        if column.has_histograms() {
            let floats = std::mem::replace(&mut column.values, vec![absent(); grid.count]);
            native.push(column.clone());
            column.values = floats;
        }
        if column.values.iter().all(|value| is_absent(*value)) {
            continue;
        }
        let written = column.labels.get(BUCKET_LABEL).unwrap_or_default();
        let Some(bound) = parse_bound(written) else {
            context.note(
                argument.unwrap_parens().span,
                Note::bad_bucket_label(column.labels.metric_name(), written),
            );
            continue;
        };
        let labels = column.labels.filtered(|name| name != BUCKET_LABEL);
        let position = *index.entry(labels.clone()).or_insert(classic.len());
        if position == classic.len() {
            classic.push(Group { labels, buckets: Vec::new() });
        }
        classic[position].buckets.push((bound, column.values));
    }
    for group in &mut classic {
        group.buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
    }
    remove_mixed(context, argument.unwrap_parens().span, &index, &mut classic, &mut native);
    Ok(Histograms { classic, native })
}

/// Where one metric has classic buckets and a native histogram at the same step, neither is evaluated.
fn remove_mixed(
    context: &Context<'_>,
    span: Span,
    index: &Map<LabelSet, usize>,
    classic: &mut [Group],
    native: &mut [Column],
) {
    for column in native {
        let Some(position) = index.get(&column.labels) else { continue };
        let group = &mut classic[*position];
        for step in 0..column.values.len() {
            if column.histogram(step).is_some() && group.is_present(step) {
                context.note(span, Note::mixed_classic_native(column.labels.metric_name()));
                column.clear(step);
                group.buckets.iter_mut().for_each(|(_, values)| values[step] = absent());
            }
        }
    }
}

fn parse_bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

/// A column of floats per histogram: what `of_native` and `of_classic` make of it at each step.
fn columns(
    grid: Grid,
    histograms: &Histograms,
    of_native: impl Fn(usize, &model::Histogram, &str) -> f64,
    of_classic: impl Fn(usize, &mut Vec<Bucket>, &str) -> f64,
) -> Vec<Column> {
    let mut columns = Vec::with_capacity(histograms.native.len() + histograms.classic.len());
    for column in &histograms.native {
        let name = column.labels.metric_name();
        let value = |step| column.histogram(step).map_or_else(absent, |h| of_native(step, h, name));
        columns.push(Column::floats(column.labels.clone(), true, (0..grid.count).map(value).collect()));
    }
    let mut scratch = Vec::new();
    for group in &histograms.classic {
        let name = group.labels.metric_name();
        let mut value = |step| {
            group.at(step, &mut scratch);
            if scratch.is_empty() { absent() } else { of_classic(step, &mut scratch, name) }
        };
        let values = (0..grid.count).map(&mut value).collect();
        columns.push(Column::floats(group.labels.clone(), true, values));
    }
    columns
}

fn quantile_columns(
    context: &Context<'_>,
    grid: Grid,
    histograms: &Histograms,
    phis: &[f64],
    span: Span,
) -> Vec<Column> {
    let of_native = |step: usize, histogram: &model::Histogram, name: &str| {
        let (value, note) = native::quantile(phis[step], histogram, name);
        if let Some(note) = note {
            context.note(span, note);
        }
        value
    };
    let of_classic = |step: usize, buckets: &mut Vec<Bucket>, name: &str| {
        let quantile = histogram::quantile(phis[step], buckets);
        if let Some(raised) = quantile.raised {
            let ts_ms = grid.time_ms(step);
            let forced = Forced {
                ts_min_ms: ts_ms,
                ts_max_ms: ts_ms,
                bucket_min: raised.bucket_min,
                bucket_max: raised.bucket_max,
                difference_max: raised.difference_max,
                count: 1,
            };
            context.note(span, Note::forced_monotonicity(name, forced));
        }
        quantile.value
    };
    columns(grid, histograms, of_native, of_classic)
}

/// `histogram_quantile(φ, v)`.
pub(crate) fn quantile(
    context: &Context<'_>,
    arguments: &[Expr],
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let phis = scalar(context, &arguments[0], grid)?;
    rank::remark_quantiles(context, arguments[0].unwrap_parens().span, &phis, |_| true);
    let histograms = histograms(context, &arguments[1], grid)?;
    Ok(quantile_columns(context, grid, &histograms, &phis, arguments[1].unwrap_parens().span))
}

/// `histogram_quantiles(v, label, φ…)`.
pub(crate) fn quantiles(
    context: &Context<'_>,
    arguments: &[Expr],
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let label = labels::label_name(&string(context, &arguments[1], grid)?)?;
    let histograms = histograms(context, &arguments[0], grid)?;
    let mut all = Vec::new();
    for argument in &arguments[2..] {
        let phis = scalar(context, argument, grid)?;
        rank::remark_quantiles(context, argument.unwrap_parens().span, &phis, |_| true);
        for column in quantile_columns(context, grid, &histograms, &phis, arguments[0].unwrap_parens().span) {
            label_steps(context, &column, &label, &phis, &mut all)?;
        }
    }
    super::column::join_equal(all)
}

/// Puts φ, which may change from step to step, into a label.
fn label_steps(
    context: &Context<'_>,
    column: &Column,
    label: &str,
    phis: &[f64],
    out: &mut Vec<Column>,
) -> Result<(), QueryError> {
    let mut distinct: Vec<f64> = Vec::new();
    for phi in phis {
        if !distinct.iter().any(|known| known.to_bits() == phi.to_bits()) {
            distinct.push(*phi);
        }
    }
    for phi in distinct {
        context.count_points(phis.len())?;
        let mut builder = column.labels.to_builder();
        builder.set(label, &quantile_label(phi));
        let values = phis.iter().zip(&column.values);
        let of_phi =
            |(at, value): (&f64, &f64)| if at.to_bits() == phi.to_bits() { *value } else { absent() };
        out.push(Column::floats(builder.build(), column.drop_name, values.map(of_phi).collect()));
    }
    Ok(())
}

/// φ as OpenMetrics writes it: with a decimal point or an exponent.
fn quantile_label(phi: f64) -> String {
    let text = crate::format_value_short(phi);
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
    let histograms = histograms(context, &arguments[2], grid)?;
    let of_native = |step: usize, histogram: &model::Histogram, name: &str| {
        let (value, note) = native::fraction(lower[step], upper[step], histogram, name);
        if let Some(note) = note {
            context.note(arguments[2].unwrap_parens().span, note);
        }
        value
    };
    let of_classic = |step: usize, buckets: &mut Vec<Bucket>, _: &str| {
        histogram::fraction(lower[step], upper[step], buckets)
    };
    Ok(columns(grid, &histograms, of_native, of_classic))
}

/// `histogram_count(v)` and its siblings: native histograms only.
pub(crate) fn statistic(
    context: &Context<'_>,
    argument: &Expr,
    grid: Grid,
    statistic: Statistic,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = vector(context, argument, grid)?;
    columns.retain(Column::has_histograms);
    for column in &mut columns {
        let mut steps = Steps::absent(grid.count);
        for (step, value) in steps.values.iter_mut().enumerate() {
            if let Some(histogram) = column.histogram(step) {
                *value = native::statistic(statistic, histogram);
            }
        }
        *column = Column::new(column.labels.clone(), true, steps);
    }
    Ok(columns)
}
