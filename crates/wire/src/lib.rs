//! Decoders and encoders of wire formats: exposition text, remote write, OTLP, and Jaeger's JSON.
//!
//! ```text
//!  body ─ compress ─▶ protobuf ─▶ remote_write ─▶ MetricBatch
//!                        ▲   └───▶ otlp ───────▶ SpanBatch, MetricBatch
//!              OTLP JSON ┘
//!  body ─────────────▶ text ───▶ Line, Line, …          Span ─▶ jaeger
//! ```
//! - Bytes from outside are never a bug: every decoder answers [`DecodeError`] (or [`text::ParseError`]) with the
//!   offset, or counts a rejection and keeps the rest. No decoder panics or allocates more than a small multiple of
//!   its input; the input is bounded by [`compress::decompress`].
//! - Hot paths allocate nothing per label: protobuf is walked by hand and labels go straight into canonical bytes.
//! - It opens no socket, reads no clock and stores nothing.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod compress;
pub mod exposition;
pub mod jaeger;
pub mod otlp;
pub mod prom_chunk;
pub mod remote_read;
pub mod remote_write;
pub mod text;

mod native;
mod protobuf;

#[cfg(test)]
mod testing;

/// A body that cannot be decoded. The sender must not send it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Over a limit of size. HTTP 413.
    #[error("{what} is larger than the limit of {limit_bytes} bytes")]
    TooLarge { what: &'static str, limit_bytes: usize },
    /// The bytes are not what their format says. HTTP 400. `offset` counts bytes of the body after decompression.
    #[error("malformed {format} at offset {offset}: {detail}")]
    Malformed { format: &'static str, offset: usize, detail: String },
    /// A format or variant that this program does not read. HTTP 415.
    #[error("unsupported {what} {value:?}")]
    Unsupported { what: &'static str, value: String },
}

/// The first characters of a text that goes into a message, so that no message is longer than a line.
fn excerpt(text: &str) -> &str {
    const EXCERPT_BYTES_MAX: usize = 80;
    let mut end = text.len().min(EXCERPT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
