//! Numbers as Prometheus writes them in JSON.
//!
//! A value is the shortest decimal that reads back, without an exponent between 10⁻⁶ and 10²¹, as Go's `'f'` and `-1`
//! write it; beyond, an exponent with its sign and two digits or more, as Go's `'e'`. Most values are whole numbers
//! and most others lie where the fast printer has no exponent either; only the rest takes the slow way.

use std::fmt::Write;

/// Whole numbers below are exact in a double.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Longest whole number: 20 digits.
const DIGITS_MAX: usize = 20;

/// A sample's value.
pub(crate) fn push_value(out: &mut String, value: f64) {
    let magnitude = value.abs();
    if magnitude < WHOLE_MAX && value.trunc() == value {
        if value.is_sign_negative() {
            out.push('-');
        }
        // Below 2^53 by the check above.
        push_whole(out, magnitude as u64);
    } else if (1e-5..1e15).contains(&magnitude) {
        out.push_str(zmij::Buffer::new().format_finite(value));
    } else {
        push_rare(out, value, magnitude);
    }
}

fn push_rare(out: &mut String, value: f64, magnitude: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if (1e-6..1e21).contains(&magnitude) {
        push(out, format_args!("{value}"));
    } else {
        push_exponent(out, value);
    }
}

/// `1.5e-07`, `1e+21`.
fn push_exponent(out: &mut String, value: f64) {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    push(out, format_args!("{digits}e{sign}{exponent:0>2}"));
}

/// A scalar's value: never with an exponent, however long that makes it.
pub(crate) fn push_plain(out: &mut String, value: f64) {
    if value.is_finite() { push(out, format_args!("{value}")) } else { push_rare(out, value, value.abs()) }
}

/// Milliseconds as seconds with at most three decimals.
pub(crate) fn push_time(out: &mut String, ts_ms: i64) {
    if ts_ms < 0 {
        out.push('-');
    }
    let (seconds, mut millis) = (ts_ms.unsigned_abs() / 1_000, ts_ms.unsigned_abs() % 1_000);
    push_whole(out, seconds);
    if millis == 0 {
        return;
    }
    out.push('.');
    let mut unit = 100;
    while millis > 0 {
        push_digit(out, millis / unit);
        millis %= unit;
        unit /= 10;
    }
}

/// A whole number with its sign.
pub(crate) fn push_whole_number(out: &mut String, number: i64) {
    if number < 0 {
        out.push('-');
    }
    push_whole(out, number.unsigned_abs());
}

/// A value in the text format, as Go's `'g'` and `-1` write it: with an exponent below 10⁻⁴ and from 10⁶ on.
pub(crate) fn push_general(out: &mut String, value: f64) {
    let magnitude = value.abs();
    if magnitude != 0.0 && magnitude.is_finite() && !(1e-4..1e6).contains(&magnitude) {
        push_exponent(out, value);
    } else {
        push_value(out, value);
    }
}

fn push_whole(out: &mut String, mut number: u64) {
    if number < 10 {
        return push_digit(out, number);
    }
    let mut digits = [b'0'; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    while number > 0 && start > 0 {
        start -= 1;
        digits[start] = digit(number % 10);
        number /= 10;
    }
    let text = std::str::from_utf8(&digits[start..]);
    out.push_str(text.expect("digits are ASCII"));
}

fn push_digit(out: &mut String, number: u64) {
    out.push(char::from(digit(number)));
}

/// `number` is below 10.
fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number).unwrap_or_default()
}

/// Formats into a string.
pub(crate) fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: fn(&mut String, f64), value: f64) -> String {
        let mut out = String::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn values_read_like_prometheus_values() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (-42.0, "-42"),
            (1e15, "1000000000000000"),
            (1.2345e15, "1234500000000000"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (123_456_789_012_345_680.0, "123456789012345680"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1.5e-5, "0.000015"),
            (1.5e-7, "1.5e-07"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, want) in cases {
            assert_eq!(text(push_value, value), want);
        }
    }

    #[test]
    fn times_have_up_to_three_decimals() {
        let cases = [
            (0, "0"),
            (1_500, "1.5"),
            (1_435_781_430_781, "1435781430.781"),
            (-1_001, "-1.001"),
            (10, "0.01"),
            (i64::MIN, "-9223372036854775.808"),
        ];
        for (ts_ms, want) in cases {
            let mut out = String::new();
            push_time(&mut out, ts_ms);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn scalars_have_no_exponent() {
        for (value, want) in [(1e21, "1000000000000000000000"), (-1e-7, "-0.0000001"), (f64::NAN, "NaN")] {
            assert_eq!(text(push_plain, value), want);
        }
    }

    #[test]
    fn the_text_format_has_exponents_early() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (100_000.0, "100000"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (21.5e20, "2.15e+21"),
            (0.0001, "0.0001"),
            (0.000_099, "9.9e-05"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, want) in cases {
            assert_eq!(text(push_general, value), want);
        }
    }

    proptest! {
        #[test]
        fn the_fast_way_is_the_slow_way(bits: u64, whole in -1_000_000_000_i64..1_000_000_000, decimals in 0_i32..9) {
            let scaled = whole as f64 / 10_f64.powi(decimals);
            for value in [f64::from_bits(bits), whole as f64, scaled] {
                let mut slow = String::new();
                push_rare(&mut slow, value, value.abs());
                if value == 0.0 {
                    slow = format!("{value}");
                }
                prop_assert_eq!(text(push_value, value), slow);
            }
        }
    }
}
