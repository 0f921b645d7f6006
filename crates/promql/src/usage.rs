//! What a query took: samples, points, bytes, time; and, if asked for, node by node.
//!
//! `GET /api/v1/query?stats=all` answers [`QueryStats::to_json`], `explain` answers the [`Plan`].

use std::time::Duration;

use serde::Serialize;

/// Figures of one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryStats {
    /// Samples that the selectors see: one per series and step, and for ranges all of the window at each step. A histogram
    /// counts as many as its bytes are worth floats with times (16 bytes each). Prometheus's `totalQueryableSamples`.
    pub total_queryable_samples: u64,
    /// The same by step, ascending; empty unless [`QueryOptions::step_stats`](crate::QueryOptions::step_stats).
    pub total_queryable_samples_per_step: Vec<(i64, u64)>,
    /// Samples decoded.
    pub samples_read: u64,
    /// Most samples held at once: points of intermediate results and the samples of a decoded series. Intermediate results
    /// count until the query ends, so this is an upper bound.
    pub peak_samples: u64,
    /// Bytes of all intermediate results.
    pub bytes_held: u64,
    /// Series selected, by all selectors together.
    pub series_selected: u64,
    /// Time of the evaluation.
    pub eval_time: Duration,
}

impl QueryStats {
    /// The `stats` of Prometheus's query answers. `queued` is the time before the evaluation began, `total` all of it. What the
    /// engine does not do separately (sorting, preparing) is part of the evaluation and 0 there.
    pub fn to_json(&self, queued: Duration, total: Duration) -> String {
        let mut samples = serde_json::json!({
            "totalQueryableSamples": self.total_queryable_samples,
            "samplesRead": self.samples_read,
            "peakSamples": self.peak_samples,
        });
        if !self.total_queryable_samples_per_step.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
            let steps = self.total_queryable_samples_per_step.iter().map(|(ms, n)| (*ms as f64 / 1e3, *n));
            samples["totalQueryableSamplesPerStep"] =
                steps.map(|(seconds, count)| serde_json::json!([seconds, count])).collect();
        }
        let eval = self.eval_time.as_secs_f64();
        serde_json::json!({
            "timings": {
                "evalTotalTime": eval,
                "resultSortTime": 0.0,
                "queryPreparationTime": 0.0,
                "innerEvalTime": eval,
                "execQueueTime": queued.as_secs_f64(),
                "execTotalTime": total.as_secs_f64(),
            },
            "samples": samples,
        })
        .to_string()
    }
}

/// One node of a query with what it took. Serialises as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// `selector`, `call`, `aggregation`, `binary`, `unary`, `subquery`.
    pub kind: &'static str,
    /// The node in words, without what is below it: `sum by (job)`, `rate(m[5m])`, `/ on (job)`.
    pub node: String,
    /// Bytes `[start, end)` of the query's text.
    pub start: u32,
    pub end: u32,
    /// Steps it was evaluated at: 1 where nothing depends on the time.
    pub steps: u64,
    /// Series that came out of it.
    pub series: u64,
    /// Samples decoded for it and all below.
    pub samples_read: u64,
    /// Nanoseconds spent in it and all below.
    pub time_ns: u64,
    /// Nanoseconds spent in it alone.
    pub self_time_ns: u64,
    /// In the order of their evaluation.
    pub children: Vec<Plan>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_have_the_reference_shape() {
        let stats = QueryStats {
            total_queryable_samples: 4,
            total_queryable_samples_per_step: vec![(1_500, 1), (3_000, 3)],
            samples_read: 3,
            peak_samples: 5,
            eval_time: Duration::from_millis(250),
            ..QueryStats::default()
        };
        let json: serde_json::Value =
            serde_json::from_str(&stats.to_json(Duration::ZERO, Duration::from_millis(500))).expect("JSON");
        assert_eq!(json["samples"]["totalQueryableSamplesPerStep"], serde_json::json!([[1.5, 1], [3.0, 3]]));
        assert_eq!(json["samples"]["peakSamples"], 5);
        assert_eq!(json["timings"]["evalTotalTime"], 0.25);
        assert_eq!(json["timings"]["execTotalTime"], 0.5);
    }
}
