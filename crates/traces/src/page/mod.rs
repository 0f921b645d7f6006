//! Pages: up to a few thousand spans in columns. A block is a list of pages; a record of the log is one too.
//!
//! ```text
//! page     := section(strings) section(core) section(detail)
//! section  := raw_len varint | stored_len varint | payload          zstd, or as it is when stored_len = raw_len
//!
//! strings  := count | string*                                       code 0 is always ""
//! core     := rows | start_min | runs: count (trace_id[16] rows)*
//!             | resources: count blob* | scopes: count blob*
//!             | column(span_id) column(start) column(duration) column(parent) column(parent_raw)
//!             | column(name) column(resource) column(scope) column(kind_status)
//! detail   := column(flags) column(rare) attributes(span)
//!             | column(event_count) column(event) attributes(event)
//!             | column(link_count) column(link) attributes(link)
//! column   := byte_len varint | values in row order
//! ```
//! - Numbers are varints. Rows may stand in any order; spans of one trace that follow each other share one run,
//!   so a trace id costs 16 bytes a trace. Order and every field survive the round trip.
//! - `start` is relative to the row before in the run, to `start_min` in a run's first row.
//! - `parent` is 0 for none, 1 for an id that stands in `parent_raw`, else 2 + zigzag(row distance): parents within
//!   the run cost a byte.
//! - Attributes are one column per (key, type); see [`attributes`].
//! - Reading bounds every allocation by the bytes at hand and never panics.

#![warn(clippy::indexing_slicing)]

mod attributes;
mod decode;
mod encode;
mod filter;
mod section;
mod strings;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use decode::{Core, Page};
pub(crate) use encode::encode;
pub(crate) use section::{put_section, read_section};
pub(crate) use strings::Strings;
pub(crate) use values::VALUE_DEPTH_MAX;

/// Bytes that are not a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PageError {
    /// A value is cut short or too long.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// A value is out of its range.
    #[error("{0}")]
    Invalid(&'static str),
}
