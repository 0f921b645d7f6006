//! `@` put on every selector: the answer must then be the same at any time.

use crate::ast::{At, Expr, ExprKind};

/// Functions whose answer depends on the time of evaluation, whatever their arguments.
const UNSAFE: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// Pins all selectors without `@` to `ts_ms`; of a subquery only itself. Answers whether the expression's value may then not
/// depend on the time of evaluation.
pub(super) fn pin(expr: &mut Expr, ts_ms: i64) -> bool {
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => true,
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => pin(inner, ts_ms),
        ExprKind::Binary(binary) => {
            let left = pin(&mut binary.left, ts_ms);
            pin(&mut binary.right, ts_ms) && left
        }
        ExprKind::Aggregate(aggregate) => {
            let parameter = aggregate.parameter.as_mut().is_none_or(|parameter| pin(parameter, ts_ms));
            pin(&mut aggregate.expr, ts_ms) && parameter
        }
        ExprKind::Call(call) => {
            let mut safe = !UNSAFE.contains(&call.function.name);
            for argument in &mut call.arguments {
                safe &= pin(argument, ts_ms);
            }
            safe
        }
        ExprKind::Selector(selector) => {
            selector.shift.at.get_or_insert(At::Time(ts_ms));
            true
        }
        ExprKind::Subquery(subquery) => {
            subquery.shift.at.get_or_insert(At::Time(ts_ms));
            true
        }
    }
}
