//! Query results in Prometheus's JSON, written straight into one buffer.

use std::fmt::Write;

use model::LabelSet;
use promql::{MatrixSeries, QueryResult, SampleValue, Value};

use super::json_histogram::push_histogram_sample;

/// The success envelope around already written data.
pub(crate) fn envelope(data: &str, warnings: &[String], infos: &[String]) -> String {
    let mut out = String::with_capacity(data.len() + 64);
    out.push_str("{\"status\":\"success\",\"data\":");
    out.push_str(data);
    for (name, texts) in [("warnings", warnings), ("infos", infos)] {
        if !texts.is_empty() {
            push(&mut out, format_args!(",\"{name}\":{}", serde_json::json!(texts)));
        }
    }
    out.push('}');
    out
}

/// `{"resultType":…,"result":…}`.
pub(crate) fn query_data(result: &QueryResult) -> String {
    let mut out = String::new();
    match &result.value {
        Value::Scalar { ts_ms, value } => {
            out.push_str("{\"resultType\":\"scalar\",\"result\":");
            push_sample(&mut out, *ts_ms, *value);
        }
        Value::String { ts_ms, value } => {
            out.push_str("{\"resultType\":\"string\",\"result\":[");
            push_time(&mut out, *ts_ms);
            push(&mut out, format_args!(",{}]", serde_json::json!(value)));
        }
        Value::Vector(samples) => {
            out.push_str("{\"resultType\":\"vector\",\"result\":[");
            for (index, sample) in samples.iter().enumerate() {
                push_metric(&mut out, index, &sample.labels);
                match &sample.value {
                    SampleValue::Float(value) => {
                        out.push_str(",\"value\":");
                        push_sample(&mut out, sample.ts_ms, *value);
                    }
                    SampleValue::Histogram(histogram) => {
                        out.push_str(",\"histogram\":");
                        push_histogram_sample(&mut out, sample.ts_ms, histogram);
                    }
                }
                out.push('}');
            }
            out.push(']');
        }
        Value::Matrix(series) => {
            out.push_str("{\"resultType\":\"matrix\",\"result\":[");
            for (index, series) in series.iter().enumerate() {
                push_metric(&mut out, index, &series.labels);
                push_samples(&mut out, series);
                out.push('}');
            }
            out.push(']');
        }
    }
    out.push('}');
    out
}

/// `,"values":[…]` and `,"histograms":[…]`: each only if there is any.
fn push_samples(out: &mut String, series: &MatrixSeries) {
    if !series.ts_ms.is_empty() {
        out.push_str(",\"values\":[");
        for (index, (ts_ms, value)) in series.ts_ms.iter().zip(&series.values).enumerate() {
            push_comma(out, index);
            push_sample(out, *ts_ms, *value);
        }
        out.push(']');
    }
    if !series.histograms.is_empty() {
        out.push_str(",\"histograms\":[");
        for (index, (ts_ms, histogram)) in series.histograms.iter().enumerate() {
            push_comma(out, index);
            push_histogram_sample(out, *ts_ms, histogram);
        }
        out.push(']');
    }
}

pub(super) fn push_comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

fn push_metric(out: &mut String, index: usize, labels: &LabelSet) {
    out.push_str(if index == 0 { "{\"metric\":" } else { ",{\"metric\":" });
    push_labels(out, labels);
}

/// A label set as a JSON object.
pub(crate) fn push_labels(out: &mut String, labels: &LabelSet) {
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(out, name);
        out.push(':');
        push_string(out, value);
    }
    out.push('}');
}

/// A JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        push(out, format_args!("{}", serde_json::Value::from(text)));
    }
}

fn push_sample(out: &mut String, ts_ms: i64, value: f64) {
    out.push('[');
    push_time(out, ts_ms);
    out.push_str(",\"");
    push_value(out, value);
    out.push_str("\"]");
}

/// Milliseconds as seconds with at most three decimals.
pub(super) fn push_time(out: &mut String, ts_ms: i64) {
    let sign = if ts_ms < 0 { "-" } else { "" };
    let (seconds, millis) = (ts_ms.unsigned_abs() / 1_000, ts_ms.unsigned_abs() % 1_000);
    push(out, format_args!("{sign}{seconds}"));
    if millis > 0 {
        let digits = format!(".{millis:03}");
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// A value as Prometheus writes it: shortest decimal form that reads back, exponent only when very small or large.
pub(crate) fn push_value(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value != 0.0 && (value.abs() < 1e-6 || value.abs() >= 1e21) {
        let text = format!("{value:e}");
        // Go writes the sign of a positive exponent.
        match text.split_once("e-") {
            Some(_) => out.push_str(&text),
            None => out.push_str(&text.replace('e', "e+")),
        }
    } else {
        push(out, format_args!("{value}"));
    }
}

pub(super) fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to a String does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_like_prometheus_values() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, want) in cases {
            let mut out = String::new();
            push_value(&mut out, value);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn times_have_up_to_three_decimals() {
        for (ts_ms, want) in [
            (0, "0"),
            (1_500, "1.5"),
            (1_435_781_430_781, "1435781430.781"),
            (-1_001, "-1.001"),
            (10, "0.01"),
        ] {
            let mut out = String::new();
            push_time(&mut out, ts_ms);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        push_string(&mut out, "a\"b\\c\n");
        assert_eq!(out, r#""a\"b\\c\n""#);
    }
}
