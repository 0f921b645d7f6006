//! When to evaluate, from what was asked.

use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use anyhow::{Context, bail};
use clock::Clock;

use super::QueryArguments;

/// Points of a range whose step is not given: two for each character of a chart.
const POINTS: f64 = 160.0;
/// Steps that a given number of points is rounded up to, in seconds.
const STEPS: [f64; 16] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0,
    86_400.0,
];

/// When a query is evaluated.
#[derive(Debug, PartialEq)]
pub(super) enum When {
    /// As it was given, else now.
    Instant(Option<String>),
    /// Unix seconds, and seconds.
    Range { start: f64, end: f64, step: f64 },
}

impl When {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A time or a duration that can't be read, or a range that ends before it starts.
    pub(super) fn of(arguments: &QueryArguments, clock: &Clock) -> anyhow::Result<Self> {
        let is_range = arguments.start.is_some() || arguments.since.is_some();
        if !is_range {
            if arguments.end.is_some() || arguments.step.is_some() {
                bail!(
                    "--end and --step belong to a range: say where it starts, with --start TIME or --since 1h"
                );
            }
            return Ok(Self::Instant(arguments.time.clone()));
        }
        let end = match &arguments.end {
            Some(text) => parse_time(text)?,
            None => Duration::from_nanos(clock.unix_ns()).as_secs_f64().floor(),
        };
        let start = match (&arguments.start, &arguments.since) {
            (Some(text), _) => parse_time(text)?,
            (None, Some(text)) => end - duration("--since", text)?,
            (None, None) => end,
        };
        if start > end {
            bail!("the range ends before it starts: {start} to {end}");
        }
        let step = match &arguments.step {
            Some(text) => duration("--step", text)?,
            None => default_step(end - start),
        };
        if step <= 0.0 {
            bail!("--step must be more than 0");
        }
        Ok(Self::Range { start, end, step })
    }

    pub(super) fn is_range(&self) -> bool {
        matches!(self, Self::Range { .. })
    }

    /// Path and parameters of the request.
    pub(super) fn request(&self, query: &str, explain: bool) -> (&'static str, Vec<(&'static str, String)>) {
        let mut pairs = vec![("query", query.to_owned())];
        let path = match self {
            Self::Instant(time) => {
                pairs.extend(time.iter().map(|time| ("time", time.clone())));
                "/api/v1/query"
            }
            Self::Range { start, end, step } => {
                pairs.extend([
                    ("start", start.to_string()),
                    ("end", end.to_string()),
                    ("step", step.to_string()),
                ]);
                "/api/v1/query_range"
            }
        };
        (if explain { "/eino/v1/explain" } else { path }, pairs)
    }
}

/// Unix seconds or RFC 3339.
fn parse_time(text: &str) -> anyhow::Result<f64> {
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()) {
        return Ok(seconds);
    }
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .with_context(|| format!("{text:?} is neither Unix seconds nor an RFC 3339 time"))?;
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 with milliseconds fit a double")]
    let seconds = (time.unix_timestamp_nanos() / 1_000_000) as f64 / 1e3;
    Ok(seconds)
}

/// A duration in seconds; plain numbers are seconds.
fn duration(option: &str, text: &str) -> anyhow::Result<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(seconds);
    }
    let parsed = stdx::parse_duration(text).map_err(|error| anyhow::anyhow!("{option}: {error}"))?;
    Ok(parsed.as_secs_f64())
}

fn default_step(seconds: f64) -> f64 {
    let exact = seconds / POINTS;
    STEPS.into_iter().find(|step| *step >= exact).unwrap_or_else(|| (exact / 86_400.0).ceil() * 86_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (seconds, want) in
            [(0.0, 1.0), (160.0, 1.0), (161.0, 2.0), (3_600.0, 30.0), (86_400.0, 600.0), (3e7, 259_200.0)]
        {
            assert_eq!(default_step(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn times_and_durations() {
        assert_eq!(parse_time("1700000000.5").expect("valid"), 1_700_000_000.5);
        assert_eq!(parse_time("2023-11-14T22:13:20Z").expect("valid"), 1_700_000_000.0);
        let error = parse_time("yesterday").expect_err("no time").to_string();
        assert_eq!(error, "\"yesterday\" is neither Unix seconds nor an RFC 3339 time");
        assert_eq!(duration("--step", "1m30s").expect("valid"), 90.0);
        assert_eq!(duration("--step", "15").expect("valid"), 15.0);
        assert!(duration("--step", "x").is_err());
    }
}
