//! From the body of an answer to samples.

use model::MetricBatch;
use wire::text::{Line, parse};

use crate::cache::{Context, Counts, SampleLine, SeriesCache};
use crate::client::{FetchError, Page};
use crate::protocol::format_of;

/// Reads all samples of a page into `batch`. What a failed page left in `batch` must be thrown away.
///
/// # Errors
/// The content type, the line that is not of the format, or the limit.
pub(crate) fn read_page(
    page: &Page,
    context: &Context<'_>,
    ts_ms: i64,
    cache: &mut SeriesCache,
    batch: &mut MetricBatch,
    counts: &mut Counts,
) -> Result<(), FetchError> {
    let format = format_of(page.content_type.as_deref(), context.config.fallback_protocol)
        .map_err(|message| FetchError::new("content_type", message))?;
    let body = std::str::from_utf8(&page.body).map_err(|error| {
        FetchError::new("syntax", format!("body is not UTF-8 at offset {}", error.valid_up_to()))
    })?;
    let mut over_limit = Ok(());
    let mut visit = |line: Line<'_>| {
        if over_limit.is_err() {
            return;
        }
        match line {
            Line::Sample(sample) => {
                let line = SampleLine {
                    raw: sample.series.raw(),
                    ts_ms: sample.ts_ms,
                    value: sample.value,
                    own_timestamp: sample.has_own_ts,
                };
                let labels = || sample.series.label_set().map_err(|error| format!("invalid sample: {error}"));
                over_limit = cache.add(context, &line, labels, batch, counts);
            }
            Line::Type { family, kind } => {
                cache.describe(&family, |known| known.kind = kind, |known| known.kind == kind)
            }
            Line::Help { family, text } => {
                cache.describe(
                    &family,
                    |known| known.help = text.clone().into_owned(),
                    |known| known.help == *text,
                );
            }
            Line::Unit { family, unit } => {
                cache.describe(&family, |known| known.unit = unit.to_owned(), |known| known.unit == unit);
            }
        }
    };
    parse(format, body, ts_ms, context.config.honor_timestamps, &mut visit)
        .map_err(|error| FetchError::new("syntax", error.to_string()))?;
    over_limit.map_err(|message| FetchError::new("limit", message))
}

#[cfg(test)]
mod tests;
