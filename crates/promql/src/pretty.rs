//! Long expressions over several lines, as Prometheus's `format_query` lays them out.
//!
//! ```text
//! sum by (job) (              what fits the width stays on one line;
//!     rate(a[5m])             what does not is broken up, its parts two blanks further in,
//!   /                         operators between their operands
//!     rate(b[5m])
//! )
//! ```

use std::fmt::Write;

use crate::ast::{Expr, ExprKind};
use crate::printer::{AggregateHead, Operator, SubquerySuffix};

/// Bytes of a line beyond which it is broken up.
pub const PRETTY_WIDTH: usize = 100;

/// The expression over as many lines as `width` asks for; [`PRETTY_WIDTH`] is Prometheus's.
pub fn pretty(expr: &Expr, width: usize) -> String {
    let mut out = String::new();
    write(expr, 0, width, &mut out);
    out
}

fn indent(level: usize, out: &mut String) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "BUG: writing to a string cannot fail");
}

fn write(expr: &Expr, level: usize, width: usize, out: &mut String) {
    if let ExprKind::Unary { negative, expr } = &expr.kind {
        // The sign stands before whatever its operand begins with.
        let mut operand = String::new();
        write(expr, level, width, &mut operand);
        indent(level, out);
        out.push(if *negative { '-' } else { '+' });
        out.push_str(operand.trim());
        return;
    }
    let line = expr.to_string();
    let is_leaf = matches!(expr.kind, ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Selector(_));
    if is_leaf || line.len() <= width {
        // A subquery that fits is not moved in, as in the reference.
        if !matches!(expr.kind, ExprKind::Subquery(_)) {
            indent(level, out);
        }
        out.push_str(&line);
        return;
    }
    match &expr.kind {
        ExprKind::Paren(inner) => {
            indent(level, out);
            out.push_str("(\n");
            write(inner, level + 1, width, out);
            close(level, out);
        }
        ExprKind::Binary(binary) => {
            write(&binary.left, level + 1, width, out);
            out.push('\n');
            indent(level, out);
            push(out, format_args!("{}\n", Operator(binary)));
            write(&binary.right, level + 1, width, out);
        }
        ExprKind::Aggregate(aggregate) => {
            indent(level, out);
            push(out, format_args!("{}(\n", AggregateHead(aggregate)));
            if let Some(parameter) = &aggregate.parameter {
                write(parameter, level + 1, width, out);
                out.push_str(",\n");
            }
            write(&aggregate.expr, level + 1, width, out);
            close(level, out);
        }
        ExprKind::Call(call) => {
            indent(level, out);
            push(out, format_args!("{}(\n", call.function.name));
            for (index, argument) in call.arguments.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                write(argument, level + 1, width, out);
            }
            close(level, out);
        }
        ExprKind::Subquery(subquery) => {
            write(&subquery.expr, level, width, out);
            push(out, format_args!("{}", SubquerySuffix(subquery)));
        }
        ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Unary { .. } => {}
    }
}

fn close(level: usize, out: &mut String) {
    out.push('\n');
    indent(level, out);
    out.push(')');
}
