//! YAML text to values, and errors that point at the place.

use serde::de::DeserializeOwned;

use crate::nearest;

/// What is wrong with a YAML text, and where. Lines and columns count from 1; 0 means unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}{}", .suggestion.as_deref().map(|word| format!(" (did you mean {word:?}?)")).unwrap_or_default())]
pub struct YamlError {
    pub line: u64,
    pub column: u64,
    pub message: String,
    /// The word that was probably meant.
    pub suggestion: Option<String>,
}

impl YamlError {
    /// An error at a known place.
    pub fn at(line: u64, column: u64, message: impl Into<String>) -> Self {
        Self { line, column, message: message.into(), suggestion: None }
    }
}

/// Reads one YAML document. Unknown keys (where the type denies them), repeated keys, and texts that blow up when
/// aliases are expanded are errors.
///
/// # Errors
/// [`YamlError`].
pub fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    serde_saphyr::from_str(text).map_err(|error| explain(&error))
}

/// Reads all documents of a YAML stream.
///
/// # Errors
/// [`YamlError`].
pub fn from_yaml_documents<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, YamlError> {
    serde_saphyr::from_multiple(text).map_err(|error| explain(&error))
}

fn explain(error: &serde_saphyr::Error) -> YamlError {
    use serde_saphyr::Error;
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((0, 0), |location| (location.line(), location.column()));
    let mut suggestion = None;
    let message = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            suggestion = nearest(field, expected.iter().copied()).map(str::to_owned);
            let known = if suggestion.is_none() { known_words(expected) } else { String::new() };
            format!("unknown key {field:?}{known}")
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            suggestion = nearest(variant, expected.iter().copied()).map(str::to_owned);
            format!("unknown value {variant:?}{}", known_words(expected))
        }
        Error::SerdeMissingField { field, .. } => format!("missing key {field:?}"),
        Error::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!("key {key:?} occurs twice"),
            None => "a key occurs twice".to_owned(),
        },
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            format!("expected {expected}, found {unexpected}")
        }
        Error::Message { msg, .. } => msg.clone(),
        other => first_line(&other.to_string()),
    };
    YamlError { line, column, message, suggestion }
}

fn known_words(expected: &[&str]) -> String {
    const SHOWN_MAX: usize = 12;
    if expected.is_empty() {
        return String::new();
    }
    let shown = expected.iter().take(SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
    format!(" (known here: {shown}{})", if expected.len() > SHOWN_MAX { ", …" } else { "" })
}

/// The first line without the place at its end, which the error names itself.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.split_once(" at line ").map_or(line, |(message, _)| message).to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only read by Debug")]
        jobs: Option<Vec<Job>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Job {
        #[expect(dead_code, reason = "only read by Debug")]
        job_name: String,
        #[expect(dead_code, reason = "only read by Debug")]
        limit: Option<u64>,
    }

    #[track_caller]
    fn check(text: &str, want: Expect) {
        let got = match from_yaml::<Outer>(text) {
            Ok(value) => format!("{value:?}"),
            Err(error) => error.to_string(),
        };
        want.assert_eq(&got);
    }

    #[test]
    fn errors_point_at_the_place() {
        check(
            "jobs:\n- jobname: x\n",
            expect![[r#"line 2, column 3: unknown key "jobname" (did you mean "job_name"?)"#]],
        );
        check(
            "jobs:\n- job_name: x\n  colour: red\n",
            expect![[r#"line 3, column 3: unknown key "colour" (known here: job_name, limit)"#]],
        );
        check("jobs: []\njobs: []\n", expect![[r#"line 2, column 1: key "jobs" occurs twice"#]]);
        check("jobs:\n- job_name: x\n  limit: many\n", expect!["line 3, column 10: invalid u64"]);
        check("jobs:\n- limit: 3\n", expect![[r#"line 2, column 3: missing key "job_name""#]]);
        check("jobs: [\n", expect!["line 1, column 7: unclosed bracket '['"]);
        check("jobs: 7\n", expect!["line 1, column 7: expected sequence start"]);
    }

    #[test]
    fn scalars_that_look_like_numbers_are_text_where_text_is_wanted() {
        check(
            "jobs:\n- job_name: 0123\n",
            expect![[r#"Outer { jobs: Some([Job { job_name: "0123", limit: None }]) }"#]],
        );
        check(
            "jobs:\n- job_name: yes\n",
            expect![[r#"Outer { jobs: Some([Job { job_name: "yes", limit: None }]) }"#]],
        );
    }
}
