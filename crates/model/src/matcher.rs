//! Label matchers: `=`, `!=`, `=~`, `!~`.

use std::fmt;

use regex::Regex;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    /// PromQL's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A regular expression that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression {pattern:?}: {detail}")]
pub struct MatcherError {
    pub pattern: String,
    pub detail: String,
}

/// Compares the value of one label. An absent label has the value `""`.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// A matcher; regular expressions are anchored at both ends and `.` matches a newline, as in Prometheus 3.
    ///
    /// # Errors
    /// [`MatcherError`] when the regular expression does not compile or is too large (1 MiB compiled).
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, MatcherError> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(compile(&value)?),
        };
        Ok(Self { name: name.into(), op, value, regex })
    }

    /// `name="value"`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// Label name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Comparison.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// Value or pattern, as written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label of this value passes.
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => self.regex_matches(value),
            MatchOp::NotRegex => !self.regex_matches(value),
        }
    }

    /// Whether series without the label pass.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    fn regex_matches(&self, value: &str) -> bool {
        self.regex.as_ref().is_some_and(|regex| regex.is_match(value))
    }
}

/// Two matchers are equal when they read the same.
impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

fn compile(pattern: &str) -> Result<Regex, MatcherError> {
    regex::RegexBuilder::new(&format!("^(?s:{})$", crate::translate_go_regex(pattern)))
        .size_limit(1 << 20)
        .build()
        .map_err(|error| MatcherError { pattern: pattern.to_owned(), detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators() {
        let matcher = |op, value: &str| Matcher::new("l", op, value).expect("valid");
        assert!(matcher(MatchOp::Equal, "a").matches("a") && !matcher(MatchOp::Equal, "a").matches("ab"));
        assert!(matcher(MatchOp::NotEqual, "a").matches_empty());
        assert!(
            matcher(MatchOp::Regex, "a.c|x").matches("a\nc") && !matcher(MatchOp::Regex, "a").matches("ba")
        );
        assert!(
            matcher(MatchOp::NotRegex, "a+").matches("b") && !matcher(MatchOp::NotRegex, "a+").matches("aa")
        );
    }

    #[test]
    fn bad_pattern_is_named() {
        let error = Matcher::new("l", MatchOp::Regex, "(").expect_err("unclosed group");
        assert_eq!(error.pattern, "(");
    }
}
