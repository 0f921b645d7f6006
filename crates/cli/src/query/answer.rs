//! An answer of `/api/v1/query` or `query_range`, read.

use anyhow::{Context, bail};
use serde_json::Value;

/// What a server answered.
pub(super) struct Answer {
    pub(super) data: Data,
    /// Warnings and infos.
    pub(super) notes: Vec<String>,
}

pub(super) enum Data {
    /// A scalar or a string.
    Single(String),
    Series(Vec<Series>),
}

/// One series and its samples.
pub(super) struct Series {
    /// Name and value of each label, by name.
    pub(super) labels: Vec<(String, String)>,
    /// Ascending in time.
    pub(super) samples: Vec<Sample>,
}

pub(super) struct Sample {
    /// Unix seconds.
    pub(super) time: f64,
    pub(super) value: SampleValue,
}

pub(super) enum SampleValue {
    /// A number as the server wrote it.
    Number(f64, String),
    Histogram(Histogram),
}

/// A native histogram.
pub(super) struct Histogram {
    pub(super) count: String,
    pub(super) sum: String,
    pub(super) buckets: Vec<Bucket>,
}

pub(super) struct Bucket {
    /// As `(0.5, 1]`.
    pub(super) bounds: String,
    pub(super) count: f64,
}

impl Series {
    /// As a selector writes it: `name{label="value"}`.
    pub(super) fn title(&self) -> String {
        let name = self.labels.iter().find(|(label, _)| label == "__name__").map(|(_, name)| name.as_str());
        let others = self.labels.iter().filter(|(label, _)| label != "__name__");
        let others: Vec<String> = others.map(|(label, value)| format!("{label}={value:?}")).collect();
        match (name, others.is_empty()) {
            (Some(name), true) => name.to_owned(),
            (name, _) => format!("{}{{{}}}", name.unwrap_or_default(), others.join(", ")),
        }
    }

    /// Times and numbers, without what is no number.
    pub(super) fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.samples.iter().filter_map(|sample| match &sample.value {
            SampleValue::Number(value, _) if value.is_finite() => Some((sample.time, *value)),
            _ => None,
        })
    }
}

impl Answer {
    /// Reads the JSON of an answer that is no error.
    ///
    /// # Errors
    /// What does not look like an answer.
    pub(super) fn parse(answer: &Value) -> anyhow::Result<Self> {
        let result = &answer["data"]["result"];
        let notes = ["warnings", "infos"].iter().flat_map(|key| answer[key].as_array().into_iter().flatten());
        let notes = notes.filter_map(|note| note.as_str().map(str::to_owned)).collect();
        let data = match answer["data"]["resultType"].as_str() {
            Some("scalar" | "string") => Data::Single(text(&result[1])),
            Some("vector" | "matrix") => {
                let series = result.as_array().context("the answer has no series")?;
                Data::Series(series.iter().map(parse_series).collect::<anyhow::Result<_>>()?)
            }
            other => bail!("the answer is of the unknown type {other:?}"),
        };
        Ok(Self { data, notes })
    }

    /// The only value.
    pub(super) fn single(&self) -> String {
        match &self.data {
            Data::Single(value) => value.clone(),
            Data::Series(_) => String::new(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn parse_series(series: &Value) -> anyhow::Result<Series> {
    let labels = series["metric"].as_object().context("a series has no labels")?;
    let mut labels: Vec<(String, String)> =
        labels.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    labels.sort();
    let many = |key: &str| series[key].as_array().cloned().unwrap_or_default();
    let one = |key: &str| series.get(key).cloned();
    let mut samples = Vec::new();
    for number in many("values").into_iter().chain(one("value")) {
        let text = text(&number[1]);
        let value = text.parse().with_context(|| format!("{text:?} is no number"))?;
        samples.push(Sample { time: time_of(&number), value: SampleValue::Number(value, text) });
    }
    for histogram in many("histograms").into_iter().chain(one("histogram")) {
        let value = SampleValue::Histogram(parse_histogram(&histogram[1]));
        samples.push(Sample { time: time_of(&histogram), value });
    }
    samples.sort_by(|left, right| left.time.total_cmp(&right.time));
    Ok(Series { labels, samples })
}

fn time_of(sample: &Value) -> f64 {
    sample[0].as_f64().unwrap_or_default()
}

/// Buckets are `[rule, lower, upper, count]`; the rule says which ends belong to it.
fn parse_histogram(histogram: &Value) -> Histogram {
    let buckets = histogram["buckets"].as_array().into_iter().flatten().map(|bucket| {
        let (open, close) = match bucket[0].as_i64() {
            Some(0) => ('(', ']'),
            Some(1) => ('[', ')'),
            Some(2) => ('(', ')'),
            _ => ('[', ']'),
        };
        let bounds = format!("{open}{}, {}{close}", text(&bucket[1]), text(&bucket[2]));
        Bucket { bounds, count: text(&bucket[3]).parse().unwrap_or_default() }
    });
    Histogram { buckets: buckets.collect(), count: text(&histogram["count"]), sum: text(&histogram["sum"]) }
}
