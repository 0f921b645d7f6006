//! Makes a query that shows something smaller, as long as it still shows it.

use super::generate::When;
use super::query::{Node, Shift};

/// Tries that one shrinking may take.
const TRIES_MAX: usize = 400;

/// The smallest query found for which `shows` still holds.
pub(crate) fn shrink(node: &Node, when: When, shows: &mut dyn FnMut(&Node, When) -> bool) -> (Node, When) {
    let (mut best, mut at) = (node.clone(), when);
    let mut tries = 0;
    if let When::Range { start_ms, end_ms, step_ms } = at {
        let mut times = vec![When::Instant(start_ms), When::Instant(end_ms)];
        let count = (end_ms - start_ms) / step_ms.max(1);
        times.extend((0..=count).map(|index| When::Instant(start_ms + index * step_ms)));
        times.extend((1..count).map(|index| When::Range {
            start_ms,
            end_ms: start_ms + index * step_ms,
            step_ms,
        }));
        for time in times {
            tries += 1;
            if shows(&best, time) {
                at = time;
                break;
            }
        }
    }
    loop {
        let mut candidates = smaller(&best);
        candidates.sort_by_key(weight);
        let found = candidates.into_iter().find(|candidate| {
            tries += 1;
            tries <= TRIES_MAX && candidate.kind() == best.kind() && shows(candidate, at)
        });
        match found {
            Some(found) => best = found,
            None => return (best, at),
        }
    }
}

fn weight(node: &Node) -> (usize, usize) {
    (node.size(), node.to_string().len())
}

/// All trees that differ in one place and are smaller.
fn smaller(node: &Node) -> Vec<Node> {
    let mut out: Vec<Node> = node.children().into_iter().cloned().collect();
    out.extend(simplified(node));
    let count = node.children().len();
    for index in 0..count {
        for candidate in smaller(node.children()[index]) {
            let mut copy = node.clone();
            if candidate.kind() == copy.children()[index].kind() {
                *copy.children_mut()[index] = candidate;
                out.push(copy);
            }
        }
    }
    out.retain(|candidate| weight(candidate) < weight(node));
    out
}

/// The node itself with less to it.
fn simplified(node: &Node) -> Vec<Node> {
    let mut out = Vec::new();
    match node {
        Node::Number(text) if text != "1" => out.push(Node::Number("1".to_owned())),
        Node::Selector { name, matchers, range, shift } => {
            for index in 0..matchers.len() {
                let mut fewer = matchers.clone();
                fewer.remove(index);
                out.push(Node::Selector {
                    name: name.clone(),
                    matchers: fewer,
                    range: range.clone(),
                    shift: shift.clone(),
                });
            }
            out.extend(shifts(shift).into_iter().map(|shift| Node::Selector {
                name: name.clone(),
                matchers: matchers.clone(),
                range: range.clone(),
                shift,
            }));
        }
        Node::Subquery { inner, range, step, shift } => {
            out.extend(shifts(shift).into_iter().map(|shift| Node::Subquery {
                inner: inner.clone(),
                range: range.clone(),
                step: step.clone(),
                shift,
            }));
        }
        Node::Aggregate { op, parameter, grouping: Some(_), inner } => out.push(Node::Aggregate {
            op,
            parameter: parameter.clone(),
            grouping: None,
            inner: inner.clone(),
        }),
        Node::Binary(binary) => {
            if binary.matching.is_some() {
                let mut copy = binary.clone();
                copy.matching = None;
                out.push(Node::Binary(copy));
            }
            if binary.is_bool && node.kind() != super::query::Kind::Scalar {
                let mut copy = binary.clone();
                copy.is_bool = false;
                out.push(Node::Binary(copy));
            }
        }
        _ => {}
    }
    out
}

fn shifts(shift: &Shift) -> Vec<Shift> {
    let mut out = Vec::new();
    if shift.offset.is_some() {
        out.push(Shift { offset: None, at: shift.at.clone() });
    }
    if shift.at.is_some() {
        out.push(Shift { offset: shift.offset, at: None });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::generate::{Dialect, Generator};

    #[test]
    fn what_is_left_is_what_shows_it() {
        let functions = promql::functions().iter().filter(|function| !function.experimental).collect();
        let dialect = Dialect { functions, aligned: false };
        let mut found = 0;
        for seed in 0..500 {
            let (node, when) = Generator::new(seed, &dialect).query();
            if !node.uses(&["rate"])
                || matches!(node, Node::Text(_))
                || node.kind() != crate::diff::query::Kind::Vector
            {
                continue;
            }
            let (small, at) = shrink(&node, when, &mut |node, _| node.uses(&["rate"]));
            assert!(matches!(&small, Node::Call { name: "rate", .. }), "{node} became {small}");
            assert!(matches!(at, When::Instant(_)));
            assert!(small.size() <= 2, "{small}");
            found += 1;
        }
        assert!(found > 5, "{found}");
    }
}
