//! `eino query`.

use std::process::ExitCode;

use serde_json::Value;

use crate::client::{Client, ServerUrl};
use crate::output::{Format, print};

const EXAMPLES: &str = "\
Examples:
  eino query up
  eino query 'histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))'
  eino query --time 2026-01-01T00:00:00Z -o json 'sum(up)'";

/// Evaluates a PromQL query at one moment.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArguments {
    /// The query
    #[arg(value_name = "PROMQL")]
    query: String,
    /// When: Unix seconds or RFC 3339; now by default
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    #[command(flatten)]
    server: ServerUrl,
    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) async fn run(arguments: QueryArguments) -> anyhow::Result<ExitCode> {
    let mut pairs = vec![("query", arguments.query.as_str())];
    pairs.extend(arguments.time.as_deref().map(|time| ("time", time)));
    let answer = Client::new(&arguments.server.url).get("/api/v1/query", &pairs).await?;
    match arguments.output {
        Format::Json => print(&answer.to_string())?,
        Format::Text => print(&table(&answer["data"]))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One line per series: value, then labels.
fn table(data: &Value) -> String {
    let result = &data["result"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if matches!(data["resultType"].as_str(), Some("scalar" | "string")) {
        return text(&result[1]);
    }
    let Some(series) = result.as_array().filter(|series| !series.is_empty()) else {
        return "no series: nothing matches at that time".to_owned();
    };
    let rows: Vec<(String, String)> =
        series.iter().map(|series| (last_value(series), labels(&series["metric"]))).collect();
    let width = rows.iter().map(|(value, _)| value.len()).max().unwrap_or(0);
    rows.iter().map(|(value, labels)| format!("{value:>width$}  {labels}\n")).collect()
}

/// The latest sample: a number, or a histogram in words.
fn last_value(series: &Value) -> String {
    let last = |list: &str, one: &str| match series[list].as_array() {
        Some(samples) => samples.last().cloned().unwrap_or(Value::Null),
        None => series[one].clone(),
    };
    let (float, histogram) = (last("values", "value"), last("histograms", "histogram"));
    let time = |sample: &Value| sample[0].as_f64().unwrap_or(f64::NEG_INFINITY);
    if time(&histogram) <= time(&float) {
        return float[1].as_str().unwrap_or_default().to_owned();
    }
    let text = |name: &str| histogram[1][name].as_str().unwrap_or_default().to_owned();
    format!("{{count:{}, sum:{}}}", text("count"), text("sum"))
}

fn labels(metric: &Value) -> String {
    let Some(pairs) = metric.as_object() else { return String::new() };
    let name = metric["__name__"].as_str().unwrap_or_default();
    let others = pairs.iter().filter(|(label, _)| *label != "__name__");
    let others: Vec<String> = others.map(|(label, value)| format!("{label}={value}")).collect();
    format!("{name}{{{}}}", others.join(", "))
}

#[cfg(test)]
mod tests {
    use super::table;
    use serde_json::json;

    #[test]
    fn vectors_are_aligned() {
        let data = json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "a"}, "value": [1, "1"]},
            {"metric": {"job": "b"}, "value": [1, "0.25"]},
        ]});
        assert_eq!(table(&data), "   1  up{job=\"a\"}\n0.25  {job=\"b\"}\n");
        let histograms = json!({"resultType": "vector", "result": [
            {"metric": {"job": "a"}, "histogram": [1, {"count": "3", "sum": "4.5"}]},
        ]});
        assert_eq!(table(&histograms), "{count:3, sum:4.5}  {job=\"a\"}\n");
        assert_eq!(table(&json!({"resultType": "scalar", "result": [1, "2"]})), "2");
    }
}
