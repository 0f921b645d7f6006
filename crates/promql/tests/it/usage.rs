//! What queries take: samples as Prometheus counts them, limits on series and bytes, and plans.

use clock::ManualClock;
use model::LabelSet;
use promql::{Engine, EngineConfig, MemorySource, Plan, QueryErrorKind, QueryOptions, QueryResult, parse};

/// `m` with a sample every 10 s; `three` with three series of them.
fn source() -> MemorySource {
    let mut source = MemorySource::default();
    for (name, series) in [("m", 1), ("three", 3)] {
        for index in 0..series {
            let index = index.to_string();
            let labels = LabelSet::from_pairs([("__name__", name), ("i", &index)]).unwrap();
            for step in 0..40_i32 {
                source.insert(&labels, i64::from(step) * 10_000, f64::from(step));
            }
        }
    }
    source
}

fn engine(config: EngineConfig) -> Engine {
    Engine::new(config, ManualClock::at_unix_ms(0).clock())
}

fn options() -> QueryOptions {
    QueryOptions { step_stats: true, explain: true, ..QueryOptions::default() }
}

fn instant(text: &str, time_ms: i64) -> QueryResult {
    let expr = parse(text).unwrap();
    engine(EngineConfig::default()).instant_with(&source(), &expr, time_ms, &options()).unwrap()
}

fn range(text: &str, options: &QueryOptions) -> QueryResult {
    let expr = parse(text).unwrap();
    let steps = (201_000, 220_000, 5_000);
    engine(EngineConfig::default()).range_with(&source(), &expr, steps, options).unwrap()
}

#[test]
fn instant_queries_see_what_prometheus_says() {
    let cases = [
        ("m", 21_000, 1),
        ("m @ 30", 201_000, 1),
        ("timestamp(m)", 21_000, 1),
        ("m[60s]", 201_000, 6),
        ("m[60s] @ 30", 201_000, 4),
        ("max_over_time(m[60s])", 201_000, 6),
        ("max_over_time(m[60s:5s])", 201_000, 12),
        ("max_over_time(m[60s])[20s:5s]", 201_000, 24),
        ("max_over_time(m[60s:5s])[20s:5s]", 201_000, 48),
        ("sum(max_over_time(three[60s])) + max_over_time(m[60s])", 201_000, 24),
        ("sum by (i) (three) + m", 201_000, 4),
        ("1 + 2", 0, 0),
    ];
    for (text, time_ms, want) in cases {
        assert_eq!(instant(text, time_ms).stats.total_queryable_samples, want, "{text}");
    }
}

#[test]
fn range_queries_count_by_step() {
    let cases = [
        ("m", [1; 4]),
        ("m @ 30", [1; 4]),
        ("max_over_time(m[60s])", [6; 4]),
        ("max_over_time(m[60s] @ 30)", [4; 4]),
        ("max_over_time(m[60s:5s])", [12; 4]),
        ("sum(three)", [3; 4]),
    ];
    for (text, counts) in cases {
        let stats = range(text, &options()).stats;
        let times = [201_000, 206_000, 211_000, 216_000];
        let want: Vec<(i64, u64)> = times.into_iter().zip(counts).collect();
        assert_eq!(stats.total_queryable_samples_per_step, want, "{text}");
        assert_eq!(stats.total_queryable_samples, counts.iter().sum::<u64>(), "{text}");
        let plain = range(text, &QueryOptions::default());
        assert!(plain.plan.is_none() && plain.stats.total_queryable_samples_per_step.is_empty());
        assert_eq!(plain.stats.total_queryable_samples, stats.total_queryable_samples, "{text}");
    }
}

/// A plan as lines: depth, kind, node, steps, series, samples.
fn lines(plan: &Plan, depth: usize, out: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    out.push(format!(
        "{indent}{} {}: {} steps, {} series, {} samples",
        plan.kind, plan.node, plan.steps, plan.series, plan.samples_read
    ));
    plan.children.iter().for_each(|child| lines(child, depth + 1, out));
}

#[test]
fn plans_show_every_node() {
    let text = "sum by (i) (rate(three[1m])) / on (i) group_left () max_over_time((m)[1m:10s]) > 0";
    let plan = range(text, &options()).plan.unwrap();
    let mut got = Vec::new();
    lines(&plan, 0, &mut got);
    assert_eq!(
        got,
        [
            "binary >: 4 steps, 1 series, 43 samples",
            "  binary / on (i) group_left (): 4 steps, 1 series, 43 samples",
            "    aggregation sum by (i): 4 steps, 3 series, 21 samples",
            "      call rate(three[1m]): 4 steps, 3 series, 21 samples",
            "    call max_over_time: 4 steps, 1 series, 22 samples",
            "      selector m: 7 steps, 1 series, 22 samples",
        ]
        .map(|line| line.to_owned()),
        "{}",
        got.join("\n")
    );
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["children"][0]["kind"], "binary");
    assert!(json["time_ns"].is_u64() && json["self_time_ns"].is_u64());
}

#[test]
fn limits_on_series_and_bytes_name_themselves() {
    let run = |config: EngineConfig, text: &str| {
        engine(config).instant(&source(), &parse(text).unwrap(), 201_000).expect_err("must be refused")
    };
    let error = run(EngineConfig { series_max: 3, ..EngineConfig::default() }, "three + on (i) m");
    assert_eq!(error.kind(), QueryErrorKind::Execution);
    assert!(error.to_string().contains("would select 4 series, series_max is 3"), "{error}");
    let error = run(EngineConfig { bytes_max: 100, ..EngineConfig::default() }, "max_over_time(m[1h:1s])");
    assert!(error.to_string().contains("bytes of intermediate results, bytes_max is 100"), "{error}");
}
