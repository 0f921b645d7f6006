//! `eino query`: PromQL at one moment or over a range, as a table, a chart in the terminal, CSV or JSON.

mod answer;
mod chart;
mod csv;
mod explain;
mod histogram;
mod mistake;
mod number;
mod palette;
mod table;
mod time;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clock::Clock;
use http::Method;
use serde_json::Value;

use crate::client::{Client, ServerUrl};
use crate::output::{colour, print};
use answer::{Answer, Data};
use palette::Palette;
use time::When;

const EXAMPLES: &str = "\
Examples:
  eino query up
  eino query 'topk(5, rate(http_requests_total[5m]))'
  eino query --since 1h 'sum by (job) (rate(http_requests_total[1m]))'     a chart
  eino query --start 2026-01-01T00:00:00Z --end 2026-01-01T06:00:00Z --step 1m -o csv 'sum(up)'
  eino query --time 2026-01-01T00:00:00Z -o json 'sum(up)'
  eino query --explain 'sum(rate(http_requests_total[5m]))'                where the time goes";

/// Evaluates a PromQL query at one moment or over a range.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArguments {
    /// The query
    #[arg(value_name = "PROMQL")]
    query: String,
    /// At one moment: Unix seconds or RFC 3339; now by default
    #[arg(long, value_name = "TIME", conflicts_with_all = ["start", "end", "since", "step"])]
    time: Option<String>,
    /// Over a range: its start, Unix seconds or RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "since")]
    start: Option<String>,
    /// Over a range: its end; now by default
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// Over a range: its length, such as 30m or 1h, up to --end
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Time between two points of a range, such as 15s; by default one that gives about 160 points
    #[arg(long, value_name = "DURATION")]
    step: Option<String>,
    /// Show where time and samples go, part by part, instead of the answer
    #[arg(long, conflicts_with = "output")]
    explain: bool,
    #[command(flatten)]
    server: ServerUrl,
    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum OutputFormat {
    /// A table at one moment, a chart over a range
    #[default]
    Text,
    /// One line per series
    Table,
    /// Lines in the terminal
    Chart,
    /// One line per sample
    Csv,
    /// The server's answer
    Json,
}

pub(crate) async fn run(arguments: QueryArguments) -> anyhow::Result<ExitCode> {
    let when = When::of(&arguments, &Clock::system())?;
    let palette = Palette::of_stdout(colour());
    let client = Client::new(&arguments.server.url);
    let (path, pairs) = when.request(&arguments.query, arguments.explain);
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (status, body) = client.send(Method::GET, path, &pairs).await?;
    if arguments.explain && status == http::StatusCode::NOT_FOUND {
        bail!("this server does not explain queries");
    }
    let answer: Value = serde_json::from_slice(&body).with_context(|| {
        format!("the answer {status} to {path} is not JSON; is {} an eino server?", arguments.server.url)
    })?;
    if !status.is_success() {
        let error = answer["error"].as_str().unwrap_or_default();
        bail!("{}", mistake::explain(&arguments.query, error, palette));
    }
    if arguments.output == OutputFormat::Json {
        print(&answer.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.explain {
        print(&explain::render(&answer))?;
        return Ok(ExitCode::SUCCESS);
    }
    let answer = Answer::parse(&answer)?;
    print(&render(&answer, &when, arguments.output, palette))?;
    for note in &answer.notes {
        tracing::warn!("{note}");
    }
    Ok(ExitCode::SUCCESS)
}

fn render(answer: &Answer, when: &When, format: OutputFormat, palette: Palette) -> String {
    let Data::Series(series) = &answer.data else { return answer.single() };
    let wants_chart = format == OutputFormat::Chart || (format == OutputFormat::Text && when.is_range());
    let has_points = series.iter().any(|series| series.samples.len() > 1);
    if format == OutputFormat::Csv {
        csv::render(series)
    } else if series.is_empty() {
        "no series: nothing matches at that time".to_owned()
    } else if wants_chart && has_points {
        chart::render(series, chart::Size::of_terminal(), palette)
    } else {
        table::render(series, palette)
    }
}
