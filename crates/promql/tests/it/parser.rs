//! The parser: our own cases, and the reference's accept-or-refuse list.

use promql::conformance::run_parser_cases;
use promql::{parse, parse_selector};

#[track_caller]
fn check(text: &str, want: &str) {
    let got = match parse(text) {
        Ok(expr) => expr.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(got, want, "for {text:?}");
}

#[test]
fn errors_name_line_and_column() {
    check("", "1:1: parse error: no expression found in input");
    check(
        "sum(\n  rate(m)\n)",
        "2:8: parse error: expected type range vector in call to function \"rate\", got instant vector",
    );
    check("a + ", "1:5: parse error: unexpected end of input");
    check("(a", "1:3: parse error: unclosed left parenthesis");
    check("a{b=~\"(\"}", "1:6: parse error: invalid regular expression \"(\": unclosed group");
    check(
        "topk(a)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    );
    check("nope(a)", "1:1: parse error: unknown function with name \"nope\"");
    check("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier");
    check("{a=\"\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher");
    check("a[0s]", "1:3: parse error: duration must be greater than 0");
}

#[test]
fn printing_normalises() {
    check("sum by(a) (x)", "sum by (a) (x)");
    check("sum(x)by(a)", "sum by (a) (x)");
    check("a-on(b)group_left c", "a - on (b) group_left () c");

    check("x{a='b'}[90s] offset -5m @ 1.5", "x{a=\"b\"}[1m30s] @ 1.500 offset -5m");
    check("-1^2", "-1 ^ 2");
    check("\"\\xff\\n\"", "\"\\xff\\n\"");
    check("{\"a.b\", \"c d\"=\"e\"}", "{__name__=\"a.b\",\"c d\"=\"e\"}");
    check(
        "SUM(STep())",
        "1:5: parse error: expected type instant vector in aggregation expression, got scalar",
    );
}

#[test]
fn selectors_for_series_lookups() {
    assert_eq!(parse_selector("up{job=\"a\"}").unwrap().len(), 2);
    assert!(parse_selector("up offset 5m").is_err());
    assert!(parse_selector("sum(up)").is_err());
}

#[test]
fn nesting_and_length_are_bounded() {
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(parse(&deep).unwrap_err().message.contains("nested deeper than 128"));
    let minus = format!("{}1", "-".repeat(100_000));
    assert!(parse(&minus).unwrap_err().message.contains("nested deeper"));
    let long = format!("a{{b=\"{}\"}}", "x".repeat(2 << 20));
    assert!(parse(&long).unwrap_err().message.contains("longer than 1048576 bytes"));
}

#[test]
fn reference_expressions() {
    let Some(folder) = super::conformance::shared("promql-parser") else { return };
    let text = std::fs::read_to_string(folder.join("parse_test_exprs.jsonl")).unwrap();
    let cases: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Two inputs are not UTF-8: a Rust `&str` cannot hold them.
    let utf8 = cases.iter().filter(|case| case.get("input_hex").is_none());
    let report = run_parser_cases(utf8.map(|case| {
        let refused = case["fail"].as_bool().unwrap();
        (case["input"].as_str().unwrap(), refused.then(|| case["errors"][0]["msg"].as_str().unwrap_or("")))
    }));
    println!(
        "{} of {} agree, {} of {} refusals in the same words",
        report.agree, report.total, report.same_words, report.refused
    );
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n"));
    assert!(report.same_words >= SAME_WORDS_FLOOR, "only {} of {}", report.same_words, report.refused);
}

/// Refusals in the reference's exact words, at least.
const SAME_WORDS_FLOOR: usize = 142;

#[test]
fn reference_printing() {
    let Some(folder) = super::conformance::shared("promql-parser") else { return };
    let text = std::fs::read_to_string(folder.join("printer_in_out.jsonl")).unwrap();
    let mut failures = Vec::new();
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let got = parse(case["in"].as_str().unwrap())
            .map_or_else(|error| error.to_string(), |expr| expr.to_string());
        // A selector that matches everything is printed by the reference, but parsed by neither.
        if got != case["out"].as_str().unwrap() && !got.contains("non-empty matcher") {
            failures.push(format!("{}: got {got}", case));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
