//! Binary operators: arithmetic and comparison of scalars and vectors.
//!
//! ```text
//! left series ─┐                      ┌─ per step: the one series of the "one" side that is there
//!              ├─ groups by signature ┤
//! right series ┘                      └─ meets each of the "many" side: value, labels of the result
//! ```
//! Who meets whom is decided per series, what is there is decided per step.

use model::{LabelSet, METRIC_NAME};

use super::column::{Column, Evaluated, Grid, Map, absent, is_absent, join_equal, without_metadata};
use super::context::Context;
use super::{eval, sets};
use crate::ast::{Binary, BinaryOp, Cardinality, VectorMatching};
use crate::error::QueryError;

/// Evaluates a binary operator over all steps.
pub(crate) fn eval(context: &Context<'_>, node: &Binary, grid: Grid) -> Result<Evaluated, QueryError> {
    refuse_unsupported(node)?;
    let left = eval::eval(context, &node.left, grid)?;
    let right = eval::eval(context, &node.right, grid)?;
    Ok(match (left, right) {
        (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
            let pairs = left.iter().zip(&right);
            Evaluated::Scalar(pairs.map(|(left, right)| scalar_value(node.op, *left, *right)).collect())
        }
        (Evaluated::Vector(columns), Evaluated::Scalar(values)) => {
            Evaluated::Vector(with_scalar(node, columns, &values, false))
        }
        (Evaluated::Scalar(values), Evaluated::Vector(columns)) => {
            Evaluated::Vector(with_scalar(node, columns, &values, true))
        }
        (Evaluated::Vector(left), Evaluated::Vector(right)) => Evaluated::Vector(if node.op.is_set() {
            sets::eval(node.op, &node.matching, left, right, grid)?
        } else {
            Matcher { context, node, grid }.eval(left, right)?
        }),
        _ => return Err(QueryError::Execution("BUG: operators take scalars and vectors".into())),
    })
}

fn refuse_unsupported(node: &Binary) -> Result<(), QueryError> {
    let what = if node.op.is_trim() {
        "the histogram operators </ and >/"
    } else if node.matching.fill_left.is_some() || node.matching.fill_right.is_some() {
        "the fill modifiers"
    } else {
        return Ok(());
    };
    Err(QueryError::Execution(format!("{what} are not supported yet")))
}

/// The result of arithmetic, or 1 and 0 of a comparison.
fn scalar_value(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => power(left, right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => f64::from(u8::from(compare(op, left, right))),
    }
}

/// Go's `math.Pow`: as C's, but `Pow(-1, ±Inf)` is 1, which Rust's is too.
fn power(base: f64, exponent: f64) -> f64 {
    base.powf(exponent)
}

fn compare(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Greater => left > right,
        BinaryOp::Less => left < right,
        BinaryOp::GreaterEqual => left >= right,
        BinaryOp::LessEqual => left <= right,
        _ => false,
    }
}

/// The value of one step; a comparison without `bool` keeps `kept` or nothing.
fn vector_value(node: &Binary, left: f64, right: f64, kept: f64) -> f64 {
    if !node.op.is_comparison() || node.returns_bool {
        return scalar_value(node.op, left, right);
    }
    if compare(node.op, left, right) { kept } else { absent() }
}

/// Whether the operator makes a new metric.
fn drops_name(node: &Binary) -> bool {
    !node.op.is_comparison() || node.returns_bool
}

fn with_scalar(
    node: &Binary,
    mut columns: Vec<Column>,
    scalars: &[f64],
    scalar_is_left: bool,
) -> Vec<Column> {
    for column in &mut columns {
        column.drop_name |= drops_name(node);
        for (value, scalar) in column.values.iter_mut().zip(scalars) {
            if !is_absent(*value) {
                let (left, right) = if scalar_is_left { (*scalar, *value) } else { (*value, *scalar) };
                *value = vector_value(node, left, right, *value);
            }
        }
    }
    columns
}

/// The labels by which series of two sides find each other.
pub(super) fn signature(matching: &VectorMatching, labels: &LabelSet) -> LabelSet {
    labels.filtered(|name| {
        let listed = matching.labels.iter().any(|label| label == name);
        if matching.on { listed } else { !listed && name != METRIC_NAME }
    })
}

/// Whether any of `columns` has a value, per step.
fn presence(columns: &[Column], grid: Grid) -> Vec<bool> {
    (0..grid.count).map(|step| columns.iter().any(|column| !is_absent(column.values[step]))).collect()
}

/// Series of both sides with one signature: positions in their lists.
#[derive(Default)]
struct Group {
    many: Vec<usize>,
    one: Vec<usize>,
}

struct Matcher<'c> {
    context: &'c Context<'c>,
    node: &'c Binary,
    grid: Grid,
}

impl Matcher<'_> {
    fn eval(&self, left: Vec<Column>, right: Vec<Column>) -> Result<Vec<Column>, QueryError> {
        let many_is_left = self.node.matching.cardinality != Cardinality::OneToMany;
        let (many, one) = if many_is_left { (left, right) } else { (right, left) };
        let both = presence(&many, self.grid)
            .into_iter()
            .zip(presence(&one, self.grid))
            .map(|(many, one)| many && one)
            .collect::<Vec<bool>>();
        let mut columns = Vec::new();
        for (signature, group) in self.groups(&many, &one) {
            self.context.check_running()?;
            let ones = self.one_per_step(&signature, &group, &one, &both)?;
            self.match_group(&group, &many, &one, &ones, &mut columns)?;
        }
        join_equal(columns)
    }

    fn groups(&self, many: &[Column], one: &[Column]) -> Vec<(LabelSet, Group)> {
        let mut index: Map<LabelSet, usize> = Map::default();
        let mut groups: Vec<(LabelSet, Group)> = Vec::new();
        let mut position = |labels: &LabelSet, groups: &mut Vec<(LabelSet, Group)>| {
            let signature = signature(&self.node.matching, labels);
            *index.entry(signature.clone()).or_insert_with(|| {
                groups.push((signature, Group::default()));
                groups.len() - 1
            })
        };
        for (column_index, column) in many.iter().enumerate() {
            let group = position(&column.labels, &mut groups);
            groups[group].1.many.push(column_index);
        }
        for (column_index, column) in one.iter().enumerate() {
            let group = position(&column.labels, &mut groups);
            groups[group].1.one.push(column_index);
        }
        groups
    }

    /// Which series of the "one" side is there at each step. Two are an error, if the other side has any.
    fn one_per_step(
        &self,
        signature: &LabelSet,
        group: &Group,
        one: &[Column],
        both: &[bool],
    ) -> Result<Vec<Option<usize>>, QueryError> {
        let mut ones: Vec<Option<usize>> = vec![None; self.grid.count];
        for index in &group.one {
            for (step, slot) in ones.iter_mut().enumerate() {
                if is_absent(one[*index].values[step]) || !both[step] {
                    continue;
                }
                if let Some(first) = slot.replace(*index) {
                    return Err(self.duplicate(signature, &one[first].labels, &one[*index].labels));
                }
            }
        }
        Ok(ones)
    }

    fn duplicate(&self, signature: &LabelSet, first: &LabelSet, second: &LabelSet) -> QueryError {
        let side = if self.node.matching.cardinality == Cardinality::OneToMany { "left" } else { "right" };
        let (first, second) = if first <= second { (first, second) } else { (second, first) };
        QueryError::Execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            in_braces(signature),
            in_braces(first),
            in_braces(second)
        ))
    }

    fn match_group(
        &self,
        group: &Group,
        many: &[Column],
        one: &[Column],
        ones: &[Option<usize>],
        columns: &mut Vec<Column>,
    ) -> Result<(), QueryError> {
        let one_to_one = self.node.matching.cardinality == Cardinality::OneToOne;
        let mut index: Map<(LabelSet, bool), usize> = Map::default();
        let mut taken = vec![false; if one_to_one { self.grid.count } else { 0 }];
        for many_index in &group.many {
            let column = &many[*many_index];
            let mut target: Option<(usize, usize)> = None;
            for (step, one_index) in ones.iter().enumerate() {
                let Some(one_index) = *one_index else { continue };
                if is_absent(column.values[step]) {
                    continue;
                }
                // Before the comparison filters: an ambiguous match is an error even where nothing is left of it.
                if one_to_one && std::mem::replace(&mut taken[step], true) {
                    return Err(QueryError::Execution(
                        "multiple matches for labels: many-to-one matching must be explicit \
                         (group_left/group_right)"
                            .into(),
                    ));
                }
                let value = self.pair_value(column.values[step], one[one_index].values[step]);
                if is_absent(value) {
                    continue;
                }
                let position = match target {
                    Some((meets, position)) if meets == one_index => position,
                    _ => self.target(column, &one[one_index], &mut index, columns)?,
                };
                target = Some((one_index, position));
                let slot = &mut columns[position].values[step];
                if !is_absent(*slot) {
                    return Err(QueryError::Execution(
                        "multiple matches for labels: grouping labels must ensure unique matches".into(),
                    ));
                }
                *slot = value;
            }
        }
        Ok(())
    }

    fn pair_value(&self, many: f64, one: f64) -> f64 {
        let swapped = self.node.matching.cardinality == Cardinality::OneToMany;
        let (left, right) = if swapped { (one, many) } else { (many, one) };
        vector_value(self.node, left, right, left)
    }

    /// The column of the result that a pair writes into.
    fn target(
        &self,
        many: &Column,
        one: &Column,
        index: &mut Map<(LabelSet, bool), usize>,
        columns: &mut Vec<Column>,
    ) -> Result<usize, QueryError> {
        let labels = self.result_labels(&many.labels, &one.labels);
        let drop_name = self.node.returns_bool || (many.drop_name && self.node.op.is_comparison());
        let next = columns.len();
        let position = *index.entry((labels.clone(), drop_name)).or_insert(next);
        if position == next {
            self.context.count_points(self.grid.count)?;
            columns.push(Column { labels, drop_name, values: vec![absent(); self.grid.count] });
        }
        Ok(position)
    }

    fn result_labels(&self, many: &LabelSet, one: &LabelSet) -> LabelSet {
        let matching = &self.node.matching;
        let mut labels = if self.node.op.is_comparison() { many.clone() } else { without_metadata(many) };
        if matching.cardinality == Cardinality::OneToOne {
            labels = labels.filtered(|name| matching.on == matching.labels.iter().any(|label| label == name));
        }
        if matching.include.is_empty() {
            return labels;
        }
        let mut builder = labels.to_builder();
        for name in &matching.include {
            builder.set(name, one.get(name).unwrap_or_default());
        }
        builder.build()
    }
}

/// `{__name__="a", b="c"}`.
fn in_braces(labels: &LabelSet) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
