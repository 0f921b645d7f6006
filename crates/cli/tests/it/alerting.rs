//! A rule file, a firing alert, a webhook that receives it in Alertmanager's JSON.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::harness::{PATIENCE, TestServer, wait_for};

/// A webhook: answers 200 to everything and passes the bodies on.
fn webhook() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("its address"));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut raw = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let read = stream.read(&mut buffer).unwrap_or(0);
                raw.extend_from_slice(&buffer[..read]);
                if let Some(body) = complete_body(&raw) {
                    break body;
                }
                if read == 0 {
                    return;
                }
            };
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .expect("answers");
            if sender.send(serde_json::from_slice(&body).expect("the webhook's body is JSON")).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

fn complete_body(raw: &[u8]) -> Option<Vec<u8>> {
    let split = raw.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&raw[..split]).to_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok())?;
    (raw.len() >= split + length).then(|| raw[split..split + length].to_vec())
}

#[test]
fn a_rule_fires_and_the_webhook_hears_of_it() {
    let (url, received) = webhook();
    let temporary = tempfile::tempdir().expect("temporary directory");
    let rules = "groups:\n- name: test\n  interval: 1s\n  rules:\n  - record: answer\n    expr: vector(42)\n  \
                 - alert: AnswerIsHigh\n    expr: answer > 40\n    for: 2s\n    labels: {severity: page}\n    \
                 annotations: {summary: 'the answer is {{ $value }}'}\n";
    std::fs::write(temporary.path().join("rules.yml"), rules).expect("rules are written");
    let config = format!(
        "rule_files: [rules.yml]\nalertmanager_config:\n  route: {{receiver: hook, group_by: [alertname], group_wait: 0s}}\n  \
         receivers: [{{name: hook, webhook_configs: [{{url: '{url}'}}]}}]\n"
    );
    std::fs::write(temporary.path().join("eino.yaml"), config).expect("configuration is written");
    let server = TestServer::start_in(temporary.path());
    let seen = wait_for("the alert", || {
        let alerts = server.get_json("/api/v1/alerts");
        alerts["data"]["alerts"][0]["state"].as_str().map(str::to_owned)
    });
    assert!(seen == "pending" || seen == "firing", "{seen}");
    let body = received.recv_timeout(PATIENCE).expect("a notification");
    assert_eq!((body["version"].as_str(), body["status"].as_str()), (Some("4"), Some("firing")), "{body}");
    assert_eq!(body["receiver"], "hook");
    let alert = &body["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "AnswerIsHigh");
    assert_eq!(alert["labels"]["severity"], "page");
    assert_eq!(alert["annotations"]["summary"], "the answer is 42");
    assert_eq!(server.query_value("answer"), Some(42.0));
    assert_eq!(server.query_value("ALERTS{alertstate=\"firing\"}"), Some(1.0));
    let groups = server.get_json("/api/v1/rules");
    assert_eq!(groups["data"]["groups"][0]["rules"][1]["state"], "firing", "{groups}");
}
