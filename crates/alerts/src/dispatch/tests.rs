//! Dispatch scripts: `at SECONDS` sets the time; `fire LABELS` and `resolve LABELS` hand in an alert; `flush` takes what
//! is due and lets it arrive, `fail` takes it and lets it not arrive.

use std::fmt::Write;
use std::path::Path;

use expect_test::{Expect, expect};

use super::*;

const ROUTES: &str = "route:\n  receiver: all\n  group_by: [alertname]\n  group_wait: 10s\n  group_interval: 60s\n  \
                      repeat_interval: 1h\n  routes:\n  - matchers: [severity=page]\n    receiver: page\n    continue: true\n  \
                      - matchers: [severity=~\"page|info\"]\n    receiver: quiet\n\
                      receivers:\n- name: all\n  webhook_configs: [{url: 'http://all'}]\n\
                      - name: page\n  webhook_configs: [{url: 'http://page'}]\n\
                      - name: quiet\n  webhook_configs: [{url: 'http://quiet', send_resolved: false}]\n";

fn labels(words: &[&str]) -> LabelSet {
    LabelSet::from_pairs(words.iter().map(|word| word.split_once('=').expect("name=value"))).expect("valid")
}

#[track_caller]
fn check(script: &str, want: Expect) {
    let config = AlertmanagerConfig::parse(ROUTES, Path::new("")).expect("valid");
    let mut dispatcher = Dispatcher::new(config, "http://eino".to_owned());
    let (mut now_ms, mut out) = (0, String::new());
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let rest = words.get(1..).unwrap_or_default();
        match words.first().copied().unwrap_or_default() {
            "at" => now_ms = rest.first().expect("a time").parse::<i64>().expect("seconds") * 1_000,
            word @ ("fire" | "resolve") => {
                let ends_at_ms = if word == "fire" { now_ms + 240_000 } else { now_ms };
                let alert = Alert {
                    labels: labels(rest),
                    annotations: LabelSet::empty(),
                    starts_at_ms: now_ms,
                    ends_at_ms,
                    generator_url: String::new(),
                };
                assert!(dispatcher.insert(alert, now_ms));
            }
            word @ ("flush" | "fail") => {
                let mut due = dispatcher.due(now_ms);
                due.sort_by(|left, right| left.webhook.url.expose().cmp(right.webhook.url.expose()));
                writeln!(
                    out,
                    "{} {word}: {} due, {} groups",
                    now_ms / 1_000,
                    due.len(),
                    dispatcher.group_count()
                )
                .expect("a string takes all");
                for notification in due {
                    let body: serde_json::Value = serde_json::from_slice(&notification.body).expect("JSON");
                    let alerts = body["alerts"].as_array().expect("a list");
                    let alerts: Vec<String> = alerts
                        .iter()
                        .map(|alert| format!("{} {}", alert["labels"], alert["status"]))
                        .collect();
                    writeln!(
                        out,
                        "  {} {} {}: {} [{}]",
                        notification.webhook.url.expose(),
                        body["groupKey"],
                        body["notification_reason"],
                        body["status"],
                        alerts.join(", ")
                    )
                    .expect("a string takes all");
                    dispatcher.done(notification.id, word == "flush");
                }
            }
            other => panic!("unknown word {other:?}"),
        }
    }
    want.assert_eq(&out);
}

#[test]
fn a_group_waits_then_speaks_then_repeats_then_ends() {
    check(
        "at 0\n fire alertname=A i=1\n flush\n at 5\n fire alertname=A i=2\n at 10\n flush\n at 70\n fire alertname=A i=1\n \
         fire alertname=A i=2\n flush\n at 100\n fire alertname=A i=3\n flush\n at 130\n flush\n at 150\n resolve alertname=A i=1\n \
         at 190\n fire alertname=A i=2\n fire alertname=A i=3\n flush\n at 3800\n fire alertname=A i=2\n fire alertname=A i=3\n \
         flush\n at 3850\n resolve alertname=A i=2\n resolve alertname=A i=3\n at 3900\n flush\n flush",
        expect![[r#"
            0 flush: 0 due, 1 groups
            10 flush: 1 due, 1 groups
              http://all "{}:{alertname=\"A\"}" "first notification": "firing" [{"alertname":"A","i":"1"} "firing", {"alertname":"A","i":"2"} "firing"]
            70 flush: 0 due, 1 groups
            100 flush: 0 due, 1 groups
            130 flush: 1 due, 1 groups
              http://all "{}:{alertname=\"A\"}" "new alerts added": "firing" [{"alertname":"A","i":"1"} "firing", {"alertname":"A","i":"2"} "firing", {"alertname":"A","i":"3"} "firing"]
            190 flush: 1 due, 1 groups
              http://all "{}:{alertname=\"A\"}" "some alerts resolved": "firing" [{"alertname":"A","i":"1"} "resolved", {"alertname":"A","i":"2"} "firing", {"alertname":"A","i":"3"} "firing"]
            3800 flush: 1 due, 1 groups
              http://all "{}:{alertname=\"A\"}" "repeat interval elapsed": "firing" [{"alertname":"A","i":"2"} "firing", {"alertname":"A","i":"3"} "firing"]
            3900 flush: 1 due, 1 groups
              http://all "{}:{alertname=\"A\"}" "all alerts resolved": "resolved" [{"alertname":"A","i":"2"} "resolved", {"alertname":"A","i":"3"} "resolved"]
            3900 flush: 0 due, 0 groups
        "#]],
    );
}

#[test]
fn routes_continue_or_stop() {
    check(
        "at 0\n fire alertname=A severity=page\n fire alertname=B severity=info\n fire alertname=C\n at 10\n flush",
        expect![[r#"
            10 flush: 4 due, 4 groups
              http://all "{}:{alertname=\"C\"}" "first notification": "firing" [{"alertname":"C"} "firing"]
              http://page "{}/{severity=\"page\"}:{alertname=\"A\"}" "first notification": "firing" [{"alertname":"A","severity":"page"} "firing"]
              http://quiet "{}/{severity=~\"page|info\"}:{alertname=\"A\"}" "first notification": "firing" [{"alertname":"A","severity":"page"} "firing"]
              http://quiet "{}/{severity=~\"page|info\"}:{alertname=\"B\"}" "first notification": "firing" [{"alertname":"B","severity":"info"} "firing"]
        "#]],
    );
}

#[test]
fn what_did_not_arrive_is_said_again() {
    check(
        "at 0\n fire alertname=A\n at 10\n fail\n at 20\n flush\n at 70\n flush",
        expect![[r#"
        10 fail: 1 due, 1 groups
          http://all "{}:{alertname=\"A\"}" "first notification": "firing" [{"alertname":"A"} "firing"]
        20 flush: 0 due, 1 groups
        70 flush: 1 due, 1 groups
          http://all "{}:{alertname=\"A\"}" "first notification": "firing" [{"alertname":"A"} "firing"]
    "#]],
    );
}

#[test]
fn resolved_alerts_stay_until_that_arrived() {
    check(
        "at 0\n fire alertname=A\n at 10\n flush\n at 20\n resolve alertname=A\n at 70\n fail\n at 130\n flush\n at 190\n flush",
        expect![[r#"
            10 flush: 1 due, 1 groups
              http://all "{}:{alertname=\"A\"}" "first notification": "firing" [{"alertname":"A"} "firing"]
            70 fail: 1 due, 1 groups
              http://all "{}:{alertname=\"A\"}" "all alerts resolved": "resolved" [{"alertname":"A"} "resolved"]
            130 flush: 1 due, 1 groups
              http://all "{}:{alertname=\"A\"}" "all alerts resolved": "resolved" [{"alertname":"A"} "resolved"]
            190 flush: 0 due, 0 groups
        "#]],
    );
}

#[test]
fn without_send_resolved_the_end_is_silent() {
    check(
        "at 0\n fire alertname=A severity=info\n at 10\n flush\n at 20\n resolve alertname=A severity=info\n at 70\n flush\n \
         at 80\n fire alertname=A severity=info\n at 90\n flush",
        expect![[r#"
            10 flush: 1 due, 1 groups
              http://quiet "{}/{severity=~\"page|info\"}:{alertname=\"A\"}" "first notification": "firing" [{"alertname":"A","severity":"info"} "firing"]
            70 flush: 0 due, 0 groups
            90 flush: 1 due, 1 groups
              http://quiet "{}/{severity=~\"page|info\"}:{alertname=\"A\"}" "first notification": "firing" [{"alertname":"A","severity":"info"} "firing"]
        "#]],
    );
}

#[test]
fn an_alert_that_is_not_renewed_is_over_when_its_promise_is() {
    check(
        "at 0\n fire alertname=A\n at 10\n flush\n at 300\n flush",
        expect![[r#"
        10 flush: 1 due, 1 groups
          http://all "{}:{alertname=\"A\"}" "first notification": "firing" [{"alertname":"A"} "firing"]
        300 flush: 1 due, 1 groups
          http://all "{}:{alertname=\"A\"}" "all alerts resolved": "resolved" [{"alertname":"A"} "resolved"]
    "#]],
    );
}

#[test]
fn a_message_is_alertmanagers() {
    let config = AlertmanagerConfig::parse(ROUTES, Path::new("")).expect("valid");
    let mut dispatcher = Dispatcher::new(config, "http://eino".to_owned());
    for (instance, ends_at_ms) in [("a", 1_700_000_240_000), ("b", 1_700_000_005_000)] {
        let alert = Alert {
            labels: labels(&["alertname=HighCPU", &format!("instance={instance}")]),
            annotations: labels(&["summary=hot"]),
            starts_at_ms: 1_700_000_000_000,
            ends_at_ms,
            generator_url: "http://eino/graph".to_owned(),
        };
        assert!(dispatcher.insert(alert, 1_700_000_000_000));
    }
    let due = dispatcher.due(1_700_000_010_000);
    let body: serde_json::Value =
        serde_json::from_slice(&due.first().expect("one message").body).expect("JSON");
    expect![[r#"
        {
          "alerts": [
            {
              "annotations": {
                "summary": "hot"
              },
              "endsAt": "0001-01-01T00:00:00Z",
              "fingerprint": "76fe8dd68a0bc4a0",
              "generatorURL": "http://eino/graph",
              "labels": {
                "alertname": "HighCPU",
                "instance": "a"
              },
              "startsAt": "2023-11-14T22:13:20Z",
              "status": "firing"
            },
            {
              "annotations": {
                "summary": "hot"
              },
              "endsAt": "2023-11-14T22:13:25Z",
              "fingerprint": "77008dd68a0c4777",
              "generatorURL": "http://eino/graph",
              "labels": {
                "alertname": "HighCPU",
                "instance": "b"
              },
              "startsAt": "2023-11-14T22:13:20Z",
              "status": "resolved"
            }
          ],
          "commonAnnotations": {
            "summary": "hot"
          },
          "commonLabels": {
            "alertname": "HighCPU"
          },
          "externalURL": "http://eino",
          "groupKey": "{}:{alertname=\"HighCPU\"}",
          "groupLabels": {
            "alertname": "HighCPU"
          },
          "notification_reason": "first notification",
          "receiver": "all",
          "status": "firing",
          "truncatedAlerts": 0,
          "version": "4"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&body).expect("JSON"));
}
