//! The stores as operators see them.

use http_api::{BlockCompaction, BlockStats, BlockStatus, MetricStats, NamedCount, StoreAdmin};
use model::{Matcher, TimeRange};
use serde_json::json;

use crate::stores::Stores;

impl StoreAdmin for Stores {
    fn flush(&self) -> Result<(), String> {
        self.metrics.flush().map_err(|error| format!("the metrics store was not flushed: {error}"))?;
        self.traces.flush().map_err(|error| format!("the span store was not flushed: {error}"))
    }

    fn status(&self) -> serde_json::Value {
        let (metrics, traces) = (self.metrics.status(), self.traces.status());
        json!({
            "metrics": {
                "head_series": metrics.head_series,
                "head_samples": metrics.head_samples,
                "samples": metrics.samples,
                "start_ms": metrics.min_ms,
                "end_ms": metrics.max_ms,
                "blocks": metrics.blocks,
                "block_bytes": metrics.block_bytes,
                "log_bytes": metrics.log_bytes,
            },
            "traces": {
                "spans": traces.spans,
                "traces_max": traces.traces,
                "start_ns": traces.start_min_ns,
                "end_ns": traces.start_max_ns,
                "blocks": traces.blocks,
                "bytes": traces.bytes,
                "damaged": traces.damaged,
            },
        })
    }

    fn delete_series(&self, selectors: &[Vec<Matcher>], range_ms: TimeRange) -> Result<(), String> {
        let deleted = self.metrics.delete_series(selectors, range_ms);
        deleted.map_err(|error| format!("nothing was deleted: {error}"))
    }

    fn clean_tombstones(&self) -> Result<(), String> {
        let cleaned = self.metrics.clean_tombstones();
        cleaned.map_err(|error| format!("not all deleted samples were taken out of their blocks: {error}"))
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, String> {
        self.data.snapshot(&self.clock, |dir| {
            let copied = self.metrics.snapshot(&dir.join("metrics"), !skip_head);
            copied.map_err(|error| error.to_string())
        })
    }

    fn corruptions(&self) -> u64 {
        self.traces.status().damaged
    }

    fn metric_stats(&self, limit: usize) -> Result<MetricStats, String> {
        let status = self.metrics.status();
        let named = |counts: Vec<(String, u64)>| {
            counts.into_iter().map(|(name, value)| NamedCount { name, value }).collect()
        };
        let labels = self.metrics.label_stats(limit);
        let mut stats = MetricStats {
            series_count_by_metric_name: named(labels.series_by_metric_name),
            label_value_count_by_label_name: named(labels.values_by_label_name),
            memory_in_bytes_by_label_name: named(labels.bytes_by_label_name),
            series_count_by_label_value_pair: named(labels.series_by_label_pair),
            ..MetricStats::default()
        };
        stats.head_stats.num_label_pairs = labels.label_pairs;
        stats.head_stats.num_series = status.head_series;
        // Prometheus's words for "nothing": the far ends of time.
        stats.head_stats.min_time = status.min_ms.unwrap_or(i64::MAX);
        stats.head_stats.max_time = status.max_ms.unwrap_or(i64::MIN);
        Ok(stats)
    }

    fn metric_blocks(&self) -> Vec<BlockStatus> {
        let status = |block: tsdb::BlockInfo| BlockStatus {
            ulid: block.name,
            min_time: block.range_ms.start,
            max_time: block.range_ms.end,
            stats: BlockStats {
                num_samples: block.samples,
                num_series: block.series,
                ..BlockStats::default()
            },
            compaction: BlockCompaction { level: 1 },
            version: 1,
        };
        self.metrics.blocks().into_iter().map(status).collect()
    }
}
