//! Runs expressions with their expected fate through the parser.

use crate::{ParseError, parse};

/// How the parser did.
#[derive(Debug, Default)]
pub struct ParserReport {
    pub total: usize,
    /// Accepted or refused as expected.
    pub agree: usize,
    /// Refused with the expected words, of `refused`.
    pub same_words: usize,
    pub refused: usize,
    pub failures: Vec<String>,
}

/// Runs cases of (text, expected error if it must be refused).
pub fn run_parser_cases<'c>(cases: impl IntoIterator<Item = (&'c str, Option<&'c str>)>) -> ParserReport {
    let mut report = ParserReport::default();
    for (text, expected) in cases {
        report.total += 1;
        let parsed = parse(text);
        if let Some(words) = expected {
            report.refused += 1;
            report.same_words += usize::from(matches!(&parsed, Err(error) if error.message == words));
        }
        if parsed.is_err() == expected.is_some() {
            report.agree += 1;
        } else {
            let got = parsed.err().map_or("accepted".to_owned(), |error: ParseError| error.to_string());
            report.failures.push(format!("{text:?}: expected {expected:?}, got {got}"));
        }
    }
    report
}
