//! Regular expressions that are not really any: `a|b`, `ab.*`, `.*-prod`, `api\.(…)` without the group, told by string
//! comparisons.
//!
//! ```text
//! pattern := alternative ('|' alternative)*          the whole may stand in one pair of parentheses
//! alternative := literal (wild literal)*             wild is .* or .+, any character may be escaped
//! ```
//! Anything else is left to the regular expression. Anchored at both ends, `.` matches a newline, as in Prometheus 3.

/// One alternative: literals with wild cards in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Glob {
    /// What every match starts with.
    pub(super) prefix: String,
    /// What follows: characters that a wild card takes at least, and the literal behind it.
    rest: Vec<(usize, String)>,
}

impl Glob {
    /// Takes this string and no other.
    pub(super) fn of_literal(literal: &str) -> Self {
        Self { prefix: literal.to_owned(), rest: Vec::new() }
    }

    /// The one string that passes, if there is only one.
    pub(super) fn literal(&self) -> Option<&str> {
        self.rest.is_empty().then_some(self.prefix.as_str())
    }

    /// Whether whatever starts with the prefix passes.
    pub(super) fn is_prefix(&self) -> bool {
        matches!(self.rest.as_slice(), [(0, literal)] if literal.is_empty())
    }

    /// Whether `text` passes.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(mut rest) = text.strip_prefix(self.prefix.as_str()) else { return false };
        let Some(((last_min, last), middle)) = self.rest.split_last() else { return rest.is_empty() };
        for (min_chars, literal) in middle {
            let Some(room) = skip_chars(rest, *min_chars) else { return false };
            // The leftmost occurrence leaves most room for what follows.
            let Some(at) = room.find(literal.as_str()) else { return false };
            rest = room.get(at + literal.len()..).unwrap_or_default();
        }
        rest.strip_suffix(last.as_str()).is_some_and(|room| skip_chars(room, *last_min).is_some())
    }
}

/// What is left behind so many characters, if there are so many.
fn skip_chars(text: &str, count: usize) -> Option<&str> {
    let mut chars = text.chars();
    for _ in 0..count {
        chars.next()?;
    }
    Some(chars.as_str())
}

/// The alternatives of `pattern`, or `None` when it takes a regular expression.
pub(super) fn parse(pattern: &str) -> Option<Vec<Glob>> {
    let inner = pattern.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    // Escaped or inner parentheses are refused below, with everything else that has a meaning.
    let pattern = inner.filter(|inner| !inner.ends_with('\\') && !inner.starts_with('?')).unwrap_or(pattern);
    let mut globs = vec![Glob::default()];
    let mut chars = pattern.chars().peekable();
    while let Some(character) = chars.next() {
        let glob = globs.last_mut()?;
        match character {
            '|' => globs.push(Glob::default()),
            '.' => {
                let min_chars = match chars.next() {
                    Some('*') => 0,
                    Some('+') => 1,
                    _ => return None,
                };
                if matches!(chars.peek(), Some('?' | '*' | '+' | '{')) {
                    return None;
                }
                push_wild(glob, min_chars);
            }
            '\\' => {
                let escaped = chars.next().filter(char::is_ascii_punctuation)?;
                push_literal(glob, escaped, chars.peek().copied())?;
            }
            '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            _ => push_literal(glob, character, chars.peek().copied())?,
        }
    }
    Some(globs)
}

fn push_literal(glob: &mut Glob, character: char, next: Option<char>) -> Option<()> {
    if matches!(next, Some('*' | '+' | '?' | '{')) {
        return None;
    }
    let literal = glob.rest.last_mut().map_or(&mut glob.prefix, |(_, literal)| literal);
    literal.push(character);
    Some(())
}

fn push_wild(glob: &mut Glob, min_chars: usize) {
    match glob.rest.last_mut() {
        // `.*.+` takes as much as one of them that takes what both take.
        Some((min, literal)) if literal.is_empty() => *min += min_chars,
        _ => glob.rest.push((min_chars, String::new())),
    }
}

#[cfg(test)]
mod tests {
    use model::{MatchOp, Matcher};
    use proptest::prelude::*;

    use super::parse;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn says_what_the_regular_expression_says(
            pattern in "(\\()?([abé|]|\\.\\*|\\.\\+|\\\\\\.|\\.|\\?|\\[|-){0,6}(\\))?",
            texts in proptest::collection::vec("[abé.\n-]{0,5}", 1..20),
        ) {
            let (Some(globs), Ok(matcher)) = (parse(&pattern), Matcher::new("l", MatchOp::Regex, pattern.as_str()))
                else { return Ok(()) };
            for text in &texts {
                let passes = globs.iter().any(|glob| glob.matches(text));
                prop_assert_eq!(passes, matcher.matches(text), "{} on {:?}", pattern, text);
            }
        }
    }

    #[test]
    fn common_patterns_need_no_regular_expression() {
        for pattern in
            ["a|b", "(a|b)", "node-.*", ".*-prod", ".*api.*", "10\\.0\\.0\\.1:.+", "a.*|.*b", "", ".+"]
        {
            assert!(parse(pattern).is_some(), "{pattern}");
        }
        for pattern in
            ["a?", "[ab]", "a.b", "^a", "(a)(b)", "a{2}", "\\d", "a.*?", "(?i)a", "(?i:a)", "a|(b)"]
        {
            assert!(parse(pattern).is_none(), "{pattern}");
        }
    }
}
