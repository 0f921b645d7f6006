//! Selections against matching each series; what removal leaves.

use std::cmp::Ordering;

use model::{LabelSet, MatchOp, Matcher};
use proptest::prelude::*;

use super::LabelIndex;
use super::matching::{Test, Wanted};

fn matcher(op: MatchOp, value: &str) -> Matcher {
    Matcher::new("l", op, value).expect("valid")
}

#[test]
fn only_real_regular_expressions_are_run() {
    let cases = [
        ("a.c", Some("a")),
        ("ab*", Some("a")),
        ("é?x", Some("")),
        ("a.c|x", Some("")),
        ("node-[0-9]+", Some("node-")),
        ("node-.*", None),
        ("(a|b)", None),
    ];
    for (pattern, want) in cases {
        for op in [MatchOp::Regex, MatchOp::NotRegex] {
            let prefix = match Test::of(&matcher(op, pattern)).wanted() {
                Wanted::Regex { prefix } => Some(prefix),
                Wanted::Globs(_) => None,
            };
            assert_eq!(prefix.as_deref(), want, "{pattern}");
        }
    }
}

#[test]
fn removal_leaves_nothing_behind_once_nobody_looks() {
    let labels = LabelSet::from_pairs([("l", "a"), ("m", "b")]).unwrap();
    let mut index = LabelIndex::default();
    let mut ids = Vec::new();
    index.insert_with_ids(7, labels.as_ref(), &mut ids);
    assert_eq!(index.select(&[matcher(MatchOp::Equal, "a")]).iter().collect::<Vec<_>>(), [7]);
    let epoch = index.pairs().epoch();
    index.remove(7, &ids);
    assert!(index.names.is_empty() && index.all.is_empty());
    index.advance_epoch();
    assert_eq!(index.pairs().labels(&ids), labels, "a selection may still ask");
    drop(epoch);
    index.advance_epoch();
    assert_eq!(index.pairs().labels(&ids), LabelSet::empty());
    let other = LabelSet::from_pairs([("l", "x"), ("m", "y")]).unwrap();
    let mut reused = Vec::new();
    index.insert_with_ids(7, other.as_ref(), &mut reused);
    reused.sort_unstable();
    assert_eq!(reused, [0, 1], "ids are used again");
}

#[test]
fn the_largest_are_counted() {
    let mut index = LabelIndex::default();
    for (id, value) in (0..).zip(["x", "y", "x", "z"]) {
        let name = if id == 3 { "down" } else { "up" };
        let labels = LabelSet::from_pairs([("__name__", name), ("l", value)]).unwrap();
        index.insert(id, labels.as_ref());
    }
    let stats = index.stats(2);
    let named = |name: &str, count| (name.to_owned(), count);
    assert_eq!(stats.label_pairs, 5);
    assert_eq!(stats.series_by_metric_name, [named("up", 3), named("down", 1)]);
    assert_eq!(stats.values_by_label_name, [named("l", 3), named("__name__", 2)]);
    assert_eq!(stats.bytes_by_label_name, [named("__name__", 10), named("l", 4)]);
    assert_eq!(stats.series_by_label_pair, [named("__name__=up", 3), named("l=x", 2)]);
}

proptest! {
    #[test]
    fn series_compare_as_their_label_sets(
        sets in proptest::collection::vec(proptest::collection::btree_map("[ab]{1,2}", "([ab]{1,3}|a{5,40}[ab]|[ab]a{3,20})", 0..4), 2..6),
    ) {
        let mut index = LabelIndex::default();
        let sets: Vec<_> = (0..).zip(&sets).map(|(id, map)| {
            let labels = LabelSet::from_pairs(map.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap();
            let mut ids = Vec::new();
            index.insert_with_ids(id, labels.as_ref(), &mut ids);
            (labels, ids)
        }).collect();
        for (left, left_ids) in &sets {
            prop_assert!(index.pairs().are(left_ids, left.as_bytes()));
            for (right, right_ids) in &sets {
                let order = index.pairs().compare(left_ids, right_ids);
                prop_assert_eq!(order, left.cmp(right));
                prop_assert_eq!(index.pairs().are(left_ids, right.as_bytes()), order == Ordering::Equal);
            }
        }
    }
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let patterns = prop_oneof![
        Just(""),
        Just("a"),
        Just("b"),
        Just("ab"),
        Just("a|b"),
        Just("a|"),
        Just("a.*"),
        Just("a.+"),
        Just(".*"),
        Just(".+"),
        Just("(a|b)b?"),
        Just("[^a]"),
        Just("b?"),
        Just("a-b"),
        Just("a-.*"),
        Just("a-*"),
        Just(".*b"),
        Just(".*a.*"),
        Just("(a|b.*)"),
    ];
    let ops = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex)
    ];
    let names = prop_oneof![Just("l"), Just("m"), Just("absent")];
    (names, ops, patterns).prop_map(|(name, op, pattern)| Matcher::new(name, op, pattern).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn select_is_matching_each_series(
        series in proptest::collection::vec(("[ab-]{0,3}", "[ab]{0,2}"), 0..20),
        matchers in proptest::collection::vec(any_matcher(), 0..4),
    ) {
        let series: Vec<_> = series.iter()
            .map(|(l, m)| LabelSet::from_pairs([("l", l.as_str()), ("m", m.as_str())]).unwrap()).collect();
        let mut index = LabelIndex::default();
        for (id, labels) in (0..).zip(&series) {
            index.insert(id, labels.as_ref());
        }
        let passes = |labels: &LabelSet|
            matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default()));
        let want: Vec<u32> = (0..).zip(&series).filter(|(_, labels)| passes(labels)).map(|(id, _)| id).collect();
        prop_assert_eq!(index.select(&matchers).iter().collect::<Vec<_>>(), want);
    }
}
