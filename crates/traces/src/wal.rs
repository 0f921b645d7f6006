//! Records of the log.
//!
//! ```text
//! record := version u8 = 1 | page*            the accepted spans of one batch, in order of arrival
//! ```
//! A record is the spans as they were accepted, not the request as it came: replay asks no limit again and gives
//! exactly what was acked.

use std::sync::Arc;

use codec::Cursor;
use model::Span;

use crate::page::{self, Page, PageError};

const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 1;
const PAGE_SPANS: usize = 4096;

/// Spans to records, each below the log's limit. `bytes` are the spans' sizes from admission.
pub(crate) fn encode(spans: &[Arc<Span>], bytes: &[usize]) -> Vec<Vec<u8>> {
    let mut records = vec![vec![VERSION]];
    let mut rest = spans;
    let mut sizes = bytes;
    while !rest.is_empty() {
        let len = page_len(sizes);
        let (page, after) = rest.split_at(len);
        (rest, sizes) = (after, sizes.get(len..).unwrap_or_default());
        let mut encoded = Vec::new();
        page::encode(page, ZSTD_LEVEL, &mut encoded);
        let is_full = records.last().is_some_and(|last| last.len() + encoded.len() > log::RECORD_BYTES_MAX);
        if is_full {
            records.push(vec![VERSION]);
        }
        if let Some(record) = records.last_mut() {
            record.extend_from_slice(&encoded);
        }
    }
    records
}

/// Spans of the next page: bounded in number and in bytes, at least one.
fn page_len(sizes: &[usize]) -> usize {
    const PAGE_BYTES: usize = 8 << 20;
    let mut total = 0_usize;
    let fits = sizes.iter().take(PAGE_SPANS).take_while(|size| {
        total = total.saturating_add(**size);
        total <= PAGE_BYTES
    });
    fits.count().max(1).min(sizes.len())
}

/// A record to spans.
pub(crate) fn decode(record: &[u8]) -> Result<Vec<Arc<Span>>, PageError> {
    let mut cursor = Cursor::new(record);
    if cursor.u8()? != VERSION {
        return Err(PageError::Invalid("record has a version this program does not know"));
    }
    let mut spans = Vec::new();
    while !cursor.is_empty() {
        spans.extend(Page::read(&mut cursor)?.all_spans()?);
    }
    Ok(spans)
}
