//! Small binary encodings shared by wire and disk formats.
//!
//! ```text
//! varint  := 7 bits a byte, least significant first, high bit = more follows (LEB128, as protobuf)
//! zigzag  := (n << 1) ^ (n >> 63)
//! bytes   := length varint | payload
//! ```
//! Reading never panics: a [`Cursor`] over bytes from disk or network answers [`Error`] with the offset.
#![warn(clippy::indexing_slicing)]

mod cursor;
mod varint;

pub use cursor::Cursor;
pub use varint::{put_bytes, put_varint, unzigzag, varint_len, zigzag};

/// Bytes that are not what they should be. `offset` counts from the start of the slice the cursor was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end inside a value.
    #[error("offset {offset}: {what} is cut short")]
    Short { offset: usize, what: &'static str },
    /// A varint has more than 10 bytes or more than 64 bits.
    #[error("offset {offset}: varint is longer than 64 bits")]
    VarintTooLong { offset: usize },
}
