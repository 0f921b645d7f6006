//! `label_replace`, `label_join`, `sort_by_label`.

use std::cmp::Ordering;

use model::METRIC_NAME;
use regex::Regex;

use super::column::{Column, Grid, join_equal};
use super::context::Context;
use super::eval::{string, vector};
use crate::ast::Expr;
use crate::error::QueryError;
use crate::parser::strings::quote_bytes;

/// A label's name from a string literal.
pub(crate) fn label_name(bytes: &[u8]) -> Result<String, QueryError> {
    match std::str::from_utf8(bytes) {
        Ok(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(QueryError::Execution(format!("invalid label name {}", quote_bytes(bytes)))),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, QueryError> {
    String::from_utf8(bytes).map_err(|error| {
        QueryError::Execution(format!("invalid UTF-8 in string {}", quote_bytes(error.as_bytes())))
    })
}

/// `label_replace(v, destination, replacement, source, regex)`.
pub(crate) fn replace(
    context: &Context<'_>,
    arguments: &[Expr],
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let destination = string(context, &arguments[1], grid)?;
    let replacement = text(string(context, &arguments[2], grid)?)?;
    let source = text(string(context, &arguments[3], grid)?)?;
    let pattern = text(string(context, &arguments[4], grid)?)?;
    let regex = regex::RegexBuilder::new(&format!("^(?s:{})$", model::translate_go_regex(&pattern)))
        .size_limit(1 << 20)
        .build()
        .map_err(|_| execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
    let destination = label_name(&destination).map_err(|_| {
        execution(format!("invalid destination label name in label_replace(): {}", quote_bytes(&destination)))
    })?;
    let columns = vector(context, &arguments[0], grid)?;
    let changed = columns.into_iter().map(|column| {
        match replaced(&regex, column.labels.get(&source).unwrap_or_default(), &replacement) {
            Some(value) => set_label(column, &destination, &value),
            None => column,
        }
    });
    join_equal(changed.collect())
}

fn replaced(regex: &Regex, value: &str, replacement: &str) -> Option<String> {
    let captures = regex.captures(value)?;
    let mut out = String::new();
    captures.expand(replacement, &mut out);
    Some(out)
}

/// A name that is set stays, even if it was to be dropped.
fn set_label(mut column: Column, name: &str, value: &str) -> Column {
    let mut builder = column.labels.to_builder();
    builder.set(name, value);
    column.labels = builder.build();
    if name == METRIC_NAME {
        column.drop_name = false;
    }
    column
}

/// `label_join(v, destination, separator, sources…)`.
pub(crate) fn join(context: &Context<'_>, arguments: &[Expr], grid: Grid) -> Result<Vec<Column>, QueryError> {
    let destination = string(context, &arguments[1], grid)?;
    let destination = label_name(&destination).map_err(|_| {
        execution(format!("invalid destination label name in label_join(): {}", quote_bytes(&destination)))
    })?;
    let separator = text(string(context, &arguments[2], grid)?)?;
    let mut sources = Vec::new();
    for argument in &arguments[3..] {
        let bytes = string(context, argument, grid)?;
        sources.push(label_name(&bytes).map_err(|_| {
            execution(format!("invalid source label name in label_join(): {}", quote_bytes(&bytes)))
        })?);
    }
    let columns = vector(context, &arguments[0], grid)?;
    let changed = columns.into_iter().map(|column| {
        let values: Vec<&str> =
            sources.iter().map(|source| column.labels.get(source).unwrap_or_default()).collect();
        let joined = values.join(&separator);
        set_label(column, &destination, &joined)
    });
    join_equal(changed.collect())
}

fn execution(message: String) -> QueryError {
    QueryError::Execution(message)
}

/// Orders by the values of `names`, numbers inside them by size; then by all labels.
pub(crate) fn sort_by_labels(mut columns: Vec<Column>, names: &[String], descending: bool) -> Vec<Column> {
    columns.sort_by(|left, right| {
        let order = names
            .iter()
            .map(|name| {
                natural_order(
                    left.labels.get(name).unwrap_or_default(),
                    right.labels.get(name).unwrap_or_default(),
                )
            })
            .find(|order| order.is_ne())
            .unwrap_or_else(|| left.labels.cmp(&right.labels));
        if descending { order.reverse() } else { order }
    });
    columns
}

/// `a2` before `a10`.
fn natural_order(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        match (left.is_empty(), right.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let (left_part, left_rest) = split_run(left);
        let (right_part, right_rest) = split_run(right);
        let order = match (left_part.parse::<u64>(), right_part.parse::<u64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            _ => left_part.cmp(right_part),
        };
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// The leading run of digits or of other characters.
fn split_run(text: &str) -> (&str, &str) {
    let digits_first = text.starts_with(|character: char| character.is_ascii_digit());
    let end = text.find(|character: char| character.is_ascii_digit() != digits_first).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_inside_text_are_ordered_by_size() {
        let mut values = ["a10", "a2", "b1", "a2b", "", "10", "9"];
        values.sort_by(|left, right| natural_order(left, right));
        assert_eq!(values, ["", "9", "10", "a2", "a2b", "a10", "b1"]);
    }
}
