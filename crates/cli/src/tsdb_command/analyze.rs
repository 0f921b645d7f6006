//! `eino tsdb analyze`.

use std::process::ExitCode;

use serde_json::json;
use stdx::format_bytes;
use tsdb::Analysis;

use super::{DataArguments, progress};
use crate::output::{Format, print};

const EXAMPLES: &str = "\
Examples:
  eino tsdb analyze --data data
  eino tsdb analyze --data data/snapshots/20260101T000000Z-0 --limit 50 -o json";

/// Says which metrics, labels and label pairs take the space.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AnalyzeArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Entries of each list
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
}

pub(super) fn run(arguments: &AnalyzeArguments, format: Format) -> anyhow::Result<ExitCode> {
    let store = arguments.data.open_existing()?;
    // What is only in the log is counted too.
    store.tsdb.flush()?;
    let bar = progress::bar("reading block indexes", store.tsdb.blocks().len() as u64);
    let analysis = store.tsdb.analyze(arguments.limit, &mut |done| bar.set_position(done))?;
    bar.finish_and_clear();
    store.tsdb.close()?;
    print(&match format {
        Format::Json => json(&analysis),
        Format::Text => text(&analysis),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn json(analysis: &Analysis) -> String {
    let blocks = analysis.blocks.iter().map(|block| {
        json!({
            "name": block.name, "start_ms": block.range_ms.start, "end_ms": block.range_ms.end,
            "window_ms": block.window_ms, "series": block.series, "samples": block.samples, "bytes": block.bytes,
        })
    });
    let metrics = analysis.metrics.iter().map(|metric| {
        json!({
            "name": metric.name, "series": metric.series, "series_gone": metric.series_gone,
            "samples": metric.samples, "sample_bytes": metric.sample_bytes,
        })
    });
    let labels = analysis
        .labels
        .iter()
        .map(|label| json!({"name": label.name, "values": label.values, "series": label.series}));
    let pairs = analysis
        .pairs
        .iter()
        .map(|pair| json!({"name": pair.name, "value": pair.value, "series": pair.series}));
    json!({
        "bytes": analysis.bytes,
        "sample_bytes": analysis.sample_bytes,
        "samples": analysis.samples,
        "series": analysis.series,
        "series_gone": analysis.series_gone,
        "blocks": blocks.collect::<Vec<_>>(),
        "metrics": metrics.collect::<Vec<_>>(),
        "labels": labels.collect::<Vec<_>>(),
        "pairs": pairs.collect::<Vec<_>>(),
    })
    .to_string()
}

fn text(analysis: &Analysis) -> String {
    let per_sample = |bytes: u64| bytes as f64 / analysis.samples.max(1) as f64;
    let mut out = format!(
        "{} in {} blocks: {} samples of {} series, {:.2} bytes a sample ({:.2} samples, {:.2} index)\n",
        format_bytes(analysis.bytes),
        analysis.blocks.len(),
        analysis.samples,
        analysis.series,
        per_sample(analysis.bytes),
        per_sample(analysis.sample_bytes),
        per_sample(analysis.bytes.saturating_sub(analysis.sample_bytes)),
    );
    let gone = 100.0 * analysis.series_gone as f64 / analysis.series.max(1) as f64;
    out.push_str(&format!(
        "churn: {} series ({gone:.0} %) are not in the newest block any more\n",
        analysis.series_gone
    ));
    out.push_str("\nbytes        samples      series     gone  metric\n");
    for metric in &analysis.metrics {
        out.push_str(&format!(
            "{:<11}  {:>11}  {:>7}  {:>7}  {}\n",
            format_bytes(metric.sample_bytes),
            metric.samples,
            metric.series,
            metric.series_gone,
            metric.name
        ));
    }
    out.push_str("\n values   series  label\n");
    for label in &analysis.labels {
        out.push_str(&format!("{:>7}  {:>7}  {}\n", label.values, label.series, label.name));
    }
    out.push_str("\n series  label pair\n");
    for pair in &analysis.pairs {
        out.push_str(&format!("{:>7}  {}={:?}\n", pair.series, pair.name, pair.value));
    }
    out
}
