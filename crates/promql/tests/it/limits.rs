//! Limits stop a query with words that name them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clock::ManualClock;
use model::{
    LabelSet, Matcher, MetricMetadata, MetricSource, SampleColumns, SeriesSet, SourceError, TimeRange,
};
use promql::MemorySource;
use promql::{Engine, EngineConfig, QueryError, QueryErrorKind, QueryOptions, Value, parse};

fn source(series: usize) -> MemorySource {
    let mut source = MemorySource::default();
    for index in 0..series {
        let index_text = index.to_string();
        let labels = LabelSet::from_pairs([("__name__", "m"), ("i", &index_text)]).unwrap();
        for step in 0..20_i32 {
            source.insert(&labels, i64::from(step) * 1000, f64::from(step) * 1.1 + index as f64);
        }
    }
    source
}

fn engine(config: EngineConfig) -> Engine {
    Engine::new(config, ManualClock::at_unix_ms(0).clock())
}

#[track_caller]
fn refused(result: Result<promql::QueryResult, QueryError>, kind: QueryErrorKind, words: &str) {
    let error = result.expect_err("must be refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn samples_max_names_itself() {
    let engine = engine(EngineConfig { samples_max: 50, ..EngineConfig::default() });
    let expr = parse("sum_over_time(m[1m])").unwrap();
    let result = engine.instant(&source(3), &expr, 19_000);
    refused(result, QueryErrorKind::Execution, "samples_max is 50");
}

#[test]
fn steps_are_checked() {
    let engine = engine(EngineConfig::default());
    let expr = parse("m").unwrap();
    let source = source(1);
    let bad = QueryErrorKind::BadData;
    refused(engine.range(&source, &expr, 0, 10, 0), bad, "zero or negative");
    refused(engine.range(&source, &expr, 10, 0, 1), bad, "must not be before");
    refused(engine.range(&source, &expr, 0, 20_000, 1), bad, "11000 points");
    refused(engine.range(&source, &expr, i64::MIN, i64::MAX, 1), bad, "11000 points");
    refused(engine.range(&source, &parse("m[1m]").unwrap(), 0, 10, 1), bad, "range vector");
}

#[test]
fn huge_subquery_is_refused_before_it_is_made() {
    let expr = parse("max_over_time(m[300d:1ms])").unwrap();
    let result = engine(EngineConfig::default()).instant(&source(1), &expr, 0);
    refused(result, QueryErrorKind::Execution, "samples_max is 50000000");
}

#[test]
fn scalars_inside_a_subquery_count_too() {
    let engine = engine(EngineConfig { samples_max: 10_000, ..EngineConfig::default() });
    let expr = parse("max_over_time(vector(time() + time())[5s:1ms])").unwrap();
    refused(engine.instant(&source(1), &expr, 0), QueryErrorKind::Execution, "samples_max is 10000");
}

#[test]
fn times_at_the_edge_of_the_clock_do_not_panic() {
    let engine = engine(EngineConfig::default());
    for text in
        ["m", "predict_linear(m[1m] @ -9e15, 1)", "rate(m[5m:1m] offset 200y)", "m offset -200y", "time()"]
    {
        for time_ms in [i64::MIN, i64::MAX, 0] {
            let expr = parse(text).unwrap();
            assert!(engine.instant(&source(1), &expr, time_ms).is_ok(), "{text} at {time_ms}");
        }
    }
}

#[test]
fn cancel_flag_stops() {
    let options = QueryOptions { cancel: Some(Arc::new(AtomicBool::new(true))), ..QueryOptions::default() };
    let expr = parse("sum(m)").unwrap();
    let result = engine(EngineConfig::default()).instant_with(&source(1), &expr, 0, &options);
    refused(result, QueryErrorKind::Canceled, "canceled");
}

/// Every read of a series takes a minute.
struct Slow {
    inner: MemorySource,
    clock: ManualClock,
}

struct SlowSeries(Box<dyn SeriesSet>, ManualClock);

impl SeriesSet for SlowSeries {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> &LabelSet {
        self.0.labels(index)
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        self.1.advance(Duration::from_secs(60));
        self.0.read(index, out)
    }
}

impl MetricSource for Slow {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Box<dyn SeriesSet>, SourceError> {
        Ok(Box::new(SlowSeries(self.inner.select(matchers, range)?, self.clock.clone())))
    }

    fn label_names(&self, _: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<MetricMetadata>, SourceError> {
        Ok(Vec::new())
    }
}

#[test]
fn timeout_counts_the_handed_in_clock() {
    let clock = ManualClock::at_unix_ms(0);
    let engine = Engine::new(EngineConfig::default(), clock.clock());
    let slow = |series| Slow { inner: source(series), clock: clock.clone() };
    let expr = parse("sum(m)").unwrap();
    assert!(engine.instant(&slow(2), &expr, 0).is_ok());
    refused(engine.instant(&slow(40), &expr, 0), QueryErrorKind::Timeout, "timeout of 120s");
    let options = QueryOptions { timeout: Some(Duration::from_secs(30)), ..QueryOptions::default() };
    refused(engine.instant_with(&slow(40), &expr, 0, &options), QueryErrorKind::Timeout, "timeout of 30s");
}

#[test]
fn threads_do_not_change_the_answer() {
    let source = source(700);
    for text in ["sum(rate(m[10s]))", "m", "sum by (i) (m)"] {
        let expr = parse(text).unwrap();
        let run = |threads_max| {
            let engine = engine(EngineConfig { threads_max, ..EngineConfig::default() });
            engine.range(&source, &expr, 0, 19_000, 1000).unwrap()
        };
        let (one, four) = (run(1), run(4));
        assert_eq!(one.value, four.value, "{text}");
        assert_eq!(one.stats.samples_read, four.stats.samples_read);
        assert_eq!(one.stats.total_queryable_samples, four.stats.total_queryable_samples);
        assert!(matches!(&one.value, Value::Matrix(series) if !series.is_empty()));
    }
}

/// The deepest trees that the parser lets through, used in every way in a thread with 2 MiB of stack; frames are some four
/// times as large without optimisation.
#[test]
fn the_deepest_tree_fits_a_stack() {
    let deepest = [
        format!("m{}", "+m".repeat(511)),
        format!("m{}", "+m^m".repeat(255)),
        format!("{}m{}", "abs(".repeat(120), ")".repeat(120)),
        format!("{}m{}", "max_over_time(".repeat(40), "[1m:1s])".repeat(40)),
        format!("{}m{}", "sum(".repeat(63), "+m)".repeat(63)),
        format!("{}m{}", "-(".repeat(42), ")".repeat(42)),
        format!("m{}", " or m unless m".repeat(255)),
    ];
    let run = move || {
        let engine = engine(EngineConfig { samples_max: 100_000, ..EngineConfig::default() });
        for text in &deepest {
            let expr = parse(text).unwrap();
            let read_back = parse(&expr.to_string()).unwrap();
            assert_eq!(expr, read_back);
            assert!(promql::tree_json(&expr).len() > text.len() && !promql::pretty(&expr, 10).is_empty());
            let options = QueryOptions { explain: true, ..QueryOptions::default() };
            // Errors are fine, an overflow is not.
            let answered = engine.instant_with(&source(1), &expr, 10_000, &options).is_ok();
            let ranged = engine.range(&source(1), &expr, 0, 10_000, 5_000).is_ok();
            assert!(answered || !ranged || text.contains('['), "{text}");
        }
    };
    let stack_bytes = if cfg!(debug_assertions) { 8 << 20 } else { 2 << 20 };
    std::thread::Builder::new().stack_size(stack_bytes).spawn(run).unwrap().join().unwrap();
}
