//! OTLP names as Prometheus 3 writes them (`UnderscoreEscapingWithSuffixes`).
//!
//! ```text
//! http.server.request.duration, unit s, histogram        http_server_request_duration_seconds
//! shop.orders, unit {order}, monotonic sum               shop_orders_total
//! disk.io, unit By/s, gauge                              disk_io_bytes_per_second
//! cpu.utilization, unit 1, gauge                         cpu_utilization_ratio
//! ```

use std::borrow::Cow;

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
pub(super) fn metric_name(name: &str, unit: &str, shape: Shape) -> String {
    let mut words = words(name);
    let (main, per) = unit_words(unit);
    if !main.is_empty() && !words.contains(&main) {
        words.push(main);
    }
    if !per.is_empty() && !words.contains(&per) {
        words.extend(["per".to_owned(), per]);
    }
    let ending = match shape {
        Shape::MonotonicSum => Some("total"),
        Shape::Gauge if unit.trim() == "1" => Some("ratio"),
        Shape::Gauge | Shape::Other => None,
    };
    if let Some(ending) = ending {
        words.retain(|word| word != ending);
        words.push(ending.to_owned());
    }
    let joined = words.join("_");
    if joined.starts_with(|first: char| first.is_ascii_digit()) { format!("_{joined}") } else { joined }
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

/// The name of a label: other characters than letters, digits and `_` become `_`; one that then starts with a digit or
/// a single `_` gets `key` before it.
pub(super) fn label_name(key: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let escaped: Cow<'_, str> = if key.chars().all(is_plain) {
        key.into()
    } else {
        key.chars().map(|c| if is_plain(c) { c } else { '_' }).collect::<String>().into()
    };
    if escaped.starts_with(|first: char| first.is_ascii_digit()) {
        format!("key_{escaped}").into()
    } else if escaped.starts_with('_') && !escaped.starts_with("__") {
        format!("key{escaped}").into()
    } else {
        escaped
    }
}

#[cfg(test)]
mod tests;
