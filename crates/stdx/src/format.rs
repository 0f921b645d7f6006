//! Durations and sizes as people write them: `1h30m`, `500ms`, `64MiB`.

use std::time::Duration;

const DURATION_UNITS: &[(&str, u64)] = &[
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses Prometheus's duration notation: `0`, or units `y w d h m s ms`, each at most once, in that order.
///
/// # Errors
/// A sentence that names the text and what is wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let invalid = |why: &str| format!("invalid duration {text:?}: {why} (write it like 30s, 1h30m or 500ms)");
    if text.is_empty() {
        return Err(invalid("it is empty"));
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let digits =
            rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| invalid("a number has no unit"))?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| invalid("a unit has no number, or it is too large"))?;
        let unit_len = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_len);
        let position = DURATION_UNITS.iter().position(|(name, _)| *name == unit);
        let position = position.ok_or_else(|| invalid("unknown unit"))?;
        if position < next_unit {
            return Err(invalid("units are out of order or repeated"));
        }
        next_unit = position + 1;
        let unit_ms = DURATION_UNITS.get(position).map_or(0, |(_, ms)| *ms);
        let part = number.checked_mul(unit_ms).ok_or_else(|| invalid("it is too long"))?;
        total_ms = total_ms.checked_add(part).ok_or_else(|| invalid("it is too long"))?;
        rest = after;
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes a duration the way [`parse_duration`] reads it; parts below a millisecond are cut.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (name, unit_ms) in DURATION_UNITS {
        // Like Prometheus: years, weeks and days only when nothing is left below them.
        let coarse = *unit_ms >= 86_400_000;
        if (coarse && !rest.is_multiple_of(*unit_ms)) || rest < *unit_ms {
            continue;
        }
        out.push_str(&format!("{}{name}", rest / unit_ms));
        rest %= unit_ms;
    }
    out
}

const BYTE_UNITS: &[(&str, u64)] = &[
    ("EiB", 1 << 60),
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("EB", 1 << 60),
    ("PB", 1 << 50),
    ("TB", 1 << 40),
    ("GB", 1 << 30),
    ("MB", 1 << 20),
    ("KB", 1 << 10),
    ("B", 1),
];

/// Parses a size such as `64MiB`, `10MB` or `512B`. As in Prometheus's settings, `MB` is 2²⁰ bytes too.
///
/// # Errors
/// A sentence that names the text and what is wrong with it.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let invalid = || format!("invalid size {text:?} (write it like 64MiB or 10GB)");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| invalid())?;
    if unit.is_empty() {
        return Ok(number);
    }
    let (_, factor) = BYTE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
    number.checked_mul(*factor).ok_or_else(invalid)
}

/// Writes a size with one decimal: `1.5 MiB`.
pub fn format_bytes(bytes: u64) -> String {
    for (name, factor) in BYTE_UNITS.iter().take(6) {
        if bytes >= *factor {
            return format!("{:.1} {name}", bytes as f64 / *factor as f64);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write_alike() {
        for (text, ms) in [
            ("0s", 0),
            ("5ms", 5),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("15d", 1_296_000_000),
            ("1w", 604_800_000),
        ] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
            assert_eq!(format_duration(duration), text);
        }
        assert_eq!(parse_duration("1d12h").map(format_duration), Ok("36h".to_owned()));
    }

    #[test]
    fn bad_durations_say_what_is_wrong() {
        for text in ["", "5", "s", "1s1m", "1m1m", "1x", "-1s", "99999999999999999y"] {
            let error = parse_duration(text).expect_err(text);
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("10GB"), Ok(10 << 30));
        assert_eq!(parse_bytes("7"), Ok(7));
        assert!(parse_bytes("7 MB").is_err());
        assert_eq!(format_bytes(1_572_864), "1.5 MiB");
        assert_eq!(format_bytes(12), "12 B");
    }
}
