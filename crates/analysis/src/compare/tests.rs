use super::*;
use crate::testing::trace;

#[test]
fn every_operation_of_either_phase_contributes() {
    let before = [trace("R - 0 3000000 a/x\n A R 0 1000000 a/gone"), trace("R - 0 2000000 a/x")];
    let after = [trace("R - 0 5000000 a/x\n B R 0 4000000 b/new"), trace("Q - 0 10 a/other")];
    let compare = compare(&before, &after);
    assert_eq!(compare.entry_points.len(), 1, "an entry point of one phase has nothing to compare with");
    let entry = &compare.entry_points[0];
    assert_eq!((entry.before.mean_ms, entry.after.mean_ms, entry.before.p99_ms), (2.5, 5.0, 3.0));
    let contributions: Vec<_> = entry.contributions.iter().map(|c| (&*c.operation, c.delta_ms)).collect();
    assert_eq!(contributions, [("new", 4.0), ("x", -1.0), ("gone", -0.5)]);
}

#[test]
fn nothing_compares_to_nothing() {
    assert_eq!(compare(&[], &[]), Compare::default());
}
