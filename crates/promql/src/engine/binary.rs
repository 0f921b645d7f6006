//! Binary operators: arithmetic and comparison of scalars and vectors.
//!
//! ```text
//! left series ─┐                      ┌─ per step: the one series of the "one" side that is there
//!              ├─ groups by signature ┤
//! right series ┘                      └─ meets each of the "many" side: value, labels of the result
//! ```
//! Who meets whom is decided per series, what is there is decided per step.

use model::{LabelSet, METRIC_NAME};

use super::binary_pairs::{GroupOutput, Pair, not_unique};
use super::binary_value::{Operator, Outcome, compare, of_floats};
use super::column::{
    Cell, Column, Evaluated, Grid, Map, Steps, absent, is_absent, join_equal, without_metadata,
};
use super::context::Context;
use super::{eval, sets};
use crate::ast::{Binary, BinaryOp, Cardinality, Span, VectorMatching};
use crate::error::QueryError;
use crate::value::SampleValue;

/// Evaluates a binary operator, which stands at `span`, over all steps.
pub(crate) fn eval(
    context: &Context<'_>,
    node: &Binary,
    span: Span,
    grid: Grid,
) -> Result<Evaluated, QueryError> {
    let operator = Operator { context, node, span };
    let left = eval::eval(context, &node.left, grid)?;
    let right = eval::eval(context, &node.right, grid)?;
    Ok(match (left, right) {
        (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
            let pairs = left.iter().zip(&right);
            Evaluated::Scalar(pairs.map(|(left, right)| of_floats(node.op, *left, *right)).collect())
        }
        (Evaluated::Vector(columns), Evaluated::Scalar(values)) => {
            Evaluated::Vector(with_scalar(&operator, columns, &values, false))
        }
        (Evaluated::Scalar(values), Evaluated::Vector(columns)) => {
            Evaluated::Vector(with_scalar(&operator, columns, &values, true))
        }
        (Evaluated::Vector(left), Evaluated::Vector(right)) => Evaluated::Vector(if node.op.is_set() {
            sets::eval(node.op, &node.matching, left, right, grid)?
        } else {
            Matcher { operator, grid }.eval(left, right)?
        }),
        _ => return Err(QueryError::Execution("BUG: operators take scalars and vectors".into())),
    })
}

/// The value of one step; a comparison without `bool` keeps `kept` or nothing.
#[inline]
fn vector_value(node: &Binary, left: f64, right: f64, kept: f64) -> f64 {
    if !node.op.is_comparison() || node.returns_bool {
        return of_floats(node.op, left, right);
    }
    if compare(node.op, left, right) { kept } else { absent() }
}

/// Whether the operator makes a new metric, whatever becomes of single samples.
fn makes_metric(op: BinaryOp) -> bool {
    !op.is_comparison() && !op.is_trim()
}

fn with_scalar(
    operator: &Operator<'_>,
    mut columns: Vec<Column>,
    scalars: &[f64],
    scalar_is_left: bool,
) -> Vec<Column> {
    let node = operator.node;
    for column in &mut columns {
        column.drop_name |= makes_metric(node.op) || node.returns_bool;
        if !column.histograms.is_empty() || node.op.is_trim() {
            mixed_with_scalar(operator, column, scalars, scalar_is_left);
            continue;
        }
        for (value, scalar) in column.values.iter_mut().zip(scalars) {
            if !is_absent(*value) {
                let (left, right) = if scalar_is_left { (*scalar, *value) } else { (*value, *scalar) };
                *value = vector_value(node, left, right, *value);
            }
        }
    }
    columns
}

/// A column of which some samples are histograms, or an operator that is for them.
fn mixed_with_scalar(operator: &Operator<'_>, column: &mut Column, scalars: &[f64], scalar_is_left: bool) {
    for (step, scalar) in scalars.iter().enumerate() {
        let Some(cell) = column.at(step) else { continue };
        let (left, right) =
            if scalar_is_left { (Cell::Float(*scalar), cell) } else { (cell, Cell::Float(*scalar)) };
        match outcome(operator, left, right, cell) {
            Pair::Sample(sample) => column.set(step, sample),
            Pair::Filtered | Pair::Incompatible => column.clear(step),
        }
    }
}

/// The sample of one step; a comparison without `bool` keeps `kept` or nothing.
fn outcome(operator: &Operator<'_>, left: Cell<'_>, right: Cell<'_>, kept: Cell<'_>) -> Pair {
    match operator.apply(left, right) {
        Outcome::Sample(sample) => Pair::Sample(sample),
        Outcome::Compared(holds) if operator.node.returns_bool => {
            Pair::Sample(SampleValue::Float(f64::from(u8::from(holds))))
        }
        Outcome::Compared(true) => Pair::Sample(kept.into_sample()),
        Outcome::Compared(false) => Pair::Filtered,
        Outcome::Nothing => Pair::Incompatible,
    }
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
    (0..grid.count).map(|step| columns.iter().any(|column| column.is_present(step))).collect()
}

/// Series of both sides with one signature: positions in their lists.
#[derive(Default)]
struct Group {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// The two sides of an operator between vectors.
#[derive(Clone, Copy)]
struct Sides<'c> {
    many: &'c [Column],
    one: &'c [Column],
    /// No column has a histogram, and the operator is not for them.
    only_floats: bool,
}

struct Matcher<'c> {
    operator: Operator<'c>,
    grid: Grid,
}

impl Matcher<'_> {
    fn node(&self) -> &Binary {
        self.operator.node
    }

    fn eval(&self, left: Vec<Column>, right: Vec<Column>) -> Result<Vec<Column>, QueryError> {
        let many_is_left = self.node().matching.cardinality != Cardinality::OneToMany;
        let (many, one) = if many_is_left { (left, right) } else { (right, left) };
        let (fill_many, fill_one) = self.fills();
        let fills = fill_many.is_some() || fill_one.is_some();
        let active = presence(&many, self.grid)
            .into_iter()
            .zip(presence(&one, self.grid))
            .map(|(many, one)| (many && one) || (fills && (many || one)))
            .collect::<Vec<bool>>();
        let only_floats =
            many.iter().chain(&one).all(|column| column.histograms.is_empty()) && !self.node().op.is_trim();
        let sides = Sides { many: &many, one: &one, only_floats };
        let mut columns = Vec::new();
        for (signature, group) in self.groups(&many, &one) {
            self.operator.context.check_running()?;
            let ones = self.one_per_step(&signature, &group, &one, &active)?;
            self.match_group(&signature, &group, sides, &ones, &mut columns)?;
        }
        join_equal(columns)
    }

    /// What stands for a missing series of the "many" and of the "one" side. With `group_right` the reference keeps the
    /// order "many, one" and so does not swap the two, whatever their names say.
    fn fills(&self) -> (Option<f64>, Option<f64>) {
        (self.node().matching.fill_left, self.node().matching.fill_right)
    }

    fn groups(&self, many: &[Column], one: &[Column]) -> Vec<(LabelSet, Group)> {
        let mut index: Map<LabelSet, usize> = Map::default();
        let mut groups: Vec<(LabelSet, Group)> = Vec::new();
        let mut position = |labels: &LabelSet, groups: &mut Vec<(LabelSet, Group)>| {
            let signature = signature(&self.node().matching, labels);
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
        active: &[bool],
    ) -> Result<Vec<Option<usize>>, QueryError> {
        let mut ones: Vec<Option<usize>> = vec![None; self.grid.count];
        for index in &group.one {
            for (step, slot) in ones.iter_mut().enumerate() {
                if !active[step] || !one[*index].is_present(step) {
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
        let side = if self.node().matching.cardinality == Cardinality::OneToMany { "left" } else { "right" };
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
        signature: &LabelSet,
        group: &Group,
        sides: Sides<'_>,
        ones: &[Option<usize>],
        columns: &mut Vec<Column>,
    ) -> Result<(), QueryError> {
        let one_to_one = self.node().matching.cardinality == Cardinality::OneToOne;
        let (fill_many, fill_one) = self.fills();
        let mut out = GroupOutput::new(columns);
        if sides.only_floats && fill_many.is_none() && fill_one.is_none() {
            return self.match_floats(group, sides, ones, &mut out);
        }
        let needs_matched = one_to_one || fill_many.is_some();
        let mut matched = vec![false; if needs_matched { self.grid.count } else { 0 }];
        for many_index in &group.many {
            let many = &sides.many[*many_index];
            let mut target: Option<(Option<usize>, usize)> = None;
            for (step, one_index) in ones.iter().enumerate() {
                if (one_index.is_none() && fill_one.is_none()) || !many.is_present(step) {
                    continue;
                }
                let one = one_index.map(|index| &sides.one[index]);
                let pair = self.pair(sides, (Some(many), fill_many), (one, fill_one), step);
                if matches!(pair, Pair::Incompatible) {
                    continue;
                }
                // Filtered or not: an ambiguous match is an error even where nothing is left of it.
                if needs_matched && std::mem::replace(&mut matched[step], true) && one_to_one {
                    return Err(many_to_one());
                }
                if matches!(pair, Pair::Filtered) && !self.may_collide() {
                    continue;
                }
                let position = match target {
                    Some((meets, position)) if meets == *one_index => position,
                    _ => {
                        let one_labels = one.map_or(signature, |one| &one.labels);
                        self.target(&many.labels, many.drop_name, one_labels, &mut out)?
                    }
                };
                target = Some((*one_index, position));
                out.put(position, step, pair)?;
            }
        }
        if fill_many.is_some() {
            self.fill_group(signature, group, sides, &matched, &mut out)?;
        }
        Ok(())
    }

    /// As [`match_group`](Self::match_group), for what nearly all operands are: floats without fill values.
    fn match_floats(
        &self,
        group: &Group,
        sides: Sides<'_>,
        ones: &[Option<usize>],
        out: &mut GroupOutput<'_>,
    ) -> Result<(), QueryError> {
        let one_to_one = self.node().matching.cardinality == Cardinality::OneToOne;
        let may_collide = self.may_collide();
        let mut matched = vec![false; if one_to_one { self.grid.count } else { 0 }];
        for many_index in &group.many {
            let many = &sides.many[*many_index];
            let mut target: Option<(usize, usize)> = None;
            for (step, (one_index, value)) in ones.iter().zip(&many.values).enumerate() {
                let Some(one_index) = *one_index else { continue };
                if is_absent(*value) {
                    continue;
                }
                if one_to_one && std::mem::replace(&mut matched[step], true) {
                    return Err(many_to_one());
                }
                let one = &sides.one[one_index];
                let value = self.float_pair(*value, one.values[step]);
                if is_absent(value) && !may_collide {
                    continue;
                }
                let position = match target {
                    Some((meets, position)) if meets == one_index => position,
                    _ => self.target(&many.labels, many.drop_name, &one.labels, out)?,
                };
                target = Some((one_index, position));
                if may_collide {
                    out.put(position, step, Pair::of_float(value))?;
                    continue;
                }
                let slot = &mut out.columns[position].values[step];
                if !is_absent(*slot) {
                    return Err(not_unique());
                }
                *slot = value;
            }
        }
        Ok(())
    }

    /// Series of the "one" side that met none of the other meet the fill value.
    fn fill_group(
        &self,
        signature: &LabelSet,
        group: &Group,
        sides: Sides<'_>,
        matched: &[bool],
        out: &mut GroupOutput<'_>,
    ) -> Result<(), QueryError> {
        let (fill_many, fill_one) = self.fills();
        for one_index in &group.one {
            let one = &sides.one[*one_index];
            let mut target = None;
            for (step, matched) in matched.iter().enumerate() {
                if *matched || !one.is_present(step) {
                    continue;
                }
                let pair = self.pair(sides, (None, fill_many), (Some(one), fill_one), step);
                if !matches!(pair, Pair::Sample(_)) {
                    continue;
                }
                let position = match target {
                    Some(position) => position,
                    None => self.target(signature, false, &one.labels, out)?,
                };
                target = Some(position);
                out.put(position, step, pair)?;
            }
        }
        Ok(())
    }

    /// Whether a comparison could hide that two results have the same labels: those of the "many" side differ, unless
    /// labels of the other side are put over them.
    fn may_collide(&self) -> bool {
        let node = self.node();
        node.op.is_comparison() && !node.returns_bool && !node.matching.include.is_empty()
    }

    /// The value of a pair of floats.
    #[inline]
    fn float_pair(&self, many: f64, one: f64) -> f64 {
        let swapped = self.node().matching.cardinality == Cardinality::OneToMany;
        let (left, right) = if swapped { (one, many) } else { (many, one) };
        vector_value(self.node(), left, right, left)
    }

    /// What a pair makes; a side without a column is its fill value. A side that has neither meets nothing.
    fn pair(
        &self,
        sides: Sides<'_>,
        (many, fill_many): (Option<&Column>, Option<f64>),
        (one, fill_one): (Option<&Column>, Option<f64>),
        step: usize,
    ) -> Pair {
        let swapped = self.node().matching.cardinality == Cardinality::OneToMany;
        if sides.only_floats {
            let float = |column: Option<&Column>, fill: Option<f64>| {
                column.map_or_else(|| fill.unwrap_or_else(absent), |column| column.values[step])
            };
            let value = self.float_pair(float(many, fill_many), float(one, fill_one));
            return Pair::of_float(value);
        }
        let cell = |column: Option<&'_ Column>, fill: Option<f64>| match column {
            Some(column) => column.sample(step),
            None => fill.map(SampleValue::Float),
        };
        let (Some(many), Some(one)) = (cell(many, fill_many), cell(one, fill_one)) else {
            return Pair::Incompatible;
        };
        let (left, right) = if swapped { (&one, &many) } else { (&many, &one) };
        outcome(&self.operator, as_cell(left), as_cell(right), as_cell(left))
    }

    /// The column of the result that a pair writes into.
    fn target(
        &self,
        many: &LabelSet,
        many_drops_name: bool,
        one: &LabelSet,
        out: &mut GroupOutput<'_>,
    ) -> Result<usize, QueryError> {
        let labels = self.result_labels(many, one);
        let drop_name = self.node().returns_bool || (many_drops_name && !makes_metric(self.node().op));
        let next = out.columns.len();
        let position = *out.index.entry((labels.clone(), drop_name)).or_insert(next);
        if position == next {
            self.operator.context.count_points(self.grid.count)?;
            out.columns.push(Column::new(labels, drop_name, Steps::absent(self.grid.count)));
        }
        Ok(position)
    }

    fn result_labels(&self, many: &LabelSet, one: &LabelSet) -> LabelSet {
        let matching = &self.node().matching;
        let mut labels = if makes_metric(self.node().op) { without_metadata(many) } else { many.clone() };
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

fn many_to_one() -> QueryError {
    QueryError::Execution(
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)".into(),
    )
}

fn as_cell(sample: &SampleValue) -> Cell<'_> {
    match sample {
        SampleValue::Float(value) => Cell::Float(*value),
        SampleValue::Histogram(histogram) => Cell::Histogram(histogram),
    }
}

/// `{__name__="a", b="c"}`.
fn in_braces(labels: &LabelSet) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
