//! Calls: functions of ranges, of vectors, and between types.

use model::{LabelSet, METRIC_NAME, MatchOp};

use super::column::{Column, Evaluated, Grid, absent, is_absent};
use super::context::Context;
use super::eval::{Sink, map_present, scalar, string, vector};
use super::select::{self, RangeArgument, WindowView, seconds};
use super::{histogram_call, labels, rank, window as window_functions};
use crate::ast::{Call, Expr, ExprKind, Span};
use crate::error::QueryError;
use crate::functions::{Kind, Window};
use crate::parser::extension_refusal;

/// Evaluates a call over all steps.
pub(crate) fn eval(context: &Context<'_>, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
    let arguments = &call.arguments;
    let each_step =
        |function: &dyn Fn(i64) -> f64| Evaluated::Scalar(grid.times_ms().map(function).collect());
    let whole = |value: f64| Evaluated::Scalar(vec![value; grid.count]);
    let bounds = context.bounds;
    Ok(match call.function.kind {
        Kind::Constant(value) => whole(value),
        Kind::Time => each_step(&seconds),
        Kind::QueryStart => whole(seconds(bounds.start_ms)),
        Kind::QueryEnd => whole(seconds(bounds.end_ms)),
        Kind::QueryStep => whole(seconds(bounds.step_ms)),
        Kind::QueryRange => whole(seconds(bounds.end_ms.saturating_sub(bounds.start_ms))),
        Kind::MinOf | Kind::MaxOf => extreme_of(context, call, grid)?,
        Kind::ToScalar => Evaluated::Scalar(to_scalar(&vector(context, &arguments[0], grid)?, grid)),
        _ => Evaluated::Vector(eval_vector(context, call, grid)?),
    })
}

fn eval_vector(context: &Context<'_>, call: &Call, grid: Grid) -> Result<Vec<Column>, QueryError> {
    let arguments = &call.arguments;
    match call.function.kind {
        Kind::Map(function) => map(context, &arguments[0], grid, |_, value| function(value)),
        Kind::Clamp => clamp(context, arguments, grid),
        Kind::ClampMin => {
            let least = scalar(context, &arguments[1], grid)?;
            map(context, &arguments[0], grid, |step, value| go_max(least[step], value))
        }
        Kind::ClampMax => {
            let most = scalar(context, &arguments[1], grid)?;
            map(context, &arguments[0], grid, |step, value| go_min(most[step], value))
        }
        Kind::Round => round(context, arguments, grid),
        Kind::Window(_) => {
            let mut columns = Vec::new();
            window(context, call, grid, &mut |column| {
                context.count_points(column.values.len())?;
                columns.push(column);
                Ok(())
            })?;
            Ok(columns)
        }
        Kind::Absent => {
            let columns = vector(context, &arguments[0], grid)?;
            Ok(vec![absent_column(&arguments[0], &columns, grid)])
        }
        Kind::AbsentOverTime => absent_over_time(context, &arguments[0], grid),
        Kind::ToVector => {
            let values = scalar(context, &arguments[0], grid)?;
            Ok(vec![Column { labels: LabelSet::empty(), drop_name: false, values }])
        }
        Kind::Timestamp => timestamp(context, &arguments[0], grid),
        Kind::Sort { descending } => {
            let columns = sortable(context, call, grid)?;
            Ok(if context.bounds.is_range { columns } else { rank::sort(columns, descending) })
        }
        Kind::SortByLabel { descending } => {
            let columns = sortable(context, call, grid)?;
            let mut names = Vec::new();
            for argument in &arguments[1..] {
                names.push(labels::label_name(&string(context, argument, grid)?)?);
            }
            Ok(labels::sort_by_labels(columns, &names, descending))
        }
        Kind::Calendar(function) => calendar(context, arguments, grid, function),
        Kind::LabelReplace => labels::replace(context, arguments, grid),
        Kind::LabelJoin => labels::join(context, arguments, grid),
        Kind::HistogramQuantile => histogram_call::quantile(context, arguments, grid),
        Kind::HistogramQuantiles => histogram_call::quantiles(context, arguments, grid),
        Kind::HistogramFraction => histogram_call::fraction(context, arguments, grid),
        Kind::NativeHistogram => {
            vector(context, &arguments[0], grid)?;
            Ok(Vec::new())
        }
        Kind::Unsupported => {
            Err(QueryError::Execution(format!("function {} is not supported yet", call.function.name)))
        }
        _ => Err(QueryError::Execution("BUG: a scalar function in a vector's place".into())),
    }
}

/// Whether a call can be streamed by [`window`].
pub(crate) fn is_window(call: &Call) -> bool {
    matches!(call.function.kind, Kind::Window(_))
}

/// Evaluates a function of a range, series by series.
pub(crate) fn window(
    context: &Context<'_>,
    call: &Call,
    grid: Grid,
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    let Kind::Window(function) = call.function.kind else {
        return Err(QueryError::Execution("BUG: not a function of a range".into()));
    };
    let range_index = usize::from(function == Window::Quantile);
    let range_expr = &call.arguments[range_index];
    if let ExprKind::Selector(selector) = &range_expr.unwrap_parens().kind
        && let Some(refusal) =
            selector.extension.and_then(|extension| extension_refusal(extension, call.function))
    {
        return Err(QueryError::Execution(refusal));
    }
    let mut parameters = Vec::new();
    for (index, argument) in call.arguments.iter().enumerate() {
        if index != range_index {
            parameters.push(scalar(context, argument, grid)?);
        }
    }
    check_parameters(context, function, call, &parameters)?;
    let range = RangeArgument::new(context, range_expr)?;
    let range_ms = range.range_ms;
    let compute = |view: &WindowView<'_>| window_functions::value(function, &parameters, range_ms, view);
    let remark = |context: &Context<'_>, labels: &LabelSet, has_values: bool| {
        if has_values && matches!(function, Window::Rate | Window::Increase) {
            remark_non_counter(context, range.span, labels.metric_name());
        }
    };
    let drops_name = !window_functions::keeps_name(function);
    range.each(context, grid, &compute, &remark, &mut |mut column| {
        column.drop_name |= drops_name;
        sink(column)
    })
}

fn check_parameters(
    context: &Context<'_>,
    function: Window,
    call: &Call,
    parameters: &[Vec<f64>],
) -> Result<(), QueryError> {
    match function {
        Window::Quantile => {
            for phi in &parameters[0] {
                rank::remark_quantile(context, call.arguments[0].span, *phi);
            }
            Ok(())
        }
        Window::Smoothing => {
            let factor = |values: &[f64]| values.iter().copied().find(|f| !(0.0 < *f && *f < 1.0));
            for (values, name) in [(&parameters[0], "smoothing"), (&parameters[1], "trend")] {
                if let Some(value) = factor(values) {
                    return Err(QueryError::Execution(format!(
                        "invalid {name} factor. Expected: 0 < {} < 1, got: {value:.6}",
                        if name == "trend" { "tf" } else { "sf" }
                    )));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn remark_non_counter(context: &Context<'_>, span: Span, name: &str) {
    let is_counter_name = ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
    if !name.is_empty() && !is_counter_name {
        let text = format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"
        );
        context.info(span, &text);
    }
}

fn map(
    context: &Context<'_>,
    argument: &Expr,
    grid: Grid,
    function: impl Fn(usize, f64) -> f64,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = vector(context, argument, grid)?;
    for column in &mut columns {
        column.drop_name = true;
        for (step, value) in column.values.iter_mut().enumerate() {
            if !is_absent(*value) {
                *value = function(step, *value);
            }
        }
    }
    Ok(columns)
}

/// Go's `math.Max`: NaN wins, unlike in Rust, but not against infinity.
fn go_max(left: f64, right: f64) -> f64 {
    let is_nan = (left.is_nan() || right.is_nan()) && left.max(right) != f64::INFINITY;
    if is_nan { f64::NAN } else { left.max(right) }
}

fn go_min(left: f64, right: f64) -> f64 {
    let is_nan = (left.is_nan() || right.is_nan()) && left.min(right) != f64::NEG_INFINITY;
    if is_nan { f64::NAN } else { left.min(right) }
}

fn clamp(context: &Context<'_>, arguments: &[Expr], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let least = scalar(context, &arguments[1], grid)?;
    let most = scalar(context, &arguments[2], grid)?;
    map(context, &arguments[0], grid, |step, value| {
        if most[step] < least[step] { absent() } else { go_max(least[step], go_min(most[step], value)) }
    })
}

fn round(context: &Context<'_>, arguments: &[Expr], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let to_nearest = match arguments.get(1) {
        Some(argument) => scalar(context, argument, grid)?,
        None => vec![1.0; grid.count],
    };
    // By the inverse, because multiples like 0.1 are not exact.
    map(context, &arguments[0], grid, |step, value| {
        let inverse = 1.0 / to_nearest[step];
        (value * inverse + 0.5).floor() / inverse
    })
}

fn extreme_of(context: &Context<'_>, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
    let left = scalar(context, &call.arguments[0], grid)?;
    let right = scalar(context, &call.arguments[1], grid)?;
    let pick = if matches!(call.function.kind, Kind::MinOf) { go_min } else { go_max };
    Ok(Evaluated::Scalar(left.iter().zip(&right).map(|(left, right)| pick(*left, *right)).collect()))
}

/// The value of the only series of a step, else NaN.
fn to_scalar(columns: &[Column], grid: Grid) -> Vec<f64> {
    let one = |step: usize| {
        let mut present = columns.iter().map(|column| column.values[step]).filter(|value| !is_absent(*value));
        match (present.next(), present.next()) {
            (Some(value), None) => value,
            _ => f64::NAN,
        }
    };
    (0..grid.count).map(one).collect()
}

fn sortable(context: &Context<'_>, call: &Call, grid: Grid) -> Result<Vec<Column>, QueryError> {
    let columns = vector(context, &call.arguments[0], grid)?;
    if context.bounds.is_range {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        context.warn(call.span, text);
    }
    Ok(columns)
}

fn absent_column(argument: &Expr, columns: &[Column], grid: Grid) -> Column {
    let values = (0..grid.count)
        .map(|step| {
            let is_present = columns.iter().any(|column| !is_absent(column.values[step]));
            if is_present { absent() } else { 1.0 }
        })
        .collect();
    Column { labels: absent_labels(argument), drop_name: false, values }
}

fn absent_over_time(context: &Context<'_>, argument: &Expr, grid: Grid) -> Result<Vec<Column>, QueryError> {
    let mut present = vec![false; grid.count];
    let range = RangeArgument::new(context, argument)?;
    range.each(context, grid, &|_| Some(1.0), &|_, _, _| {}, &mut |column| {
        for (present, value) in present.iter_mut().zip(&column.values) {
            *present |= !is_absent(*value);
        }
        Ok(())
    })?;
    let values = present.iter().map(|present| if *present { absent() } else { 1.0 }).collect();
    Ok(vec![Column { labels: absent_labels(argument), drop_name: false, values }])
}

/// What is known of a series that is not there: the labels its selector fixes.
fn absent_labels(argument: &Expr) -> LabelSet {
    let ExprKind::Selector(selector) = &argument.unwrap_parens().kind else { return LabelSet::empty() };
    let mut builder = LabelSet::empty().to_builder();
    let mut ambiguous = Vec::new();
    for matcher in selector.matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        let seen_before = builder.get(matcher.name()).is_some() || ambiguous.contains(&matcher.name());
        if matcher.op() == MatchOp::Equal && !seen_before {
            builder.set(matcher.name(), matcher.value());
        } else {
            ambiguous.push(matcher.name());
            builder.remove(matcher.name());
        }
    }
    builder.build()
}

fn timestamp(context: &Context<'_>, argument: &Expr, grid: Grid) -> Result<Vec<Column>, QueryError> {
    if let ExprKind::Selector(selector) = &argument.unwrap_parens().kind {
        let mut columns = Vec::new();
        select::instant_timestamps(context, selector, grid, &mut |mut column| {
            context.count_points(column.values.len())?;
            column.drop_name = true;
            columns.push(column);
            Ok(())
        })?;
        return Ok(columns);
    }
    map(context, argument, grid, |step, _| seconds(grid.time_ms(step)))
}

fn calendar(
    context: &Context<'_>,
    arguments: &[Expr],
    grid: Grid,
    function: fn(i64) -> f64,
) -> Result<Vec<Column>, QueryError> {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates; absurd times stay absurd")]
    let part =
        |value: f64| if value.is_finite() { function(value.clamp(-1e15, 1e15) as i64) } else { f64::NAN };
    match arguments.first() {
        Some(argument) => map(context, argument, grid, |_, value| part(value)),
        None => {
            let mut values: Vec<f64> = grid.times_ms().map(seconds).collect();
            map_present(&mut values, part);
            Ok(vec![Column { labels: LabelSet::empty(), drop_name: false, values }])
        }
    }
}
