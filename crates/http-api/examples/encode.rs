//! What an answer of 100 000 samples costs: the query alone, and the query with its JSON.
//!
//! ```text
//! cargo run --release -p http-api --example encode
//! ```
//! Prints the shortest of many runs, which other work on the machine disturbs least.

use std::time::Duration;

use clock::Clock;
use http_api::HttpLimits;
use promql::{Engine, EngineConfig};

#[path = "../tests/it/data.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod data;
#[path = "../tests/it/rig.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod rig;

const SERIES: usize = 100;
const SAMPLES: i64 = 1_000;
const RUNS: usize = 30;

fn shortest(clock: &Clock, mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let start = clock.monotonic();
        run();
        clock.monotonic() - start
    };
    (0..RUNS).map(time).min().unwrap_or_default()
}

fn main() {
    let clock = Clock::system();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (end, step) = (data::NOW_MS, 15_000);
    let start = end - (SAMPLES - 1) * step;
    let source = data::TestSource::wide(SERIES, SAMPLES);
    let engine = Engine::new(EngineConfig::default(), clock.clone());
    let expr = promql::parse("wide").expect("valid");
    let query = shortest(&clock, || {
        let result = engine.range(&source, &expr, start, end, step).expect("an answer");
        assert!(result.stats.samples_read > 0);
    });
    let options = rig::RigOptions { source, limits: HttpLimits::default(), ..rig::RigOptions::default() };
    let rig = runtime.block_on(rig::Rig::start(options));
    let path = format!("/api/v1/query_range?query=wide&start={}&end={}&step=15", start / 1_000, end / 1_000);
    let mut bytes = 0;
    let rows = ["identity", "gzip", "zstd"].map(|encoding| {
        let time = shortest(&clock, || bytes = runtime.block_on(answer_bytes(&rig, &path, encoding)));
        (encoding, time, bytes)
    });
    let samples = SERIES as f64 * SAMPLES as f64;
    say(&format!("query alone      {:7.2} ms", query.as_secs_f64() * 1e3));
    for (encoding, time, bytes) in rows {
        let per_sample = time.saturating_sub(query).as_secs_f64() * 1e9 / samples;
        let time_ms = time.as_secs_f64() * 1e3;
        say(&format!(
            "with {encoding:<9}  {time_ms:7.2} ms   {per_sample:6.1} ns/sample more   {bytes} bytes"
        ));
    }
}

async fn answer_bytes(rig: &rig::Rig, path: &str, encoding: &str) -> usize {
    let answer = rig.ask("GET", path, &[("Accept-Encoding", encoding)], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.body.len()
}

fn say(line: &str) {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}").expect("stdout is open");
}
