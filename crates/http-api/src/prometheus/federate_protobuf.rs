//! `/federate` as `MetricFamily` messages. As in the text format, families are untyped; native histograms are whole.

use model::{LabelSet, METRIC_NAME};
use promql::SampleValue;
use wire::exposition::{Untyped, Value, encode_untyped};

use super::escaping::{Escaping, is_legacy};
use super::federate::Latest;
use crate::outlet::{Gone, Outlet};

pub(super) fn write(
    mut outlet: Outlet<Vec<u8>>,
    samples: &[Latest],
    externals: &[(String, String)],
    escaping: Escaping,
) -> Result<(), Gone> {
    for family in samples.chunk_by(|left, right| left.labels.metric_name() == right.labels.metric_name()) {
        let name = family.first().map_or("", |sample| sample.labels.metric_name());
        if name.is_empty() {
            continue;
        }
        let labels: Vec<Vec<(String, String)>> =
            family.iter().map(|sample| exposed(&sample.labels, externals, escaping)).collect();
        let untyped = family.iter().zip(&labels).map(|(sample, labels)| Untyped {
            labels,
            value: value(&sample.value),
            ts_ms: sample.ts_ms,
        });
        encode_untyped(outlet.buffer(), &escaped(name, escaping), &untyped.collect::<Vec<_>>());
        outlet.relieve()?;
    }
    outlet.finish()
}

/// With the external labels that it has not, without the name.
fn exposed(labels: &LabelSet, externals: &[(String, String)], escaping: Escaping) -> Vec<(String, String)> {
    let own = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let external = externals.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let external = external.filter(|(name, _)| labels.get(name).is_none());
    own.chain(external).map(|(name, value)| (escaped(name, escaping), value.to_owned())).collect()
}

fn escaped(name: &str, escaping: Escaping) -> String {
    if escaping == Escaping::AllowUtf8 || is_legacy(name) && escaping != Escaping::Dots {
        return name.to_owned();
    }
    let mut out = String::new();
    escaping.push_name(&mut out, name);
    out
}

fn value(value: &SampleValue) -> Value {
    match value {
        SampleValue::Float(value) => Value::Float(*value),
        SampleValue::Histogram(histogram) => Value::Histogram(histogram.clone()),
    }
}
