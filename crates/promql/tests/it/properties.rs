//! Printing and parsing are inverse; windows that slide agree with windows cut out one by one.

use clock::ManualClock;
use model::LabelSet;
use promql::MemorySource;
use promql::{Engine, EngineConfig, Value, parse};
use proptest::prelude::*;

/// Expressions as text, of vectors only, so that they fit anywhere.
fn expression() -> impl Strategy<Value = String> {
    let selectors = prop_oneof![
        Just("a".to_owned()),
        Just("b:c{x=\"1\",y!~\"q.*\"}".to_owned()),
        Just("{\"a.b\", \"l 1\"=~'x|y'} offset -1h30m".to_owned()),
        Just("a @ end() offset (5m * 2)".to_owned()),
        Just("rate(a[5m] @ 12.5)".to_owned()),
        Just("max_over_time(a[min_of(1h, step() + 30s)] offset 7)".to_owned()),
        Just("label_replace(a, \"\\xff\\\"\", '$1', `s\\d`, \"(.*)\\n\")".to_owned()),
    ];
    compose(selectors)
}

/// Operators, aggregations and functions over `selectors`.
fn compose(selectors: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    selectors.prop_recursive(4, 24, 3, |inner| {
        let operator = prop_oneof![
            Just("+"),
            Just("^"),
            Just("* on (x) group_left (y)"),
            Just("> bool"),
            Just("and ignoring (z)"),
            Just("or"),
            Just("unless"),
            Just("atan2"),
            Just("== ignoring () group_right (k)"),
        ];
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(left, op, right)| format!("{left} {op} {right}")),
            inner.clone().prop_map(|expr| format!("({expr})")),
            inner.clone().prop_map(|expr| format!("-{expr}")),
            inner.clone().prop_map(|expr| format!("sum without (a, \"b c\") ({expr})")),
            inner.clone().prop_map(|expr| format!("topk by (x) (3, {expr})")),
            inner.clone().prop_map(|expr| format!("avg_over_time(({expr})[1h:] offset 1m)")),
            inner.prop_map(|expr| format!("histogram_quantile(0.9, {expr})")),
        ]
    })
}

/// Expressions whose value at a moment does not depend on the query's start, end and step.
fn evaluable() -> impl Strategy<Value = String> {
    compose(prop_oneof![
        Just("a".to_owned()),
        Just("{__name__=~\"a|b\"} offset 3s".to_owned()),
        Just("a @ 20".to_owned()),
        Just("b{x=\"2\"}".to_owned()),
        Just("rate(a[20s])".to_owned()),
        Just("delta(b[20s] @ 30)".to_owned()),
        Just("(a or vector(time()))".to_owned()),
        Just("last_over_time(b[7s])".to_owned()),
        Just("timestamp(a)".to_owned()),
        Just("absent(a)".to_owned()),
    ])
}

/// The samples dealt out to `a{x="1"}`, `a{x="2"}` and `b{x="2"}`.
fn three_series(samples: &[(i64, f64)]) -> MemorySource {
    let mut source = MemorySource::default();
    for (index, (ts_ms, value)) in samples.iter().enumerate() {
        let (name, x) = [("a", "1"), ("a", "2"), ("b", "2")][index % 3];
        let labels = LabelSet::from_pairs([("__name__", name), ("x", x)]).unwrap();
        source.insert(&labels, *ts_ms, *value);
    }
    source
}

/// Samples at odd times, with resets, gaps and special values.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![8 => -5.0..100.0_f64, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    proptest::collection::btree_map(0..60_000_i64, value, 0..40).prop_map(|map| map.into_iter().collect())
}

/// The plain definition of a function over one window.
fn naive(function: &str, window: &[(i64, f64)]) -> Option<f64> {
    let values: Vec<f64> = window.iter().map(|(_, value)| *value).collect();
    let (first, last) = (values.first()?, values.last()?);
    let pairs = values.windows(2);
    #[expect(clippy::cast_precision_loss, reason = "few samples")]
    let count = |count: usize| count as f64;
    Some(match function {
        "count_over_time" => count(values.len()),
        "last_over_time" => *last,
        "first_over_time" => *first,
        "resets" => count(pairs.filter(|pair| pair[1] < pair[0]).count()),
        "max_over_time" => {
            values.iter().copied().filter(|v| !v.is_nan()).reduce(f64::max).unwrap_or(f64::NAN)
        }
        "min_over_time" => {
            values.iter().copied().filter(|v| !v.is_nan()).reduce(f64::min).unwrap_or(f64::NAN)
        }
        _ => return None,
    })
}

/// `increase` by its definition, with every reset looked for in the window itself.
fn naive_increase(window: &[(i64, f64)], start_ms: i64, end_ms: i64) -> Option<f64> {
    let (first, last) = (window.first()?, window.last()?);
    if window.len() < 2 {
        return None;
    }
    let mut result = last.1 - first.1;
    for pair in window.windows(2) {
        if pair[1].1 < pair[0].1 {
            result += pair[0].1;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "small times")]
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let sampled = seconds(last.0 - first.0);
    #[expect(clippy::cast_precision_loss, reason = "few samples")]
    let average = sampled / (window.len() - 1) as f64;
    let gap = |gap: f64| if gap >= average * 1.1 { average / 2.0 } else { gap };
    let mut to_start = gap(seconds(first.0 - start_ms));
    if result > 0.0 && first.1 >= 0.0 {
        to_start = to_start.min(sampled * (first.1 / result));
    }
    Some(result * ((sampled + to_start + gap(seconds(end_ms - last.0))) / sampled))
}

fn same(left: Option<f64>, right: Option<f64>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan()),
        (None, None) => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back(text in expression()) {
        let Ok(first) = parse(&text) else { return Ok(()) };
        let printed = first.to_string();
        let second = parse(&printed).map_err(|error| TestCaseError::fail(format!("{printed:?}: {error}")))?;
        prop_assert_eq!(&first, &second, "printed as {}", printed);
        prop_assert_eq!(printed, second.to_string());
    }

    #[test]
    fn a_range_query_is_its_instant_queries(text in evaluable(), samples in samples(), step_ms in 500..20_000_i64) {
        let Ok(expr) = parse(&text) else { return Ok(()) };
        let source = three_series(&samples);
        let engine = Engine::new(EngineConfig::default(), ManualClock::at_unix_ms(0).clock());
        let Ok(range) = engine.range(&source, &expr, 0, 60_000, step_ms) else { return Ok(()) };
        let Value::Matrix(matrix) = range.value else { panic!("not a matrix") };
        for step in 0..=60_000 / step_ms {
            let time_ms = step * step_ms;
            let instant = engine.instant(&source, &expr, time_ms).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            let Value::Vector(mut vector) = instant.value else { panic!("not a vector") };
            vector.sort_by(|left, right| left.labels.cmp(&right.labels));
            let row: Vec<_> = matrix
                .iter()
                .filter_map(|series| series.ts_ms.binary_search(&time_ms).ok().map(|at| (&series.labels, series.values[at])))
                .collect();
            let equal = row.len() == vector.len()
                && row.iter().zip(&vector).all(|(row, sample)| *row.0 == sample.labels && same(Some(row.1), sample.value.as_float()));
            prop_assert!(equal, "{} at {}: range {:?}, instant {:?}", text, time_ms, row, vector);
        }
    }

    #[test]
    fn no_text_panics_the_parser(text in "[ -~\\n]{0,40}", bytes in ".{0,20}") {
        prop_assert!(parse(&text).map_or_else(|error| error.span.end <= text.len(), |_| true));
        prop_assert!(parse(&bytes).map_or_else(|error| error.span.end <= bytes.len(), |_| true));
    }

    #[test]
    fn sliding_windows_are_plain_windows(samples in samples(), range_ms in 1..30_000_i64, step_ms in 500..9_000_i64) {
        let labels = LabelSet::from_pairs([("__name__", "m_total")]).unwrap();
        let mut source = MemorySource::default();
        for (ts_ms, value) in &samples {
            source.insert(&labels, *ts_ms, *value);
        }
        let engine = Engine::new(EngineConfig::default(), ManualClock::at_unix_ms(0).clock());
        let functions = ["count_over_time", "last_over_time", "first_over_time", "resets", "max_over_time", "min_over_time", "increase"];
        for function in functions {
            let expr = parse(&format!("{function}(m_total[{range_ms}ms])")).unwrap();
            let answer = engine.range(&source, &expr, 0, 60_000, step_ms).unwrap();
            let Value::Matrix(matrix) = answer.value else { panic!("not a matrix") };
            for step in 0..=60_000 / step_ms {
                let end_ms = step * step_ms;
                let start_ms = end_ms - range_ms;
                let window: Vec<_> = samples.iter().copied().filter(|(ts_ms, _)| *ts_ms > start_ms && *ts_ms <= end_ms).collect();
                let want = if function == "increase" { naive_increase(&window, start_ms, end_ms) } else { naive(function, &window) };
                let got = matrix.first().and_then(|series| series.ts_ms.binary_search(&end_ms).ok().map(|at| series.values[at]));
                prop_assert!(same(want, got), "{} at {}: want {:?}, got {:?}", function, end_ms, want, got);
            }
        }
    }
}
