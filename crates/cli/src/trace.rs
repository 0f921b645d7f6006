//! `eino trace search | show | report | compare`.

use std::process::ExitCode;

use analysis::{Compare, Report};
use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;

use crate::client::{Client, ServerUrl, percent_encode};
use crate::output::{self, Format, print};

const EXAMPLES: &str = "\
Examples:
  eino trace report                                        the last 15 minutes
  eino trace report --start 2026-01-01T00:00:00Z --end 2026-01-01T01:00:00Z -o json
  eino trace search --service payment-service --min-duration 100ms
  eino trace show 463ac35c9f6413ad48485a3953bb6124";

/// Finds, shows and analyses traces.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    server: ServerUrl,
    /// Format of the answer
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Format,
}

#[derive(Subcommand)]
enum Action {
    /// Which operation to fix, why, and what it saves
    #[command(after_help = EXAMPLES)]
    Report {
        /// Unix seconds or RFC 3339; 15 minutes before the end by default
        #[arg(long, value_name = "TIME")]
        start: Option<String>,
        /// Unix seconds or RFC 3339; now by default
        #[arg(long, value_name = "TIME")]
        end: Option<String>,
    },
    /// What each operation contributed to a change between two windows
    #[command(after_help = EXAMPLES)]
    Compare {
        /// The window before the change begins: Unix seconds or RFC 3339
        #[arg(long, value_name = "TIME")]
        before_start: String,
        /// ... and ends
        #[arg(long, value_name = "TIME")]
        before_end: String,
        /// The window after the change begins
        #[arg(long, value_name = "TIME")]
        after_start: String,
        /// ... and ends
        #[arg(long, value_name = "TIME")]
        after_end: String,
    },
    /// Newest traces that match
    #[command(after_help = EXAMPLES)]
    Search {
        /// Traces with a span of this service
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        /// ... and of this operation, such as "POST /orders"
        #[arg(long, value_name = "NAME")]
        operation: Option<String>,
        /// ... and with this attribute; may be given several times
        #[arg(long = "tag", value_name = "KEY:VALUE")]
        tags: Vec<String>,
        /// ... that took at least so long, such as 100ms or 1.5s
        #[arg(long, value_name = "DURATION")]
        min_duration: Option<String>,
        /// ... and at most so long
        #[arg(long, value_name = "DURATION")]
        max_duration: Option<String>,
        /// Most traces
        #[arg(long, value_name = "N", default_value = "20")]
        limit: String,
    },
    /// One trace as a tree with its critical path
    #[command(after_help = EXAMPLES)]
    Show {
        /// 32 hexadecimal digits, as `eino trace search` prints them
        trace_id: String,
    },
}

pub(crate) async fn run(arguments: TraceArguments) -> anyhow::Result<ExitCode> {
    let client = Client::new(&arguments.server.url);
    let text = match (&arguments.action, arguments.output) {
        (Action::Report { start, end }, format) => {
            report(&client, start.as_deref(), end.as_deref(), format).await?
        }
        (Action::Compare { before_start, before_end, after_start, after_end }, format) => {
            let pairs = [
                ("before_start", before_start.as_str()),
                ("before_end", before_end),
                ("after_start", after_start),
                ("after_end", after_end),
            ];
            compare(&client, &pairs, format).await?
        }
        (Action::Search { .. }, format) => search(&client, &arguments.action, format).await?,
        (Action::Show { trace_id }, format) => show(&client, trace_id, format).await?,
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn report(
    client: &Client,
    start: Option<&str>,
    end: Option<&str>,
    format: Format,
) -> anyhow::Result<String> {
    let lang = Some(output::lang_parameter(format));
    let pairs: Vec<_> = [("start", start), ("end", end), ("lang", lang)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let answer = client.get("/eino/v1/bottlenecks", &pairs).await?;
    if format == Format::Json {
        return Ok(answer.to_string());
    }
    let report: Report = serde_json::from_value(answer).context("the server's report has another shape")?;
    Ok(analysis::render_text(&report, None, output::report_style()))
}

async fn compare(client: &Client, pairs: &[(&str, &str)], format: Format) -> anyhow::Result<String> {
    let answer = client.get("/eino/v1/compare", pairs).await?;
    if format == Format::Json {
        return Ok(answer.to_string());
    }
    let compare: Compare =
        serde_json::from_value(answer).context("the server's comparison has another shape")?;
    Ok(analysis::render_compare(&compare, output::report_style()))
}

async fn search(client: &Client, action: &Action, format: Format) -> anyhow::Result<String> {
    let Action::Search { service, operation, tags, min_duration, max_duration, limit } = action else {
        return Ok(String::new());
    };
    let mut pairs = vec![("limit", limit.as_str())];
    let optional = [
        ("service", service),
        ("operation", operation),
        ("minDuration", min_duration),
        ("maxDuration", max_duration),
    ];
    pairs.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
    pairs.extend(tags.iter().map(|tag| ("tag", tag.as_str())));
    let answer = client.get("/jaeger/api/traces", &pairs).await?;
    if format == Format::Json {
        return Ok(answer.to_string());
    }
    let traces = answer["data"].as_array().cloned().unwrap_or_default();
    if traces.is_empty() {
        return Ok("no trace matches".to_owned());
    }
    let mut out = format!("{:<32}  {:>10}  {:>5}  ROOT\n", "TRACE", "DURATION", "SPANS");
    for trace in &traces {
        let spans = trace["spans"].as_array().cloned().unwrap_or_default();
        let root = spans
            .iter()
            .find(|span| span["references"].as_array().is_none_or(Vec::is_empty))
            .or(spans.first());
        let Some(root) = root else { continue };
        let duration_ms = root["duration"].as_f64().unwrap_or(0.0) / 1_000.0;
        let id = trace["traceID"].as_str().unwrap_or_default();
        out.push_str(&format!(
            "{id:<32}  {duration_ms:>7.2} ms  {:>5}  {}\n",
            spans.len(),
            span_title(trace, root)
        ));
    }
    Ok(out)
}

fn span_title(trace: &Value, span: &Value) -> String {
    let process = span["processID"].as_str().unwrap_or_default();
    let service = trace["processes"][process]["serviceName"].as_str().unwrap_or_default();
    format!("{service} {}", span["operationName"].as_str().unwrap_or_default())
}

async fn show(client: &Client, trace_id: &str, format: Format) -> anyhow::Result<String> {
    let mut encoded = String::new();
    percent_encode(trace_id, &mut encoded);
    let trace = client.get(&format!("/jaeger/api/traces/{encoded}"), &[]).await?;
    let path = client.get(&format!("/eino/v1/traces/{encoded}/critical-path"), &[]).await?;
    if format == Format::Json {
        return Ok(serde_json::json!({"trace": trace["data"][0], "critical_path": path}).to_string());
    }
    Ok(tree(&trace["data"][0], &path))
}

/// The spans as an indented list, each with its share of the critical path.
fn tree(trace: &Value, path: &Value) -> String {
    let spans = trace["spans"].as_array().cloned().unwrap_or_default();
    let id = |span: &Value| span["spanID"].as_str().unwrap_or_default().to_owned();
    let parent = |span: &Value| {
        let references = span["references"].as_array()?;
        let child_of = references.iter().find(|reference| reference["refType"] == "CHILD_OF")?;
        Some(child_of["spanID"].as_str()?.to_owned())
    };
    let on_path_ms = |span_id: &str| {
        let roots = path["roots"].as_array().into_iter().flatten();
        let sections = roots.filter_map(|root| root["sections"].as_array()).flatten();
        let own = sections.filter(|section| section["span_id"] == span_id);
        own.map(|s| s["end_ns"].as_f64().unwrap_or(0.0) - s["start_ns"].as_f64().unwrap_or(0.0)).sum::<f64>()
            / 1e6
    };
    let ids: Vec<String> = spans.iter().map(id).collect();
    let start_us = |span: &Value| span["startTime"].as_i64().unwrap_or(0);
    let is_root = |span: &&Value| parent(span).is_none_or(|parent| !ids.contains(&parent));
    let mut stack: Vec<(usize, &Value)> = spans.iter().filter(is_root).map(|span| (0, span)).collect();
    stack.sort_by_key(|(_, span)| std::cmp::Reverse(start_us(span)));
    let origin_us = spans.iter().map(start_us).min().unwrap_or(0);
    let mut out = format!("{:>11}  {:>11}  {:>11}  SPAN\n", "START", "DURATION", "CRITICAL");
    let mut shown = 0;
    while let Some((depth, span)) = stack.pop() {
        shown += 1;
        if shown > spans.len() {
            break;
        }
        let duration_ms = span["duration"].as_f64().unwrap_or(0.0) / 1_000.0;
        let offset_ms = (start_us(span) - origin_us) as f64 / 1_000.0;
        let critical_ms = on_path_ms(&id(span));
        let critical = if critical_ms > 0.0 { format!("{critical_ms:.2} ms") } else { "-".to_owned() };
        let indent = "  ".repeat(depth.min(40));
        out.push_str(&format!(
            "{offset_ms:>8.2} ms  {duration_ms:>8.2} ms  {critical:>11}  {indent}{}\n",
            span_title(trace, span)
        ));
        let span_id = id(span);
        let mut children: Vec<_> =
            spans.iter().filter(|child| parent(child).as_deref() == Some(&span_id)).collect();
        children.sort_by_key(|child| std::cmp::Reverse(start_us(child)));
        stack.extend(children.into_iter().map(|child| (depth + 1, child)));
    }
    out
}
