use std::collections::BTreeMap;
use std::path::PathBuf;

use expect_test::{Expect, expect};
use model::LabelSet;
use serde::Deserialize;

use super::{RelabelConfig, RelabelRule, relabel};

fn run(rules: &str, labels: &[(&str, &str)]) -> String {
    let configs: Vec<RelabelConfig> = match settings::from_yaml(rules) {
        Ok(configs) => configs,
        Err(error) => return error.to_string(),
    };
    let rules: Result<Vec<_>, _> = configs.into_iter().map(RelabelRule::new).collect();
    let labels = LabelSet::from_pairs(labels.iter().copied()).expect("valid labels");
    match rules.map(|rules| relabel(&labels, &rules)) {
        Ok(Some(labels)) => labels.to_string(),
        Ok(None) => "dropped".to_owned(),
        Err(error) => error,
    }
}

#[track_caller]
fn check(rules: &str, want: Expect) {
    let labels = [("a", "x1"), ("b", "y2"), ("c", ""), ("__meta_zone", "Ä")];
    want.assert_eq(&run(rules, &labels));
}

#[test]
fn each_action() {
    check(
        "[{source_labels: [a, b], target_label: d, replacement: '<$1>'}]",
        expect![[r#"{__meta_zone="Ä", a="x1", b="y2", d="<x1;y2>"}"#]],
    );
    check(
        "[{source_labels: [a], regex: 'x(.)', target_label: 'n$1', replacement: '${1}'}]",
        expect![[r#"{__meta_zone="Ä", a="x1", b="y2", n1="1"}"#]],
    );
    check(
        "[{source_labels: [a], regex: 'x', target_label: d}]",
        expect![[r#"{__meta_zone="Ä", a="x1", b="y2"}"#]],
    );
    check(
        "[{source_labels: [a], regex: '', target_label: d}]",
        expect![[r#"{__meta_zone="Ä", a="x1", b="y2"}"#]],
    );
    check("[{source_labels: [c], target_label: a}]", expect![[r#"{__meta_zone="Ä", b="y2"}"#]]);
    check(
        "[{source_labels: [a], action: keep, regex: x1}]",
        expect![[r#"{__meta_zone="Ä", a="x1", b="y2"}"#]],
    );
    check("[{source_labels: [a], action: keep, regex: x}]", expect!["dropped"]);
    check("[{source_labels: [a], action: drop, regex: 'x.*'}]", expect!["dropped"]);
    check("[{source_labels: [a], action: keepequal, target_label: b}]", expect!["dropped"]);
    check(
        "[{source_labels: [a], action: dropequal, target_label: b}]",
        expect![[r#"{__meta_zone="Ä", a="x1", b="y2"}"#]],
    );
    check(
        "[{source_labels: [a, b], action: hashmod, modulus: 8, target_label: h}]",
        expect![[r#"{__meta_zone="Ä", a="x1", b="y2", h="0"}"#]],
    );
    check(
        "[{action: labelmap, regex: '__meta_(.*)'}]",
        expect![[r#"{__meta_zone="Ä", a="x1", b="y2", zone="Ä"}"#]],
    );
    check("[{action: labeldrop, regex: '__meta_.*|a'}]", expect![[r#"{b="y2"}"#]]);
    check("[{action: labelkeep, regex: '[ab]'}]", expect![[r#"{a="x1", b="y2"}"#]]);
    check(
        "[{action: lowercase, source_labels: [__meta_zone], target_label: zone}]",
        expect![[r#"{__meta_zone="Ä", a="x1", b="y2", zone="ä"}"#]],
    );
    check(
        "[{action: UPPERCASE, source_labels: [a], target_label: a}]",
        expect![[r#"{__meta_zone="Ä", a="X1", b="y2"}"#]],
    );
}

#[test]
fn bad_rules_say_what_is_missing() {
    check(
        "[{action: hashmod, target_label: h}]",
        expect!["relabel configuration for hashmod requires non-zero modulus"],
    );
    check(
        "[{source_labels: [a]}]",
        expect!["relabel configuration for replace action requires 'target_label' value"],
    );
    check(
        "[{action: labeldrop, regex: a, source_labels: [b]}]",
        expect!["labeldrop action requires only 'regex', and no other fields"],
    );
    check(
        "[{action: keepequal, source_labels: [a], target_label: b, regex: c}]",
        expect!["keepequal action requires only 'source_labels' and `target_label`, and no other fields"],
    );
    check(
        "[{action: lowercase, source_labels: [a], target_label: b, replacement: c}]",
        expect!["'replacement' can not be set for lowercase action"],
    );
    check(
        "[{action: kepp, source_labels: [a]}]",
        expect![[r#"unknown relabel action "kepp" (did you mean "keep"?)"#]],
    );
    check("[{regex: '(', target_label: a}]", expect![[r#"error parsing regexp "(": unclosed group"#]]);
    check(
        "[{sourcelabels: [a]}]",
        expect![[r#"line 1, column 3: unknown key "sourcelabels" (did you mean "source_labels"?)"#]],
    );
}

#[derive(Deserialize)]
struct Case {
    input: BTreeMap<String, String>,
    relabel_configs: Vec<RelabelConfig>,
    output: Option<BTreeMap<String, String>>,
    drop: bool,
}

/// The reference program's own cases.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the folder of the conformance data is handed in by the environment"
)]
fn conformance() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var_os("EINO_SHARED").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(shared.join("conformance/relabel_cases.jsonl")) else {
        println!("skipped: no conformance/relabel_cases.jsonl under {}", shared.display());
        return;
    };
    let mut passed = 0;
    let mut failures = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let case: Case = serde_json::from_str(line).expect("a case is one JSON object");
        let rules: Vec<_> = case
            .relabel_configs
            .into_iter()
            .map(|config| RelabelRule::new(config).expect("valid rule"))
            .collect();
        let pairs = |map: &BTreeMap<String, String>| {
            LabelSet::from_pairs(map.iter().map(|(name, value)| (name.as_str(), value.as_str())))
                .expect("valid")
        };
        let got = relabel(&pairs(&case.input), &rules);
        let want = if case.drop { None } else { case.output.as_ref().map(pairs) };
        if got == want {
            passed += 1;
        } else {
            failures.push(format!("line {}: got {got:?}, want {want:?}", number + 1));
        }
    }
    println!("relabel: {passed} of {} passed", text.lines().count());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
