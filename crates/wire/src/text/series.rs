//! A series as it is written: name and labels, unpacked on demand.

use std::borrow::Cow;

use model::{LabelError, LabelSet, METRIC_NAME};

/// The text of a name with its labels, `http_requests_total{code="200"}`. Its syntax has been checked; whether label
/// names repeat has not (that shows when the label set is built).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Series<'a>(pub(super) &'a str);

/// Name and value of a label, borrowed unless it had escapes.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

impl<'a> Series<'a> {
    /// A text that is known to have this syntax.
    pub(crate) fn from_checked(text: &'a str) -> Self {
        Self(text)
    }

    /// The text as it was written. Equal texts are equal series; the reverse does not hold.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Adds name (as `__name__`) and labels to `pairs`, in the order they are written.
    pub fn pairs(self, pairs: &mut Vec<Pair<'a>>) {
        let (name, mut rest) = match self.0.find('{') {
            Some(brace) => (self.0.get(..brace), self.0.get(brace + 1..).unwrap_or_default()),
            None => (Some(self.0), ""),
        };
        let name = name.unwrap_or_default().trim_ascii_end();
        if !name.is_empty() {
            pairs.push((METRIC_NAME.into(), name.into()));
        }
        while let Some((name, after_name)) = take_name(rest) {
            rest = after_name.trim_ascii_start();
            match rest.strip_prefix('=').map(str::trim_ascii_start).and_then(take_quoted) {
                Some((value, after_value)) => {
                    pairs.push((name, unescape(value)));
                    rest = after_value;
                }
                // A quoted name without a value is the metric's.
                None => pairs.push((METRIC_NAME.into(), name)),
            }
        }
    }

    /// The label set.
    ///
    /// # Errors
    /// [`LabelError`] when a label name repeats.
    pub fn label_set(self) -> Result<LabelSet, LabelError> {
        let mut pairs = Vec::new();
        self.pairs(&mut pairs);
        LabelSet::from_pairs(pairs.iter().map(|(name, value)| (&**name, &**value)))
    }
}

/// The next label name, plain or quoted, and what follows it.
fn take_name(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    if text.starts_with('"') {
        let (name, rest) = take_quoted(text)?;
        return Some((unescape(name), rest));
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    let (name, rest) = text.split_at(end);
    (!name.is_empty()).then_some((name.into(), rest))
}

/// What stands between the quotes at the start of `text`, and what follows.
fn take_quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inner.bytes().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => byte == b'"',
    })?;
    Some((inner.get(..end)?, inner.get(end + 1..)?))
}

/// Resolves `\\`, `\"` and `\n`; a backslash before anything else stays.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    resolve_escapes(text, |escaped| match escaped {
        '\\' | '"' => Some(escaped),
        'n' => Some('\n'),
        _ => None,
    })
}

/// As [`unescape`], for help texts of 0.0.4, which know no `\"`.
pub(super) fn unescape_help_004(text: &str) -> Cow<'_, str> {
    resolve_escapes(text, |escaped| match escaped {
        '\\' => Some('\\'),
        'n' => Some('\n'),
        _ => None,
    })
}

fn resolve_escapes(text: &str, meaning: fn(char) -> Option<char>) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let resolved = if c == '\\' { chars.peek().copied().and_then(meaning) } else { None };
        if resolved.is_some() {
            chars.next();
        }
        out.push(resolved.unwrap_or(c));
    }
    Cow::Owned(out)
}
