//! What makes a metrics store large: series by name, values by label, series by pair.

use std::collections::{HashMap, HashSet};

use http_api::{MetricStats, NamedCount};
use model::LabelSet;

/// Counts over label sets; each list holds at most `limit` entries, the largest first, equal ones by name.
/// Time and memory grow with the number of label pairs.
pub(crate) fn metric_stats<'l>(series: impl Iterator<Item = &'l LabelSet>, limit: usize) -> MetricStats {
    let mut series_by_pair: HashMap<(&str, &str), u64> = HashMap::new();
    for labels in series {
        for pair in labels.iter() {
            *series_by_pair.entry(pair).or_default() += 1;
        }
    }
    let mut values_by_label: HashMap<&str, HashSet<&str>> = HashMap::new();
    let mut bytes_by_label: HashMap<&str, u64> = HashMap::new();
    for ((name, value), count) in &series_by_pair {
        values_by_label.entry(name).or_default().insert(value);
        *bytes_by_label.entry(name).or_default() += value.len() as u64 * count;
    }
    let is_name = |(pair, _): &(&(&str, &str), &u64)| pair.0 == "__name__";
    let mut stats = MetricStats {
        series_count_by_metric_name: largest(
            series_by_pair
                .iter()
                .filter(is_name)
                .map(|((_, value), count)| named((*value).to_owned(), *count))
                .collect(),
            limit,
        ),
        label_value_count_by_label_name: largest(
            values_by_label
                .iter()
                .map(|(name, values)| named((*name).to_owned(), values.len() as u64))
                .collect(),
            limit,
        ),
        memory_in_bytes_by_label_name: largest(
            bytes_by_label.iter().map(|(name, bytes)| named((*name).to_owned(), *bytes)).collect(),
            limit,
        ),
        series_count_by_label_value_pair: largest(
            series_by_pair
                .iter()
                .map(|((name, value), count)| named(format!("{name}={value}"), *count))
                .collect(),
            limit,
        ),
        ..MetricStats::default()
    };
    stats.head_stats.num_label_pairs = series_by_pair.len() as u64;
    stats
}

fn named(name: String, value: u64) -> NamedCount {
    NamedCount { name, value }
}

fn largest(mut counts: Vec<NamedCount>, limit: usize) -> Vec<NamedCount> {
    counts.sort_unstable_by(|left, right| {
        right.value.cmp(&left.value).then_with(|| left.name.cmp(&right.name))
    });
    counts.truncate(limit);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first() {
        let set = |pairs: &[(&str, &str)]| LabelSet::from_pairs(pairs.iter().copied()).expect("valid labels");
        let series = [
            set(&[("__name__", "a"), ("job", "x"), ("pod", "1")]),
            set(&[("__name__", "a"), ("job", "x"), ("pod", "22")]),
            set(&[("__name__", "b"), ("job", "x")]),
        ];
        let stats = metric_stats(series.iter(), 2);
        assert_eq!(stats.head_stats.num_label_pairs, 5);
        assert_eq!(stats.series_count_by_metric_name, [named("a".into(), 2), named("b".into(), 1)]);
        assert_eq!(
            stats.label_value_count_by_label_name,
            [named("__name__".into(), 2), named("pod".into(), 2)]
        );
        assert_eq!(
            stats.memory_in_bytes_by_label_name[..2],
            [named("__name__".into(), 3), named("job".into(), 3)]
        );
        assert_eq!(
            stats.series_count_by_label_value_pair,
            [named("job=x".into(), 3), named("__name__=a".into(), 2)]
        );
    }
}
