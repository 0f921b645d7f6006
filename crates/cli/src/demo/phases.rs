//! Warm-up, window, report; once, or twice with a comparison.

use std::time::Duration;

use analysis::{Compare, Report};
use anyhow::Context;
use serde_json::Value;

use super::progress;
use super::stage::Stage;
use crate::output::{self, Format};

const WARM_UP: Duration = Duration::from_secs(5);
/// Spans of the window's last requests are exported within this time.
const EXPORT_GRACE: Duration = Duration::from_millis(1_500);

/// What the demo measured.
pub(crate) struct Outcome {
    /// As the server answered it: the contract of the JSON.
    report_json: Value,
    report: Report,
    compare: Option<Compare>,
    url: String,
}

#[derive(Clone, Copy)]
struct Window {
    start_ms: i64,
    end_ms: i64,
}

impl Window {
    fn query(self) -> [(&'static str, String); 2] {
        [("start", seconds(self.start_ms)), ("end", seconds(self.end_ms))]
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// Runs the phases. A child that ends is an error at once.
pub(crate) async fn measure(
    stage: &mut Stage,
    length: Duration,
    compare_pool: Option<u32>,
    format: Format,
) -> anyhow::Result<Outcome> {
    let first = window(stage, length, "first window").await?;
    let mut compare = None;
    if let Some(pool) = compare_pool {
        progress::step(&format!("payment starts anew with {pool} connections instead of {}", stage.pool()));
        stage.restart_payment(pool).await?;
        let second = window(stage, length, "second window").await?;
        compare = Some(ask_compare(stage, first, second).await?);
    }
    ensure_stored(stage).await?;
    let pairs = first.query();
    let mut pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    pairs.push(("lang", output::lang_parameter(format)));
    let report_json = stage.client().get("/eino/v1/bottlenecks", &pairs).await?;
    let report: Report =
        serde_json::from_value(report_json.clone()).context("the server's report has another shape")?;
    anyhow::ensure!(
        report.traces > 0,
        "no trace arrived in the window: the services' logs are in the demo's directory; run again with --data DIR to keep it"
    );
    Ok(Outcome { report_json, report, compare, url: stage.url().to_owned() })
}

async fn window(stage: &mut Stage, length: Duration, name: &str) -> anyhow::Result<Window> {
    let clock = stage.clock.clone();
    let timing = async {
        progress::wait("warming up", WARM_UP).await;
        let start_ms = clock.unix_ms();
        progress::wait(&format!("measuring: {name}"), length).await;
        let end_ms = clock.unix_ms();
        tokio::time::sleep(EXPORT_GRACE).await;
        Window { start_ms, end_ms }
    };
    tokio::select! {
        window = timing => Ok(window),
        died = stage.first_to_die() => Err(died.err().unwrap_or_else(|| anyhow::anyhow!("a service ended"))),
    }
}

/// What the server refused because it could not be stored, it counts. A report without it would be about a part of
/// the traffic.
async fn ensure_stored(stage: &Stage) -> anyhow::Result<()> {
    let (_, metrics) = stage.client().send(http::Method::GET, "/metrics", &[]).await?;
    let refused = refused_for_storage(&String::from_utf8_lossy(&metrics));
    anyhow::ensure!(
        refused == 0,
        "the server could not store {refused} requests, so a report would be about a part of the traffic: is the disk of {} full? \
         make room, or choose another directory with --data DIR",
        stage.dir().display()
    );
    Ok(())
}

/// Requests that the receivers turned away with "try again", over all receivers.
fn refused_for_storage(metrics: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with("eino_receive_refused_requests_total{"));
    let lines = lines.filter(|line| line.contains("reason=\"unavailable\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

async fn ask_compare(stage: &Stage, before: Window, after: Window) -> anyhow::Result<Compare> {
    let times = [before.start_ms, before.end_ms, after.start_ms, after.end_ms].map(seconds);
    let names = ["before_start", "before_end", "after_start", "after_end"];
    let pairs: Vec<(&str, &str)> = names.into_iter().zip(times.iter().map(String::as_str)).collect();
    let answer = stage.client().get("/eino/v1/compare", &pairs).await?;
    serde_json::from_value(answer).context("the server's comparison has another shape")
}

impl Outcome {
    /// One JSON object: the report of the first phase, with `compare` when there were two.
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        let mut report = self.report_json.clone();
        if let Some(compare) = &self.compare {
            report["compare"] = serde_json::to_value(compare)?;
        }
        Ok(report.to_string())
    }

    /// The report for people.
    pub(crate) fn text(&self) -> String {
        let text = analysis::render_text(&self.report, self.compare.as_ref(), output::report_style());
        format!("{text}\n{}\nLook around: {}\n", self.report.mermaid.trim_end(), self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::refused_for_storage;

    #[test]
    fn only_what_could_not_be_stored_counts() {
        let metrics = "# TYPE eino_receive_refused_requests_total counter\n\
            eino_receive_refused_requests_total{receiver=\"otlp_http_traces\",reason=\"unavailable\"} 3\n\
            eino_receive_refused_requests_total{receiver=\"otlp_http_logs\",reason=\"malformed\"} 5\n\
            eino_receive_refused_requests_total{receiver=\"remote_write\",reason=\"unavailable\"} 1\n";
        assert_eq!(refused_for_storage(metrics), 4);
        assert_eq!(refused_for_storage(""), 0);
    }
}
