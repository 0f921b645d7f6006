//! Alert scripts: `at SECONDS: labels=value …` applies a query result, `restore labels seen=S active=S` what the store
//! remembers, `send` takes the alerts that are due (resend 60 s, interval 15 s). The outcome lists all alerts.

use std::fmt::Write;
use std::sync::Arc;

use expect_test::{Expect, expect};

use super::*;
use crate::RuleFile;

fn rule(yaml: &str) -> AlertingRule {
    let text = format!("groups: [{{name: g, limit: 2, rules: [{{alert: A, expr: up, {yaml}}}]}}]");
    let file = RuleFile::parse(&text, "test").expect("valid rule");
    let group = file.groups.first().expect("one group");
    AlertingRule::new(group.rules.first().expect("one rule"), group.limit).expect("an alerting rule")
}

fn labels(instance: &str) -> LabelSet {
    LabelSet::from_pairs([("__name__", "up"), ("i", instance)]).expect("valid")
}

#[track_caller]
fn check(yaml: &str, script: &str, want: Expect) {
    let mut rule = rule(yaml);
    let mut out = String::new();
    let mut now_ms = 0;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.first().copied() {
            Some("at") => {
                let seconds = words.get(1).expect("a time").trim_end_matches(':');
                now_ms = seconds.parse::<i64>().expect("seconds") * 1_000;
                apply(&mut rule, now_ms, words.get(2..).unwrap_or_default(), &mut out);
            }
            Some("restore") => restore(&mut rule, now_ms, words.get(1..).unwrap_or_default()),
            Some("send") => {
                for event in rule.take_due(now_ms, 60_000, 15_000) {
                    let (start, end) = (event.starts_at_ms / 1_000, event.ends_at_ms / 1_000);
                    let kind = if event.resolved { "resolved" } else { "firing" };
                    writeln!(out, "  send {} {kind} {start}..{end}", event.labels)
                        .expect("a string takes all");
                }
            }
            other => panic!("unknown word {other:?}"),
        }
    }
    want.assert_eq(&out);
}

fn apply(rule: &mut AlertingRule, now_ms: i64, samples: &[&str], out: &mut String) {
    let samples: Vec<(LabelSet, f64)> = samples
        .iter()
        .map(|sample| {
            let (instance, value) = sample.split_once('=').expect("instance=value");
            (labels(instance), value.parse().expect("a number"))
        })
        .collect();
    let globals = TemplateGlobals::default();
    let context = EvalContext { ts_ms: now_ms, globals: &globals, query: Arc::new(|_| Ok(Vec::new())) };
    let outcome = rule.apply(&samples, &context);
    let mut alerts: Vec<_> = rule.active.iter().collect();
    alerts.sort_by(|left, right| left.0.cmp(right.0));
    let alerts: Vec<String> = alerts
        .iter()
        .map(|(labels, alert)| {
            let summary =
                alert.annotations.get("summary").map(|text| format!(" {text:?}")).unwrap_or_default();
            format!("{labels} {} since {}{summary}", alert.state.as_str(), alert.active_at_ms / 1_000)
        })
        .collect();
    let error = outcome.err().map(|error| format!(" error: {error}")).unwrap_or_default();
    writeln!(out, "{}: {}{error}", now_ms / 1_000, alerts.join("; ")).expect("a string takes all");
}

fn restore(rule: &mut AlertingRule, now_ms: i64, words: &[&str]) {
    let number = |prefix: &str| -> i64 {
        let word = words.iter().find_map(|word| word.strip_prefix(prefix)).expect("a time");
        word.parse::<i64>().expect("seconds") * 1_000
    };
    let mut alert =
        labels(words.first().expect("an instance")).filtered(|name| name != "__name__").to_builder();
    let stored = StoredState { seen_ms: number("seen="), active_at_ms: number("active=") };
    rule.restore(&alert.set("alertname", "A").build(), stored, now_ms, 600_000);
}

#[test]
fn pending_until_for_is_over_then_firing_then_resolved() {
    check(
        "for: 30s",
        "at 0: a=1\n at 15: a=1\n send\n at 30: a=1\n send\n at 45: a=1\n send\n at 60:\n send",
        expect![[r#"
            0: {alertname="A", i="a"} pending since 0
            15: {alertname="A", i="a"} pending since 0
            30: {alertname="A", i="a"} firing since 0
              send {alertname="A", i="a"} firing 30..270
            45: {alertname="A", i="a"} firing since 0
            60: {alertname="A", i="a"} inactive since 0
              send {alertname="A", i="a"} resolved 30..60
        "#]],
    );
}

#[test]
fn without_for_it_fires_at_once() {
    check(
        "for: 0s",
        "at 0: a=1\n send",
        expect![[r#"
        0: {alertname="A", i="a"} firing since 0
          send {alertname="A", i="a"} firing 0..240
    "#]],
    );
}

#[test]
fn pending_that_vanishes_is_forgotten() {
    check(
        "for: 30s",
        "at 0: a=1\n at 15:\n at 30: a=1",
        expect![[r#"
        0: {alertname="A", i="a"} pending since 0
        15: 
        30: {alertname="A", i="a"} pending since 30
    "#]],
    );
}

#[test]
fn a_firing_alert_is_sent_again_each_minute_and_resolved_ones_for_a_quarter_of_an_hour() {
    check(
        "for: 0s",
        "at 0: a=1\n send\n at 60: a=1\n send\n at 61: a=1\n send\n at 70:\n send\n at 140:\n send\n at 971:\n send",
        expect![[r#"
            0: {alertname="A", i="a"} firing since 0
              send {alertname="A", i="a"} firing 0..240
            60: {alertname="A", i="a"} firing since 0
            61: {alertname="A", i="a"} firing since 0
              send {alertname="A", i="a"} firing 0..301
            70: {alertname="A", i="a"} inactive since 0
              send {alertname="A", i="a"} resolved 0..70
            140: {alertname="A", i="a"} inactive since 0
              send {alertname="A", i="a"} resolved 0..70
            971: 
        "#]],
    );
}

#[test]
fn a_resolved_alert_that_returns_begins_anew() {
    check(
        "for: 15s",
        "at 0: a=1\n at 15: a=1\n at 30:\n at 45: a=1\n at 60: a=1\n send",
        expect![[r#"
        0: {alertname="A", i="a"} pending since 0
        15: {alertname="A", i="a"} firing since 0
        30: {alertname="A", i="a"} inactive since 0
        45: {alertname="A", i="a"} pending since 45
        60: {alertname="A", i="a"} firing since 45
          send {alertname="A", i="a"} firing 60..300
    "#]],
    );
}

#[test]
fn keep_firing_for_bridges_gaps() {
    check(
        "for: 0s, keep_firing_for: 30s",
        "at 0: a=1\n at 15:\n at 30: a=1\n at 45:\n at 60:\n at 75:",
        expect![[r#"
            0: {alertname="A", i="a"} firing since 0
            15: {alertname="A", i="a"} firing since 0
            30: {alertname="A", i="a"} firing since 0
            45: {alertname="A", i="a"} firing since 0
            60: {alertname="A", i="a"} firing since 0
            75: {alertname="A", i="a"} inactive since 0
        "#]],
    );
}

#[test]
fn each_label_set_is_its_own_alert_and_annotations_follow_the_value() {
    check(
        "labels: {team: '{{ $labels.i }}x'}, annotations: {summary: '{{ $value }} on {{ $labels.i }}'}",
        "at 0: a=1 b=2\n at 15: a=3",
        expect![[r#"
            0: {alertname="A", i="a", team="ax"} firing since 0 "1 on a"; {alertname="A", i="b", team="bx"} firing since 0 "2 on b"
            15: {alertname="A", i="a", team="ax"} firing since 0 "3 on a"; {alertname="A", i="b", team="bx"} inactive since 0 "2 on b"
        "#]],
    );
}

#[test]
fn samples_that_become_the_same_alert_are_an_error_and_change_nothing() {
    check(
        "labels: {i: same}",
        "at 0: a=1\n at 15: a=1 b=1",
        expect![[r#"
        0: {alertname="A", i="same"} firing since 0
        15: {alertname="A", i="same"} firing since 0 error: vector contains metrics with the same labelset after applying alert labels
    "#]],
    );
}

#[test]
fn over_the_limit_all_are_dropped() {
    check(
        "for: 0s",
        "at 0: a=1\n at 15: a=1 b=1 c=1",
        expect![[r#"
        0: {alertname="A", i="a"} firing since 0
        15:  error: exceeded limit of 2 with 3 alerts
    "#]],
    );
}

#[test]
fn restored_pending_times() {
    // Pending for 20 of 30 minutes, then down for 100 s: 10 more minutes remain.
    check(
        "for: 30m",
        "at 5000: a=1\n restore a seen=4900 active=3700\n at 5001: a=1\n at 5600: a=1",
        expect![[r#"
            5000: {alertname="A", i="a"} pending since 5000
            5001: {alertname="A", i="a"} pending since 3800
            5600: {alertname="A", i="a"} firing since 3800
        "#]],
    );
    // Little was left: the grace period counts.
    check(
        "for: 30m",
        "at 5000: a=1\n restore a seen=4900 active=3101\n at 5001: a=1\n at 5600: a=1",
        expect![[r#"
            5000: {alertname="A", i="a"} pending since 5000
            5001: {alertname="A", i="a"} pending since 3800
            5600: {alertname="A", i="a"} firing since 3800
        "#]],
    );
    // It was firing already.
    check(
        "for: 30m",
        "at 5000: a=1\n restore a seen=4900 active=3000\n at 5001: a=1",
        expect![[r#"
        5000: {alertname="A", i="a"} pending since 5000
        5001: {alertname="A", i="a"} firing since 3000
    "#]],
    );
}
