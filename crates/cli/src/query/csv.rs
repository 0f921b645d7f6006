//! One line per sample: time, value, then a column per label.

use std::collections::BTreeSet;

use super::answer::{SampleValue, Series};

/// Comma-separated values with a header, as RFC 4180 has them. Histograms give their count and sum.
pub(super) fn render(series: &[Series]) -> String {
    let labels = series.iter().flat_map(|series| series.labels.iter().map(|(name, _)| name.as_str()));
    let names: BTreeSet<&str> = labels.collect();
    let has_histograms = series
        .iter()
        .flat_map(|series| &series.samples)
        .any(|sample| matches!(sample.value, SampleValue::Histogram(_)));
    let mut header = vec!["time", "value"];
    if has_histograms {
        header.extend(["histogram_count", "histogram_sum"]);
    }
    header.extend(&names);
    let mut out = line(header.into_iter());
    for series in series {
        let of =
            |name: &str| series.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value);
        for sample in &series.samples {
            let (value, count, sum) = match &sample.value {
                SampleValue::Number(_, text) => (text.as_str(), "", ""),
                SampleValue::Histogram(histogram) => ("", histogram.count.as_str(), histogram.sum.as_str()),
            };
            let time = sample.time.to_string();
            let mut fields = vec![time.as_str(), value];
            if has_histograms {
                fields.extend([count, sum]);
            }
            fields.extend(names.iter().map(|name| of(name)));
            out += &line(fields.into_iter());
        }
    }
    out
}

fn line<'f>(fields: impl Iterator<Item = &'f str>) -> String {
    let quoted = fields.map(|field| {
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.to_owned()
        }
    });
    let mut text = quoted.collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    text
}
