//! Results as JUnit XML: a suite per file, a case per test.

use super::{FileReport, report};

/// The document.
pub(super) fn render(reports: &[FileReport]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        let failed = report.tests.iter().filter(|test| !test.failures.is_empty()).count();
        let errors = usize::from(report.error.is_some());
        out += &format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\" skipped=\"0\">\n",
            escape(&report.file),
            report.tests.len() + errors,
        );
        if let Some(error) = &report.error {
            out += &format!("    <testcase name=\"unknown\"><error>{}</error></testcase>\n", escape(error));
        }
        for test in &report.tests {
            let failures = test
                .failures
                .iter()
                .map(|failure| format!("<failure>{}</failure>", escape(&report::failure_words(failure))));
            let failures: String = failures.collect();
            out += &format!("    <testcase name=\"{}\">{failures}</testcase>\n", escape(&test.name));
        }
        out += "  </testsuite>\n";
    }
    out + "</testsuites>\n"
}

/// Text in XML; characters that XML cannot hold become `?`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(character),
            control if control.is_control() => out.push('?'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rules::unit_test::{DiffLine, Failure, TestReport};

    use super::*;

    #[test]
    fn a_document() {
        let failure = Failure {
            what: "expr \"a < 1\"".to_owned(),
            at: Duration::from_secs(60),
            error: None,
            diff: vec![DiffLine::Missing("a 1".to_owned()), DiffLine::Unexpected("a 2".to_owned())],
        };
        let tests = vec![
            TestReport { name: "good".to_owned(), failures: Vec::new() },
            TestReport { name: "b\u{1}d".to_owned(), failures: vec![failure] },
        ];
        let report = FileReport { file: "t.yml".to_owned(), error: None, warnings: Vec::new(), tests };
        let want = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
            <testsuite name=\"t.yml\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\">\n    \
            <testcase name=\"good\"></testcase>\n    \
            <testcase name=\"b?d\"><failure>    expr &quot;a &lt; 1&quot; at 1m\n      - a 1\n      + a 2</failure></testcase>\n  \
            </testsuite>\n</testsuites>\n";
        assert_eq!(render(&[report]), want);
    }
}
