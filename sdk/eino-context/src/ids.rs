//! Trace and span ids, and the source that makes them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// 128 bits that name a trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// 64 bits that name a span within its trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The id of these bytes, or `None` when all are zero.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// Parses exactly 32 lower-case hexadecimal digits, as `traceparent` has them.
    pub fn parse_strict(text: &str) -> Option<Self> {
        parse_hex(text.as_bytes()).and_then(Self::from_bytes)
    }

    /// Parses 1 to 32 hexadecimal digits of either case; the dashes of a UUID are skipped.
    pub fn parse_lenient(text: &str) -> Option<Self> {
        parse_padded(text).and_then(Self::from_bytes)
    }

    /// The bytes, most significant first.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// The id of these bytes, or `None` when all are zero.
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// Parses exactly 16 lower-case hexadecimal digits, as `traceparent` has them.
    pub fn parse_strict(text: &str) -> Option<Self> {
        parse_hex(text.as_bytes()).and_then(Self::from_bytes)
    }

    /// Parses 1 to 16 hexadecimal digits of either case.
    pub fn parse_lenient(text: &str) -> Option<Self> {
        parse_padded(text).and_then(Self::from_bytes)
    }

    /// The bytes, most significant first.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes ids: two SplitMix64 generators whose states are atomic, so that a draw takes no lock.
#[derive(Debug)]
pub struct IdSource {
    high: AtomicU64,
    low: AtomicU64,
}

impl IdSource {
    /// A source that always makes the same ids for the same seed.
    pub fn seeded(seed: u128) -> Self {
        let high = u64::try_from(seed >> 64).unwrap_or_default();
        let low = u64::try_from(seed & u128::from(u64::MAX)).unwrap_or_default();
        Self { high: AtomicU64::new(high), low: AtomicU64::new(low) }
    }

    /// A new trace id.
    pub fn trace_id(&self) -> TraceId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&splitmix(&self.high).to_be_bytes());
        bytes[8..].copy_from_slice(&nonzero(&self.low).to_be_bytes());
        TraceId(bytes)
    }

    /// A new span id.
    pub fn span_id(&self) -> SpanId {
        SpanId(nonzero(&self.low).to_be_bytes())
    }
}

fn nonzero(state: &AtomicU64) -> u64 {
    loop {
        let value = splitmix(state);
        if value != 0 {
            return value;
        }
    }
}

fn splitmix(state: &AtomicU64) -> u64 {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut value = state.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn parse_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (lower_digit(pair[0])? << 4) | lower_digit(pair[1])?;
    }
    Some(bytes)
}

fn lower_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Right-aligned digits; missing ones are leading zeros.
fn parse_padded<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut digits = 0;
    for digit in text.bytes().rev().filter(|byte| *byte != b'-') {
        let value = lower_digit(digit.to_ascii_lowercase())?;
        let byte = N.checked_sub(1 + digits / 2).and_then(|index| bytes.get_mut(index))?;
        *byte |= value << (4 * (digits % 2));
        digits += 1;
    }
    (digits > 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_do_not_repeat_and_replay_from_the_seed() {
        let source = IdSource::seeded(7);
        let ids: HashSet<SpanId> = (0..10_000).map(|_| source.span_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert_eq!(IdSource::seeded(7).trace_id(), IdSource::seeded(7).trace_id());
        assert_ne!(IdSource::seeded(7).trace_id(), IdSource::seeded(8).trace_id());
    }

    #[test]
    fn strict_takes_what_w3c_allows_and_lenient_a_uuid() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(TraceId::parse_strict(id).unwrap().to_string(), id);
        assert_eq!(TraceId::parse_strict(&id.to_uppercase()), None);
        assert_eq!(TraceId::parse_strict(&"0".repeat(32)), None);
        assert_eq!(TraceId::parse_strict("4bf9"), None);
        let uuid = "4BF92F35-77B3-4DA6-A3CE-929D0E0E4736";
        assert_eq!(TraceId::parse_lenient(uuid).unwrap().to_string(), id);
        assert_eq!(SpanId::parse_lenient("7").unwrap().to_string(), "0000000000000007");
        for bad in ["", "-", "xyz", "0", "11111111111111111"] {
            assert_eq!(SpanId::parse_lenient(bad), None, "{bad}");
        }
    }
}
