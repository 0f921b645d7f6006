//! `eino tsdb export`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use model::{LabelSet, METRIC_NAME, Matcher, MetricSource, SampleColumns, TimeRange};
use serde_json::json;

use super::openmetrics::{self, LeftOut};
use super::{DataArguments, parquet, progress};
use crate::output::{Format, print, say};

const EXAMPLES: &str = "\
Examples:
  eino tsdb export --data data > all.om
  eino tsdb export --data data --match '{job=\"api\"}' --to api.om
  eino tsdb export --data data --start 2026-01-01T00:00:00Z --end 2026-01-02T00:00:00Z --to day.om
  eino tsdb export --data data --format parquet --to samples.parquet

To export from a running server: eino tsdb snapshot, then --data data/snapshots/NAME.
Neither format has a place for native histograms: they are left out and counted.";

/// Writes samples, metric by metric.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Format of the file
    #[arg(long, value_enum, default_value_t)]
    format: FileFormat,
    /// Selects series, as PromQL does; may be given several times. All series by default
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// First moment: Unix seconds or RFC 3339; everything by default
    #[arg(long, value_name = "TIME", value_parser = parse_time_ms)]
    start: Option<i64>,
    /// The moment before which it ends: Unix seconds or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse_time_ms)]
    end: Option<i64>,
    /// File to write; stdout by default
    #[arg(long, value_name = "FILE")]
    to: Option<std::path::PathBuf>,
}

/// What is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum FileFormat {
    /// OpenMetrics text with timestamps
    #[default]
    Openmetrics,
    /// A table of metric, labels (JSON), timestamp (ms), value: one row a sample
    Parquet,
}

/// A file in the making.
enum Target {
    OpenMetrics { out: Box<dyn Write>, text: String },
    Parquet(parquet::Writer<Box<dyn Write>>),
}

impl Target {
    fn new(format: FileFormat, out: Box<dyn Write>) -> std::io::Result<Self> {
        Ok(match format {
            FileFormat::Openmetrics => Self::OpenMetrics { out, text: String::new() },
            FileFormat::Parquet => Self::Parquet(parquet::Writer::new(out)?),
        })
    }

    fn push(
        &mut self,
        labels: &LabelSet,
        samples: &SampleColumns,
        left_out: &mut LeftOut,
    ) -> std::io::Result<()> {
        match self {
            Self::OpenMetrics { out, text } => {
                text.clear();
                openmetrics::write(labels, samples, text, left_out);
                out.write_all(text.as_bytes())
            }
            Self::Parquet(writer) => {
                left_out.histograms += samples.histograms.len() as u64;
                writer.push(labels, samples)
            }
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::OpenMetrics { mut out, .. } => out.write_all(b"# EOF\n").and_then(|()| out.flush()),
            Self::Parquet(writer) => writer.finish(),
        }
    }
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
    let out: Box<dyn Write> = match file {
        Some(file) => Box::new(std::io::BufWriter::new(file)),
        None => Box::new(std::io::BufWriter::new(std::io::stdout().lock())),
    };
    let mut target = Target::new(arguments.format, out)?;
    let exported = export(&store.tsdb, &selectors, range_ms, &mut target)?;
    target.finish()?;
    store.tsdb.close()?;
    report(&exported, is_stdout, format)?;
    Ok(ExitCode::SUCCESS)
}

fn export(
    source: &dyn MetricSource,
    selectors: &[Vec<Matcher>],
    range_ms: TimeRange,
    target: &mut Target,
) -> anyhow::Result<Exported> {
    let names = source.label_values(METRIC_NAME, selectors, range_ms)?;
    let bar = progress::bar("exporting metrics", names.len() as u64);
    let mut exported = Exported::default();
    let mut columns = SampleColumns::default();
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
                target.push(set.labels(index), &columns, &mut exported.left_out)?;
                exported.series += u64::from(!columns.ts_ms.is_empty());
                exported.samples += columns.ts_ms.len() as u64;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    exported.samples -= exported.left_out.stale_markers;
    Ok(exported)
}

fn report(exported: &Exported, is_stdout: bool, format: Format) -> anyhow::Result<()> {
    let Exported { series, samples, left_out: LeftOut { histograms, stale_markers } } = *exported;
    if histograms + stale_markers > 0 {
        say(&format!(
            "left out, as the format has no place for them: {histograms} native histograms, {stale_markers} stale markers\n"
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
