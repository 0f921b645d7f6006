//! Random parameters: no panic, no 500, always the envelope.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::golden::Golden;
use crate::rig::{Rig, RigOptions};

const PATHS: [&str; 17] = [
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/query_exemplars",
    "/api/v1/format_query",
    "/api/v1/labels",
    "/api/v1/label/job/values",
    "/api/v1/label/U__cache_2e_name/values",
    "/api/v1/series",
    "/api/v1/metadata",
    "/api/v1/targets",
    "/api/v1/targets/metadata",
    "/api/v1/rules",
    "/api/v1/status/tsdb",
    "/api/v1/alerts",
    "/api/v1/status/runtimeinfo",
    "/api/v1/notifications",
    "/federate",
];

const NAMES: [&str; 24] = [
    "query",
    "time",
    "start",
    "end",
    "step",
    "timeout",
    "limit",
    "lookback_delta",
    "stats",
    "match[]",
    "metric",
    "limit_per_metric",
    "state",
    "scrapePool",
    "match_target",
    "type",
    "rule_name[]",
    "rule_group[]",
    "file[]",
    "exclude_alerts",
    "group_limit",
    "group_next_token",
    "skip_head",
    "unknown",
];

const VALUES: [&str; 34] = [
    "",
    "up",
    "up{job=\"api\"}",
    "rate(http_requests_total[5m])",
    "sum by (job) (up)",
    "latency_seconds",
    "1+1",
    "\"a\"",
    "{}",
    "{__name__=~\".+\"}",
    "up[5m]",
    "up[",
    "0",
    "1",
    "-1",
    "10",
    "1e3",
    "1e400",
    "NaN",
    "-Inf",
    "1767225600",
    "1767222000.5",
    "2026-01-01T00:00:00Z",
    "-292273086-05-16T16:47:06Z",
    "15",
    "15s",
    "1h30m",
    "9999999999999999999",
    "true",
    "all",
    "active",
    "alert",
    "%",
    "\u{0}\u{ff}ä",
];

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn request() -> impl Strategy<Value = (bool, &'static str, String)> {
    let value = prop_oneof![4 => prop::sample::select(&VALUES[..]).prop_map(str::to_owned), 1 => ".{0,20}"];
    let pair = (prop::sample::select(&NAMES[..]), value);
    let form = prop::collection::vec(pair, 0..7).prop_map(|pairs| {
        let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        pairs.collect::<Vec<_>>().join("&")
    });
    (any::<bool>(), prop::sample::select(&PATHS[..]), form)
}

#[test]
fn no_request_is_our_fault() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rig = runtime.block_on(Rig::start(RigOptions::default()));
    let golden = Golden::load();
    let answered = Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig { cases: 2_000, ..ProptestConfig::default() });
    let outcome = runner.run(&request(), |(is_form, path, form)| {
        let (method, asked, body, kind) = match is_form {
            true => ("POST", path.to_owned(), form.as_str(), "application/x-www-form-urlencoded"),
            false => ("GET", format!("{path}?{form}"), "", "text/plain"),
        };
        let answer = runtime.block_on(rig.ask(method, &asked, &[("Content-Type", kind)], body));
        let status = answer.status.as_u16();
        prop_assert!(
            matches!(status, 200 | 204 | 400 | 405 | 422 | 503),
            "{} {} {}: {} {}",
            method,
            asked,
            body,
            status,
            answer.text()
        );
        if status == 200 {
            answered.set(answered.get() + 1);
        }
        if let Some(Err(why)) = golden.as_ref().map(|golden| golden.check(method, &asked, &answer)) {
            return Err(TestCaseError::fail(format!("{method} {asked} {body}: {why}: {}", answer.text())));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(answered.get() > 200, "only {answered:?} questions had an answer: they test little");
}
