use std::fmt::Write;
use std::path::Path;

use expect_test::{Expect, expect};
use model::{LabelSet, MetricBatch, is_stale_nan};

use super::*;
use crate::{RawScrapeConfig, ScrapeConfig, ScrapeDefaults};

/// A target whose pages are handed in one after the other, 1 s apart, beginning at 1 s.
struct Script {
    config: ScrapeConfig,
    labels: LabelSet,
    cache: SeriesCache,
    now_ms: i64,
}

impl Script {
    fn new(job: &str) -> Self {
        let raw: RawScrapeConfig = settings::from_yaml(job).expect("well-formed");
        let config = raw.resolve(&ScrapeDefaults::default(), Path::new("")).expect("valid");
        let labels = LabelSet::from_pairs([("job", "a"), ("instance", "h:1")]).expect("valid");
        Self { config, labels, cache: SeriesCache::default(), now_ms: 0 }
    }

    /// What the scrape of `body` stores.
    fn scrape(&mut self, body: &str) -> String {
        self.scrape_as(Some("text/plain"), body)
    }

    fn scrape_as(&mut self, content_type: Option<&str>, body: &str) -> String {
        self.now_ms += 1_000;
        let page = Page { content_type: content_type.map(str::to_owned), body: body.as_bytes().to_vec() };
        let (mut batch, mut counts) = (MetricBatch::new(), Counts::default());
        let context = Context { config: &self.config, target_labels: &self.labels };
        self.cache.begin();
        let read = read_page(&page, &context, self.now_ms, &mut self.cache, &mut batch, &mut counts);
        match &read {
            Ok(()) => self.cache.finish(self.now_ms, &mut batch, &mut counts),
            Err(_) => self.cache.fail(self.now_ms, &mut batch, &mut counts),
        }
        let mut out = String::new();
        for series in batch.series() {
            for (ts_ms, value) in series.ts_ms.iter().zip(series.values) {
                let value = if is_stale_nan(*value) { "stale".to_owned() } else { value.to_string() };
                writeln!(out, "{} {value} @{ts_ms}", series.labels).expect("a string takes all");
            }
            for start_ms in series.start_ms.iter().filter(|start_ms| **start_ms != 0) {
                writeln!(out, "  since {start_ms}").expect("a string takes all");
            }
            for sample in series.histograms {
                let (ts_ms, start_ms, histogram) = (sample.ts_ms, sample.start_ms, &sample.histogram);
                let (schema, count, bounds) = (histogram.schema, histogram.count, &histogram.custom_bounds);
                let buckets: Vec<_> = histogram.positive.iter().collect();
                let labels = &series.labels;
                writeln!(
                    out,
                    "{labels} schema {schema} count {count} {bounds:?} {buckets:?} @{ts_ms} since {start_ms}"
                )
                .expect("a string takes all");
            }
            for exemplar in series.exemplars {
                writeln!(out, "  # {} {} @{}", exemplar.labels, exemplar.value, exemplar.ts_ms)
                    .expect("a string takes all");
            }
        }
        for metadata in &batch.metadata {
            writeln!(out, "{} is a {:?}: {}", metadata.family, metadata.kind, metadata.help)
                .expect("a string takes all");
        }
        match read {
            Ok(()) => writeln!(out, "{counts:?}"),
            Err(error) => writeln!(out, "{}: {}", error.reason, error.message),
        }
        .expect("a string takes all");
        out
    }
}

#[track_caller]
fn check(job: &str, pages: &[&str], want: Expect) {
    let mut script = Script::new(job);
    let outcomes: Vec<String> = pages.iter().map(|page| script.scrape(page)).collect();
    want.assert_eq(&outcomes.join("--\n"));
}

#[test]
fn series_appear_vanish_and_return() {
    check(
        "job_name: a",
        &["x 1\ny{l=\"v\"} 2\n", "x 3\n", "x 4\ny{l=\"v\"} 5\n"],
        expect![[r#"
            x{instance="h:1", job="a"} 1 @1000
            y{instance="h:1", job="a", l="v"} 2 @1000
            Counts { scraped: 2, kept: 2, series_added: 2, stale: 0, histograms_refused: 0 }
            --
            x{instance="h:1", job="a"} 3 @2000
            y{instance="h:1", job="a", l="v"} stale @2000
            Counts { scraped: 1, kept: 1, series_added: 0, stale: 1, histograms_refused: 0 }
            --
            x{instance="h:1", job="a"} 4 @3000
            y{instance="h:1", job="a", l="v"} 5 @3000
            Counts { scraped: 2, kept: 2, series_added: 1, stale: 0, histograms_refused: 0 }
        "#]],
    );
}

#[test]
fn another_spelling_is_the_same_series() {
    check(
        "job_name: a",
        &["x{a=\"1\",b=\"2\"} 1\n", "x{b=\"2\",a=\"1\"} 2\n"],
        expect![[r#"
            x{a="1", b="2", instance="h:1", job="a"} 1 @1000
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
            --
            x{a="1", b="2", instance="h:1", job="a"} 2 @2000
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
        "#]],
    );
}

#[test]
fn a_failed_scrape_stores_nothing_but_stale_markers() {
    check(
        "job_name: a",
        &["x 1\n", "x 2\ny oops\n", "x 3\n"],
        expect![[r#"
            x{instance="h:1", job="a"} 1 @1000
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
            --
            x{instance="h:1", job="a"} stale @2000
            syntax: line 2, column 3: expected a number, found "oops"
            --
            x{instance="h:1", job="a"} 3 @3000
            Counts { scraped: 1, kept: 1, series_added: 0, stale: 0, histograms_refused: 0 }
        "#]],
    );
}

#[test]
fn own_timestamps_are_honored_and_do_not_go_stale() {
    check(
        "job_name: a",
        &["x 1 123\n", "y 1\n"],
        expect![[r#"
            x{instance="h:1", job="a"} 1 @123
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
            --
            y{instance="h:1", job="a"} 1 @2000
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
        "#]],
    );
    check(
        "{job_name: a, track_timestamps_staleness: true}",
        &["x 1 123\n", "y 1\n"],
        expect![[r#"
            x{instance="h:1", job="a"} 1 @123
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
            --
            y{instance="h:1", job="a"} 1 @2000
            x{instance="h:1", job="a"} stale @2000
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 1, histograms_refused: 0 }
        "#]],
    );
    check(
        "{job_name: a, honor_timestamps: false}",
        &["x 1 123\n"],
        expect![[r#"
            x{instance="h:1", job="a"} 1 @1000
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
        "#]],
    );
}

#[test]
fn labels_of_target_and_sample() {
    let page = "x{job=\"b\",exported_instance=\"c\",instance=\"d\"} 1\n";
    check(
        "job_name: a",
        &[page],
        expect![[r#"
            x{exported_exported_instance="d", exported_instance="c", exported_job="b", instance="h:1", job="a"} 1 @1000
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
        "#]],
    );
    check(
        "{job_name: a, honor_labels: true}",
        &[page],
        expect![[r#"
            x{exported_instance="c", instance="d", job="b"} 1 @1000
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
        "#]],
    );
}

#[test]
fn metric_relabelling_drops_and_renames() {
    let rules = "metric_relabel_configs: [{action: drop, source_labels: [__name__], regex: go_.*}, \
                 {source_labels: [l], target_label: m}]";
    check(
        &format!("{{job_name: a, {rules}}}"),
        &["go_x 1\nx{l=\"v\"} 2\n", "x{l=\"v\"} 3\n"],
        expect![[r#"
            x{instance="h:1", job="a", l="v", m="v"} 2 @1000
            Counts { scraped: 2, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
            --
            x{instance="h:1", job="a", l="v", m="v"} 3 @2000
            Counts { scraped: 1, kept: 1, series_added: 0, stale: 0, histograms_refused: 0 }
        "#]],
    );
}

#[test]
fn limits_fail_the_scrape_and_say_which() {
    check(
        "{job_name: a, sample_limit: 1}",
        &["x 1\n", "x 1\ny 2\n"],
        expect![[r#"
            x{instance="h:1", job="a"} 1 @1000
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
            --
            x{instance="h:1", job="a"} stale @2000
            limit: sample limit exceeded: more than sample_limit = 1 samples after relabelling
        "#]],
    );
    check(
        "{job_name: a, label_limit: 3}",
        &["x{l=\"v\"} 1\n"],
        expect![[r#"
        limit: label_limit exceeded (metric: x, number of labels: 4, limit: 3)
    "#]],
    );
    check(
        "{job_name: a, label_name_length_limit: 8}",
        &["x{longer_name=\"v\"} 1\n"],
        expect![[r#"
        limit: label_name_length_limit exceeded (metric: x, label name: longer_name, length: 11, limit: 8)
    "#]],
    );
    check(
        "{job_name: a, label_value_length_limit: 3}",
        &["x{l=\"long\"} 1\n"],
        expect![[r#"
        limit: label_value_length_limit exceeded (metric: x, label name: l, length: 4, limit: 3)
    "#]],
    );
    check(
        "job_name: a",
        &["x{l=\"1\",l=\"2\"} 1\n"],
        expect![[r#"
        limit: invalid sample: duplicate label name "l"
    "#]],
    );
}

#[test]
fn metadata_comes_once_and_when_it_changes() {
    let page = "# HELP x Help of x.\n# TYPE x counter\nx 1\n";
    check(
        "job_name: a",
        &[page, page, "# TYPE x gauge\nx 1\n"],
        expect![[r#"
            x{instance="h:1", job="a"} 1 @1000
            x is a Counter: Help of x.
            Counts { scraped: 1, kept: 1, series_added: 1, stale: 0, histograms_refused: 0 }
            --
            x{instance="h:1", job="a"} 1 @2000
            Counts { scraped: 1, kept: 1, series_added: 0, stale: 0, histograms_refused: 0 }
            --
            x{instance="h:1", job="a"} 1 @3000
            x is a Gauge: Help of x.
            Counts { scraped: 1, kept: 1, series_added: 0, stale: 0, histograms_refused: 0 }
        "#]],
    );
}

#[test]
fn the_content_type_decides() {
    let mut script = Script::new("job_name: a");
    expect![[r#"
        content_type: non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target
    "#]].assert_eq(&script.scrape_as(None, "x 1\n"));
    expect![[r##"
        syntax: line 2, column 1: the text does not end with "# EOF"
    "##]]
    .assert_eq(&script.scrape_as(Some("application/openmetrics-text; version=1.0.0"), "x 1\n"));
    expect![[r#"
        x{instance="h:1", job="a"} 1 @2500
        Counts { scraped: 1, kept: 1, series_added: 0, stale: 0, histograms_refused: 0 }
    "#]]
    .assert_eq(&script.scrape_as(Some("application/openmetrics-text; version=1.0.0"), "x 1 2.5\n# EOF\n"));
}

#[test]
fn open_metrics_brings_exemplars_and_start_times() {
    let mut script = Script::new("job_name: a");
    let page = "# TYPE x counter\nx_total{a=\"1\"} 7 # {trace_id=\"ab\"} 2 0.5\nx_created{a=\"1\"} 0.25\nx_total 1\n\
                # TYPE h histogram\nh_bucket{le=\"1\"} 1 # {trace_id=\"cd\"} 0.5\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\nh_created 0.125\n# EOF\n";
    expect![[r#"
        x_total{a="1", instance="h:1", job="a"} 7 @1000
          since 250
          # {trace_id="ab"} 2 @500
        x_created{a="1", instance="h:1", job="a"} 0.25 @1000
        x_total{instance="h:1", job="a"} 1 @1000
        h_bucket{instance="h:1", job="a", le="1.0"} 1 @1000
          since 125
          # {trace_id="cd"} 0.5 @1000
        h_bucket{instance="h:1", job="a", le="+Inf"} 2 @1000
          since 125
        h_count{instance="h:1", job="a"} 2 @1000
          since 125
        h_sum{instance="h:1", job="a"} 3 @1000
          since 125
        h_created{instance="h:1", job="a"} 0.125 @1000
        h is a Histogram: 
        x is a Counter: 
        Counts { scraped: 8, kept: 8, series_added: 8, stale: 0, histograms_refused: 0 }
    "#]]
    .assert_eq(&script.scrape_as(Some("application/openmetrics-text"), page));
}

#[test]
fn classic_histograms_become_native_on_demand() {
    let page = "# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\"} 2\nh_bucket{a=\"1\",le=\"10\"} 2\nh_bucket{a=\"1\",le=\"+Inf\"} 5\nh_sum{a=\"1\"} 9\nh_count{a=\"1\"} 5\n\
                h_bucket{a=\"2\",le=\"1\"} 7\nh_bucket{a=\"2\",le=\"+Inf\"} 5\n\
                # TYPE other gauge\nother_sum 1\nunknown_count 2\n";
    check(
        "{job_name: a, convert_classic_histograms_to_nhcb: true}",
        &[page],
        expect![[r#"
            other_sum{instance="h:1", job="a"} 1 @1000
            unknown_count{instance="h:1", job="a"} 2 @1000
            h{a="1", instance="h:1", job="a"} schema -53 count 5 [1.0, 10.0] [(0, 2.0), (1, 0.0), (2, 3.0)] @1000 since 0
            h is a Histogram: 
            other is a Gauge: 
            Counts { scraped: 3, kept: 3, series_added: 3, stale: 0, histograms_refused: 1 }
        "#]],
    );
    check(
        "{job_name: a, convert_classic_histograms_to_nhcb: true, native_histogram_bucket_limit: 2}",
        &[page],
        expect![[r#"
            limit: histogram bucket limit exceeded: 3 buckets, native_histogram_bucket_limit = 2
        "#]],
    );
    check(
        "{job_name: a, convert_classic_histograms_to_nhcb: true, always_scrape_classic_histograms: true}",
        &["# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 5\nh_sum 9\nh_count 5\n"],
        expect![[r#"
            h_bucket{instance="h:1", job="a", le="1.0"} 2 @1000
            h_bucket{instance="h:1", job="a", le="+Inf"} 5 @1000
            h_sum{instance="h:1", job="a"} 9 @1000
            h_count{instance="h:1", job="a"} 5 @1000
            h{instance="h:1", job="a"} schema -53 count 5 [1.0] [(0, 2.0), (1, 3.0)] @1000 since 0
            h is a Histogram: 
            Counts { scraped: 5, kept: 5, series_added: 5, stale: 0, histograms_refused: 0 }
        "#]],
    );
}
