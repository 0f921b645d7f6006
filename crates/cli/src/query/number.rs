//! Numbers short enough for an axis.

/// About four digits with a prefix: `1.5k`, `250m`, `2M`; an exponent beyond them.
pub(super) fn short(value: f64) -> String {
    const PREFIXES: [(f64, &str); 9] = [
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
    ];
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return promql::format_value(value);
    }
    let prefix = PREFIXES.iter().find(|(unit, _)| magnitude >= *unit * 0.999_95);
    match prefix.filter(|_| magnitude < 1e18) {
        Some((unit, prefix)) => format!("{}{prefix}", digits(value / unit)),
        None => format!("{value:.2e}"),
    }
}

/// Four digits, without zeros at the end.
fn digits(value: f64) -> String {
    let decimals = if value.abs() >= 100.0 {
        1
    } else if value.abs() >= 10.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers() {
        for (value, want) in [
            (0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (999.99, "1k"),
            (1_234.5, "1.234k"),
            (123_456_789.0, "123.5M"),
            (0.25, "250m"),
            (1e-7, "100n"),
            (1e-12, "1.00e-12"),
            (1e20, "1.00e20"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(short(value), want, "{value}");
        }
    }
}
