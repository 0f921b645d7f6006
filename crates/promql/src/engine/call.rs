//! Calls: functions of ranges, of vectors, and between types.

use model::{Aggregate, LabelSet, METRIC_NAME, MatchOp};

use super::annotations::Note;
use super::column::{Column, Evaluated, Grid, absent, is_absent};
use super::context::Context;
use super::eval::{Sink, map_present, scalar, string, vector};
use super::mixed::MixedCall;
use super::range::{RangeArgument, RangeFunction, WindowView};
use super::select::{self, Pick, seconds};
use super::{histogram_call, info, labels, rank, whole_series, window as window_functions};
use crate::ast::{Call, Expr, ExprKind, Selector, Span};
use crate::error::QueryError;
use crate::functions::{Kind, Window};
use crate::parser::extension_refusal;
use crate::value::SampleValue;

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
                context.count_column(&column)?;
                columns.push(column);
                Ok(())
            })?;
            Ok(columns)
        }
        Kind::Absent => {
            let columns = vector(context, &arguments[0], grid)?;
            Ok(vec![absent_column(&arguments[0], &columns, grid)])
        }
        Kind::AbsentOverTime => absent_over_time(context, call, grid),
        Kind::ToVector => {
            let values = scalar(context, &arguments[0], grid)?;
            Ok(vec![Column::floats(LabelSet::empty(), false, values)])
        }
        Kind::Timestamp => timestamp(context, &arguments[0], grid),
        Kind::StartTimestamp => start_timestamp(context, &arguments[0], grid),
        Kind::Sort { descending } => {
            // By value: histograms have no order.
            let mut columns = sortable(context, call, grid)?;
            columns.iter_mut().for_each(Column::drop_histograms);
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
        Kind::HistogramStatistic(statistic) => {
            histogram_call::statistic(context, &arguments[0], grid, statistic)
        }
        Kind::Info => info::eval(context, arguments, grid),
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
    refuse_extension(call, range_expr)?;
    let mut parameters = Vec::new();
    for (index, argument) in call.arguments.iter().enumerate() {
        if index != range_index {
            parameters.push(scalar(context, argument, grid)?);
        }
    }
    check_parameters(function, &parameters)?;
    let range = RangeArgument::new(context, range_expr)?;
    let range_ms = range.range_ms;
    // Annotations of `quantile_over_time` point at its first argument, as in Prometheus.
    let span = if range_index == 0 { range.span } else { call.arguments[0].unwrap_parens().span };
    let mixed = MixedCall {
        context,
        function,
        parameters: &parameters,
        range_ms,
        extension: range.extension,
        use_start_times: context.config.use_start_times,
        span,
    };
    let function_of_range = RangeFunction {
        at_once: whole_series::knows(function).then_some(function),
        floats: &|view: &WindowView<'_>| window_functions::value(function, &parameters, range_ms, view),
        mixed: &|window| mixed.value(window),
        reads_start_times: matches!(
            function,
            Window::Rate | Window::Increase | Window::Irate | Window::Resets
        ),
        aggregate: match function {
            Window::Min => Aggregate::Min,
            Window::Max => Aggregate::Max,
            Window::Sum => Aggregate::Sum,
            _ => Aggregate::Samples,
        },
        remark: &|labels| {
            if matches!(function, Window::Rate | Window::Increase) {
                remark_non_counter(context, range.span, labels.metric_name());
            }
        },
    };
    let drops_name = !window_functions::keeps_name(function);
    range.each(context, grid, &function_of_range, &mut |mut column| {
        if function == Window::Quantile {
            rank::remark_quantiles(context, span, &parameters[0], |step| !is_absent(column.values[step]));
        }
        column.drop_name |= drops_name;
        sink(column)
    })
}

fn check_parameters(function: Window, parameters: &[Vec<f64>]) -> Result<(), QueryError> {
    match function {
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
        context.note(span, Note::possible_non_counter(name));
    }
}

/// Applies a function to the floats; histograms are left out.
fn map(
    context: &Context<'_>,
    argument: &Expr,
    grid: Grid,
    function: impl Fn(usize, f64) -> f64,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = vector(context, argument, grid)?;
    for column in &mut columns {
        column.drop_name = true;
        column.drop_histograms();
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
    if context.bounds.is_range && context.bounds.start_ms != context.bounds.end_ms {
        context.note(call.span, Note::sort_in_range_query());
    }
    Ok(columns)
}

fn absent_column(argument: &Expr, columns: &[Column], grid: Grid) -> Column {
    let values = (0..grid.count)
        .map(|step| {
            let is_present = columns.iter().any(|column| column.is_present(step));
            if is_present { absent() } else { 1.0 }
        })
        .collect();
    Column::floats(absent_labels(argument), false, values)
}

fn absent_over_time(context: &Context<'_>, call: &Call, grid: Grid) -> Result<Vec<Column>, QueryError> {
    let argument = &call.arguments[0];
    refuse_extension(call, argument)?;
    let mut present = vec![false; grid.count];
    let range = RangeArgument::new(context, argument)?;
    let function = RangeFunction {
        at_once: None,
        floats: &|_| Some(1.0),
        mixed: &|_| Some(SampleValue::Float(1.0)),
        reads_start_times: false,
        aggregate: Aggregate::Samples,
        remark: &|_| {},
    };
    range.each(context, grid, &function, &mut |column| {
        for (present, value) in present.iter_mut().zip(&column.values) {
            *present |= !is_absent(*value);
        }
        Ok(())
    })?;
    let values = present.iter().map(|present| if *present { absent() } else { 1.0 }).collect();
    Ok(vec![Column::floats(absent_labels(argument), false, values)])
}

fn refuse_extension(call: &Call, argument: &Expr) -> Result<(), QueryError> {
    let ExprKind::Selector(selector) = &argument.unwrap_parens().kind else { return Ok(()) };
    match selector.extension.and_then(|extension| extension_refusal(extension, call.function)) {
        Some(refusal) => Err(QueryError::Execution(refusal)),
        None => Ok(()),
    }
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
    let inner = argument.unwrap_parens();
    if let ExprKind::Selector(selector) = &inner.kind {
        return sample_times(context, selector, inner.span, grid, Pick::Timestamp);
    }
    let mut columns = vector(context, argument, grid)?;
    for column in &mut columns {
        for step in (0..grid.count).filter(|step| column.is_present(*step)).collect::<Vec<_>>() {
            column.set(step, SampleValue::Float(seconds(grid.time_ms(step))));
        }
        column.drop_name = true;
        column.drop_histograms();
    }
    Ok(columns)
}

/// Only samples of a store know when their counter began.
fn start_timestamp(context: &Context<'_>, argument: &Expr, grid: Grid) -> Result<Vec<Column>, QueryError> {
    let inner = argument.unwrap_parens();
    match &inner.kind {
        ExprKind::Selector(selector) if context.config.use_start_times => {
            sample_times(context, selector, inner.span, grid, Pick::StartTimestamp)
        }
        _ => {
            vector(context, argument, grid)?;
            Ok(Vec::new())
        }
    }
}

fn sample_times(
    context: &Context<'_>,
    selector: &Selector,
    span: Span,
    grid: Grid,
    pick: Pick,
) -> Result<Vec<Column>, QueryError> {
    let mut columns = Vec::new();
    select::instant(context, selector, span, grid, pick, &mut |mut column| {
        context.count_points(column.values.len())?;
        column.drop_name = true;
        columns.push(column);
        Ok(())
    })?;
    Ok(columns)
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
            Ok(vec![Column::floats(LabelSet::empty(), false, values)])
        }
    }
}
