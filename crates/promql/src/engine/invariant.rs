//! Which expressions have the same value at every step, so that one step is enough.

use crate::ast::{Expr, ExprKind};
use crate::functions::{Kind, Window};

/// Whether nothing below depends on the evaluation time.
pub(crate) fn is_step_invariant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => true,
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => is_step_invariant(inner),
        ExprKind::Binary(binary) => is_step_invariant(&binary.left) && is_step_invariant(&binary.right),
        ExprKind::Aggregate(aggregate) => {
            aggregate.parameter.as_ref().is_none_or(is_step_invariant) && is_step_invariant(&aggregate.expr)
        }
        ExprKind::Selector(selector) => selector.shift.at.is_some(),
        ExprKind::Subquery(subquery) => subquery.shift.at.is_some(),
        ExprKind::Call(call) => {
            let reads_time = match call.function.kind {
                Kind::Time | Kind::Timestamp | Kind::Window(Window::PredictLinear) => true,
                Kind::Calendar(_) => call.arguments.is_empty(),
                _ => false,
            };
            !reads_time && call.arguments.iter().all(is_step_invariant)
        }
    }
}
