//! The parser: our own cases, and the reference's accept-or-refuse list.

use promql::conformance::{ParserCase, run_parser_cases};
use promql::{Expr, PRETTY_WIDTH, Syntax, parse, parse_selector, parse_with, pretty};

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

/// Which of several errors is told, where, and in which context.
#[test]
fn errors_are_those_of_prometheus() {
    let script = include_str!("../../testdata/parse_errors.txt");
    let syntax = Syntax { experimental_functions: true, ..Syntax::default() };
    let mut lines = script.lines().filter(|line| !line.starts_with('#'));
    let mut wrong = Vec::new();
    let mut cases = 0;
    while let (Some(text), Some(want)) = (lines.next(), lines.next()) {
        cases += 1;
        let got = parse_with(text, &syntax).map_or_else(|error| error.to_string(), |_| "ACCEPTED".into());
        if got != want.trim_start() {
            wrong.push(format!("{text}\n  ours {got}\n{want}"));
        }
    }
    assert!(cases > 50, "only {cases} cases found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn printing_normalises() {
    check("sum by(a) (x)", "sum by (a) (x)");
    check("sum(x)by(a)", "sum by (a) (x)");
    check("a-on(b)group_left c", "a - on (b) group_left () c");

    check("x{a='b'}[90s] offset -5m @ 1.5", "x{a=\"b\"}[1m30s] @ 1.500 offset -5m");
    check("-1^2", "-1 ^ 2");
    check("\"\\xff\\n\"", "\"\\xff\\n\"");
    check("{\"a.b\", \"c d\"=\"e\"}", "{\"c d\"=\"e\",__name__=\"a.b\"}");
    check("SUM(TIme())", "1:5: parse error: unknown function with name \"TIme\"");
    check(
        "SUM(time())",
        "1:5: parse error: expected type instant vector in aggregation expression, got scalar",
    );
}

#[test]
fn selectors_for_series_lookups() {
    assert_eq!(parse_selector("up{job=\"a\"}").unwrap().len(), 2);
    assert_eq!(parse_selector("{}"), Ok(Vec::new()));
    assert!(parse("{}").is_err());
    assert_eq!(parse_selector("up{__name__!=\"x\"}").unwrap().len(), 2);
    assert!(parse_selector("up offset 5m").is_err());
    assert!(parse_selector("sum(up)").is_err());
}

#[test]
fn nesting_and_length_are_bounded() {
    let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(parse(&deep).unwrap_err().message.contains("nested deeper than 128"));
    let minus = format!("{}1", "-".repeat(100_000));
    assert!(parse(&minus).unwrap_err().message.contains("nested deeper"));
    let chain = format!("a{}", "+a".repeat(100_000));
    assert!(parse(&chain).unwrap_err().message.contains("nested deeper than 512"));
    let wide = format!("a{}", "+a".repeat(500));
    assert!(parse(&format!("({wide})+({wide})")).is_ok());
    let left_deep = format!("{}{wide}{}", "(".repeat(60), "+a)".repeat(60));
    assert!(parse(&left_deep).unwrap_err().message.contains("nested deeper than 512"));
    let duration = format!("a[1s{}]", "+1s".repeat(100_000));
    assert!(parse(&duration).unwrap_err().message.contains("more than 128 operators"));
    let calls = format!("{}a{}", "abs(".repeat(100_000), ")".repeat(100_000));
    assert!(parse(&calls).unwrap_err().message.contains("nested deeper than 128"));
    let long = format!("a{{b=\"{}\"}}", "x".repeat(2 << 20));
    assert!(parse(&long).unwrap_err().message.contains("longer than 1048576 bytes"));
}

#[test]
fn experimental_syntax_is_off_as_in_prometheus() {
    check("info(m)", "1:1: parse error: function \"info\" is not enabled");
    check(
        "limitk(1, m)",
        "1:1: parse error: limitk() is experimental and must be enabled with \
         --enable-feature=promql-experimental-functions",
    );
    check("m smoothed", "1:1: parse error: smoothed modifier is experimental and not enabled");
    check("a + fill(0) b", "1:1: parse error: binop fill modifiers are experimental and not enabled");
    check("m[5m * 2]", "m[5m * 2]");
    let off = Syntax { duration_expressions: false, ..Syntax::default() };
    let error = parse_with("m[5m * 2]", &off).unwrap_err();
    assert_eq!(error.to_string(), "1:3: parse error: experimental duration expression is not enabled");
    assert!(parse_with("m[300] offset -1h", &off).is_ok());
}

/// The lines of a file of reference data.
fn reference(file: &str) -> Option<Vec<serde_json::Value>> {
    let folder = super::conformance::shared("promql-parser")?;
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn reference_expressions() {
    let Some(cases) = reference("parse_test_exprs.jsonl") else { return };
    let byte = |value: &serde_json::Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let cases: Vec<ParserCase> = cases
        .iter()
        .map(|case| ParserCase {
            text: match case["input_hex"].as_str() {
                Some(hex) => bytes_of(hex),
                None => case["input"].as_str().unwrap().as_bytes().to_vec(),
            },
            refused: case["fail"].as_bool().unwrap().then(|| {
                let error = &case["errors"][0];
                (error["msg"].as_str().unwrap().to_owned(), byte(&error["start"])..byte(&error["end"]))
            }),
        })
        .collect();
    let report = run_parser_cases(&cases);
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n"));
    assert!(report.passed >= 351, "only {} cases", report.passed);
}

/// Pairs of texts and how they are printed.
fn check_pairs(file: &str, least: usize, print: impl Fn(&Expr) -> String) {
    let Some(cases) = reference(file) else { return };
    let mut failures = Vec::new();
    for case in &cases {
        let got = parse_with(case["in"].as_str().unwrap(), &Syntax::all())
            .map_or_else(|error| error.to_string(), |expr| print(&expr));
        // A selector that matches everything is printed by the reference, but parsed by neither.
        if got != case["out"].as_str().unwrap() && !got.contains("non-empty matcher") {
            failures.push(format!("{case}: got {got:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cases.len() >= least, "only {} cases", cases.len());
}

#[test]
fn reference_printing() {
    check_pairs("printer_in_out.jsonl", 86, Expr::to_string);
}

#[test]
fn reference_layout() {
    // The reference's own test breaks lines at 10 bytes.
    check_pairs("prettier_in_out.jsonl", 62, |expr| pretty(expr, 10));
}

#[test]
fn layout_leaves_what_fits() {
    let expr = parse(
        "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (job) (rate(http_requests_total[5m]))",
    );
    let want = "  sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m]))\n/\n  sum by (job) (rate(http_requests_total[5m]))";
    assert_eq!(pretty(&expr.unwrap(), PRETTY_WIDTH), want);
}

#[test]
fn reference_histogram_series() {
    let Some(cases) = reference("histogram_series_desc.jsonl") else { return };
    let mut failures = Vec::new();
    for case in &cases {
        let input = case["input"].as_str().unwrap();
        let got = promql::series::parse(input).err();
        let expected = case["expected_error"].as_str();
        let same = match (expected, &got) {
            (None, None) => true,
            // A number of the reference's generated parser.
            (Some(expected), Some(got)) if expected.contains("<Item") => {
                got.starts_with("1:7: parse error: ")
            }
            (Some(expected), Some(got)) => {
                got.strip_suffix(&format!(" in series line {input:?}")) == Some(expected)
            }
            _ => false,
        };
        if !same {
            failures.push(format!("{input:?}: expected {expected:?}, got {got:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cases.len() >= 25, "only {} cases", cases.len());
}
