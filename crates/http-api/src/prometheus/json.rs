//! Query results in Prometheus's JSON, written while they are sent: see [`crate::outlet`].

use model::LabelSet;
use promql::{MatrixSeries, QueryResult, SampleValue, Value, VectorSample};

use super::json_histogram::push_histogram_sample;
use super::number::{push, push_plain, push_time, push_value};
use crate::outlet::{Gone, Outlet};

/// Samples of one series between two looks at how much is written.
const SAMPLES_PER_LOOK: usize = 256;

/// The success envelope around already written data.
pub(crate) fn envelope(data: &str, warnings: &[String], infos: &[String]) -> String {
    let mut out = String::with_capacity(data.len() + 64);
    out.push_str(OPEN);
    out.push_str(data);
    close(&mut out, warnings, infos);
    out
}

const OPEN: &str = "{\"status\":\"success\",\"data\":";

fn close(out: &mut String, warnings: &[String], infos: &[String]) {
    for (name, texts) in [("warnings", warnings), ("infos", infos)] {
        if !texts.is_empty() {
            push(out, format_args!(",\"{name}\":{}", serde_json::json!(texts)));
        }
    }
    out.push('}');
}

/// A whole answer to a query; `stats` is a JSON value or empty. Series are freed as they are written.
pub(crate) fn write_result(mut outlet: Outlet, result: QueryResult, stats: &str) -> Result<(), Gone> {
    outlet.text().push_str(OPEN);
    write_value(&mut outlet, result.value)?;
    let out = outlet.text();
    if !stats.is_empty() {
        out.push_str(",\"stats\":");
        out.push_str(stats);
    }
    out.push('}');
    close(out, &result.warnings, &result.infos);
    outlet.finish()
}

/// A whole answer that is a list; `push` writes one item.
pub(crate) fn write_list<T>(
    mut outlet: Outlet,
    items: Vec<T>,
    warnings: &[String],
    push: fn(&mut String, &T),
) -> Result<(), Gone> {
    outlet.text().push_str(OPEN);
    outlet.text().push('[');
    for (index, item) in items.into_iter().enumerate() {
        push_comma(outlet.text(), index);
        push(outlet.text(), &item);
        outlet.relieve()?;
    }
    outlet.text().push(']');
    close(outlet.text(), warnings, &[]);
    outlet.finish()
}

/// `{"resultType":…,"result":…` without the closing brace.
fn write_value(outlet: &mut Outlet, value: Value) -> Result<(), Gone> {
    match value {
        Value::Scalar { ts_ms, value } => {
            outlet.text().push_str("{\"resultType\":\"scalar\",\"result\":");
            outlet.text().push('[');
            push_time(outlet.text(), ts_ms);
            outlet.text().push_str(",\"");
            push_plain(outlet.text(), value);
            outlet.text().push_str("\"]");
        }
        Value::String { ts_ms, value } => {
            outlet.text().push_str("{\"resultType\":\"string\",\"result\":[");
            push_time(outlet.text(), ts_ms);
            push(outlet.text(), format_args!(",{}]", serde_json::json!(value)));
        }
        Value::Vector(samples) => {
            outlet.text().push_str("{\"resultType\":\"vector\",\"result\":[");
            for (index, sample) in samples.into_iter().enumerate() {
                push_vector_sample(outlet.text(), index, &sample);
                outlet.relieve()?;
            }
            outlet.text().push(']');
        }
        Value::Matrix(series) => {
            outlet.text().push_str("{\"resultType\":\"matrix\",\"result\":[");
            for (index, series) in series.into_iter().enumerate() {
                push_metric(outlet.text(), index, &series.labels);
                write_samples(outlet, &series)?;
                outlet.text().push('}');
                outlet.relieve()?;
            }
            outlet.text().push(']');
        }
    }
    Ok(())
}

fn push_vector_sample(out: &mut String, index: usize, sample: &VectorSample) {
    push_metric(out, index, &sample.labels);
    match &sample.value {
        SampleValue::Float(value) => {
            out.push_str(",\"value\":");
            push_sample(out, sample.ts_ms, *value);
        }
        SampleValue::Histogram(histogram) => {
            out.push_str(",\"histogram\":");
            push_histogram_sample(out, sample.ts_ms, histogram);
        }
    }
    out.push('}');
}

/// `,"values":[…]` and `,"histograms":[…]`: each only if there is any.
fn write_samples(outlet: &mut Outlet, series: &MatrixSeries) -> Result<(), Gone> {
    if !series.ts_ms.is_empty() {
        outlet.text().push_str(",\"values\":[");
        for (start, times) in chunks(&series.ts_ms) {
            let out = outlet.text();
            let values = series.values.get(start..).unwrap_or_default();
            for (index, (ts_ms, value)) in times.iter().zip(values).enumerate() {
                push_comma(out, start + index);
                push_sample(out, *ts_ms, *value);
            }
            outlet.relieve()?;
        }
        outlet.text().push(']');
    }
    if !series.histograms.is_empty() {
        outlet.text().push_str(",\"histograms\":[");
        for (index, (ts_ms, histogram)) in series.histograms.iter().enumerate() {
            push_comma(outlet.text(), index);
            push_histogram_sample(outlet.text(), *ts_ms, histogram);
            outlet.relieve()?;
        }
        outlet.text().push(']');
    }
    Ok(())
}

fn chunks(times: &[i64]) -> impl Iterator<Item = (usize, &[i64])> {
    times.chunks(SAMPLES_PER_LOOK).enumerate().map(|(number, part)| (number * SAMPLES_PER_LOOK, part))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        push_string(&mut out, "a\"b\\c\n");
        assert_eq!(out, r#""a\"b\\c\n""#);
    }
}
