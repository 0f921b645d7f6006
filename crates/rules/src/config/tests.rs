use std::path::PathBuf;

use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(text: &str, want: Expect) {
    let got = match RuleFile::parse(text, "rules.yml") {
        Ok(file) => {
            let groups: Vec<String> = file
                .groups
                .iter()
                .map(|group| {
                    let rules: Vec<String> = group
                        .rules
                        .iter()
                        .map(|rule| format!("{} = {} {:?}", rule.name, rule.query, rule.kind))
                        .collect();
                    format!("{} {:?}: {}", group.name, group.interval, rules.join(", "))
                })
                .collect();
            format!("{}{:?}", groups.join("\n"), file.warnings)
        }
        Err(error) => error.to_string(),
    };
    want.assert_eq(&got);
}

#[test]
fn groups_are_read() {
    check("", expect!["[]"]);
    check("groups:\n", expect!["[]"]);
    check(
        "groups:\n- name: g\n  interval: 5s\n  labels: {a: '1', b: '2'}\n  rules:\n  - record: job:up:sum\n    \
         expr: sum by (job) (up)\n    labels: {b: '3'}\n  - alert: Down\n    expr: up == 0\n    for: 5m\n    \
         annotations: {summary: '{{ $labels.job }}'}\n",
        expect![[
            r#"g Some(5s): job:up:sum = sum by (job) (up) Recording { labels: {a="1", b="3"} }, Down = up == 0 Alerting { hold: 300s, keep_firing_for: 0ns, labels: [("a", Template("1")), ("b", Template("2"))], annotations: [("summary", Template("{{ $labels.job }}"))] }[]"#
        ]],
    );
    check(
        "groups: [{name: g, eval_offset: 10s, rules: []}]",
        expect![[r#"g None: [(1, "key \"eval_offset\" of rule group \"g\" has no effect here")]"#]],
    );
}

#[test]
fn mistakes_have_a_line() {
    check(
        "groups:\n- name: g\n  rules:\n  - record: a\n    expr: up\n  - record: b\n    exp: up\n",
        expect![[r#"line 7, column 5: unknown key "exp" (did you mean "expr"?)"#]],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum((\n",
        expect![[
            r#"line 4, column 5: group "g", rule 1, "A": could not parse expression: 1:6: parse error: unclosed left parenthesis"#
        ]],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n",
        expect![[r#"line 4, column 5: group "g", rule 1, "A": field 'expr' must be set in rule"#]],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    record: b\n    expr: up\n",
        expect![[
            r#"line 4, column 5: group "g", rule 1, "A": only one of 'record' and 'alert' must be set"#
        ]],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - expr: up\n",
        expect![[r#"line 4, column 5: group "g", rule 1, "": one of 'record' or 'alert' must be set"#]],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - record: b\n    expr: up\n    for: 5m\n",
        expect![[
            r#"line 4, column 5: group "g", rule 1, "b": 'for', 'keep_firing_for' and 'annotations' are not allowed in a recording rule"#
        ]],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {__name__: x}\n",
        expect![[r#"line 4, column 5: group "g", rule 1, "A": invalid label name: "__name__""#]],
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {s: '{{ nosuch 1 }}'}\n",
        expect![[
            r#"line 4, column 5: group "g", rule 1, "A": template of annotation "s": line 1: function "nosuch" not defined"#
        ]],
    );
    check(
        "groups:\n- name: g\n- name: g\n",
        expect![[r#"line 3, column 3: groupname: "g" is repeated in the same file"#]],
    );
    check("groups:\n- rules: []\n", expect!["line 2, column 3: groupname must not be empty"]);
}

/// The reference program's own rule files.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the folder of the conformance data is handed in by the environment"
)]
fn conformance() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var_os("EINO_SHARED").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let Ok(folder) = std::fs::read_dir(shared.join("conformance/prometheus-rules")) else {
        println!("skipped: no conformance/prometheus-rules under {}", shared.display());
        return;
    };
    let mut failures = Vec::new();
    let mut total = 0;
    for entry in folder {
        let path = entry.expect("readable folder").path();
        let text = std::fs::read_to_string(&path).expect("readable file");
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let outcome = RuleFile::parse(&text, &name);
        total += 1;
        if outcome.is_err() != name.contains("invalid") {
            failures.push(format!("{name}: {:?}", outcome.map(|file| file.groups.len())));
        }
    }
    println!("rules: {} of {total} passed", total - failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
