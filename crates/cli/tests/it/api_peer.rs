//! A real Prometheus and Eino hold the same samples and get the same requests: `tests/data/api_peer.txt`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Answer, TestServer, request, tool, unix_ms, wait_for};
use crate::prometheus_peer::{Peer, start_prometheus};

const REQUESTS: &str = include_str!("../data/api_peer.txt");

/// How two answers must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Same,
    Text,
    Error,
    Words,
    Keys,
}

struct Case<'t> {
    kind: Kind,
    /// A peer of version 2 is known to answer differently.
    is_new: bool,
    method: &'t str,
    path: String,
    form: Option<String>,
}

fn cases(t: f64) -> Vec<Case<'static>> {
    let before = |seconds: f64| (t - seconds).to_string();
    let moment = |text: &str| {
        text.replace("{t}", &before(0.0)).replace("{s}", &before(20.0)).replace("{u}", &before(5.0))
    };
    let lines = REQUESTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (is_new, line) = line.strip_prefix("2.x ").map_or((false, line), |line| (true, line));
            let (kind, line) = line.split_once(' ').expect("KIND METHOD PATH");
            let (method, line) = line.split_once(' ').expect("METHOD PATH");
            let (path, form) = line.split_once(" | ").map_or((line, None), |(path, form)| (path, Some(form)));
            let kind = match kind {
                "same" => Kind::Same,
                "text" => Kind::Text,
                "error" => Kind::Error,
                "words" => Kind::Words,
                "keys" => Kind::Keys,
                other => panic!("{other}: no such kind"),
            };
            Case { kind, is_new, method, path: moment(path), form: form.map(moment) }
        })
        .collect()
}

impl Case<'_> {
    fn ask(&self, to: SocketAddr) -> Answer {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let headers = if self.form.is_some() { &form[..] } else { &[] };
        request(to, self.method, &self.path, headers, self.form.as_deref().unwrap_or_default().as_bytes())
    }

    /// Why the two differ, if they do.
    fn difference(&self, ours: &Answer, theirs: &Answer, compares_text: bool) -> Option<String> {
        if ours.status != theirs.status {
            return Some(format!("status {} and {}", ours.status, theirs.status));
        }
        let (left, right) = match self.kind {
            Kind::Text => (Value::from(ours.text().trim()), Value::from(theirs.text().trim())),
            Kind::Same => (sorted(json(ours)), sorted(json(theirs))),
            Kind::Error => (error(json(ours), compares_text), error(json(theirs), compares_text)),
            Kind::Words => (error(json(ours), false), error(json(theirs), false)),
            Kind::Keys => (keys(&json(ours)), keys(&json(theirs))),
        };
        (left != right).then(|| format!("\n    ours   {left}\n    theirs {right}"))
    }
}

fn json(answer: &Answer) -> Value {
    if answer.body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// Series in the order of their text: Prometheus's order is that of its store.
fn sorted(mut answer: Value) -> Value {
    for place in ["/data/result", "/data"] {
        if let Some(items) = answer.pointer_mut(place).and_then(Value::as_array_mut)
            && items.iter().all(Value::is_object)
        {
            items.sort_by_key(ToString::to_string);
        }
    }
    answer
}

fn error(mut answer: Value, compares_text: bool) -> Value {
    if !compares_text {
        answer["error"] = Value::Null;
    }
    answer
}

/// The paths of all members.
fn keys(value: &Value) -> Value {
    fn collect(value: &Value, at: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    // Label sets have any members.
                    let goes_in = !name.ends_with("abels");
                    let at = format!("{at}.{name}");
                    found.insert(at.clone());
                    if goes_in {
                        collect(member, &at, found);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, &format!("{at}[]"), found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(value, "", &mut found);
    found.into_iter().collect()
}

fn is_version_2(peer: SocketAddr) -> bool {
    let answer = request(peer, "GET", "/api/v1/status/buildinfo", &[], b"");
    // A build without a release's name is newer than the packaged ones.
    json(&answer)["data"]["version"].as_str().is_some_and(|version| version.starts_with("2."))
}

/// Both with half a minute of the peer's own metrics, and a moment at which they agree.
fn start() -> Option<(TestServer, Peer, f64)> {
    let server = TestServer::start("");
    let peer = start_prometheus(&server)?;
    wait_for("30 samples of a series", || {
        server.query_value("count_over_time(up[2m])").filter(|count| *count >= 30.0)
    });
    Some((server, peer, (unix_ms() / 1_000 - 4) as f64 + 0.5))
}

#[test]
fn a_hundred_requests_have_the_same_answers() {
    let Some((server, peer, t)) = start() else { return };
    let is_old = is_version_2(peer.address);
    let cases = cases(t);
    assert!(cases.len() >= 100, "{} requests", cases.len());
    let mut different = Vec::new();
    for case in &cases {
        let (ours, theirs) = (case.ask(server.http), case.ask(peer.address));
        let difference = case.difference(&ours, &theirs, !is_old);
        let line = format!("{:?} {} {} {:?}", case.kind, case.method, case.path, case.form);
        match (difference, is_old && case.is_new) {
            (Some(why), false) => different.push(format!("{line}: {why}")),
            (None, true) => different.push(format!("{line}: listed as different, and is not")),
            _ => {}
        }
    }
    assert!(different.is_empty(), "{} of {}:\n{}", different.len(), cases.len(), different.join("\n"));
}

#[test]
fn promtool_prints_the_same_about_both() {
    let Some((server, peer, t)) = start() else { return };
    let Some(promtool) = tool("EINO_TEST_PROMETHEUS").map(|path| path.with_file_name("promtool")) else {
        return;
    };
    let (t, s) = (t.to_string(), (t - 20.0).to_string());
    let (start, end, time) = (format!("--start={s}"), format!("--end={t}"), format!("--time={t}"));
    let questions: [&[&str]; 8] = [
        &["instant", &time, "URL", "up"],
        &["instant", &time, "URL", "sum by (code) (prometheus_http_requests_total)"],
        &["instant", &time, "-o", "json", "URL", "go_info"],
        &["instant", &time, "URL", "up{"],
        &["range", &start, &end, "--step=5s", "URL", "go_goroutines"],
        &["series", &start, &end, "--match=up", "--match=go_info", "URL"],
        &["labels", &start, &end, "URL", "job"],
        &["labels", &start, &end, "--match=go_info", "URL", "version"],
    ];
    for question in questions {
        let ask = |address: SocketAddr| {
            let url = format!("http://{address}");
            let words = question.iter().map(|word| if *word == "URL" { url.as_str() } else { word });
            let output = Command::new(&promtool).arg("query").args(words).output().expect("promtool runs");
            let (out, err) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
            if question[0] != "range" {
                lines.sort();
            }
            (output.status.code(), lines, err.into_owned())
        };
        let ours = ask(server.http);
        assert_eq!(ours, ask(peer.address), "promtool query {question:?}");
        assert!(ours.0 == Some(1) || !ours.1.is_empty(), "{question:?} has no answer: it tests nothing");
    }
}
