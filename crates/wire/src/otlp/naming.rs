//! OTLP names as Prometheus 3 writes them, by the four strategies of [`TranslationStrategy`]; by the default one:
//!
//! ```text
//! http.server.request.duration, unit s, histogram        http_server_request_duration_seconds
//! shop.orders, unit {order}, monotonic sum               shop_orders_total
//! disk.io, unit By/s, gauge                              disk_io_bytes_per_second
//! cpu.utilization, unit 1, gauge                         cpu_utilization_ratio
//! ```

use std::borrow::Cow;

use super::options::{MetricOptions, TranslationStrategy};

/// What a metric is, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Gauge,
    MonotonicSum,
    Other,
}

/// UCUM's abbreviations and the words that Prometheus uses.
const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// The same behind a slash.
const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The name of a metric family.
pub(super) fn metric_name(name: &str, unit: &str, shape: Shape, strategy: TranslationStrategy) -> String {
    match (strategy.escapes(), strategy.has_suffixes()) {
        (true, true) => escaped_with_suffixes(name, unit, shape),
        (true, false) => escaped(name),
        (false, true) => plain_with_suffixes(name, unit, shape),
        (false, false) => name.to_owned(),
    }
}

fn escaped_with_suffixes(name: &str, unit: &str, shape: Shape) -> String {
    let mut words = words(name);
    let (main, per) = unit_words(unit);
    if !main.is_empty() && !words.contains(&main) {
        words.push(main);
    }
    if !per.is_empty() && !words.contains(&per) {
        words.extend(["per".to_owned(), per]);
    }
    if let Some(ending) = ending(unit, shape) {
        words.retain(|word| word != ending);
        words.push(ending.to_owned());
    }
    not_starting_with_digit(words.join("_"))
}

/// Runs of characters that are neither letter, digit, colon nor `_` become one `_`; at the ends they vanish.
fn escaped(name: &str) -> String {
    let parts = name.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '_'));
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    not_starting_with_digit(parts.join("_"))
}

fn not_starting_with_digit(name: String) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The name as it is, with the suffixes it does not have yet: unit, then per unit, then ending.
fn plain_with_suffixes(name: &str, unit: &str, shape: Shape) -> String {
    let (main, per) = unit_words(unit);
    let per = if per.is_empty() { per } else { format!("per_{per}") };
    let ending = ending(unit, shape).unwrap_or_default();
    let mut name = without_suffix(without_suffix(name, ending), &per).to_owned();
    if !main.is_empty() && !name.ends_with(&main) {
        name = format!("{name}_{main}");
    }
    for suffix in [per.as_str(), ending] {
        if !suffix.is_empty() {
            name = format!("{name}_{suffix}");
        }
    }
    name
}

fn ending(unit: &str, shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::MonotonicSum => Some("total"),
        Shape::Gauge if unit.trim() == "1" => Some("ratio"),
        Shape::Gauge | Shape::Other => None,
    }
}

/// The name without `suffix` and the character before it, if something is left.
fn without_suffix<'n>(name: &'n str, suffix: &str) -> &'n str {
    let stem = Some(suffix).filter(|suffix| !suffix.is_empty()).and_then(|suffix| name.strip_suffix(suffix));
    let stem = stem.and_then(|stem| {
        let mut chars = stem.chars();
        chars.next_back()?;
        Some(chars.as_str())
    });
    stem.filter(|stem| !stem.is_empty()).unwrap_or(name)
}

/// The unit in metadata: `bytes_per_second`.
pub(super) fn unit_name(unit: &str) -> String {
    match unit_words(unit) {
        (main, per) if per.is_empty() => main,
        (main, per) if main.is_empty() => format!("per_{per}"),
        (main, per) => format!("{main}_per_{per}"),
    }
}

/// Whatever is no letter, digit or colon divides words.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The words of a unit before and behind the slash. Annotations in braces count things and say nothing of a unit.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    (unit_word(main, UNITS), unit_word(per, PER_UNITS))
}

fn unit_word(unit: &str, table: &[(&str, &str)]) -> String {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return String::new();
    }
    let known = table.iter().find(|(short, _)| *short == unit);
    known.map_or_else(|| words(unit).join("_"), |(_, word)| (*word).to_owned())
}

/// The name of a label. With escaping, other characters than letters, digits and `_` become `_`; one that then starts
/// with a digit or a single `_` gets `key` before it.
pub(super) fn label_name<'k>(key: &'k str, options: &MetricOptions) -> Cow<'k, str> {
    if !options.strategy.escapes() {
        return key.into();
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut escaped: Cow<'_, str> = if key.chars().all(is_plain) {
        key.into()
    } else {
        key.chars().map(|c| if is_plain(c) { c } else { '_' }).collect::<String>().into()
    };
    if !options.label_name_preserve_multiple_underscores && escaped.contains("__") {
        escaped = single_underscores(&escaped).into();
    }
    let is_private = escaped.starts_with('_') && !escaped.starts_with("__");
    if escaped.starts_with(|first: char| first.is_ascii_digit()) {
        format!("key_{escaped}").into()
    } else if options.label_name_underscore_sanitization && is_private {
        format!("key{escaped}").into()
    } else {
        escaped
    }
}

/// Names of the form `__…__` are reserved and stay.
fn single_underscores(name: &str) -> String {
    if name.starts_with("__") && name.ends_with("__") && name.len() > 4 {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests;
