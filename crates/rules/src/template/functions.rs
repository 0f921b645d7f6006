//! The functions of rule templates beyond Go's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{FuncMap, TemplateError, Value};
use model::LabelSet;
use time::OffsetDateTime;

use super::{QueryFn, labels_value};
use crate::humanize::{four_digits, humanize, humanize_duration, humanize_percentage, humanize1024};

type Outcome = Result<Value, TemplateError>;
type Conversion = (&'static str, fn(f64) -> String);

pub(super) fn functions(query: &QueryFn, external_url: &str, now_seconds: f64) -> FuncMap {
    let mut map = FuncMap::new();
    add_numbers(&mut map, now_seconds);
    add_texts(&mut map, external_url);
    add_vectors(&mut map, query);
    map
}

fn add(map: &mut FuncMap, name: &str, function: impl Fn(&[Value]) -> Outcome + Send + Sync + 'static) {
    map.insert(name.to_owned(), Arc::new(function));
}

fn add_numbers(map: &mut FuncMap, now_seconds: f64) {
    let conversions: [Conversion; 5] = [
        ("humanize", humanize),
        ("humanize1024", humanize1024),
        ("humanizeDuration", humanize_duration),
        ("humanizePercentage", humanize_percentage),
        ("humanizeTimestamp", timestamp),
    ];
    for (name, convert) in conversions {
        add(map, name, move |args| Ok(text(convert(number(args, 0)?))));
    }
    add(map, "toTime", |args| Ok(text(timestamp(number(args, 0)?))));
    add(map, "toDuration", |args| Ok(text(humanize_duration(number(args, 0)?))));
    add(map, "now", move |_| Ok(Value::Float(now_seconds)));
    add(map, "parseDuration", |args| {
        let duration = stdx::parse_duration(&string(args, 0)).map_err(failed)?;
        Ok(Value::Float(duration.as_secs_f64()))
    });
}

fn add_texts(map: &mut FuncMap, external_url: &str) {
    add(map, "toUpper", |args| Ok(text(string(args, 0).to_uppercase())));
    add(map, "toLower", |args| Ok(text(string(args, 0).to_lowercase())));
    add(map, "title", |args| Ok(text(title(&string(args, 0)))));
    add(map, "safeHtml", |args| Ok(text(string(args, 0))));
    add(map, "match", |args| {
        let regex = regex::Regex::new(&model::translate_go_regex(&string(args, 0))).map_err(failed)?;
        Ok(Value::Bool(regex.is_match(&string(args, 1))))
    });
    add(map, "reReplaceAll", |args| {
        let regex = regex::Regex::new(&model::translate_go_regex(&string(args, 0))).map_err(failed)?;
        Ok(text(regex.replace_all(&string(args, 2), string(args, 1).as_str())))
    });
    add(map, "stripPort", |args| Ok(text(split_port(&string(args, 0)).0)));
    add(map, "stripDomain", |args| {
        let address = string(args, 0);
        let (host, port) = split_port(&address);
        let is_ip = host.parse::<std::net::IpAddr>().is_ok();
        let short = if is_ip { host } else { host.split('.').next().unwrap_or_default() };
        Ok(text(port.map_or_else(|| short.to_owned(), |port| format!("{short}:{port}"))))
    });
    add(map, "urlQueryEscape", |args| Ok(text(gotmpl::url_encode(&string(args, 0)))));
    for (name, tab) in [("graphLink", 0), ("tableLink", 1)] {
        add(map, name, move |args| {
            Ok(text(format!("/graph?g0.expr={}&g0.tab={tab}", gotmpl::url_encode(&string(args, 0)))))
        });
    }
    let url = external_url.to_owned();
    let path = url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
    add(map, "externalURL", move |_| Ok(text(&url)));
    add(map, "pathPrefix", move |_| Ok(text(&path)));
    add(map, "args", |args| {
        let entries =
            args.iter().enumerate().map(|(index, value)| (format!("arg{index}").into(), value.clone()));
        Ok(Value::Map(Arc::new(entries.collect())))
    });
}

fn add_vectors(map: &mut FuncMap, query: &QueryFn) {
    let query = Arc::clone(query);
    add(map, "query", move |args| {
        let samples = query(&string(args, 0)).map_err(failed)?;
        let samples = samples.iter().map(|(labels, value)| sample(labels, *value));
        Ok(Value::List(samples.collect()))
    });
    add(map, "first", |args| match args.first() {
        Some(Value::List(samples)) if !samples.is_empty() => {
            Ok(samples.first().cloned().unwrap_or(Value::Nil))
        }
        _ => Err(failed("first() called on vector with no elements")),
    });
    add(map, "value", |args| Ok(field(args.first(), "Value")));
    add(map, "strvalue", |args| Ok(label(args.first(), "__value__")));
    add(map, "label", |args| Ok(label(args.get(1), &string(args, 0))));
    add(map, "sortByLabel", |args| {
        let name = string(args, 0);
        let Some(Value::List(samples)) = args.get(1) else {
            return Err(failed("sortByLabel needs a query result"));
        };
        let mut samples: Vec<Value> = samples.to_vec();
        samples.sort_by_key(|sample| label(Some(sample), &name).to_string());
        Ok(Value::List(samples.into()))
    });
}

fn sample(labels: &LabelSet, value: f64) -> Value {
    let map: BTreeMap<Arc<str>, Value> =
        [("Labels".into(), labels_value(labels)), ("Value".into(), Value::Float(value))].into();
    Value::Map(Arc::new(map))
}

fn field(value: Option<&Value>, name: &str) -> Value {
    value.and_then(|value| value.field(name)).cloned().unwrap_or(Value::Nil)
}

fn label(sample: Option<&Value>, name: &str) -> Value {
    let labels = field(sample, "Labels");
    labels.field(name).cloned().unwrap_or_else(|| text(""))
}

fn text(text: impl AsRef<str>) -> Value {
    Value::String(text.as_ref().into())
}

fn failed(detail: impl ToString) -> TemplateError {
    TemplateError::Exec(detail.to_string())
}

fn string(args: &[Value], index: usize) -> String {
    match args.get(index) {
        None | Some(Value::Nil) => String::new(),
        Some(value) => value.to_string(),
    }
}

fn number(args: &[Value], index: usize) -> Result<f64, TemplateError> {
    let value = args.get(index).ok_or_else(|| failed("a number is missing"))?;
    if let Some(number) = value.as_float() {
        return Ok(number);
    }
    let text = value.to_string();
    text.trim().parse().map_err(|_| failed(format!("can't read {text:?} as a number")))
}

/// As Go prints a UTC time: `2023-11-14 22:13:20 +0000 UTC`.
fn timestamp(seconds: f64) -> String {
    let milliseconds = seconds * 1_000.0;
    if !milliseconds.is_finite() {
        return four_digits(seconds);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates; a time out of range is printed as a number"
    )]
    let nanoseconds = i128::from(milliseconds as i64) * 1_000_000;
    let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds) else {
        return four_digits(seconds);
    };
    let (date, clock) = (time.date(), time.time());
    let fraction = match clock.millisecond() {
        0 => String::new(),
        millisecond => format!(".{millisecond:03}").trim_end_matches('0').to_owned(),
    };
    let (hour, minute, second) = clock.as_hms();
    format!("{date} {hour:02}:{minute:02}:{second:02}{fraction} +0000 UTC")
}

/// Capitals at the beginning of words.
fn title(text: &str) -> String {
    let mut at_start = true;
    let capitalized = text.chars().map(|c| {
        let out = if at_start { c.to_uppercase().to_string() } else { c.to_string() };
        at_start = !(c.is_alphanumeric() || c == '_' || c == '\'');
        out
    });
    capitalized.collect()
}

fn split_port(address: &str) -> (&str, Option<&str>) {
    match address.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host.trim_start_matches('[').trim_end_matches(']'), Some(port))
        }
        _ => (address, None),
    }
}
