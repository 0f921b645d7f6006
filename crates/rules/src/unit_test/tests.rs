use super::*;
use crate::RuleFile;

const RULES: &str = "
groups:
- name: alerts
  rules:
  - alert: Down
    expr: up == 0
    for: 2m
    labels: {severity: page, site: '{{ $externalLabels.site }}'}
    annotations: {summary: '{{ $labels.instance }} down'}
- name: records
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
  - record: job:up:twice
    expr: job:up:sum * 2
";

/// Runs the tests on [`RULES`]: a line per test, its failures below.
#[track_caller]
fn check(tests: &str, want: &str) {
    let groups = RuleFile::parse(RULES, "rules.yml").expect("valid rules").groups;
    let text = match UnitTestFile::parse(tests) {
        Ok(file) => file.run(&groups, &|_| true).iter().map(show).collect(),
        Err(error) => format!("refused: {error}"),
    };
    assert_eq!(text.trim_end(), want.trim_end(), "got:\n{text}");
}

fn show(report: &TestReport) -> String {
    let mut out = format!("{}: {}\n", report.name, if report.failures.is_empty() { "ok" } else { "failed" });
    for Failure { what, at, error, diff } in &report.failures {
        out += &format!(
            "  {what} at {}s{}\n",
            at.as_secs(),
            error.as_ref().map_or(String::new(), |e| format!(": {e}"))
        );
        for line in diff {
            out += &match line {
                DiffLine::Same(text) => format!("      {text}\n"),
                DiffLine::Missing(text) => format!("    - {text}\n"),
                DiffLine::Unexpected(text) => format!("    + {text}\n"),
            };
        }
    }
    out
}

#[test]
fn alerts_fire_when_their_time_has_come() {
    check(
        r#"
tests:
- name: right
  external_labels: {site: lab}
  input_series: [{series: 'up{instance="a"}', values: '1 0x10'}]
  alert_rule_test:
  - {eval_time: 2m59s, alertname: Down}
  - eval_time: 3m
    alertname: Down
    exp_alerts:
    - exp_labels: {severity: page, site: lab, instance: a}
      exp_annotations: {summary: a down}
- name: wrong
  input_series: [{series: 'up{instance="a"}', values: 0x10}]
  alert_rule_test:
  - eval_time: 3m
    alertname: Down
    exp_alerts: [{exp_labels: {instance: b}}]
"#,
        r#"
right: ok
wrong: failed
  alert "Down" at 180s
    - {alertname="Down", instance="b"}
    + {alertname="Down", instance="a", severity="page"} annotations {summary="a down"}
"#
        .trim_start(),
    );
}

#[test]
fn expressions_see_input_records_and_alert_states() {
    check(
        r#"
evaluation_interval: 30s
tests:
- interval: 1m
  input_series:
  - {series: 'up{job="j", instance="a"}', values: '1x3'}
  - {series: 'up{job="j", instance="b"}', values: '0 0 stale'}
  promql_expr_test:
  - {expr: 'job:up:twice', eval_time: 1m, exp_samples: [{labels: 'job:up:twice{job="j"}', value: 2}]}
  - {expr: 'ALERTS{alertstate="pending"}', eval_time: 30s, exp_samples: [{labels: 'ALERTS{alertname="Down", alertstate="pending", instance="b", job="j", severity="page"}', value: 1}]}
  - {expr: 'up', eval_time: 2m, exp_samples: [{labels: 'up{job="j", instance="a"}', value: 1}]}
  - {expr: 'up + 1', eval_time: 2m, exp_samples: [{labels: '{job="j", instance="a"}', value: 3}, {value: 1}]}
  - {expr: 'up +', eval_time: 2m}
"#,
        r#"
unnamed#0: failed
  expr "up + 1" at 120s
    - {} 1
    - {instance="a", job="j"} 3
    + {instance="a", job="j"} 2
  expr "up +" at 120s: 1:5: parse error: unexpected end of input
"#
        .trim_start(),
    );
}

#[test]
fn samples_appear_with_their_time() {
    // At the last evaluation (1 m) the sample of 1 m 30 s is not there yet, though the expression asks at 1 m 59 s.
    check(
        r#"
tests:
- interval: 30s
  input_series: [{series: m, values: '0+1x10'}]
  promql_expr_test: [{expr: m, eval_time: 1m59s, exp_samples: [{labels: m, value: 2}]}]
- start_timestamp: 2024-01-01T00:00:00Z
  interval: 10m
  input_series: [{series: m, values: '7'}]
  promql_expr_test:
  - {expr: time(), eval_time: 1m, exp_samples: [{value: 1704067260}]}
  - {expr: timestamp(m), eval_time: 1m, exp_samples: [{value: 1704067200}]}
- start_timestamp: 1609459200
  promql_expr_test: [{expr: time(), exp_samples: [{value: 1609459200}]}]
"#,
        "unnamed#0: ok\nunnamed#1: ok\nunnamed#2: ok\n",
    );
}

#[test]
fn neighbours_are_equal_only_when_asked() {
    let test = |fuzzy| {
        format!(
            "fuzzy_compare: {fuzzy}\ntests:\n- input_series: [{{series: m, values: '3.0000000000000004'}}]\n  \
             promql_expr_test: [{{expr: m, exp_samples: [{{labels: m, value: 3}}]}}]\n"
        )
    };
    check(&test(true), "unnamed#0: ok");
    check(&test(false), "unnamed#0: failed\n  expr \"m\" at 0s\n    - m 3\n    + m 3.0000000000000004\n");
}

#[test]
fn what_makes_no_sense_is_named() {
    check("tests: [{nam: x}]", "refused: line 1, column 10: unknown key \"nam\" (did you mean \"name\"?)");
    check(
        "group_eval_order: [a, b, a]",
        "refused: line 1, column 26: group name repeated in evaluation order: a",
    );
    check(
        "evaluation_interval: 1ms\ntests: [{promql_expr_test: [{expr: m, eval_time: 1d}]}]",
        "refused: line 2, column 9: the test needs 86400000 evaluations, more than the limit of 1000000: use a \
         longer evaluation_interval or an earlier eval_time",
    );
    check(
        "tests: [{alert_rule_test: [{eval_time: 1m}]}]",
        "refused: line 1, column 9: an item under alert_rule_test misses its alertname",
    );
    check(
        r#"tests: [{input_series: [{series: 'up{a="b"', values: 1}]}]"#,
        "unnamed#0: failed\n  input series \"up{a=\\\"b\\\"\" at 0s: bad label at \"1\"",
    );
}

#[test]
fn a_rule_that_fails_ends_its_test() {
    let rules = "groups: [{name: g, rules: [{record: r, expr: 'a + on(x) b'}]}]";
    let groups = RuleFile::parse(rules, "r.yml").expect("valid").groups;
    let tests = r#"tests: [{input_series: [{series: 'a{x="1"}', values: 1}, {series: 'b{x="1",y="1"}', values: 1}, {series: 'b{x="1",y="2"}', values: 1}], promql_expr_test: [{expr: nothing, exp_samples: [{value: 1}]}]}]"#;
    let reports = UnitTestFile::parse(tests).expect("valid").run(&groups, &|_| true);
    let [failure] = &reports[0].failures[..] else { panic!("one failure, got {reports:?}") };
    assert_eq!(failure.what, "rule \"r\"");
    assert!(
        failure.error.as_ref().is_some_and(|error| error.contains("found duplicate series")),
        "{failure:?}"
    );
}
