//! Subqueries: an instant vector evaluated at the multiples of its own step inside all windows.

use std::sync::Arc;

use model::{Histogram, HistogramSample, LabelSet, ResetHint, SampleColumns};

use super::column::{Cell, Grid};
use super::context::{Context, Shift, duration_ms};
use super::eval;
use crate::ast::Subquery;
use crate::error::QueryError;

/// What a subquery gives for one series.
pub(super) struct SubqueryColumn {
    pub(super) labels: LabelSet,
    pub(super) drop_name: bool,
    pub(super) samples: SampleColumns,
}

/// Evaluates the inner expression. What its selectors see is counted where the columns are used.
pub(super) fn columns(
    context: &Context<'_>,
    subquery: &Subquery,
    outer: Grid,
    shift: Shift,
    range_ms: i64,
) -> Result<Vec<SubqueryColumn>, QueryError> {
    context.queryable.muted(|| counted_columns(context, subquery, outer, shift, range_ms))
}

/// As [`columns`], for an answer: what its selectors see counts.
pub(super) fn counted_columns(
    context: &Context<'_>,
    subquery: &Subquery,
    outer: Grid,
    shift: Shift,
    range_ms: i64,
) -> Result<Vec<SubqueryColumn>, QueryError> {
    let inner = inner_grid(context, subquery, outer, shift, range_ms)?;
    let mut columns = Vec::new();
    if inner.count == 0 {
        return Ok(columns);
    }
    for column in eval::vector(context, &subquery.expr, inner)? {
        context.check_running()?;
        let mut samples = SampleColumns::default();
        for step in 0..inner.count {
            let ts_ms = inner.time_ms(step);
            match column.at(step) {
                Some(Cell::Float(value)) => samples.push(ts_ms, value),
                Some(Cell::Histogram(histogram)) => {
                    let histogram = without_reset_hint(histogram);
                    samples.histograms.push(HistogramSample { ts_ms, start_ms: 0, histogram });
                }
                None => {}
            }
        }
        columns.push(SubqueryColumn { labels: column.labels, drop_name: column.drop_name, samples });
    }
    Ok(columns)
}

/// The steps may skip a reset or meet one twice, so that nothing is known of resets between them.
fn without_reset_hint(histogram: &Arc<Histogram>) -> Arc<Histogram> {
    match histogram.reset_hint {
        ResetHint::Unknown | ResetHint::Gauge => histogram.clone(),
        ResetHint::Reset | ResetHint::NotReset => {
            Arc::new(Histogram { reset_hint: ResetHint::Unknown, ..Histogram::clone(histogram) })
        }
    }
}

fn inner_grid(
    context: &Context<'_>,
    subquery: &Subquery,
    outer: Grid,
    shift: Shift,
    range_ms: i64,
) -> Result<Grid, QueryError> {
    let step_ms = match &subquery.step {
        Some(step) => context.positive_duration_ms(step)?,
        None => duration_ms(context.config.subquery_step).max(1),
    };
    let after_ms = shift.apply(outer.start_ms).saturating_sub(range_ms);
    let start_ms = (after_ms.div_euclid(step_ms) + 1).saturating_mul(step_ms);
    let last_ms = shift.apply(outer.last_ms());
    let count = if start_ms > last_ms { 0 } else { (last_ms - start_ms) / step_ms + 1 };
    // An inner grid is as long as range and step make it; what it holds is bounded by `samples_max`.
    let points_max = context.config.samples_max;
    if count.unsigned_abs() > points_max {
        return Err(QueryError::Execution(format!(
            "subquery has {count} steps of {step_ms} ms, samples_max is {points_max}"
        )));
    }
    Ok(Grid { start_ms, step_ms, count: usize::try_from(count).unwrap_or(0) })
}
