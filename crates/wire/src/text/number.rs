//! Numbers as Go's `strconv` reads them, with Prometheus's restrictions.

/// A value: decimal, `Inf`, `Infinity`, `NaN` (any case). No hexadecimal, no `_`, and no overflow to infinity.
pub(super) fn float(text: &str) -> Option<f64> {
    match small_integer(text.as_bytes()) {
        Some(value) => Some(value),
        None => any_float(text),
    }
}

/// Up to 15 digits: exact in an `f64`, and what most counters are.
#[inline]
fn small_integer(digits: &[u8]) -> Option<f64> {
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value as f64)
}

fn any_float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    if value.is_finite() {
        return Some(value);
    }
    let names_it = text.bytes().any(|byte| matches!(byte, b'n' | b'N'));
    let is_signed_nan = value.is_nan() && text.len() > 3;
    // Prometheus's ordinary NaN; the sign and payload that the parser chose do not matter.
    let value = if value.is_nan() { f64::NAN } else { value };
    (names_it && !is_signed_nan).then_some(value)
}

/// A timestamp of OpenMetrics, seconds, as milliseconds. Truncated, as Prometheus does.
pub(super) fn seconds_as_ms(text: &str) -> Option<i64> {
    let seconds = float(text).filter(|seconds| seconds.is_finite())?;
    // The cast saturates: what is beyond i64 is refused by the store as too far in the future.
    Some((seconds * 1_000.0) as i64)
}

/// A timestamp of the 0.0.4 format: digits with an optional minus.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}
