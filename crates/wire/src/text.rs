//! The text formats of a scrape: Prometheus's 0.0.4 and OpenMetrics 1.0.
//!
//! ```text
//! # HELP http_requests_total Requests served.          Line::Help
//! # TYPE http_requests_total counter                   Line::Type
//! http_requests_total{code="200"} 1027 1395066363000   Line::Sample
//! └──────── series ─────────────┘ value  timestamp (ms; in OpenMetrics: s)
//! # EOF                                                (OpenMetrics, and required there)
//! ```
//! A byte scanner: one pass, nothing allocated per line. A sample carries its series as the text it was written in,
//! so that a scraper can keep a cache from that text to the stored series and unpack labels only once.
//!
//! It is as strict as Prometheus's parsers, so that what Prometheus scrapes we scrape. Rules of OpenMetrics beyond
//! that (suffixes per type, order and grouping, histogram consistency) are checked by [`check_openmetrics`].

mod check;
mod check_histogram;
mod number;
mod scan;
mod series;

pub use check::check_openmetrics;
pub use series::{Pair, Series};

use std::borrow::Cow;

use model::MetricKind;

use crate::excerpt;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain`, version 0.0.4 (and what calls itself 1.0.0 of the same).
    Text004,
    /// `application/openmetrics-text`.
    OpenMetrics,
}

/// The format that a `Content-Type` names; `None` when it names none of them.
pub fn format_of(content_type: Option<&str>) -> Option<Format> {
    let media_type = content_type?.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("text/plain") {
        Some(Format::Text004)
    } else if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
        Some(Format::OpenMetrics)
    } else {
        None
    }
}

/// What one line says. Comments and blank lines are skipped.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    Sample(Sample<'a>),
    /// `# TYPE`
    Type {
        family: Cow<'a, str>,
        kind: MetricKind,
    },
    /// `# HELP`, escapes resolved
    Help {
        family: Cow<'a, str>,
        text: Cow<'a, str>,
    },
    /// `# UNIT` (OpenMetrics)
    Unit {
        family: Cow<'a, str>,
        unit: &'a str,
    },
}

/// A sample of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    pub series: Series<'a>,
    pub value: f64,
    /// The line's own timestamp if it has one that is honoured, else the default handed in.
    pub ts_ms: i64,
    /// Whether `ts_ms` is the line's own: such series do not go stale when the target stops showing them.
    pub has_own_ts: bool,
    pub exemplar: Option<Exemplar<'a>>,
}

/// An exemplar, as OpenMetrics attaches it to a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar<'a> {
    /// Its labels, without a metric name.
    pub labels: Series<'a>,
    pub value: f64,
    pub ts_ms: Option<i64>,
}

/// Where and why a text is not of its format. Lines and columns (bytes) count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {detail}")]
pub struct ParseError {
    pub line: usize,
    pub column: usize,
    pub detail: String,
}

/// Walks over `body` and shows each line to `visit`, in order. Samples without a timestamp of their own, or all of
/// them when `honor_timestamps` is false, get `default_ts_ms`.
///
/// # Errors
/// [`ParseError`] at the first line that is not of the format; lines before it have been visited. Prometheus stores
/// nothing of such a scrape, so the caller should throw them away.
pub fn parse<'a>(
    format: Format,
    body: &'a str,
    default_ts_ms: i64,
    honor_timestamps: bool,
    visit: &mut dyn FnMut(Line<'a>),
) -> Result<(), ParseError> {
    let mut scanner = scan::Scanner::new(format, body);
    while let Some(line) = scanner.next_line()? {
        visit(match line {
            scan::Scanned::Sample { series, value, ts_ms, exemplar } => {
                let own = ts_ms.filter(|_| honor_timestamps);
                let ts_ms = own.unwrap_or(default_ts_ms);
                Line::Sample(Sample { series, value, ts_ms, has_own_ts: own.is_some(), exemplar })
            }
            scan::Scanned::Metadata(line) => line,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
