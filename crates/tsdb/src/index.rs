//! Label index: which series have a label, and which pass a list of matchers.
//!
//! ```text
//! name ─▶ value ─▶ postings (roaring bitmap of series ids)              values sorted
//! ```
//! - An absent label has the value `""`. A matcher that `""` passes takes away the series whose value fails it;
//!   any other matcher gives the union of the postings of the values that pass.
//! - Regular expressions run over the distinct values of one label, not over series, and often not at all:
//!   `a|b|c` is three look-ups, `ab.*` a range of the sorted values.

use std::collections::BTreeMap;
use std::ops::Bound;

use model::{LabelSetRef, MatchOp, Matcher};
use roaring::{MultiOps, RoaringBitmap};

/// Postings by label name and value.
#[derive(Debug, Default)]
pub(crate) struct LabelIndex {
    names: BTreeMap<Box<str>, Values>,
    all: RoaringBitmap,
}

type Values = BTreeMap<Box<str>, RoaringBitmap>;

impl LabelIndex {
    /// Adds a series. `id` is not in use.
    pub(crate) fn insert(&mut self, id: u32, labels: LabelSetRef<'_>) {
        self.all.insert(id);
        for (name, value) in labels.iter() {
            // Looking up first spares the allocations of `entry` for names and values already known.
            let values = match self.names.get_mut(name) {
                Some(values) => values,
                None => self.names.entry(name.into()).or_default(),
            };
            match values.get_mut(value) {
                Some(postings) => postings.insert(id),
                None => values.entry(value.into()).or_default().insert(id),
            };
        }
    }

    /// Takes a series out.
    pub(crate) fn remove(&mut self, id: u32, labels: LabelSetRef<'_>) {
        self.all.remove(id);
        for (name, value) in labels.iter() {
            let Some(values) = self.names.get_mut(name) else { continue };
            if let Some(postings) = values.get_mut(value) {
                postings.remove(id);
                if postings.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// Series that pass all `matchers`.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let (subtracting, intersecting): (Vec<_>, Vec<_>) =
            matchers.iter().partition(|matcher| matcher.matches_empty());
        let mut result: Option<RoaringBitmap> = None;
        for matcher in intersecting {
            let passing = self.union_of_values(matcher);
            result = Some(match result {
                Some(so_far) => so_far & passing,
                None => passing,
            });
            if result.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return RoaringBitmap::new();
            }
        }
        let mut result = result.unwrap_or_else(|| self.all.clone());
        for matcher in subtracting.into_iter().filter(|matcher| !passes_everything(matcher)) {
            let values = self.names.get(matcher.name());
            let failing = values.into_iter().flatten().filter(|(value, _)| !matcher.matches(value));
            result -= failing.map(|(_, postings)| postings).union();
        }
        result
    }

    /// Names of labels in use, ascending.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(AsRef::as_ref)
    }

    /// Values of a label in use, ascending.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.names.get(name).into_iter().flatten().map(|(value, _)| value.as_ref())
    }

    /// Values of a label that a series of `ids` has, ascending.
    pub(crate) fn values_among(&self, name: &str, ids: &RoaringBitmap) -> impl Iterator<Item = &str> {
        let values = self.names.get(name).into_iter().flatten();
        values.filter(|(_, postings)| !postings.is_disjoint(ids)).map(|(value, _)| value.as_ref())
    }

    /// Names of labels that a series of `ids` has, ascending.
    pub(crate) fn names_among(&self, ids: &RoaringBitmap) -> impl Iterator<Item = &str> {
        let names = self.names.iter();
        names
            .filter(|(_, values)| values.values().any(|postings| !postings.is_disjoint(ids)))
            .map(|(name, _)| name.as_ref())
    }

    fn union_of_values(&self, matcher: &Matcher) -> RoaringBitmap {
        let Some(values) = self.names.get(matcher.name()) else { return RoaringBitmap::new() };
        match plan(matcher) {
            Plan::Values(wanted) => wanted.iter().filter_map(|value| values.get(*value)).union(),
            Plan::Prefix { prefix, is_enough } => {
                let from = (Bound::Included(prefix), Bound::Unbounded);
                let range = values.range::<str, _>(from).take_while(|(value, _)| value.starts_with(prefix));
                let passing = range.filter(|(value, _)| is_enough || matcher.matches(value));
                passing.map(|(_, postings)| postings).union()
            }
        }
    }
}

/// How to find the values that pass a matcher.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan<'a> {
    /// Exactly these.
    Values(Vec<&'a str>),
    /// Those that start like this: all of them, or only those that pass when tried.
    Prefix { prefix: &'a str, is_enough: bool },
}

/// How to find them.
pub(crate) fn plan(matcher: &Matcher) -> Plan<'_> {
    let try_all = Plan::Prefix { prefix: "", is_enough: false };
    match matcher.op() {
        MatchOp::Equal => Plan::Values(vec![matcher.value()]),
        MatchOp::NotEqual | MatchOp::NotRegex => try_all,
        MatchOp::Regex => {
            let pattern = matcher.value();
            if !pattern.contains(is_meta) {
                let mut wanted: Vec<_> = pattern.split('|').collect();
                wanted.sort_unstable();
                wanted.dedup();
                return Plan::Values(wanted);
            }
            if pattern.contains('|') {
                return try_all;
            }
            let (prefix, rest) = literal_prefix(pattern);
            Plan::Prefix { prefix, is_enough: rest == ".*" || (rest == ".+" && prefix.is_empty()) }
        }
    }
}

/// Whether it is `=~".*"`.
pub(crate) fn passes_everything(matcher: &Matcher) -> bool {
    matcher.op() == MatchOp::Regex && matcher.value() == ".*"
}

/// Characters with a meaning in regular expressions, `|` apart.
fn is_meta(character: char) -> bool {
    matches!(
        character,
        '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' | '#' | '&' | '-' | '~'
    )
}

/// What every match of `pattern` (without `|`) starts with, and the rest of the pattern.
fn literal_prefix(pattern: &str) -> (&str, &str) {
    let end = pattern.find(|character| is_meta(character) && character != '-').unwrap_or(pattern.len());
    let (mut prefix, rest) = pattern.split_at(end);
    if rest.starts_with(['*', '?', '{', '+']) {
        // The quantifier belongs to the last character.
        let last = prefix.chars().next_back().map_or(0, char::len_utf8);
        prefix = prefix.get(..prefix.len() - last).unwrap_or_default();
    }
    (prefix, pattern.get(prefix.len()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::LabelSet;
    use proptest::prelude::*;

    fn matcher(op: MatchOp, value: &str) -> Matcher {
        Matcher::new("l", op, value).expect("valid")
    }

    #[test]
    fn plans_avoid_the_regex_where_they_can() {
        let prefix = |prefix, is_enough| Plan::Prefix { prefix, is_enough };
        let cases = [
            ("a", Plan::Values(vec!["a"])),
            ("b|a|b", Plan::Values(vec!["a", "b"])),
            ("ab.*", prefix("ab", true)),
            (".+", prefix("", true)),
            ("ab.+", prefix("ab", false)),
            ("ab*", prefix("a", false)),
            ("é?x", prefix("", false)),
            ("a.c|x", prefix("", false)),
            ("node-[0-9]+", prefix("node-", false)),
        ];
        for (pattern, want) in cases {
            assert_eq!(plan(&matcher(MatchOp::Regex, pattern)), want, "{pattern}");
        }
    }

    #[test]
    fn removal_leaves_nothing_behind() {
        let labels = LabelSet::from_pairs([("l", "a"), ("m", "b")]).unwrap();
        let mut index = LabelIndex::default();
        index.insert(7, labels.as_ref());
        assert_eq!(index.select(&[matcher(MatchOp::Equal, "a")]).iter().collect::<Vec<_>>(), [7]);
        index.remove(7, labels.as_ref());
        assert!(index.names.is_empty() && index.all.is_empty());
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
}
