//! `eino tsdb export`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use model::{METRIC_NAME, Matcher, MetricSource, SampleColumns, TimeRange};
use serde_json::json;

use super::openmetrics::{self, LeftOut};
use super::{DataArguments, progress};
use crate::output::{Format, print, say};

const EXAMPLES: &str = "\
Examples:
  eino tsdb export --data data > all.om
  eino tsdb export --data data --match '{job=\"api\"}' --start 2026-01-01T00:00:00Z --end 2026-01-02T00:00:00Z --to api.om
A running server's data: eino tsdb snapshot, then --data data/snapshots/NAME.";

/// Writes samples as OpenMetrics text with timestamps, metric by metric.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Selects series, as PromQL does; may be given several times. All series by default
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// First moment: Unix seconds or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_time_ms)]
    start: Option<i64>,
    /// Last moment, not included
    #[arg(long, value_name = "TIME", value_parser = parse_time_ms)]
    end: Option<i64>,
    /// File to write; stdout by default
    #[arg(long, value_name = "FILE")]
    to: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Exported {
    series: u64,
    samples: u64,
    left_out: LeftOut,
}

pub(super) fn run(arguments: &ExportArguments, format: Format) -> anyhow::Result<ExitCode> {
    let selectors = arguments
        .selectors
        .iter()
        .map(|text| promql::parse_selector(text).with_context(|| format!("{text:?} is not a selector")));
    let mut selectors = selectors.collect::<Result<Vec<_>, _>>()?;
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let range_ms = TimeRange::new(arguments.start.unwrap_or(i64::MIN), arguments.end.unwrap_or(i64::MAX));
    let store = arguments.data.open_existing()?;
    let file = arguments
        .to
        .as_ref()
        .map(|path| std::fs::File::create(path).with_context(|| format!("cannot create {}", path.display())));
    let file = file.transpose()?;
    let is_stdout = file.is_none();
    let mut out: Box<dyn Write> = match file {
        Some(file) => Box::new(std::io::BufWriter::new(file)),
        None => Box::new(std::io::BufWriter::new(std::io::stdout().lock())),
    };
    let exported = export(&store.tsdb, &selectors, range_ms, &mut out)?;
    out.flush()?;
    drop(out);
    store.tsdb.close()?;
    report(&exported, is_stdout, format)?;
    Ok(ExitCode::SUCCESS)
}

fn export(
    source: &dyn MetricSource,
    selectors: &[Vec<Matcher>],
    range_ms: TimeRange,
    out: &mut dyn Write,
) -> anyhow::Result<Exported> {
    let names = source.label_values(METRIC_NAME, selectors, range_ms)?;
    let bar = progress::bar("exporting metrics", names.len() as u64);
    let mut exported = Exported::default();
    let mut columns = SampleColumns::default();
    let mut text = String::new();
    for name in names {
        let mut seen = std::collections::BTreeSet::new();
        for selector in selectors {
            let mut matchers = selector.clone();
            matchers.push(Matcher::equal(METRIC_NAME, name.as_str()));
            let set = source.select(&matchers, range_ms)?;
            for index in 0..set.len() {
                // A series that several selectors pass is written once.
                if selectors.len() > 1 && !seen.insert(set.labels(index).clone()) {
                    continue;
                }
                set.read(index, &mut columns)?;
                text.clear();
                openmetrics::write(set.labels(index), &columns, &mut text, &mut exported.left_out);
                out.write_all(text.as_bytes())?;
                exported.series += u64::from(!text.is_empty());
                exported.samples += columns.ts_ms.len() as u64;
            }
        }
        bar.inc(1);
    }
    out.write_all(b"# EOF\n")?;
    bar.finish_and_clear();
    exported.samples -= exported.left_out.stale_markers;
    Ok(exported)
}

fn report(exported: &Exported, is_stdout: bool, format: Format) -> anyhow::Result<()> {
    let Exported { series, samples, left_out: LeftOut { histograms, stale_markers } } = *exported;
    if histograms + stale_markers > 0 {
        say(&format!(
            "left out, as OpenMetrics text has no place for them: {histograms} native histograms, {stale_markers} stale markers\n"
        ));
    }
    if is_stdout {
        return Ok(());
    }
    print(&match format {
        Format::Json => json!({
            "series": series, "samples": samples,
            "left_out": {"histograms": histograms, "stale_markers": stale_markers},
        })
        .to_string(),
        Format::Text => format!("exported {samples} samples of {series} series"),
    })
}

fn parse_time_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok((seconds * 1_000.0).round() as i64);
    }
    let parsed = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
    let parsed = parsed.map_err(|_| "neither Unix seconds nor RFC 3339".to_owned())?;
    i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000).map_err(|error| error.to_string())
}
