//! Selectors of which only counts and sums of histograms are asked, as by `histogram_count(rate(m[5m]))`.
//!
//! Prometheus does not decode their buckets, and finds resets while it decodes: their hints say "reset" or "no
//! reset" where those of other selectors say nothing. The hints show in warnings only, and so do they here.

use std::sync::Arc;

use model::{Histogram, ResetHint, SampleColumns};

use crate::ast::{Expr, ExprKind};
use crate::functions::{Kind, Statistic};

/// Where these selectors start.
pub(super) fn selectors(expr: &Expr) -> Vec<u32> {
    let mut found = Vec::new();
    collect(expr, false, &mut found);
    found
}

/// `inside` a statistic: below it, whatever needs buckets ends the search.
fn collect(expr: &Expr, inside: bool, found: &mut Vec<u32>) {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Subquery(_) => {}
        ExprKind::Selector(_) if inside => found.push(expr.span.start),
        ExprKind::Selector(_) => {}
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => collect(inner, inside, found),
        ExprKind::Binary(binary) if binary.op.is_trim() => {}
        ExprKind::Binary(binary) => {
            collect(&binary.left, inside, found);
            collect(&binary.right, inside, found);
        }
        ExprKind::Aggregate(aggregate) => collect(&aggregate.expr, inside, found),
        ExprKind::Call(call) => {
            let inside = match call.function.kind {
                Kind::HistogramStatistic(Statistic::Count | Statistic::Sum | Statistic::Average) => true,
                Kind::HistogramQuantile | Kind::HistogramQuantiles | Kind::HistogramFraction => return,
                _ => inside,
            };
            call.arguments.iter().for_each(|argument| collect(argument, inside, found));
        }
    }
}

/// Replaces hints that say nothing by what comparing neighbours says.
pub(super) fn detect_resets(samples: &mut SampleColumns) {
    let mut before: Option<Arc<Histogram>> = None;
    for sample in &mut samples.histograms {
        let current = sample.histogram.clone();
        if current.is_stale() {
            continue;
        }
        if let Some(before) = &before
            && current.reset_hint == ResetHint::Unknown
        {
            let is_reset = current.is_reset_after(before);
            let reset_hint = if is_reset { ResetHint::Reset } else { ResetHint::NotReset };
            sample.histogram = Arc::new(Histogram { reset_hint, ..Histogram::clone(&current) });
        }
        before = Some(current);
    }
}
