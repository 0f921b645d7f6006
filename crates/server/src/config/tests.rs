use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use super::load::load_with;
use super::*;

/// Loads `eino.yaml` of a folder with these files.
fn load_files(files: &[(&str, &str)]) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("writable");
    }
    let path = folder.path().join("eino.yaml");
    let environment = |name: &str| (name == "ZONE").then(|| "eu".to_owned());
    let strip = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    let mut loaded =
        load_with(&path, promql::Syntax::all(), &environment).map_err(|error| strip(error.to_string()))?;
    for warning in &mut loaded.warnings {
        warning.file = PathBuf::from(strip(warning.file.display().to_string()));
        warning.message = strip(warning.message.clone());
    }
    Ok(loaded)
}

#[track_caller]
fn check(text: &str, want: Expect) {
    let got = match load_files(&[("eino.yaml", text)]) {
        Ok(loaded) => {
            let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            format!("loaded\n{}", warnings.join("\n"))
        }
        Err(error) => error,
    };
    want.assert_eq(&got);
}

#[test]
fn an_empty_file_is_the_default() {
    let loaded = load_files(&[("eino.yaml", "")]).expect("valid");
    assert_eq!(loaded.config.metrics_retention, Duration::from_secs(15 * 86_400));
    assert_eq!(loaded.config.traces_retention, Duration::from_secs(7 * 86_400));
    assert!(loaded.warnings.is_empty() && loaded.config.scrape_configs.is_empty());
    assert_eq!(loaded.config.rules.interval, Duration::from_secs(60));
}

#[test]
fn values_arrive_where_they_belong() {
    let text = "global: {scrape_interval: 5s, evaluation_interval: 7s, external_labels: {zone: '${ZONE}-1'}}\n\
                scrape_configs: [{job_name: a, static_configs: [{targets: [h:1]}]}]\n\
                storage: {sync: always, downsampling: {five_minutes: 20d}, background_bytes_per_second: 1MiB, tsdb: {retention: {time: 3d, size: 1GB}, out_of_order_time_window: 30m}}\n\
                traces: {retention: 2d}\nanalysis: {write_interval: 5s}\n\
                limits: {query_samples: 1000, query_memory: 1GiB, request_body: 1MiB}\nexternal_url: http://x/\n\
                rule_files: ['*.rules.yml']\nalertmanager_config: am.yml\n\
                alerting: {alertmanagers: [{path_prefix: /am, static_configs: [{targets: ['h:9093']}]}]}\n";
    let rules = "groups: [{name: g, rules: [{record: a, expr: 'limitk(1, up)'}]}]";
    let alertmanager = "route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [{url: 'http://h/x'}]}]";
    let loaded = load_files(&[("eino.yaml", text), ("b.rules.yml", rules), ("am.yml", alertmanager)]);
    let config = loaded.expect("valid").config;
    assert_eq!(config.scrape_configs.first().map(|job| job.interval), Some(Duration::from_secs(5)));
    assert_eq!((config.rules.interval, config.traces_retention), (Duration::from_secs(7), 2 * DAY));
    assert_eq!(config.rules.globals.external_labels.get("zone"), Some("eu-1"));
    assert_eq!((config.sync_always, config.metrics_retention), (true, 3 * DAY));
    assert_eq!(config.metrics_retention_bytes, Some(1 << 30));
    assert_eq!(config.downsampling, Downsampling { five_minutes: 20 * DAY, one_hour: 730 * DAY });
    assert_eq!(config.background_bytes_per_second, 1 << 20);
    assert_eq!(config.out_of_order_window, Duration::from_secs(1_800));
    assert_eq!(config.analysis_write_interval, Duration::from_secs(5));
    assert_eq!((config.limits.query_samples, config.limits.request_body_bytes), (Some(1_000), Some(1 << 20)));
    assert_eq!(config.limits.query_memory_bytes, Some(1 << 30));
    assert_eq!(config.rule_groups.first().map(|group| group.name.as_str()), Some("g"));
    assert_eq!(
        config.alerting.alertmanagers.first().map(|external| external.url.as_str()),
        Some("http://h:9093/am/api/v2/alerts")
    );
    assert_eq!(config.alerting.routing.map(|routing| routing.route.receiver), Some("r".to_owned()));
    assert_eq!(config.external_url.as_deref(), Some("http://x/"));
}

#[test]
fn mistakes_name_file_line_and_what_was_meant() {
    check(
        "global:\n  scrape_intervall: 5s\n",
        expect![[r#"eino.yaml:2:3: unknown key "scrape_intervall" (did you mean "scrape_interval"?)"#]],
    );
    check(
        "scrape_config:\n",
        expect![[r#"eino.yaml:1:1: unknown key "scrape_config" (did you mean "scrape_configs"?)"#]],
    );
    check("global: {}\nglobal: {}\n", expect![[r#"eino.yaml:2:1: key "global" occurs twice"#]]);
    check(
        "global:\n  scrape_interval: 5\n",
        expect![[
            r#"eino.yaml:2:20: invalid duration "5": a number has no unit (write it like 30s, 1h30m or 500ms)"#
        ]],
    );
    check(
        "scrape_configs:\n- job_name: a\n- job_name: a\n",
        expect![[r#"eino.yaml:3:3: found multiple scrape configs with job name "a""#]],
    );
    check(
        "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: kepp\n",
        expect![[r#"eino.yaml:4:5: unknown relabel action "kepp" (did you mean "keep"?)"#]],
    );
    check("scrape_configs:\n-\n", expect!["eino.yaml:2:2: empty or null scrape config section"]);
    check(
        "storage: {sync: sometimes}\n",
        expect![[r#"eino.yaml:1:17: unknown value "sometimes" (known here: always, interval)"#]],
    );
    check(
        "alertmanager_config:\n  route: {receiver: pagee}\n  receivers: [{name: page}]\n",
        expect![[r#"eino.yaml:2:10: undefined receiver "pagee" used in route (did you mean "page"?)"#]],
    );
    check(
        "alertmanager_config:\n  route:\n    reciever: page\n",
        expect![[r#"eino.yaml:3:5: unknown key "reciever" (did you mean "receiver"?)"#]],
    );
    check(
        "alertmanager_config: missing.yml\n",
        expect!["missing.yml: cannot read: No such file or directory (os error 2)"],
    );
    check(
        "rule_files: ['a/*/b.yml']\n",
        expect![[
            r#"eino.yaml:1:14: invalid rule file path "a/*/b.yml" (* may stand only in the last component)"#
        ]],
    );
}

#[test]
fn mistakes_in_named_files_name_those_files() {
    let rules = "groups:\n- name: g\n  rules:\n  - alert: A\n    exprr: up\n";
    let error = load_files(&[("eino.yaml", "rule_files: [r.yml]"), ("r.yml", rules)]).expect_err("refused");
    expect![[r#"r.yml:5:5: unknown key "exprr" (did you mean "expr"?)"#]].assert_eq(&error);
    let jobs = "scrape_configs:\n- job_name: a\n  scheme: gopher\n";
    let error =
        load_files(&[("eino.yaml", "scrape_config_files: [j.yml]"), ("j.yml", jobs)]).expect_err("refused");
    expect![[r#"j.yml:2:3: unknown scheme "gopher" (http or https) for scrape config with job name "a""#]]
        .assert_eq(&error);
}

#[test]
fn what_is_not_built_is_named() {
    check(
        "scrape_configs:\n- job_name: a\n  scheme: https\n  consul_sd_configs: [{server: x}]\n\
         remote_write: [{url: 'http://x'}]\nrule_files: [none.yml]\ntracing: {endpoint: x}\n\
         global:\n  external_labels: {a: '$NOTHING'}\nstorage: {tsdb: {retention: {percentage: 5}}}\n",
        expect![[r#"
            loaded
            eino.yaml:9: external label "a": environment variable "NOTHING" is not set
            eino.yaml:2: job "a": consul_sd_configs is not built yet and has no effect
            eino.yaml:6: no rule file matches "none.yml"
            eino.yaml:10: storage.tsdb.retention.percentage is not built yet and has no effect
            eino.yaml:7: tracing: sending our own traces elsewhere is not built yet and has no effect"#]],
    );
}

/// Files of the reference program's tests: a good one loads, a bad one is refused. The number of passes may only grow.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the folder of the conformance data is handed in by the environment"
)]
fn conformance() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var_os("EINO_SHARED").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let folder = shared.join("conformance/prometheus-config");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no conformance/prometheus-config under {}", shared.display());
        return;
    };
    let expected = expected_errors(&shared);
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yml"))
        .collect();
    names.sort();
    let (mut passed, mut alike, mut failures) = (0, 0, Vec::new());
    for name in &names {
        let bad = expected.contains_key(name)
            || [".bad.", ".incompatible.", "deprecated"].iter().any(|word| name.contains(word));
        match (load_with(&folder.join(name), promql::Syntax::default(), &|_| Some("x".to_owned())), bad) {
            (Ok(_), false) => passed += 1,
            (Err(error), true) => {
                passed += 1;
                alike += usize::from(expected.get(name).is_some_and(|text| error.to_string().contains(text)));
            }
            (Ok(_), true) => failures.push(format!("{name}: loaded, should say {:?}", expected.get(name))),
            (Err(error), false) => failures.push(format!("{name}: {error}")),
        }
    }
    println!("config: {passed} of {} passed ({alike} of {} messages alike)", names.len(), expected.len());
    failures.iter().for_each(|failure| println!("  {failure}"));
    let floor = include_str!("../../testdata/config_conformance_floor.txt");
    let floor: usize = floor.trim().parse().expect("a number");
    assert!(passed >= floor, "{passed} passed, before it was {floor}:\n{}", failures.join("\n"));
}

fn expected_errors(shared: &Path) -> BTreeMap<String, String> {
    #[derive(serde::Deserialize)]
    struct Case {
        file: String,
        error_contains: String,
    }
    let text =
        std::fs::read_to_string(shared.join("conformance/config_expected_errors.jsonl")).expect("readable");
    let cases =
        text.lines().map(|line| serde_json::from_str::<Case>(line).expect("a case is one JSON object"));
    cases.map(|case| (case.file, case.error_contains)).collect()
}
