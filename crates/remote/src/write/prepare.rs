//! From a queued batch to what a target gets: external labels, relabelling, what it does not want, shards.

use std::hash::BuildHasher;
use std::time::Duration;

use discovery::relabel::relabel_builder;
use foldhash::fast::FixedState;
use model::{LabelSet, MetricBatch, SeriesRef};

use super::metrics::TargetMetrics;
use crate::{WriteConfig, WriteMessage};

/// Samples of one shard, at most a request's worth, and the newest time among them.
pub(super) struct Part {
    pub(super) shard: usize,
    pub(super) batch: MetricBatch,
}

/// Divides a batch by series among the shards. A series is always in the same shard, so its samples stay in order.
pub(super) fn prepare(
    batch: &MetricBatch,
    config: &WriteConfig,
    now_ms: i64,
    metrics: &TargetMetrics,
) -> Vec<Part> {
    let shards = config.queue.shards();
    let mut parts = Vec::new();
    let mut open: Vec<MetricBatch> = vec![MetricBatch::new(); shards];
    let oldest_ms = oldest_ms(config.queue.sample_age_max, now_ms);
    for series in batch.series() {
        let Some(labels) = labels_of(&series, config) else {
            metrics.dropped("relabelled").add(series.sample_count() as u64);
            continue;
        };
        let shard = FixedState::default().hash_one(labels.as_bytes()) as usize % shards;
        let Some(out) = open.get_mut(shard) else { continue };
        copy_series(&series, &labels, config, oldest_ms, metrics, out);
        if out.sample_count() >= config.queue.samples_max {
            parts.push(Part { shard, batch: std::mem::take(out) });
        }
    }
    let left = open.into_iter().enumerate().filter(|(_, batch)| !batch.is_empty());
    parts.extend(left.map(|(shard, batch)| Part { shard, batch }));
    parts
}

fn oldest_ms(age_max: Duration, now_ms: i64) -> i64 {
    if age_max.is_zero() {
        return i64::MIN;
    }
    now_ms.saturating_sub(i64::try_from(age_max.as_millis()).unwrap_or(i64::MAX))
}

fn labels_of(series: &SeriesRef<'_>, config: &WriteConfig) -> Option<LabelSet> {
    let own = series.labels.to_owned();
    if config.external_labels.is_empty() && config.relabel.is_empty() {
        return Some(own);
    }
    let mut labels = own.to_builder();
    for (name, value) in config.external_labels.iter() {
        if own.get(name).is_none() {
            labels.set(name, value);
        }
    }
    if !relabel_builder(&mut labels, &config.relabel) {
        return None;
    }
    Some(labels.build()).filter(|labels| !labels.is_empty())
}

fn copy_series(
    series: &SeriesRef<'_>,
    labels: &LabelSet,
    config: &WriteConfig,
    oldest_ms: i64,
    metrics: &TargetMetrics,
    out: &mut MetricBatch,
) {
    out.start_series_canonical(labels.as_ref());
    let mut too_old = 0;
    for (index, (ts_ms, value)) in series.ts_ms.iter().zip(series.values).enumerate() {
        if *ts_ms < oldest_ms {
            too_old += 1;
            continue;
        }
        out.push_sample_since(*ts_ms, *value, series.start_ms.get(index).copied().unwrap_or_default());
    }
    let sends_histograms = config.send_native_histograms || config.message == WriteMessage::V2;
    for sample in series.histograms.iter().filter(|_| sends_histograms) {
        if sample.ts_ms < oldest_ms {
            too_old += 1;
            continue;
        }
        out.push_histogram(sample.clone());
    }
    for exemplar in series.exemplars.iter().filter(|_| config.send_exemplars) {
        out.push_exemplar(exemplar.clone());
    }
    if too_old > 0 {
        metrics.dropped("too_old").add(too_old);
    }
    if !sends_histograms && !series.histograms.is_empty() {
        metrics.dropped("native_histograms_off").add(series.histograms.len() as u64);
    }
}

/// Adds all series of `from`.
pub(super) fn add_all(from: &MetricBatch, out: &mut MetricBatch) {
    for series in from.series() {
        out.start_series_canonical(series.labels);
        for (index, (ts_ms, value)) in series.ts_ms.iter().zip(series.values).enumerate() {
            out.push_sample_since(*ts_ms, *value, series.start_ms.get(index).copied().unwrap_or_default());
        }
        series.histograms.iter().for_each(|sample| out.push_histogram(sample.clone()));
        series.exemplars.iter().for_each(|exemplar| out.push_exemplar(exemplar.clone()));
    }
}

/// The newest time of a batch.
pub(super) fn newest_ms(batch: &MetricBatch) -> Option<i64> {
    let of_series = |series: SeriesRef<'_>| {
        let histograms = series.histograms.iter().map(|sample| sample.ts_ms);
        series.ts_ms.iter().copied().chain(histograms).max()
    };
    batch.series().filter_map(of_series).max()
}
