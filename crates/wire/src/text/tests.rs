use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::testing::{shared_file, shared_path};

const DEFAULT_TS_MS: i64 = 1_000;

fn render(format: Format, body: &str) -> String {
    let mut out = String::new();
    let parsed = parse(format, body, DEFAULT_TS_MS, true, &mut |line| out.push_str(&render_line(&line)));
    if let Err(error) = parsed {
        out.push_str(&format!("{error}\n"));
    }
    out
}

fn render_line(line: &Line<'_>) -> String {
    match line {
        Line::Sample(sample) => {
            let labels = match sample.series.label_set() {
                Ok(labels) => labels.to_string(),
                Err(error) => format!("<{error}>"),
            };
            let own = if sample.has_own_ts { format!(" @{}", sample.ts_ms) } else { String::new() };
            let exemplar = sample.exemplar.as_ref().map_or(String::new(), |exemplar| {
                let labels = exemplar.labels.label_set().expect("unique");
                format!(" # {labels} {} {:?}", exemplar.value, exemplar.ts_ms)
            });
            format!("{labels} {}{own}{exemplar}\n", sample.value)
        }
        Line::Type { family, kind } => format!("TYPE {family} {kind:?}\n"),
        Line::Help { family, text } => format!("HELP {family} {text:?}\n"),
        Line::Unit { family, unit } => format!("UNIT {family} {unit}\n"),
    }
}

#[track_caller]
fn check(format: Format, body: &str, want: Expect) {
    want.assert_eq(&render(format, body));
}

#[test]
fn text_004() {
    check(
        Format::Text004,
        r#"# HELP go_gc A summary \\ of \n "GC" \"x\"
# 	TYPE go_gc summary
go_gc{quantile="0"} 4.9351e-05
go_gc {  quantile = "0.9" , a="b", } 8.3e-05 	 1395066363000 
# just a comment
#TYPE not metadata

rpc:total_0	+Inf -5
minus_inf -Inf
nan_value NaN
inf_word infinity
escapes{path="C:\\DIR\n\"q\" \z",utf="Köln",brace="a}b{,\"="} 1
empty{} 0
{"quoted.name","label.name"="x",b="y"} 3
{a="1","later.name"} 4
# TYPE "quoted.name" untyped
  indented 12
last_line_without_newline 1e3"#,
        expect![[r#"
            HELP go_gc "A summary \\ of \n \"GC\" \\\"x\\\""
            TYPE go_gc Summary
            go_gc{quantile="0"} 0.000049351
            go_gc{a="b", quantile="0.9"} 0.000083 @1395066363000
            rpc:total_0 inf @-5
            minus_inf -inf
            nan_value NaN
            inf_word inf
            escapes{brace="a}b{,\"=", path="C:\\DIR\n\"q\" \\z", utf="Köln"} 1
            empty 0
            {__name__="quoted.name", b="y", "label.name"="x"} 3
            {__name__="later.name", a="1"} 4
            TYPE quoted.name Unknown
            indented 12
            last_line_without_newline 1000
        "#]],
    );
}

#[test]
fn open_metrics() {
    check(
        Format::OpenMetrics,
        "# HELP a_seconds he\\\\lp \\\"q\\\"\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
         a_seconds_total{x=\"1\"} 5 1.5 # {trace_id=\"ab\"} 0.5 2.25\na_seconds_total 1 # {} 2\n\
         # TYPE b unknown\nb 0 1520879607.789\n# EOF\n",
        expect![[r#"
            HELP a_seconds "he\\lp \"q\""
            TYPE a_seconds Counter
            UNIT a_seconds seconds
            a_seconds_total{x="1"} 5 @1500 # {trace_id="ab"} 0.5 Some(2250)
            a_seconds_total 1 # {} 2 None
            TYPE b Unknown
            b 0 @1520879607789
        "#]],
    );
}

#[test]
fn a_comma_after_the_last_label_is_scraped_but_not_valid() {
    let body = "a{b=\"1\",} 1\n# EOF\n";
    check(
        Format::OpenMetrics,
        body,
        expect![[r#"
            a{b="1"} 1
        "#]],
    );
    let error = check_openmetrics(body).expect_err("not OpenMetrics");
    assert_eq!(error.to_string(), "line 1, column 1: a comma after the last label");
}

#[test]
fn timestamps_can_be_ignored() {
    let mut seen = Vec::new();
    let mut visit = |line: Line<'_>| {
        if let Line::Sample(sample) = line {
            seen.push((sample.ts_ms, sample.has_own_ts));
        }
    };
    parse(Format::Text004, "a 1 5\nb 2\n", 77, false, &mut visit).unwrap();
    assert_eq!(seen, [(77, false), (77, false)]);
}

#[test]
fn raw_text_is_the_key_of_a_series() {
    let mut seen = Vec::new();
    let body = "up 1\nup{} 1\nup {a=\"}\"} 1\n";
    let mut visit = |line| {
        if let Line::Sample(sample) = line {
            seen.push(sample.series.raw());
        }
    };
    parse(Format::Text004, body, 0, true, &mut visit).unwrap();
    assert_eq!(seen, ["up", "up{}", "up {a=\"}\"}"]);
}

#[test]
fn repeated_labels_show_when_they_are_unpacked() {
    check(
        Format::Text004,
        "a{x=\"1\",x=\"2\"} 1\n",
        expect![[r#"
        <duplicate label name "x"> 1
    "#]],
    );
}

#[test]
fn errors_of_text_004() {
    let mut out = String::new();
    for body in [
        "a\n",
        "a{b=\"c\"\n",
        "a{b=\"c\n",
        "a{b=\"c\\",
        "a{b='c'} 1\n",
        "a{b}\n",
        "a{b=\"1\"c=\"2\"} 1\n",
        "a{,} 1\n",
        "a{1b=\"1\"} 1\n",
        "{b=\"c\"} 1\n",
        "{} 1\n",
        "{\"x\",\"y\"} 1\n",
        "ok 1\n  9lives 1\n",
        "a 1_2\n",
        "a 0x1p-3\n",
        "a 1e999\n",
        "a +NaN\n",
        "a 1 2.5\n",
        "a 1 2 3\n",
        "a 1 # {} 1\n",
        "# TYPE a gague\n",
        "# TYPE a\n",
        "# TYPE 9 gauge\n",
        "a{b=\"c\\",
    ] {
        out.push_str(&format!("{body:?}: {}", render(Format::Text004, body)));
    }
    expect![[r##"
        "a\n": line 1, column 2: expected a number, found the end of the line
        "a{b=\"c\"\n": line 1, column 8: expected "," or "}" after a label, found the end of the line
        "a{b=\"c\n": line 1, column 5: expected a closing quote, found "\"c"
        "a{b=\"c\\": line 1, column 5: expected a closing quote, found "\"c\\"
        "a{b='c'} 1\n": line 1, column 5: expected a quoted string, found "'c'} 1"
        "a{b}\n": line 1, column 4: expected "=" after a label name, found "}"
        "a{b=\"1\"c=\"2\"} 1\n": line 1, column 8: expected "," or "}" after a label, found "c=\"2\"} 1"
        "a{,} 1\n": line 1, column 3: expected a label name or "}", found ",} 1"
        "a{1b=\"1\"} 1\n": line 1, column 3: expected a label name or "}", found "1b=\"1\"} 1"
        "{b=\"c\"} 1\n": line 1, column 8: expected a metric name, found " 1"
        "{} 1\n": line 1, column 3: expected a metric name, found " 1"
        "{\"x\",\"y\"} 1\n": line 1, column 9: expected "=" after a label name, found "} 1"
        "ok 1\n  9lives 1\n": ok 1
        line 2, column 3: expected a metric name, found "9lives 1"
        "a 1_2\n": line 1, column 3: expected a number, found "1_2"
        "a 0x1p-3\n": line 1, column 3: expected a number, found "0x1p-3"
        "a 1e999\n": line 1, column 3: expected a number, found "1e999"
        "a +NaN\n": line 1, column 3: expected a number, found "+NaN"
        "a 1 2.5\n": line 1, column 5: expected a timestamp in milliseconds, found "2.5"
        "a 1 2 3\n": line 1, column 7: expected the end of the line, found "3"
        "a 1 # {} 1\n": line 1, column 5: expected a timestamp in milliseconds, found "#"
        "# TYPE a gague\n": line 1, column 9: unknown metric type "gague"
        "# TYPE a\n": line 1, column 9: unknown metric type ""
        "# TYPE 9 gauge\n": line 1, column 8: expected a metric name, found "9 gauge"
        "a{b=\"c\\": line 1, column 5: expected a closing quote, found "\"c\\"
    "##]]
    .assert_eq(&out);
}

#[test]
fn content_types() {
    for (content_type, want) in [
        (Some("text/plain; version=0.0.4; charset=utf-8"), Some(Format::Text004)),
        (Some("TEXT/PLAIN"), Some(Format::Text004)),
        (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Some(Format::OpenMetrics)),
        (Some("application/vnd.google.protobuf"), None),
        (Some("text/html"), None),
        (Some(""), None),
        (None, None),
    ] {
        assert_eq!(format_of(content_type), want, "{content_type:?}");
    }
}

#[test]
fn real_exposition_texts_parse() {
    for (name, format) in [
        ("1histogram.om.txt", Format::OpenMetrics),
        ("alltypes.5mfs.om.txt", Format::OpenMetrics),
        ("alltypes.237mfs.prom.txt", Format::Text004),
        ("alltypes.237mfs.nometa.prom.txt", Format::Text004),
    ] {
        let Some(body) = shared_file(&format!("conformance/textparse/{name}")) else { return };
        let mut body = String::from_utf8(body).expect("UTF-8");
        // Two of the files are pieces of a text, without its end.
        if format == Format::OpenMetrics && !body.contains("# EOF") {
            body.push_str("# EOF\n");
        }
        let is_metadata = |line: &&str| line.is_empty() || line.starts_with('#');
        let lines = body.lines().filter(|line| !is_metadata(line)).count();
        let mut samples = 0;
        let mut visit = |line: Line<'_>| {
            if let Line::Sample(sample) = line {
                assert!(sample.series.label_set().is_ok(), "{name}: {:?}", sample.series);
                samples += 1;
            }
        };
        parse(format, &body, 0, true, &mut visit).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(samples, lines, "{name}");
    }
}

/// Cases of the OpenMetrics suite that pass. It only goes up.
const OPENMETRICS_PASSED_MIN: usize = 211;

#[test]
fn open_metrics_suite() {
    let Some(folder) = shared_path("conformance/openmetrics/tests/testdata/parsers") else { return };
    let (mut passed, mut total) = (0, 0);
    for case in std::fs::read_dir(folder).unwrap() {
        let case = case.unwrap().path();
        let expectation = std::fs::read(case.join("test.json")).unwrap();
        let expectation: serde_json::Value = serde_json::from_slice(&expectation).unwrap();
        let body = std::fs::read_to_string(case.join("metrics")).unwrap();
        let outcome = check_openmetrics(&body);
        total += 1;
        if outcome.is_ok() == (expectation["shouldParse"] == true) {
            passed += 1;
        } else {
            println!("{}: {outcome:?}", case.display());
        }
        if expectation["shouldParse"] == true {
            let lenient = parse(Format::OpenMetrics, &body, 0, true, &mut |_| {});
            assert!(lenient.is_ok(), "{}: what is valid is scraped: {lenient:?}", case.display());
        }
    }
    println!("openmetrics: {passed} of {total} passed");
    assert!(passed >= OPENMETRICS_PASSED_MIN, "{passed} of {total}");
}

/// Nearly valid text: pieces of lines in any order.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "_b:c",
        "{",
        "}",
        "\"",
        "\\",
        "=",
        ",",
        " ",
        "\t",
        "\n",
        "# ",
        "TYPE",
        "HELP",
        "UNIT",
        " a ",
        "counter",
        "{x=\"1\"}",
        "1",
        "-2.5e3",
        "NaN",
        "+Inf",
        "# EOF\n",
        "é",
        "\u{1f600}",
        "\\n",
        "\0",
        " 17",
        "# {a=\"b\"} 1",
    ]);
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn pieces_and_random_text_never_panic(pieces in texts(), random in "\\PC*") {
        for body in [&pieces, &random] {
            for format in [Format::Text004, Format::OpenMetrics] {
                let mut visit = |line: Line<'_>| {
                    if let Line::Sample(sample) = line {
                        let mut pairs = Vec::new();
                        sample.series.pairs(&mut pairs);
                        assert!(!pairs.is_empty() && pairs.iter().all(|(name, _)| !name.is_empty() || sample.series.raw().contains("\"\"")));
                    }
                };
                let _parsed = parse(format, body, 0, true, &mut visit);
            }
            let _checked = check_openmetrics(body);
        }
    }

    #[test]
    fn labels_survive_being_written(labels in proptest::collection::btree_map("[a-z_]{1,6}", "\\PC{1,20}|[\\\\\"\n]{1,4}", 0..5)) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let written: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let body = format!("m{{{}}} 1\n# EOF\n", written.join(","));
        let want = model::LabelSet::from_pairs(
            labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([("__name__", "m")]),
        ).unwrap();
        for format in [Format::Text004, Format::OpenMetrics] {
            let mut seen = Vec::new();
            parse(format, &body, 0, true, &mut |line| if let Line::Sample(sample) = line {
                seen.push(sample.series.label_set().unwrap());
            }).unwrap();
            prop_assert_eq!(&seen, std::slice::from_ref(&want));
        }
    }
}
