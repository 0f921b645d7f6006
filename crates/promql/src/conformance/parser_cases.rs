//! Runs expressions with their expected fate through the parser.

use std::ops::Range;

use crate::{Syntax, parse_bytes};

/// An expression, and why and where it must be refused, if so.
#[derive(Clone, Debug)]
pub struct ParserCase {
    pub text: Vec<u8>,
    /// Message and bytes of the first error.
    pub refused: Option<(String, Range<usize>)>,
}

/// How the parser did.
#[derive(Debug, Default)]
pub struct ParserReport {
    pub total: usize,
    /// Accepted as expected, or refused in the expected words at the expected bytes.
    pub passed: usize,
    pub failures: Vec<String>,
}

/// Runs cases, with all experimental syntax on.
pub fn run_parser_cases(cases: &[ParserCase]) -> ParserReport {
    let mut report = ParserReport { total: cases.len(), ..ParserReport::default() };
    for case in cases {
        let got = parse_bytes(&case.text, &Syntax::all()).err().map(|error| (error.message, error.span));
        if got == case.refused {
            report.passed += 1;
        } else {
            let text = String::from_utf8_lossy(&case.text);
            report.failures.push(format!("{text:?}: expected {:?}, got {got:?}", case.refused));
        }
    }
    report
}
