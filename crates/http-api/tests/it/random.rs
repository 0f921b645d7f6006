//! Random and damaged parameters: no panic, no 5xx that was not asked for, always the envelope.
//!
//! `PROPTEST_CASES` makes it longer and `PROPTEST_RNG_SEED` the same again: `cargo xtask fuzz` sets both.

use std::io::Write;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::golden::Golden;
use crate::rig::{Answer, Rig, RigOptions};

/// As many requests as every test run makes.
const CASES_MIN: u32 = 2_000;
/// Most changes to one parameter.
const EDITS_MAX: usize = 4;

const PATHS: [&str; 34] = [
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/query_exemplars",
    "/api/v1/format_query",
    "/api/v1/parse_query",
    "/api/v1/labels",
    "/api/v1/label/job/values",
    "/api/v1/label/U__cache_2e_name/values",
    "/api/v1/label/%F0%9F%98%80/values",
    "/api/v1/series",
    "/api/v1/metadata",
    "/api/v1/scrape_pools",
    "/api/v1/scrape_pools/config",
    "/api/v1/targets",
    "/api/v1/targets/metadata",
    "/api/v1/targets/relabel_steps",
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/features",
    "/api/v1/status/tsdb",
    "/api/v1/status/tsdb/blocks",
    "/api/v1/status/runtimeinfo",
    "/api/v1/notifications",
    "/eino/v1/bottlenecks",
    "/eino/v1/compare",
    "/eino/v1/explain",
    "/eino/v1/service-graph",
    "/eino/v1/traces/0/critical-path",
    "/jaeger/api/dependencies",
    "/jaeger/api/operations",
    "/jaeger/api/services/a/operations",
    "/jaeger/api/traces",
    "/jaeger/api/traces/4bf92f3577b34da6a3ce929d0e0e4736",
    "/federate",
];

const NAMES: [&str; 41] = [
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
    "labels",
    "match_target",
    "type",
    "rule_name[]",
    "rule_group[]",
    "file[]",
    "exclude_alerts",
    "group_limit",
    "group_next_token",
    "skip_head",
    "service",
    "operation",
    "spanKind",
    "traceID",
    "tag",
    "tags",
    "minDuration",
    "maxDuration",
    "lookback",
    "endTs",
    "lang",
    "overflow",
    "before_start",
    "before_end",
    "after_start",
    "after_end",
    "unknown",
];

const VALUES: [&str; 44] = [
    "",
    "up",
    "up{job=\"api\"}",
    "rate(http_requests_total[5m])",
    "sum by (job) (up)",
    "histogram_quantile(0.9, rate(latency_seconds[5m]))",
    "label_replace(up, \"x\", \"$1\", \"job\", \"(.*)\")",
    "max_over_time(rate(http_requests_total[1m])[30m:1m] offset -5m)",
    "topk(2, {__name__=~\".+\"}) or on (job) up @ end()",
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
    "api",
    "{\"__address__\":\"a:1\",\"job\":\"api\"}",
    "{\"http.status_code\":\"500\"}",
    "error:true",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "zh",
    "%",
    "\u{0}\u{ff}ä",
];

/// What edits put in.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "\"",
    "\\",
    "=~",
    "!=",
    ",",
    ":",
    "-",
    "9",
    "99999999999",
    "1e99",
    " offset ",
    " @ ",
    " by ",
    "\u{0}",
    "\u{202e}",
    "😀",
    "5m",
    ".",
];

/// Damage to the form itself, behind the encoding.
const BROKEN: [&str; 8] = ["%", "%z", "%ff", "&", "=", "+", ";", "&&query=up"];

const ACCEPTED: [&str; 3] = [
    "*/*",
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    "text/plain;escaping=allow-utf-8",
];

#[derive(Debug)]
struct Asked {
    is_form: bool,
    path: &'static str,
    form: String,
    accept: &'static str,
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Leaves something out, doubles it, or puts something in, at a place.
fn edited(text: String, place: prop::sample::Index, how: u8, piece: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = place.index(chars.len() + 1);
    match how {
        0 => drop(chars.drain(at.min(chars.len().saturating_sub(1))..(at + 1).min(chars.len()))),
        1 => chars.truncate(at),
        2 => chars.extend_from_within(at..),
        _ => drop(chars.splice(at..at, piece.chars())),
    }
    chars.into_iter().collect()
}

fn value() -> impl Strategy<Value = String> {
    let known = || prop::sample::select(&VALUES[..]).prop_map(str::to_owned);
    let edit = (any::<prop::sample::Index>(), 0..5_u8, prop::sample::select(&PIECES[..]));
    let damaged = (known(), prop::collection::vec(edit, 1..=EDITS_MAX)).prop_map(|(text, edits)| {
        edits.into_iter().fold(text, |text, (place, how, piece)| edited(text, place, how, piece))
    });
    prop_oneof![4 => known(), 3 => damaged, 1 => ".{0,20}"]
}

fn request() -> impl Strategy<Value = Asked> {
    let pair = (prop::sample::select(&NAMES[..]), value(), prop::option::weighted(0.02, 0..BROKEN.len()));
    let form = prop::collection::vec(pair, 0..7).prop_map(|pairs| {
        let pairs = pairs.iter().map(|(name, value, broken)| {
            format!("{}={}{}", encode(name), encode(value), broken.map_or("", |index| BROKEN[index]))
        });
        pairs.collect::<Vec<_>>().join("&")
    });
    let parts = (any::<bool>(), prop::sample::select(&PATHS[..]), form, prop::sample::select(&ACCEPTED[..]));
    parts.prop_map(|(is_form, path, form, accept)| Asked { is_form, path, form, accept })
}

impl Asked {
    async fn send(&self, rig: &Rig) -> Answer {
        let kind = if self.is_form { "application/x-www-form-urlencoded" } else { "text/plain" };
        let headers = [("Content-Type", kind), ("Accept", self.accept)];
        let body = if self.is_form { self.form.as_str() } else { "" };
        rig.ask(self.method(), &self.target(), &headers, body).await
    }

    fn method(&self) -> &'static str {
        if self.is_form { "POST" } else { "GET" }
    }

    fn target(&self) -> String {
        if self.is_form { self.path.to_owned() } else { format!("{}?{}", self.path, self.form) }
    }
}

/// What many requests came to.
#[derive(Default)]
struct Tally {
    requests: u64,
    answered: u64,
    timeouts: u64,
    slowest: (Duration, String),
}

impl Tally {
    fn count(&mut self, asked: &Asked, answer: &Answer, took: Duration) -> Result<(), TestCaseError> {
        let status = answer.status.as_u16();
        self.requests += 1;
        self.answered += u64::from(status == 200);
        let is_timeout = status == 503 && answer.text().contains("\"errorType\":\"timeout\"");
        self.timeouts += u64::from(is_timeout);
        if took > self.slowest.0 {
            self.slowest = (took, format!("{asked:?}"));
        }
        let is_known = matches!(status, 200 | 204 | 400 | 404 | 405 | 422) || is_timeout;
        prop_assert!(is_known, "{:?}: {} {}", asked, status, answer.text());
        Ok(())
    }

    fn tell(&self) {
        let (slowest, asked) = (self.slowest.0.as_secs_f64() * 1e3, &self.slowest.1);
        let line = format!(
            "fuzz api: {} requests, {} answered, 0 panics, {} timeouts as asked for and no other 5xx, slowest {slowest:.1} ms: {asked}",
            self.requests, self.answered, self.timeouts,
        );
        // A closed stderr leaves nobody to tell.
        let _closed = writeln!(std::io::stderr(), "{line}").is_err();
    }
}

#[test]
fn no_request_is_our_fault() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rig = runtime.block_on(Rig::start(RigOptions::default()));
    let golden = Golden::load();
    let tally = std::cell::RefCell::new(Tally::default());
    let config = ProptestConfig::default();
    let mut runner = TestRunner::new(ProptestConfig { cases: config.cases.max(CASES_MIN), ..config });
    let outcome = runner.run(&request(), |asked| {
        let started = now();
        let answer = runtime.block_on(asked.send(&rig));
        tally.borrow_mut().count(&asked, &answer, started.elapsed())?;
        match golden.as_ref().map(|golden| golden.check(asked.method(), &asked.target(), &answer)) {
            Some(Err(why)) => Err(TestCaseError::fail(format!("{asked:?}: {why}: {}", answer.text()))),
            _ => Ok(()),
        }
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let tally = tally.into_inner();
    tally.tell();
    assert!(tally.answered * 10 > tally.requests, "only {} had an answer: they test little", tally.answered);
}

#[expect(clippy::disallowed_methods, reason = "how long a request took, not what came out")]
fn now() -> Instant {
    Instant::now()
}
