//! Jaeger's own storage cases: one store with all traces, one query a case, the exact set of traces expected.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Span, SpanBatch, SpanSink, SpanSource, TimeRange, TraceQuery};
use serde_json::Value;
use traces::TraceStore;

use crate::data::Fixture;

/// Cases that pass; may only grow.
const PASSED_MIN: usize = 25;

fn cases_dir() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "where the cases stand is told by the environment")]
    let shared = std::env::var("EINO_SHARED");
    let shared =
        shared.unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let dir = Path::new(&shared).join("conformance/traces/jaeger-search");
    dir.is_dir().then_some(dir)
}

fn read_batch(path: &Path) -> SpanBatch {
    let (batch, rejected) = wire::otlp::decode_traces_json(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(rejected.rejected, [], "{}", path.display());
    batch
}

/// RFC 3339 with fractions of a second, UTC.
fn parse_time_ns(text: &str) -> i64 {
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    // Days since the epoch by the civil calendar, years starting in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19);
    let fraction = format!("{:0<9}", text[19..].trim_start_matches('.').trim_end_matches('Z'));
    seconds * 1_000_000_000 + fraction.parse::<i64>().unwrap()
}

fn query(case: &Value) -> TraceQuery {
    let text = |name: &str| case[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    // Durations of the cases are in nanoseconds, 0 means none.
    let duration = |name: &str| case[name].as_u64().filter(|ns| *ns > 0);
    let tags = case["Tags"].as_object().into_iter().flatten();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let time = |name: &str| parse_time_ns(case[name].as_str().unwrap());
    TraceQuery {
        service: text("ServiceName"),
        operation: text("OperationName"),
        attributes: tags.map(|(key, value)| (key.clone(), plain(value))).collect(),
        duration_min_ns: duration("DurationMin"),
        duration_max_ns: duration("DurationMax"),
        range_ns: TimeRange::new(time("StartTimeMin"), time("StartTimeMax")),
        limit: usize::try_from(case["NumTraces"].as_u64().unwrap()).unwrap(),
    }
}

/// Whether the store gives exactly the traces of the expected files, span for span.
fn passes(store: &TraceStore, dir: &Path, case: &Value) -> bool {
    let found = store.search(&query(&case["Query"])).unwrap();
    let expected = case["ExpectedFixtures"].as_array().unwrap().iter();
    let expected: Vec<_> = expected
        .map(|name| read_batch(&dir.join("traces").join(format!("{}.json", name.as_str().unwrap()))).spans)
        .collect();
    let is_found = |spans: &Vec<Arc<Span>>| {
        let id = spans[0].trace_id;
        let mut spans = spans.clone();
        spans.sort_by_key(|span| (span.start_ns, span.span_id));
        found.contains(&id) && store.trace(id).unwrap() == spans
    };
    found.len() == expected.len() && expected.iter().all(is_found)
}

#[test]
fn jaegers_storage_cases() {
    let Some(dir) = cases_dir() else { return println!("skipped: no jaeger-search cases") };
    let fixture = Fixture::new();
    let mut config = fixture.config();
    config.retention = std::time::Duration::from_secs(20 * 365 * 24 * 3600);
    let store = fixture.open_with(config);
    for entry in std::fs::read_dir(dir.join("traces")).unwrap() {
        let batch = read_batch(&entry.unwrap().path());
        assert_eq!(store.append(&batch).unwrap().rejected, []);
    }
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(dir.join("queries.json")).unwrap()).unwrap();
    for place in ["memory", "blocks"] {
        let failed: Vec<_> = cases.iter().filter(|case| !passes(&store, &dir, case)).collect();
        let passed = cases.len() - failed.len();
        println!("jaeger-search in {place}: {passed} of {} passed", cases.len());
        failed.iter().for_each(|case| println!("  failed: {}", case["Caption"]));
        assert!(passed >= PASSED_MIN, "{passed} passed, {PASSED_MIN} did before");
        store.flush().unwrap();
    }
}
