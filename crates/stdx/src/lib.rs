//! Small helpers the standard library lacks. No domain knowledge.

mod format;

pub use format::{format_bytes, format_duration, parse_bytes, parse_duration};
