//! OpenMetrics text with timestamps: read into blocks, written from series.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{bail, ensure};
use model::{
    LabelSet, METRIC_NAME, MetricBatch, MetricKind, MetricMetadata, MetricSink, SampleColumns, is_stale_nan,
    is_valid_label_name,
};
use tsdb::Tsdb;
use wire::text::{Format, Line, parse};

use super::import::Imported;

/// Samples collected for one block: it bounds the memory of an import to some hundred MiB.
const SAMPLES_MAX: usize = 4_000_000;
const LINE_BYTES_MAX: usize = 1 << 20;
/// No sample has this time: it shows that a line has none of its own.
const NO_TIME_MS: i64 = i64::MIN;

/// Collects lines until there are enough samples for a block.
#[derive(Default)]
pub(super) struct Reader {
    line_number: u64,
    has_ended: bool,
    samples: usize,
    series: BTreeMap<LabelSet, SampleColumns>,
    metadata: BTreeMap<String, MetricMetadata>,
}

impl Reader {
    /// Takes one line, with its end.
    pub(super) fn line(&mut self, line: &str) -> anyhow::Result<()> {
        self.line_number += 1;
        let number = self.line_number;
        ensure!(line.len() <= LINE_BYTES_MAX, "line {number} is longer than {LINE_BYTES_MAX} bytes");
        ensure!(!self.has_ended, "line {number}: there is text behind \"# EOF\"");
        let line = line.trim_end_matches('\n');
        if line == "# EOF" {
            self.has_ended = true;
            return Ok(());
        }
        let text = format!("{line}\n# EOF\n");
        let mut outcome = Ok(());
        let parsed = parse(Format::OpenMetrics, &text, NO_TIME_MS, true, &mut |line| {
            if outcome.is_ok() {
                outcome = self.take(line);
            }
        });
        if let Err(error) = parsed {
            bail!("line {number}, column {}: {}", error.column, error.detail);
        }
        outcome
    }

    /// Checks that the text was whole.
    pub(super) fn end(&self) -> anyhow::Result<()> {
        ensure!(self.has_ended, "the text does not end with \"# EOF\": it may be cut short");
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.samples >= SAMPLES_MAX
    }

    /// Makes a block of what was collected.
    pub(super) fn store(&mut self, tsdb: &Tsdb, imported: &mut Imported) -> anyhow::Result<()> {
        if !self.metadata.is_empty() {
            let mut batch = MetricBatch::new();
            batch.metadata = std::mem::take(&mut self.metadata).into_values().collect();
            tsdb.append(&batch)?;
        }
        if self.series.is_empty() {
            return Ok(());
        }
        let mut import = tsdb.import()?;
        for (labels, mut columns) in std::mem::take(&mut self.series) {
            import.push(&labels, &mut columns)?;
            imported.samples += columns.len() as u64;
            imported.series += 1;
        }
        import.finish()?;
        imported.blocks += 1;
        self.samples = 0;
        Ok(())
    }

    fn take(&mut self, line: Line<'_>) -> anyhow::Result<()> {
        match line {
            Line::Sample(sample) => {
                let number = self.line_number;
                ensure!(sample.has_own_ts, "line {number}: {} has no timestamp", sample.series.raw());
                let columns = self.series.entry(sample.series.label_set()?).or_default();
                columns.push(sample.ts_ms, sample.value);
                self.samples += 1;
            }
            Line::Type { family, kind } => self.family(&family).kind = kind,
            Line::Help { family, text } => self.family(&family).help = text.into_owned(),
            Line::Unit { family, unit } => self.family(&family).unit = unit.to_owned(),
        }
        Ok(())
    }

    fn family(&mut self, family: &str) -> &mut MetricMetadata {
        self.metadata.entry(family.to_owned()).or_insert_with(|| MetricMetadata {
            family: family.to_owned(),
            kind: MetricKind::Unknown,
            help: String::new(),
            unit: String::new(),
        })
    }
}

/// What did not fit into the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Native histograms have no place in OpenMetrics 1.0.
    pub(super) histograms: u64,
    /// Stale markers are NaNs like any other there.
    pub(super) stale_markers: u64,
}

/// Appends the samples of a series, one a line.
pub(super) fn write(labels: &LabelSet, columns: &SampleColumns, out: &mut String, left_out: &mut LeftOut) {
    let series = series_text(labels);
    for (ts_ms, value) in columns.ts_ms.iter().zip(&columns.values) {
        if is_stale_nan(*value) {
            left_out.stale_markers += 1;
            continue;
        }
        out.push_str(&series);
        out.push(' ');
        write_value(*value, out);
        let sign = if *ts_ms < 0 { "-" } else { "" };
        let magnitude = ts_ms.unsigned_abs();
        // Writing to a String does not fail.
        let _written = writeln!(out, " {sign}{}.{:03}", magnitude / 1_000, magnitude % 1_000).is_ok();
    }
    left_out.histograms += columns.histograms.len() as u64;
}

fn write_value(value: f64, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        // The shortest text that reads as the same double; with an exponent where that is shorter.
        let _written = write!(out, "{value:?}").is_ok();
    }
}

fn series_text(labels: &LabelSet) -> String {
    let name = labels.metric_name();
    let is_plain = !name.is_empty()
        && name.split(':').all(|part| part.is_empty() || is_valid_tail(part))
        && !name.starts_with(|first: char| first.is_ascii_digit());
    let mut out = if is_plain { name.to_owned() } else { String::new() };
    let mut pairs = Vec::new();
    if !is_plain && !name.is_empty() {
        pairs.push(quoted(name));
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
        let label = if is_valid_label_name(label) { label.to_owned() } else { quoted(label) };
        pairs.push(format!("{label}={}", quoted(value)));
    }
    if !pairs.is_empty() {
        out.push_str(&format!("{{{}}}", pairs.join(",")));
    }
    out
}

fn is_valid_tail(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let labels = LabelSet::from_pairs([("__name__", "a:b_total"), ("job", "x\"y\\z\n"), ("ä b", "1")]);
        let quoted_name = LabelSet::from_pairs([("__name__", "http.requests"), ("job", "x")]);
        let bare = LabelSet::from_pairs([("__name__", "up")]);
        let mut columns = SampleColumns::default();
        let values = [1.0, 0.1 + 0.2, 1e300, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324];
        for (number, value) in (0..).zip(values) {
            columns.push(1_700_000_000_001 + number * 1_500, value);
        }
        columns.push(1_800_000_000_000, model::stale_nan());
        let mut text = String::new();
        let mut left_out = LeftOut::default();
        let all = [labels.expect("valid"), quoted_name.expect("valid"), bare.expect("valid")];
        all.iter().for_each(|labels| write(labels, &columns, &mut text, &mut left_out));
        assert_eq!(left_out, LeftOut { histograms: 0, stale_markers: 3 });
        let mut reader = Reader::default();
        text.push_str("# EOF\n");
        for line in text.split_inclusive('\n') {
            reader.line(line).expect("reads");
        }
        reader.end().expect("is whole");
        assert_eq!(reader.series.len(), 3);
        for labels in &all {
            let read = &reader.series[labels];
            assert_eq!(read.ts_ms, columns.ts_ms[..8]);
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&read.values), bits(&columns.values[..8]), "{labels}");
        }
    }

    #[test]
    fn what_can_not_be_stored_is_named_with_its_line() {
        let check = |text: &str, want: &str| {
            let mut reader = Reader::default();
            let read = text.split_inclusive('\n').try_for_each(|line| reader.line(line));
            let error = read.and_then(|()| reader.end()).expect_err(text).to_string();
            assert!(error.contains(want), "{error}");
        };
        check("up 1 1.5\nup 1\n# EOF\n", "line 2: up has no timestamp");
        check("up 1 1.5\nup{ 1\n# EOF\n", "line 2, column");
        check("up 1 1.5\n", "does not end with");
        check("# EOF\nup 1 1\n", "line 2: there is text behind");
    }
}
