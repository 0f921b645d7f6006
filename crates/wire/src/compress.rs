//! Decompression of request bodies, with a limit that holds while reading.
//!
//! A body of a few kilobytes can expand to gigabytes. Output is produced piece by piece and stops at the limit, so
//! that a bomb costs no more memory than an honest body of the largest size.

use std::borrow::Cow;
use std::io::Read;

use crate::{DecodeError, excerpt};

/// Largest step by which the output grows.
const STEP_BYTES_MAX: usize = 256 * 1024;

/// Undoes one `Content-Encoding`: none, `identity`, `gzip`, `x-gzip`, `deflate`, `zstd` or `snappy` (block format).
/// Names are compared without case. The result is at most `limit_bytes` long.
///
/// # Errors
/// [`DecodeError::Unsupported`] for any other encoding and for chains such as `gzip, zstd`;
/// [`DecodeError::TooLarge`] over the limit; [`DecodeError::Malformed`] when the bytes are damaged or cut short.
pub fn decompress<'a>(
    encoding: Option<&str>,
    body: &'a [u8],
    limit_bytes: usize,
) -> Result<Cow<'a, [u8]>, DecodeError> {
    let encoding = encoding.unwrap_or_default().trim();
    let is = |name: &str| encoding.eq_ignore_ascii_case(name);
    if encoding.is_empty() || is("identity") {
        return identity(body, limit_bytes);
    }
    let bytes = if is("gzip") || is("x-gzip") {
        read_limited("gzip", flate2::bufread::MultiGzDecoder::new(body), body.len(), limit_bytes)
    } else if is("deflate") {
        inflate(body, limit_bytes)
    } else if is("zstd") {
        unzstd(body, limit_bytes)
    } else if is("snappy") {
        snappy_block(body, limit_bytes)
    } else {
        Err(DecodeError::Unsupported { what: "content encoding", value: excerpt(encoding).to_owned() })
    };
    bytes.map(Cow::Owned)
}

/// Decompresses a Snappy block (not the framing format), as remote write has it.
///
/// # Errors
/// As [`decompress`].
pub fn snappy_block(body: &[u8], limit_bytes: usize) -> Result<Vec<u8>, DecodeError> {
    let malformed = |error: snap::Error| malformed("snappy", 0, error.to_string());
    let declared = snap::raw::decompress_len(body).map_err(malformed)?;
    if declared > limit_bytes {
        return Err(too_large(limit_bytes));
    }
    // The densest element makes 64 bytes of 3: a body that promises more is damaged, and gets no memory.
    if declared > body.len().saturating_mul(22) {
        let detail = format!("{} bytes cannot expand to the declared {declared}", body.len());
        return Err(self::malformed("snappy", 0, detail));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(malformed)
}

/// Compresses into a Snappy block.
///
/// # Errors
/// A sentence, when there is more than the format can hold (4 GiB).
pub fn to_snappy_block(bytes: &[u8]) -> Result<Vec<u8>, String> {
    snap::raw::Encoder::new().compress_vec(bytes).map_err(|error| error.to_string())
}

fn identity(body: &[u8], limit_bytes: usize) -> Result<Cow<'_, [u8]>, DecodeError> {
    if body.len() > limit_bytes { Err(too_large(limit_bytes)) } else { Ok(Cow::Borrowed(body)) }
}

/// HTTP's `deflate` is zlib (RFC 9110); some clients send raw deflate. Zlib's header is a multiple of 31.
fn inflate(body: &[u8], limit_bytes: usize) -> Result<Vec<u8>, DecodeError> {
    let is_zlib = match body {
        [first, second, ..] => first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31),
        _ => true,
    };
    if is_zlib {
        read_limited("deflate", flate2::bufread::ZlibDecoder::new(body), body.len(), limit_bytes)
    } else {
        read_limited("deflate", flate2::bufread::DeflateDecoder::new(body), body.len(), limit_bytes)
    }
}

fn unzstd(body: &[u8], limit_bytes: usize) -> Result<Vec<u8>, DecodeError> {
    let refused = |error: std::io::Error| malformed("zstd", 0, error.to_string());
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(refused)?;
    // The frame header may ask for a window of gigabytes. Every decoder should take 8 MiB (RFC 8878), and none needs
    // more than the output.
    let window_log = limit_bytes.max(1).next_power_of_two().ilog2().clamp(23, 27);
    decoder.window_log_max(window_log).map_err(refused)?;
    read_limited("zstd", decoder, body.len(), limit_bytes)
}

fn read_limited(
    format: &'static str,
    mut reader: impl Read,
    compressed_bytes: usize,
    limit_bytes: usize,
) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    let mut step = compressed_bytes.saturating_mul(4).clamp(4 * 1024, STEP_BYTES_MAX);
    loop {
        let start = out.len();
        // One byte over the limit tells "exactly full" from "too large".
        let room = limit_bytes.saturating_add(1) - start;
        out.resize(start + step.min(room), 0);
        let free = out.get_mut(start..).unwrap_or_default();
        let read = reader.read(free).map_err(|error| malformed(format, start, error.to_string()))?;
        out.truncate(start + read);
        if read == 0 {
            return Ok(out);
        }
        if out.len() > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        step = out.len().clamp(4 * 1024, STEP_BYTES_MAX);
    }
}

fn too_large(limit_bytes: usize) -> DecodeError {
    DecodeError::TooLarge { what: "decompressed body", limit_bytes }
}

fn malformed(format: &'static str, offset: usize, detail: String) -> DecodeError {
    DecodeError::Malformed { format, offset, detail }
}

#[cfg(test)]
mod tests;
