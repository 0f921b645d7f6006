//! `and`, `or`, `unless`: what stays is decided by whether the other side has a series of the same signature.

use model::LabelSet;

use super::binary::signature;
use super::column::{Column, Grid, Map, join_equal};
use crate::ast::{BinaryOp, VectorMatching};
use crate::error::QueryError;

/// At which steps each signature has a series.
type Presence = Map<LabelSet, Vec<bool>>;

pub(super) fn eval(
    op: BinaryOp,
    matching: &VectorMatching,
    mut left: Vec<Column>,
    mut right: Vec<Column>,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    if op == BinaryOp::Or {
        let in_left = presence(matching, &left, grid);
        retain(matching, &mut right, &in_left, false);
        left.append(&mut right);
        return join_equal(left);
    }
    let in_right = presence(matching, &right, grid);
    retain(matching, &mut left, &in_right, op == BinaryOp::And);
    Ok(left)
}

fn presence(matching: &VectorMatching, columns: &[Column], grid: Grid) -> Presence {
    let mut presence = Presence::default();
    for column in columns {
        let steps =
            presence.entry(signature(matching, &column.labels)).or_insert_with(|| vec![false; grid.count]);
        for (step, present) in steps.iter_mut().enumerate() {
            *present |= column.is_present(step);
        }
    }
    presence
}

/// Keeps values at steps where the other side's presence is `wanted`.
fn retain(matching: &VectorMatching, columns: &mut Vec<Column>, other: &Presence, wanted: bool) {
    columns.retain_mut(|column| {
        let Some(steps) = other.get(&signature(matching, &column.labels)) else { return !wanted };
        for (step, present) in steps.iter().enumerate() {
            if *present != wanted {
                column.clear(step);
            }
        }
        column.any()
    });
}
