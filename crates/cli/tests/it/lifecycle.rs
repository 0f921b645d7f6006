//! Reload and stop of a running server, over HTTP and by signal.

use std::process::Command;

use crate::harness::{TestServer, request, wait_for};

const ONE: &str = "scrape_configs: [{job_name: one, static_configs: [{targets: ['127.0.0.1:1']}]}]\n";
const TWO: &str = "scrape_configs: [{job_name: two, static_configs: [{targets: ['127.0.0.1:1']}]}]\n\
                   global: {external_labels: {site: test}}\n";

fn write(server: &TestServer, config: &str) {
    std::fs::write(server.dir.join("eino.yaml"), config).expect("configuration is written");
}

fn pools(server: &TestServer) -> String {
    server.get_json("/api/v1/scrape_pools")["data"]["scrapePools"].to_string()
}

#[test]
fn a_reload_applies_all_or_nothing() {
    let server = TestServer::start_config_with(ONE, &["--web.enable-lifecycle"]);
    let reload = || request(server.http, "POST", "/-/reload", &[], b"");
    wait_for("the first job", || (pools(&server) == "[\"one\"]").then_some(()));
    write(&server, &TWO.replace("global", "globul"));
    let refused = reload();
    assert_eq!(refused.status, 500);
    assert!(
        refused.text().contains("eino.yaml:2") && refused.text().contains("globul"),
        "{}",
        refused.text()
    );
    assert_eq!(pools(&server), "[\"one\"]", "a bad file changes nothing");
    assert_eq!(server.get_json("/api/v1/status/runtimeinfo")["data"]["reloadConfigSuccess"], false);
    assert_eq!(
        server.get_json("/api/v1/notifications")["data"][0]["text"],
        "Configuration reload has failed."
    );
    assert_eq!(server.own_metric("eino_config_last_reload_successful", &[]), 0.0);
    write(&server, TWO);
    assert_eq!(reload().status, 200);
    wait_for("the second job alone", || (pools(&server) == "[\"two\"]").then_some(()));
    assert!(server.get_json("/api/v1/status/config")["data"]["yaml"].to_string().contains("two"));
    assert_eq!(server.get_json("/api/v1/notifications")["data"].to_string(), "[]");
    assert_eq!(server.own_metric("eino_config_last_reload_successful", &[]), 1.0);
}

#[test]
fn a_hangup_reloads_and_quit_stops() {
    let mut server = TestServer::start_config_with(ONE, &["--web.enable-lifecycle"]);
    write(&server, TWO);
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
    wait_for("the second job alone", || (pools(&server) == "[\"two\"]").then_some(()));
    assert_eq!(request(server.http, "PUT", "/-/quit", &[], b"").status, 200);
    assert!(server.wait().success());
}

#[test]
fn orders_and_the_admin_api_are_off_unless_asked_for() {
    let server = TestServer::start("");
    for path in ["/-/reload", "/-/quit"] {
        assert_eq!(request(server.http, "POST", path, &[], b"").status, 403, "{path}");
    }
    let admin = request(server.http, "POST", "/api/v1/admin/tsdb/delete_series?match[]=up", &[], b"");
    assert_eq!((admin.status, admin.text().contains("admin APIs disabled")), (500, true));
}
