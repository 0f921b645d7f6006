//! How many series each name and value has: for the status page.

use super::LabelIndex;

/// The largest of each kind, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelStats {
    /// Distinct pairs of name and value.
    pub label_pairs: u64,
    /// Metric names by series.
    pub series_by_metric_name: Vec<(String, u64)>,
    /// Label names by distinct values.
    pub values_by_label_name: Vec<(String, u64)>,
    /// Label names by the bytes of their values, each value as often as series have it.
    pub bytes_by_label_name: Vec<(String, u64)>,
    /// Pairs, as `name=value`, by series.
    pub series_by_label_pair: Vec<(String, u64)>,
}

impl LabelIndex {
    /// The `limit` largest of each kind.
    pub(crate) fn stats(&self, limit: usize) -> LabelStats {
        let mut values = Top::new(limit);
        let mut bytes = Top::new(limit);
        let mut pairs = Top::new(limit);
        let mut label_pairs = 0;
        for (name, by_value) in &self.names {
            label_pairs += by_value.len() as u64;
            values.offer(by_value.len() as u64, || name.to_string());
            let mut value_bytes = 0;
            for (value, postings) in self.values_of(name) {
                value_bytes += value.len() as u64 * postings.len();
                pairs.offer(postings.len(), || format!("{name}={value}"));
            }
            bytes.offer(value_bytes, || name.to_string());
        }
        let mut metric_names = Top::new(limit);
        for (name, postings) in self.values_of(model::METRIC_NAME) {
            metric_names.offer(postings.len(), || name.to_owned());
        }
        LabelStats {
            label_pairs,
            series_by_metric_name: metric_names.0,
            values_by_label_name: values.0,
            bytes_by_label_name: bytes.0,
            series_by_label_pair: pairs.0,
        }
    }
}

/// The largest counts so far, descending; of equal ones the first offered comes first.
struct Top(Vec<(String, u64)>, usize);

impl Top {
    fn new(limit: usize) -> Self {
        Self(Vec::new(), limit)
    }

    fn offer(&mut self, count: u64, name: impl FnOnce() -> String) {
        let at = self.0.partition_point(|(_, other)| *other >= count);
        if at < self.1 {
            self.0.insert(at, (name(), count));
            self.0.truncate(self.1);
        }
    }
}
