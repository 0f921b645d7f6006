//! `info(v, {…})`: labels of info metrics (`target_info`) put onto the series of the same `job` and `instance`.
//!
//! ```text
//! http_total{job="a", instance="1"}   +   target_info{job="a", instance="1", version="2"}
//!   → http_total{job="a", instance="1", version="2"}             per step: the newest info sample counts
//! ```
//! - The second argument says which info metrics (`__name__`) and which of their labels.
//! - A label that the series has already stays; two info metrics that disagree are an error.
//! - The `@` and offset of the first argument move the info series too.

use model::{Aggregate, LabelSet, METRIC_NAME, MatchOp, Matcher, SampleColumns};

use super::column::{Column, Grid, Map, Steps, is_absent};
use super::context::{Context, Shift};
use super::eval;
use super::select::{Pick, each_series, latest_floats, read_range};
use crate::ast::{Expr, ExprKind};
use crate::error::QueryError;

/// The labels by which info series find others.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
const DEFAULT_METRIC: &str = "target_info";

/// What the second argument asks for.
struct Wanted {
    names: Vec<Matcher>,
    labels: Vec<Matcher>,
}

impl Wanted {
    fn new(argument: Option<&Expr>) -> Self {
        let mut wanted = Self { names: Vec::new(), labels: Vec::new() };
        if let Some(ExprKind::Selector(selector)) = argument.map(|argument| &argument.kind) {
            for matcher in &selector.matchers {
                let list = if matcher.name() == METRIC_NAME { &mut wanted.names } else { &mut wanted.labels };
                list.push(matcher.clone());
            }
        }
        let is_positive = |matcher: &Matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex);
        if wanted.names.is_empty() {
            wanted.names.push(Matcher::equal(METRIC_NAME, DEFAULT_METRIC));
        } else if !wanted.names.iter().any(is_positive)
            && let Ok(any_info) = Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info")
        {
            wanted.names.push(any_info);
        }
        wanted
    }

    fn is_info(&self, labels: &LabelSet) -> bool {
        self.names.iter().all(|matcher| matcher.matches(labels.metric_name()))
    }

    fn wants(&self, label: &str) -> bool {
        self.labels.is_empty() || self.labels.iter().any(|matcher| matcher.name() == label)
    }

    /// Whether a series stays that no info series belongs to.
    fn is_optional(&self) -> bool {
        self.labels.iter().all(Matcher::matches_empty)
    }
}

/// An info series: the time of its sample at each step, absent where there is none.
struct InfoSeries {
    labels: LabelSet,
    times: Vec<f64>,
}

/// Evaluates `info`.
pub(crate) fn eval(context: &Context<'_>, arguments: &[Expr], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let shift = shift_of(context, &arguments[0]);
    let columns = eval::vector(context, &arguments[0], grid)?;
    let wanted = Wanted::new(arguments.get(1));
    let infos = read_infos(context, &columns, &wanted, grid, shift)?;
    let mut by_identity: Map<LabelSet, Vec<&InfoSeries>> = Map::default();
    for info in &infos {
        by_identity.entry(identity(&info.labels)).or_default().push(info);
    }
    let mut out: Vec<Column> = Vec::new();
    for column in columns {
        if wanted.is_info(&column.labels) {
            out.push(column);
            continue;
        }
        context.check_running()?;
        let infos = by_identity.get(&identity(&column.labels)).map_or(&[][..], Vec::as_slice);
        enrich(context, column, infos, &wanted, &mut out)?;
    }
    super::column::join_equal(out)
}

fn identity(labels: &LabelSet) -> LabelSet {
    labels.filtered(|name| IDENTIFYING.contains(&name))
}

/// Where the first selector of an expression looks: the innermost `@` counts, offsets up to it add up.
fn shift_of(context: &Context<'_>, expr: &Expr) -> Shift {
    let mut shift = Shift::default();
    first_shift(context, expr, &mut shift);
    shift
}

/// Whether a selector was found below.
fn first_shift(context: &Context<'_>, expr: &Expr, shift: &mut Shift) -> bool {
    match &expr.kind {
        ExprKind::Selector(selector) => {
            *shift = context.shift(&selector.shift);
            true
        }
        ExprKind::Subquery(subquery) => {
            let found = first_shift(context, &subquery.expr, shift);
            if found && shift.at_ms.is_none() {
                let here = context.shift(&subquery.shift);
                shift.offset_ms = shift.offset_ms.saturating_add(here.offset_ms);
                shift.at_ms = here.at_ms;
            }
            found
        }
        ExprKind::Number { .. } | ExprKind::String(_) => false,
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => first_shift(context, inner, shift),
        ExprKind::Binary(binary) => {
            first_shift(context, &binary.left, shift) || first_shift(context, &binary.right, shift)
        }
        ExprKind::Aggregate(aggregate) => {
            first_shift(context, &aggregate.expr, shift)
                || aggregate
                    .parameter
                    .as_ref()
                    .is_some_and(|parameter| first_shift(context, parameter, shift))
        }
        ExprKind::Call(call) => call.arguments.iter().any(|argument| first_shift(context, argument, shift)),
    }
}

/// Reads the info series of all jobs and instances that occur.
fn read_infos(
    context: &Context<'_>,
    columns: &[Column],
    wanted: &Wanted,
    grid: Grid,
    shift: Shift,
) -> Result<Vec<InfoSeries>, QueryError> {
    let mut matchers = wanted.names.clone();
    matchers.extend(wanted.labels.iter().cloned());
    let mut identified = false;
    for name in IDENTIFYING {
        let others = columns.iter().filter(|column| !wanted.is_info(&column.labels));
        let mut values: Vec<String> =
            others.filter_map(|column| column.labels.get(name)).map(regex::escape).collect();
        values.sort_unstable();
        values.dedup();
        if values.is_empty() {
            continue;
        }
        identified = true;
        let matcher = Matcher::new(name, MatchOp::Regex, values.join("|"));
        matchers.push(matcher.map_err(|error| QueryError::Execution(error.to_string()))?);
    }
    let mut infos = Vec::new();
    if !identified {
        return Ok(infos);
    }
    let lookback_ms = context.lookback_ms;
    let compute = |labels: &LabelSet, samples: &mut SampleColumns| {
        if !samples.histograms.is_empty() {
            return Err(QueryError::Execution(format!(
                "this should be an info metric, with float samples: {labels}"
            )));
        }
        let values = latest_floats(samples, grid, shift, lookback_ms, Pick::Timestamp);
        Ok(values.map(|values| Steps { values, histograms: Vec::new() }))
    };
    let range = read_range(grid, shift, lookback_ms);
    each_series(context, &matchers, range, Aggregate::Samples, &compute, &mut |column| {
        context.count_points(column.values.len())?;
        infos.push(InfoSeries { labels: column.labels, times: column.values });
        Ok(())
    })?;
    Ok(infos)
}

/// Which info series count at a step: of each metric the one with the newest sample.
fn newest_at<'i>(infos: &[&'i InfoSeries], step: usize) -> Result<Vec<&'i InfoSeries>, QueryError> {
    let mut newest: Vec<&InfoSeries> = Vec::new();
    for info in infos.iter().filter(|info| !is_absent(info.times[step])) {
        let same = newest.iter_mut().find(|other| other.labels.metric_name() == info.labels.metric_name());
        match same {
            None => newest.push(info),
            Some(other) if other.times[step] < info.times[step] => *other = info,
            Some(other) if other.times[step] > info.times[step] => {}
            Some(other) => {
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                    other.labels,
                    other.times[step] * 1e3,
                    info.labels,
                    info.times[step] * 1e3
                )));
            }
        }
    }
    Ok(newest)
}

/// Puts the labels on; their values may change from step to step, and the series then falls into several.
fn enrich(
    context: &Context<'_>,
    column: Column,
    infos: &[&InfoSeries],
    wanted: &Wanted,
    out: &mut Vec<Column>,
) -> Result<(), QueryError> {
    let mut parts: Vec<Column> = Vec::new();
    let mut known: Option<(Vec<*const InfoSeries>, usize)> = None;
    for step in 0..column.values.len() {
        let Some(sample) = column.sample(step) else { continue };
        let newest = newest_at(infos, step)?;
        if newest.is_empty() && !wanted.is_optional() {
            continue;
        }
        let signature: Vec<*const InfoSeries> = newest.iter().map(|info| std::ptr::from_ref(*info)).collect();
        let position = match &known {
            Some((last, position)) if *last == signature => *position,
            _ => {
                let labels = enriched(&column.labels, &newest, wanted)?;
                let position = parts.iter().position(|part| part.labels == labels).unwrap_or(parts.len());
                if position == parts.len() {
                    context.count_points(column.values.len())?;
                    let steps = Steps::absent(column.values.len());
                    parts.push(Column::new(labels, column.drop_name, steps));
                }
                known = Some((signature, position));
                position
            }
        };
        parts[position].set(step, sample);
    }
    out.append(&mut parts);
    Ok(())
}

fn enriched(labels: &LabelSet, infos: &[&InfoSeries], wanted: &Wanted) -> Result<LabelSet, QueryError> {
    let mut builder = labels.to_builder();
    for info in infos {
        for (name, value) in info.labels.iter() {
            if name == METRIC_NAME || !wanted.wants(name) || labels.get(name).is_some() {
                continue;
            }
            if builder.get(name).is_some_and(|other| other != value) {
                return Err(QueryError::Execution(format!("conflicting label: {name}")));
            }
            builder.set(name, value);
        }
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_negative_names_mean_all_info_metrics() {
        let text = "info(m, {__name__!=\"x_info\"})";
        let expr = crate::parse_with(text, &crate::Syntax::all()).expect("valid");
        let ExprKind::Call(call) = expr.kind else { panic!("not a call") };
        let wanted = Wanted::new(call.arguments.get(1));
        let named = |name: &str| LabelSet::from_pairs([(METRIC_NAME, name)]).expect("valid");
        assert!(wanted.is_info(&named("y_info")) && !wanted.is_info(&named("x_info")));
        assert!(!wanted.is_info(&named("up")));
        assert!(wanted.is_optional());
    }
}
