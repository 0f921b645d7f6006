//! The rules of OpenMetrics beyond its grammar.
//!
//! ```text
//! family  := its metadata, then its samples; nothing of it later          names of families do not clash
//! sample  := has a name and labels that its type allows                   counter: a_total, a_created
//! group   := samples with the same labels (but le, quantile, the state)   stand together, times do not fall
//! ```
//! Prometheus does not check these when it scrapes, and neither do we. They are for exporters' authors.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use model::{LabelSet, METRIC_NAME, MetricKind};

use super::check_histogram::HistogramCheck;
use super::scan::{Scanned, Scanner};
use super::{Exemplar, Format, Line, ParseError, excerpt};

/// Longest label set of an exemplar, names and values together, in characters.
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Checks a text against the whole of OpenMetrics 1.0, more strictly than [`parse`](super::parse) does.
///
/// # Errors
/// [`ParseError`] at the first line that breaks a rule (or the one after it, when a family ends wrongly).
pub fn check_openmetrics(body: &str) -> Result<(), ParseError> {
    let mut scanner = Scanner::new(Format::OpenMetrics, body);
    let mut checker = Checker::default();
    while let Some(line) = scanner.next_line()? {
        checker.line(line).map_err(|detail| ParseError { column: 1, ..scanner.error(detail) })?;
    }
    checker.end_family().map_err(|detail| scanner.error(detail))
}

#[derive(Default)]
struct Checker {
    family: Option<Family>,
    names_taken: HashSet<String, RandomState>,
}

/// The family whose lines are being read.
#[derive(Default)]
struct Family {
    name: String,
    kind: Option<MetricKind>,
    has_help: bool,
    unit: Option<String>,
    has_samples: bool,
    group: Option<Group>,
    groups_ended: HashSet<LabelSet, RandomState>,
    histogram: HistogramCheck,
}

/// Neighbouring samples of the same labels.
#[derive(PartialEq)]
struct Group {
    labels: LabelSet,
    ts_ms: Option<i64>,
}

/// A sample with its labels unpacked.
struct Sample {
    name: String,
    labels: LabelSet,
    value: f64,
    ts_ms: Option<i64>,
}

impl Checker {
    fn line(&mut self, line: Scanned<'_>) -> Result<(), String> {
        match line {
            Scanned::Metadata(line) => self.metadata(line),
            Scanned::Sample { series, value, ts_ms, exemplar } => {
                let texts = [Some(series), exemplar.as_ref().map(|exemplar| exemplar.labels)];
                if texts.into_iter().flatten().any(|series| series.raw().ends_with(",}")) {
                    return Err("a comma after the last label".to_owned());
                }
                let labels = series.label_set().map_err(|error| error.to_string())?;
                let name = labels.metric_name().to_owned();
                let labels = labels.filtered(|label| label != METRIC_NAME);
                self.sample(&Sample { name, labels, value, ts_ms }, exemplar.as_ref())
            }
        }
    }

    fn metadata(&mut self, line: Line<'_>) -> Result<(), String> {
        let (Line::Type { family: name, .. }
        | Line::Help { family: name, .. }
        | Line::Unit { family: name, .. }) = &line
        else {
            return Ok(());
        };
        if self.family.as_ref().is_none_or(|family| family.name != **name) {
            self.end_family()?;
            self.family = Some(Family { name: name.to_string(), ..Family::default() });
        }
        let Some(family) = &mut self.family else { return Ok(()) };
        if family.has_samples {
            return Err(format!("metadata of {:?} after its samples", excerpt(&family.name)));
        }
        let is_repeated = match line {
            Line::Type { kind, .. } => family.kind.replace(kind).is_some(),
            Line::Help { .. } => std::mem::replace(&mut family.has_help, true),
            Line::Unit { unit, .. } => family.unit.replace(unit.to_owned()).is_some(),
            Line::Sample(_) => false,
        };
        if is_repeated { Err(format!("repeated metadata of {:?}", excerpt(&family.name))) } else { Ok(()) }
    }

    fn sample(&mut self, sample: &Sample, exemplar: Option<&Exemplar<'_>>) -> Result<(), String> {
        if self.family.as_ref().is_none_or(|family| !family.allows(&sample.name)) {
            self.end_family()?;
            self.family = Some(Family { name: sample.name.clone(), ..Family::default() });
        }
        let Some(family) = &mut self.family else { return Ok(()) };
        family.has_samples = true;
        let suffix = sample.name.get(family.name.len()..).unwrap_or_default().to_owned();
        family.check_labels(sample, &suffix)?;
        family.check_value(sample, &suffix)?;
        family.check_group(sample, &suffix)?;
        exemplar.map_or(Ok(()), |exemplar| family.check_exemplar(exemplar, &suffix))
    }

    /// Closes the family: its names are taken from now on.
    fn end_family(&mut self) -> Result<(), String> {
        let Some(mut family) = self.family.take() else { return Ok(()) };
        let kind = family.kind();
        let has_unit = family.unit.as_ref().is_some_and(|unit| !unit.is_empty());
        if has_unit && matches!(kind, MetricKind::Info | MetricKind::StateSet) {
            return Err(format!("{:?} is of a type that has no unit", excerpt(&family.name)));
        }
        family.histogram.end().map_err(|why| format!("{why} in {:?}", excerpt(&family.name)))?;
        for suffix in suffixes(kind).iter().chain(&[""]).collect::<HashSet<_>>() {
            let name = format!("{}{suffix}", family.name);
            if self.names_taken.contains(&name) {
                return Err(format!("name {:?} clashes with an earlier family", excerpt(&name)));
            }
            self.names_taken.insert(name);
        }
        Ok(())
    }
}

/// What follows the family's name in the names of its samples.
fn suffixes(kind: MetricKind) -> &'static [&'static str] {
    match kind {
        MetricKind::Counter => &["_total", "_created"],
        MetricKind::Summary => &["", "_count", "_sum", "_created"],
        MetricKind::Histogram => &["_count", "_sum", "_bucket", "_created"],
        MetricKind::GaugeHistogram => &["_gcount", "_gsum", "_bucket"],
        MetricKind::Info => &["_info"],
        MetricKind::Gauge | MetricKind::StateSet | MetricKind::Unknown => &[""],
    }
}

impl Family {
    fn kind(&self) -> MetricKind {
        self.kind.unwrap_or(MetricKind::Unknown)
    }

    fn allows(&self, sample_name: &str) -> bool {
        sample_name.strip_prefix(&self.name).is_some_and(|suffix| suffixes(self.kind()).contains(&suffix))
    }

    fn check_labels(&self, sample: &Sample, suffix: &str) -> Result<(), String> {
        let number = |label: &str| sample.labels.get(label).and_then(super::number::float);
        match (self.kind(), suffix) {
            (MetricKind::StateSet, _) if sample.labels.get(&self.name).is_none() => {
                Err(format!("a state set without the label {:?}", excerpt(&self.name)))
            }
            (MetricKind::Histogram | MetricKind::GaugeHistogram, "_bucket") => match number("le") {
                Some(le) if le.is_infinite() && sample.labels.get("le") != Some("+Inf") => {
                    Err("an infinite bucket is written le=\"+Inf\"".to_owned())
                }
                Some(le) if !le.is_nan() => Ok(()),
                _ => Err("a bucket without a valid label \"le\"".to_owned()),
            },
            (MetricKind::Summary, "") => match number("quantile") {
                Some(quantile) if (0.0..=1.0).contains(&quantile) => Ok(()),
                _ => Err("a quantile without a label \"quantile\" from 0 to 1".to_owned()),
            },
            _ => Ok(()),
        }
    }

    fn check_value(&self, sample: &Sample, suffix: &str) -> Result<(), String> {
        let value = sample.value;
        let counts = matches!(suffix, "_total" | "_sum" | "_count" | "_bucket" | "_gcount" | "_gsum");
        let is_wrong = match self.kind() {
            MetricKind::StateSet => value != 0.0 && value != 1.0,
            MetricKind::Info => value != 1.0,
            MetricKind::Summary if suffix.is_empty() => value < 0.0,
            MetricKind::Unknown | MetricKind::Gauge => false,
            _ => counts && (value.is_nan() || (value < 0.0 && suffix != "_gsum")),
        };
        if is_wrong { Err(format!("{:?} cannot be {value}", excerpt(&sample.name))) } else { Ok(()) }
    }

    fn check_group(&mut self, sample: &Sample, suffix: &str) -> Result<(), String> {
        let labels = self.group_labels(sample, suffix);
        if matches!(self.kind(), MetricKind::Histogram | MetricKind::GaugeHistogram) {
            let le = sample.labels.get("le").and_then(super::number::float);
            self.histogram.sample(&labels, sample.ts_ms, suffix, le, sample.value)?;
        }
        let group = Group { labels, ts_ms: sample.ts_ms };
        match self.group.take() {
            Some(before) if before.labels == group.labels => {
                let falls = before.ts_ms > group.ts_ms && self.kind() != MetricKind::Info;
                if before.ts_ms.is_some() != group.ts_ms.is_some() {
                    return Err("some samples of a metric have timestamps and some have not".to_owned());
                }
                if falls {
                    return Err("timestamps of a metric fall".to_owned());
                }
            }
            Some(before) => {
                self.groups_ended.insert(before.labels);
            }
            None => {}
        }
        if self.groups_ended.contains(&group.labels) {
            return Err("samples of a metric do not stand together".to_owned());
        }
        self.group = Some(group);
        Ok(())
    }

    /// The labels that samples of one metric share. Infos are one group, as nothing tells them apart.
    fn group_labels(&self, sample: &Sample, suffix: &str) -> LabelSet {
        match (self.kind(), suffix) {
            (MetricKind::Info, _) => LabelSet::empty(),
            (MetricKind::Summary, "") => sample.labels.filtered(|label| label != "quantile"),
            (MetricKind::StateSet, _) => sample.labels.filtered(|label| label != self.name),
            (MetricKind::Histogram | MetricKind::GaugeHistogram, "_bucket") => {
                sample.labels.filtered(|label| label != "le")
            }
            _ => sample.labels.clone(),
        }
    }

    fn check_exemplar(&self, exemplar: &Exemplar<'_>, suffix: &str) -> Result<(), String> {
        let is_allowed = matches!(
            (self.kind(), suffix),
            (MetricKind::Counter, "_total") | (MetricKind::Histogram | MetricKind::GaugeHistogram, "_bucket")
        );
        if !is_allowed {
            return Err("an exemplar stands on a counter's total or a bucket only".to_owned());
        }
        let labels = exemplar.labels.label_set().map_err(|error| error.to_string())?;
        let chars: usize =
            labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if chars > EXEMPLAR_CHARS_MAX {
            return Err(format!(
                "exemplar labels of {chars} characters, over the limit of {EXEMPLAR_CHARS_MAX}"
            ));
        }
        Ok(())
    }
}
