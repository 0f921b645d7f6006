//! Warnings and infos that come along with an answer, each once, with the place they speak of.

use std::fmt::Write as _;

use crate::ast::Span;

/// Most different warnings or infos of one query.
const ANNOTATIONS_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Annotations {
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

impl Annotations {
    pub(crate) fn warn(&mut self, span: Span, text: &str) {
        insert(&mut self.warnings, format!("PromQL warning: {text}"), span);
    }

    pub(crate) fn info(&mut self, span: Span, text: &str) {
        insert(&mut self.infos, format!("PromQL info: {text}"), span);
    }
}

fn insert(list: &mut Vec<String>, mut text: String, span: Span) {
    let written = write!(text, " ({}:{})", span.line, span.column);
    debug_assert!(written.is_ok(), "BUG: writing to a string cannot fail");
    if list.len() < ANNOTATIONS_MAX && !list.contains(&text) {
        list.push(text);
    }
}

/// ` for metric name "x"`, or nothing without a name.
pub(crate) fn for_metric_name(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") }
}
