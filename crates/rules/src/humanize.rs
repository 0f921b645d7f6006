//! Numbers as people read them: the `humanize…` functions of rule templates.

/// Go's `%.4g`.
pub(crate) fn four_digits(value: f64) -> String {
    const DIGITS: i32 = 4;
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:.*e}", 3);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..DIGITS).contains(&exponent) {
        let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or_default();
        return without_trailing_zeros(&format!("{value:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.abs())
}

fn without_trailing_zeros(text: &str) -> String {
    if !text.contains('.') {
        return text.to_owned();
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `1234567` → `1.235M`, `0.0021` → `2.1m`.
pub(crate) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 {
        scaled_down(value, 1_000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"])
    } else {
        scaled_up(value)
    };
    format!("{}{prefix}", four_digits(value))
}

/// `1048576` → `1Mi`.
pub(crate) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    let (value, prefix) = scaled_down(value, 1_024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    format!("{}{prefix}", four_digits(value))
}

/// Seconds: `90061` → `1d 1h 1m 1s`, `0.25` → `250ms`.
pub(crate) fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four_digits(seconds);
    }
    if seconds == 0.0 {
        return "0s".to_owned();
    }
    if seconds.abs() < 1.0 {
        let (value, prefix) = scaled_up(seconds);
        return format!("{}{prefix}s", four_digits(value));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is positive")]
    let whole = seconds as u64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {rest}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {rest}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {rest}s")
    } else {
        format!("{sign}{}s", four_digits(seconds))
    }
}

/// `0.1234` → `12.34%`.
pub(crate) fn humanize_percentage(ratio: f64) -> String {
    format!("{}%", four_digits(ratio * 100.0))
}

fn scaled_down(mut value: f64, base: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut chosen = "";
    for prefix in prefixes {
        if value.abs() < base {
            break;
        }
        chosen = prefix;
        value /= base;
    }
    (value, chosen)
}

fn scaled_up(mut value: f64) -> (f64, &'static str) {
    let mut chosen = "";
    for prefix in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        chosen = prefix;
        value *= 1_000.0;
    }
    (value, chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (value, want) in [
            (0.0, "0"),
            (1.0, "1"),
            (1_234_567.0, "1.235M"),
            (0.0021, "2.1m"),
            (-12_345.0, "-12.35k"),
            (1e-30, "1e-06y"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(humanize(value), want, "{value}");
        }
        assert_eq!(humanize1024(1_048_576.0), "1Mi");
        assert_eq!(humanize_percentage(0.1234), "12.34%");
        assert_eq!(four_digits(123_456.0), "1.235e+05");
    }

    #[test]
    fn durations() {
        for (value, want) in [
            (0.0, "0s"),
            (0.25, "250ms"),
            (42.5, "42.5s"),
            (61.0, "1m 1s"),
            (90_061.0, "1d 1h 1m 1s"),
            (-3_600.0, "-1h 0m 0s"),
        ] {
            assert_eq!(humanize_duration(value), want, "{value}");
        }
    }
}
