//! The dispatch: every kind of expression to the code that evaluates it.

use std::sync::Arc;
use std::time::Duration;

use super::column::{Column, Evaluated, Grid, is_absent};
use super::context::Context;
use super::invariant::is_step_invariant;
use super::select::{self, Pick};
use super::tracer::is_traced;
use super::{aggregate, binary, call};
use crate::ast::{Expr, ExprKind};
use crate::error::QueryError;

/// Takes columns one after the other.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(Column) -> Result<(), QueryError>;

/// Evaluates a scalar, string or vector over all steps of `grid`.
pub(crate) fn eval(context: &Context<'_>, expr: &Expr, grid: Grid) -> Result<Evaluated, QueryError> {
    if !context.explains() || !is_traced(expr) {
        return eval_here(context, expr, grid);
    }
    context.enter(expr, grid);
    let evaluated = eval_here(context, expr, grid)?;
    let series = match &evaluated {
        Evaluated::Vector(columns) => columns.len(),
        Evaluated::Scalar(_) | Evaluated::String(_) => 1,
    };
    context.leave(series, Duration::ZERO);
    Ok(evaluated)
}

fn eval_here(context: &Context<'_>, expr: &Expr, grid: Grid) -> Result<Evaluated, QueryError> {
    context.check_running()?;
    // Whatever it is, it holds a value per step: inside a subquery that can be millions.
    context.count_points(grid.count)?;
    let is_literal = matches!(expr.kind, ExprKind::Number { .. } | ExprKind::String(_));
    if grid.count > 1 && !is_literal && is_step_invariant(expr) {
        let evaluate_once = || eval_varying(context, expr, grid.first());
        let once = context.queryable.repeated(grid.count, evaluate_once)?;
        if let Evaluated::Vector(columns) = &once {
            context.count_points(columns.len().saturating_mul(grid.count))?;
        }
        return Ok(repeat(once, grid.count));
    }
    eval_varying(context, expr, grid)
}

fn eval_varying(context: &Context<'_>, expr: &Expr, grid: Grid) -> Result<Evaluated, QueryError> {
    match &expr.kind {
        ExprKind::Number { value, .. } => Ok(Evaluated::Scalar(vec![*value; grid.count])),
        ExprKind::String(bytes) => Ok(Evaluated::String(bytes.clone())),
        ExprKind::Paren(inner) => eval(context, inner, grid),
        ExprKind::Unary { negative, expr } => unary(eval(context, expr, grid)?, *negative),
        ExprKind::Binary(node) => binary::eval(context, node, expr.span, grid),
        ExprKind::Aggregate(node) => Ok(Evaluated::Vector(aggregate::eval(context, node, expr.span, grid)?)),
        ExprKind::Call(node) => call::eval(context, node, grid),
        ExprKind::Selector(_) => {
            let mut columns = Vec::new();
            stream_varying(context, expr, grid, &mut |column| {
                context.count_column(&column)?;
                columns.push(column);
                Ok(())
            })?;
            Ok(Evaluated::Vector(columns))
        }
        ExprKind::Subquery(_) => Err(unexpected_matrix()),
    }
}

/// Evaluates a vector and hands over its columns one by one: selections and functions of ranges are never whole in
/// memory.
pub(crate) fn stream(
    context: &Context<'_>,
    expr: &Expr,
    grid: Grid,
    sink: Sink<'_>,
) -> Result<(), QueryError> {
    if !context.explains() || !is_streamed(expr) {
        return stream_here(context, expr, grid, sink);
    }
    context.enter(expr, grid);
    let (mut series, mut handed_on) = (0, Duration::ZERO);
    stream_here(context, expr, grid, &mut |column| {
        series += 1;
        let started = context.now();
        let taken = sink(column);
        handed_on += context.now().saturating_sub(started);
        taken
    })?;
    context.leave(series, handed_on);
    Ok(())
}

/// Whether a node hands its columns on while it runs; all others are evaluated by [`eval`].
fn is_streamed(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Selector(_) => true,
        ExprKind::Call(call) => call::is_window(call),
        _ => false,
    }
}

fn stream_here(context: &Context<'_>, expr: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
    if grid.count > 1 && is_step_invariant(expr) {
        let repeated = &mut |column| sink(repeat_column(column, grid.count));
        let evaluate_once = || stream_varying(context, expr, grid.first(), repeated);
        return context.queryable.repeated(grid.count, evaluate_once);
    }
    stream_varying(context, expr, grid, sink)
}

fn stream_varying(context: &Context<'_>, expr: &Expr, grid: Grid, sink: Sink<'_>) -> Result<(), QueryError> {
    match &expr.kind {
        ExprKind::Paren(inner) => stream(context, inner, grid, sink),
        ExprKind::Selector(selector) => {
            select::instant(context, selector, expr.span, grid, Pick::Value, sink)
        }
        ExprKind::Call(node) if call::is_window(node) => call::window(context, node, grid, sink),
        _ => vector(context, expr, grid)?.into_iter().try_for_each(sink),
    }
}

/// Evaluates a vector.
pub(crate) fn vector(context: &Context<'_>, expr: &Expr, grid: Grid) -> Result<Vec<Column>, QueryError> {
    match eval(context, expr, grid)? {
        Evaluated::Vector(columns) => Ok(columns),
        _ => Err(QueryError::Execution("BUG: expected an instant vector".into())),
    }
}

/// Evaluates a scalar: one value per step.
pub(crate) fn scalar(context: &Context<'_>, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
    match eval(context, expr, grid)? {
        Evaluated::Scalar(values) => Ok(values),
        _ => Err(QueryError::Execution("BUG: expected a scalar".into())),
    }
}

/// The bytes of a string literal.
pub(crate) fn string(context: &Context<'_>, expr: &Expr, grid: Grid) -> Result<Vec<u8>, QueryError> {
    match eval(context, expr, grid)? {
        Evaluated::String(bytes) => Ok(bytes),
        _ => Err(QueryError::Execution("BUG: expected a string".into())),
    }
}

fn unexpected_matrix() -> QueryError {
    QueryError::Execution("BUG: a range vector outside a function".into())
}

fn unary(operand: Evaluated, negative: bool) -> Result<Evaluated, QueryError> {
    if !negative {
        return Ok(operand);
    }
    match operand {
        Evaluated::Scalar(values) => Ok(Evaluated::Scalar(values.into_iter().map(|value| -value).collect())),
        Evaluated::Vector(mut columns) => {
            for column in &mut columns {
                column.drop_name = true;
                map_present(&mut column.values, |value| -value);
                for histogram in column.histograms.iter_mut().flatten() {
                    *histogram = Arc::new(histogram.multiplied(-1.0));
                }
            }
            Ok(Evaluated::Vector(columns))
        }
        Evaluated::String(_) => Err(QueryError::Execution("BUG: a string has no sign".into())),
    }
}

/// Changes the values that are there.
pub(crate) fn map_present(values: &mut [f64], function: impl Fn(f64) -> f64) {
    for value in values {
        if !is_absent(*value) {
            *value = function(*value);
        }
    }
}

fn repeat(evaluated: Evaluated, count: usize) -> Evaluated {
    match evaluated {
        Evaluated::Scalar(values) => Evaluated::Scalar(vec![values[0]; count]),
        Evaluated::Vector(columns) => {
            Evaluated::Vector(columns.into_iter().map(|column| repeat_column(column, count)).collect())
        }
        string @ Evaluated::String(_) => string,
    }
}

fn repeat_column(column: Column, count: usize) -> Column {
    let histograms =
        column.histograms.first().map_or_else(Vec::new, |histogram| vec![histogram.clone(); count]);
    Column { values: vec![column.values[0]; count], histograms, ..column }
}
