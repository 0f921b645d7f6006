use std::sync::Arc;

use crate::Trace;
use crate::testing::{id_text, spans, trace};

fn shape(trace: &Trace) -> String {
    let name = |index: usize| id_text(trace.span(index).span_id);
    let mut lines = Vec::new();
    for root in trace.roots() {
        for index in trace.subtree(*root) {
            let children: Vec<_> = trace.children(index).iter().map(|child| name(*child)).collect();
            lines.push(format!("{}[{}]", name(index), children.join(" ")));
        }
    }
    lines.join(" ")
}

#[track_caller]
fn check(lines: &str, want: &str) {
    let given = spans(lines);
    assert_eq!(shape(&Trace::assemble(&given)), want);
    let reversed: Vec<_> = given.into_iter().rev().collect();
    assert_eq!(shape(&Trace::assemble(&reversed)), want, "order of arrival matters");
}

#[test]
fn children_follow_their_start() {
    check("R - 0 100\n B R 50 60\n A R 10 20\n C A 12 13", "R[A B] A[C] B[] C[]");
}

#[test]
fn an_orphan_is_a_root() {
    check("R - 0 100\n O lost 20 30\n P O 22 23", "R[] O[P] P[]");
}

#[test]
fn a_span_is_not_its_own_parent() {
    check("R R 0 10", "R[]");
}

#[test]
fn a_cycle_starts_at_its_earliest_span() {
    check("A C 5 10\n B A 6 9\n C B 7 8", "A[B] B[C] C[]");
    check("T B 1 2\n A B 5 10\n B A 6 9", "T[] A[B] B[]");
    check("R - 0 50\n A B 5 10\n B A 6 9\n X Y 20 30\n Y X 21 22", "R[] A[B] B[] X[Y] Y[]");
}

#[test]
fn an_id_counts_once_and_the_longest_wins() {
    let twice = trace("R - 0 100\n A R 10 20\n A R 10 40");
    assert_eq!((twice.spans().len(), twice.duplicates(), twice.span(1).end_ns), (2, 1, 40));
}

#[test]
fn the_headline_root_names_no_parent() {
    let headline = |lines| trace(lines).headline_root().map(|root| id_text(trace(lines).span(root).span_id));
    assert_eq!(headline("O lost 0 900\n R - 5 10\n Q - 6 99").as_deref(), Some("R"));
    assert_eq!(headline("O lost 0 90\n P gone 5 200").as_deref(), Some("P"));
    assert_eq!(headline(""), None);
}

#[test]
fn a_trace_without_spans_is_empty() {
    let empty = Trace::assemble(&[] as &[Arc<model::Span>]);
    assert!(empty.trace_id().is_zero() && empty.roots().is_empty());
}
