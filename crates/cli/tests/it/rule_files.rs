//! `eino check rules` and `eino test rules`: verdicts, answers, and the same verdicts as promtool's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{eino, shared, tool};

/// Files of `testdata/rules`, and the exit status of testing them.
const TESTS: [(&str, i32); 8] = [
    ("passing.yml", 0),
    ("failing.yml", 1),
    ("bad_series.yml", 1),
    ("bad_expression.yml", 1),
    ("bad_key.yml", 1),
    ("bad_rule_file.yml", 1),
    ("rule_error.yml", 1),
    ("start_time.yml", 0),
];
/// Where promtool 2.42 says something else, as these came with 3.x: `start_timestamp`, `fuzzy_compare`, ranges that
/// are open on the left.
const ONLY_3X_TESTS: [&str; 2] = ["start_time.yml", "left_open.yml"];

fn testdata(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rules").join(file)
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("not killed")
}

/// promtool, which comes with Prometheus.
fn promtool() -> Option<(PathBuf, bool)> {
    let path = tool("EINO_TEST_PROMETHEUS")?.with_file_name("promtool");
    let version = Command::new(&path).arg("--version").output().expect("promtool runs");
    let text = String::from_utf8_lossy(&version.stdout).into_owned();
    Some((path, text.contains("version 2.")))
}

#[test]
fn verdicts_of_tests_are_promtools() {
    let peer = promtool();
    for (file, want) in TESTS.into_iter().chain([("left_open.yml", 0)]) {
        let ours = eino().args(["test", "rules"]).arg(testdata(file)).output().expect("eino runs");
        assert_eq!(status(&ours), want, "{file}: {}", String::from_utf8_lossy(&ours.stdout));
        let Some((promtool, is_2)) = &peer else { continue };
        if *is_2 && ONLY_3X_TESTS.contains(&file) {
            continue;
        }
        let theirs = Command::new(promtool).args(["test", "rules"]).arg(testdata(file)).output();
        assert_eq!(status(&theirs.expect("promtool runs")), want, "{file}: promtool");
    }
}

#[test]
fn verdicts_of_checks_are_promtools() {
    let Some(folder) = shared("conformance/prometheus-rules") else { return };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.extend(["rules.yml", "bad_rules.yml", "colliding_rules.yml"].map(testdata));
    assert!(files.len() > 10, "{files:?}");
    let peer = promtool();
    for file in files {
        let ours = eino().args(["check", "rules"]).arg(&file).output().expect("eino runs");
        let text = String::from_utf8_lossy(&ours.stdout).into_owned();
        let is_bad = file.to_string_lossy().contains("invalid") || file.ends_with("bad_rules.yml");
        assert_eq!(status(&ours), i32::from(is_bad), "{}: {text}", file.display());
        let Some((promtool, _)) = &peer else { continue };
        let theirs = Command::new(promtool).args(["check", "rules"]).arg(&file).output();
        assert_eq!(status(&theirs.expect("promtool runs")), status(&ours), "{}: promtool", file.display());
    }
}

#[test]
fn a_failure_is_a_diff_in_text_json_and_junit() {
    let dir = tempfile::tempdir().expect("a folder");
    let junit = dir.path().join("junit.xml");
    let run = |arguments: &[&str]| {
        let mut command = eino();
        command.args(["test", "rules", "--junit"]).arg(&junit).args(arguments).arg(testdata("failing.yml"));
        let output = command.output().expect("eino runs");
        (status(&output), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (code, text) = run(&[]);
    assert_eq!(code, 1);
    let want = "  FAILED  wrong value\n    expr \"m\" at 1m\n      - m{a=\"b\"} 1\n      + m{a=\"b\"} 2\n  \
                FAILED  alert not expected\n    alert \"Absent\" at 1m\n      + {alertname=\"Absent\"}\n  \
                ok      right\n1 of 3 tests passed\n";
    assert!(text.ends_with(want), "{text}");
    let xml = std::fs::read_to_string(&junit).expect("written");
    assert!(xml.contains("tests=\"3\" failures=\"2\" errors=\"0\""), "{xml}");
    let (_, text) = run(&["-o", "json"]);
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let failure = &json["files"][0]["tests"][0]["failures"][0];
    assert_eq!(
        (&failure["expected"][0], &failure["got"][0]),
        (&"m{a=\"b\"} 1".into(), &"m{a=\"b\"} 2".into())
    );
    assert_eq!(run(&["--run", "^right$"]).0, 0);
    assert_eq!(run(&["--run", "("]).0, 2);
}

#[test]
fn what_is_probably_a_mistake_fails_only_when_asked() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("rules.yml");
    let rules = "groups: [{name: g, rules: [{record: r, expr: 1}, {record: r, expr: 2}]}]";
    std::fs::write(&file, rules).expect("written");
    let run = |arguments: &[&str]| eino().args(arguments).arg(&file).output().expect("eino runs");
    let lax = run(&["check", "rules"]);
    let text = String::from_utf8_lossy(&lax.stdout).into_owned();
    assert_eq!(status(&lax), 0);
    assert!(
        text.ends_with("ok, 2 rules\n  warning: duplicate rule r{} in group \"g\", first in group \"g\"\n"),
        "{text}"
    );
    assert_eq!(status(&run(&["check", "rules", "--lint"])), 1);
    assert_eq!(status(&eino().args(["check", "rules", "/nonexistent.yml"]).output().expect("eino runs")), 2);
    let config = dir.path().join("eino.yaml");
    std::fs::write(&config, "rule_files: [bad.yml]").expect("written");
    std::fs::write(dir.path().join("bad.yml"), "groups: [{name: g, rules: [{record: r, expr: 'm +'}]}]")
        .expect("written");
    let checked = eino().args(["check", "config"]).arg(&config).output().expect("eino runs");
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(status(&checked), 1);
    assert!(text.contains("bad.yml:1:") && text.contains("unexpected end of input"), "{text}");
}
