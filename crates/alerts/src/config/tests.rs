use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(text: &str, want: Expect) {
    let got = match AlertmanagerConfig::parse(text, Path::new("/etc")) {
        Ok(config) => format!("{:?} {:?}", config.route, config.warnings),
        Err(error) => error.to_string(),
    };
    want.assert_eq(&got);
}

#[test]
fn children_inherit_what_they_do_not_say() {
    check(
        "route:\n  receiver: a\n  group_by: [job, alertname]\n  group_wait: 1s\n  routes:\n  - matchers: ['severity=\"page\"', x!=y]\n    \
         receiver: b\n    group_by: ['...']\n    continue: true\n  - match: {team: z}\n    group_interval: 2s\n\
         receivers: [{name: a}, {name: b, slack_configs: [{}]}]\n",
        expect![[
            r#"Route { receiver: "a", matchers: [], group_by: Labels(["alertname", "job"]), goes_on: false, group_wait: 1s, group_interval: 300s, repeat_interval: 14400s, routes: [Route { receiver: "b", matchers: [Matcher { name: "severity", op: Equal, value: "page", regex: None }, Matcher { name: "x", op: NotEqual, value: "y", regex: None }], group_by: All, goes_on: true, group_wait: 1s, group_interval: 300s, repeat_interval: 14400s, routes: [] }, Route { receiver: "a", matchers: [Matcher { name: "team", op: Equal, value: "z", regex: None }], group_by: Labels(["alertname", "job"]), goes_on: false, group_wait: 1s, group_interval: 2s, repeat_interval: 14400s, routes: [] }] } [(12, "slack_configs of receiver \"b\" is not built yet: nothing is sent to slack")]"#
        ]],
    );
}

#[test]
fn what_is_not_built_is_named() {
    check(
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs: [{url: 'https://h/x', http_config: {proxy_url: 'http://p'}}]\n\
         inhibit_rules: [{}]\n",
        expect![[
            r#"Route { receiver: "a", matchers: [], group_by: Labels([]), goes_on: false, group_wait: 30s, group_interval: 300s, repeat_interval: 14400s, routes: [] } [(1, "inhibit_rules of the Alertmanager configuration is not built yet and has no effect"), (3, "a webhook of receiver \"a\" has an https URL: TLS is not built yet, nothing arrives"), (3, "http_config.proxy_url of receiver \"a\" is not built yet and has no effect")]"#
        ]],
    );
}

#[test]
fn mistakes_have_a_line() {
    check("receivers: []", expect!["line 1, column 1: no route provided in config"]);
    check("route: {receiver: x}", expect![[r#"line 1, column 8: undefined receiver "x" used in route"#]]);
    check(
        "route: {receiver: a, matchers: [a=b]}\nreceivers: [{name: a}]",
        expect!["line 1, column 8: root route must not have any matchers"],
    );
    check(
        "route:\n  receiver: a\n  routes:\n  - group_by: [x, x]\nreceivers: [{name: a}]",
        expect![[r#"line 4, column 5: duplicated label "x" in group_by"#]],
    );
    check(
        "route:\n  receiver: a\n  routes:\n  - matchers: [x]\nreceivers: [{name: a}]",
        expect![[r#"line 4, column 5: bad matcher format "x": no operator (write it like severity="page")"#]],
    );
    check(
        "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs: [{}]\n",
        expect!["line 3, column 3: one of url or url_file must be configured"],
    );
    check(
        "route: {receiver: a}\nreceivers:\n- name: a\n- name: a\n",
        expect![[r#"line 4, column 3: notification config name "a" is not unique"#]],
    );
    check(
        "route: {receiver: a, repeat_interval: 0s}\nreceivers: [{name: a}]",
        expect!["line 1, column 8: repeat_interval cannot be zero"],
    );
}

/// Good files of the reference program load. (Bad ones are mostly about channels that are not built.)
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the folder of the conformance data is handed in by the environment"
)]
fn conformance() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var_os("EINO_SHARED").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let folder = shared.join("conformance/alertmanager/config/testdata");
    let mut failures = Vec::new();
    for name in
        ["conf.good.yml", "conf.empty-fields.yml", "conf.group-by-all.yml", "conf.http-config.good.yml"]
    {
        let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
            println!("skipped: no {name} in {}", folder.display());
            return;
        };
        if let Err(error) = AlertmanagerConfig::parse(&text, &folder) {
            failures.push(format!("{name}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let (mut passed, mut total) = (0, 0);
    for entry in std::fs::read_dir(&folder).expect("readable folder") {
        let path = entry.expect("readable folder").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        // What is wrong with a bad file is in its name.
        let is_bad = ["-both-", "-no-", ".nil-", "-invalid"].iter().any(|words| name.contains(words));
        if !name.ends_with(".yml") || name.contains("-valid-receiver-") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable file");
        total += 1;
        if AlertmanagerConfig::parse(&text, &folder).is_err() == is_bad {
            passed += 1;
        } else {
            println!("FAILED {name}");
        }
    }
    println!("alertmanager: {passed} of {total} passed");
}
