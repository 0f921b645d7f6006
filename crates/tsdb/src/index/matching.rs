//! Which values of a label pass a matcher: by look-up, by a range of the sorted values, by comparing strings, and by
//! the regular expression only when nothing else will do.

use std::collections::BTreeMap;
use std::ops::Bound;

use model::{MatchOp, Matcher};

use super::PairId;
use super::glob::{self, Glob};

/// How to tell which values pass.
pub(crate) struct Test<'m> {
    matcher: &'m Matcher,
    /// Whether the operator asks for the opposite of what `wanted` says.
    is_negated: bool,
    wanted: Wanted,
}

/// Where values that pass are, among sorted ones.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Places<'t> {
    /// These pass, ascending, and no others.
    These(Vec<&'t str>),
    /// All that pass start like this; they have to be asked.
    From(&'t str),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A value that passes any of them.
    Globs(Vec<Glob>),
    /// What the regular expression says; all it takes starts like this.
    Regex { prefix: String },
}

impl<'m> Test<'m> {
    pub(crate) fn of(matcher: &'m Matcher) -> Self {
        let is_negated = matches!(matcher.op(), MatchOp::NotEqual | MatchOp::NotRegex);
        let wanted = match matcher.op() {
            MatchOp::Equal | MatchOp::NotEqual => Wanted::Globs(vec![Glob::of_literal(matcher.value())]),
            MatchOp::Regex | MatchOp::NotRegex => match glob::parse(matcher.value()) {
                Some(globs) => Wanted::Globs(globs),
                None => Wanted::Regex { prefix: literal_prefix(matcher.value()).to_owned() },
            },
        };
        Self { matcher, is_negated, wanted }
    }

    /// Whether every value that there is answers `passes`: values are not empty, so that `.+` takes all of them.
    pub(super) fn is_always(&self, passes: bool) -> bool {
        let takes_all = matches!(self.matcher.value(), ".*" | ".+")
            && !matches!(self.matcher.op(), MatchOp::Equal | MatchOp::NotEqual);
        takes_all && passes != self.is_negated
    }

    /// Pairs whose value passes the matcher, or does not.
    pub(super) fn pairs(&self, values: &BTreeMap<Box<str>, PairId>, passes: bool) -> Vec<PairId> {
        if self.is_always(passes) {
            return values.values().copied().collect();
        }
        if passes == self.is_negated {
            // What the pattern does not take: everything has to be looked at.
            let others = values.iter().filter(|(value, _)| !self.takes(value));
            return others.map(|(_, id)| *id).collect();
        }
        match &self.wanted {
            Wanted::Globs(globs) => {
                let mut ids: Vec<_> = globs.iter().flat_map(|glob| pairs_of_glob(glob, values)).collect();
                ids.sort_unstable();
                ids.dedup();
                ids
            }
            Wanted::Regex { prefix } => {
                with_prefix(prefix, values).filter(|(value, _)| self.takes(value)).map(|(_, id)| id).collect()
            }
        }
    }

    /// Where to look for values that pass, or do not.
    pub(crate) fn places(&self, passes: bool) -> Places<'_> {
        if passes == self.is_negated || self.is_always(passes) {
            return Places::From("");
        }
        match &self.wanted {
            Wanted::Globs(globs) => {
                let literals: Option<Vec<_>> = globs.iter().map(Glob::literal).collect();
                literals.map_or_else(
                    || Places::From(common_prefix(globs)),
                    |mut literals| {
                        literals.sort_unstable();
                        literals.dedup();
                        Places::These(literals)
                    },
                )
            }
            Wanted::Regex { prefix } => Places::From(prefix),
        }
    }

    /// Whether `value` passes, or does not.
    pub(crate) fn answers(&self, value: &str, passes: bool) -> bool {
        self.is_always(passes) || (self.takes(value) != self.is_negated) == passes
    }

    /// Whether the value or pattern takes `value`, whatever the operator makes of it.
    fn takes(&self, value: &str) -> bool {
        match &self.wanted {
            Wanted::Globs(globs) => globs.iter().any(|glob| glob.matches(value)),
            Wanted::Regex { .. } => self.matcher.matches(value) != self.is_negated,
        }
    }

    #[cfg(test)]
    pub(super) fn wanted(self) -> Wanted {
        self.wanted
    }
}

fn common_prefix(globs: &[Glob]) -> &str {
    let first = globs.first().map_or("", |glob| glob.prefix.as_str());
    let is_common = |len: &usize| {
        first.get(..*len).is_some_and(|prefix| globs.iter().all(|glob| glob.prefix.starts_with(prefix)))
    };
    let len = (0..=first.len()).rev().find(is_common).unwrap_or_default();
    first.get(..len).unwrap_or_default()
}

fn pairs_of_glob(glob: &Glob, values: &BTreeMap<Box<str>, PairId>) -> Vec<PairId> {
    if let Some(literal) = glob.literal() {
        return values.get(literal).copied().into_iter().collect();
    }
    let is_enough = glob.is_prefix();
    let range = with_prefix(&glob.prefix, values).filter(|(value, _)| is_enough || glob.matches(value));
    range.map(|(_, id)| id).collect()
}

fn with_prefix<'v>(
    prefix: &'v str,
    values: &'v BTreeMap<Box<str>, PairId>,
) -> impl Iterator<Item = (&'v str, PairId)> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    let range = values.range::<str, _>(from).map(|(value, id)| (value.as_ref(), *id));
    range.take_while(move |(value, _)| value.starts_with(prefix))
}

/// What every match of a regular expression starts with; nothing when it has alternatives.
fn literal_prefix(pattern: &str) -> &str {
    const META: [char; 12] = ['\\', '.', '+', '*', '?', '(', ')', '[', ']', '{', '}', '^'];
    if pattern.contains('|') {
        return "";
    }
    let end =
        pattern.find(|character| META.contains(&character) || character == '$').unwrap_or(pattern.len());
    let (mut prefix, rest) = pattern.split_at(end);
    if rest.starts_with(['*', '?', '{', '+']) {
        // The quantifier belongs to the last character.
        let last = prefix.chars().next_back().map_or(0, char::len_utf8);
        prefix = prefix.get(..prefix.len() - last).unwrap_or_default();
    }
    prefix
}
