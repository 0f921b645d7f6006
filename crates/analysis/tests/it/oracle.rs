//! Runs critical-path cases kept as data beside the repository.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use analysis::{Overflow, PathOptions, Trace, critical_path_with};
use model::{Resource, Scope, Span, SpanId, SpanKind, SpanStatus, TraceId};
use serde_json::Value;

/// Results by name: `Err` says what differs.
pub(crate) type Results = BTreeMap<String, Result<(), String>>;

/// Runs all cases under `traces` (the folder with `jaeger-critical-path` and `critical-path-own`).
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn run(traces: &Path) -> Result<Results, String> {
    let mut results = Results::new();
    let folder = traces.join("jaeger-critical-path");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        results.insert(format!("jaeger/{name}"), jaeger(&read(&path)?));
    }
    let own = read(&traces.join("critical-path-own/critical_path_cases.json"))?;
    for (name, case) in own.as_object().into_iter().flatten() {
        results.insert(format!("own/{name}"), own_case(case));
    }
    Ok(results)
}

fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Text ids of a case as numbers.
#[derive(Default)]
struct Ids(Vec<String>);

impl Ids {
    fn id(&mut self, text: &str) -> SpanId {
        let known = self.0.iter().position(|known| known == text);
        let number = known.unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        SpanId((number as u64 + 1).to_be_bytes())
    }

    fn text(&self, id: SpanId) -> &str {
        &self.0[u64::from_be_bytes(id.0) as usize - 1]
    }
}

fn span(id: SpanId, parent_span_id: Option<SpanId>, range: (u64, u64), kind: SpanKind) -> Arc<Span> {
    Arc::new(Span {
        trace_id: TraceId([1; 16]),
        span_id: id,
        parent_span_id,
        trace_state: "".into(),
        flags: 0,
        name: "op".into(),
        kind,
        start_ns: range.0,
        end_ns: range.1,
        status: SpanStatus::default(),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped_attributes: 0,
        dropped_events: 0,
        dropped_links: 0,
        resource: Arc::new(Resource { service: "s".into(), attributes: Vec::new() }),
        scope: Arc::new(Scope::default()),
    })
}

fn kind_of(span: &Value) -> SpanKind {
    let tags = span["tags"].as_array().into_iter().flatten();
    match tags.into_iter().find(|tag| tag["key"] == "span.kind").and_then(|tag| tag["value"].as_str()) {
        Some("producer") => SpanKind::Producer,
        Some("consumer") => SpanKind::Consumer,
        Some("client") => SpanKind::Client,
        Some("server") => SpanKind::Server,
        _ => SpanKind::Unspecified,
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn jaeger(case: &Value) -> Result<(), String> {
    let mut ids = Ids::default();
    let spans = case["trace"]["spans"].as_array().expect("spans").iter().map(|json| {
        let parent = json["references"].as_array().and_then(|all| all.first());
        let parent = parent.map(|reference| ids.id(text(&reference["spanID"])));
        let start = number(&json["startTime"]);
        let range = (start, start + number(&json["duration"]));
        span(ids.id(text(&json["spanID"])), parent, range, kind_of(json))
    });
    let spans: Vec<_> = spans.collect();
    let want = case["criticalPathSections"].as_array().expect("sections").iter();
    let want = want.map(|json| {
        (text(&json["spanID"]).to_owned(), number(&json["sectionStart"]), number(&json["sectionEnd"]))
    });
    check(&spans, PathOptions { overflow: Overflow::Clip, tolerance_ns: 0 }, &ids, want.collect())
}

fn own_case(case: &Value) -> Result<(), String> {
    let mut ids = Ids::default();
    let spans = case["spans"].as_array().expect("spans").iter().map(|json| {
        let parent = json["parent"].as_str().map(|parent| ids.id(parent));
        let range = (number(&json["start"]), number(&json["end"]));
        span(ids.id(text(&json["id"])), parent, range, SpanKind::Unspecified)
    });
    let spans: Vec<_> = spans.collect();
    let overflow = match case["options"]["overflow"].as_str() {
        Some("async") => Overflow::Async,
        _ => Overflow::Clip,
    };
    let options = PathOptions { overflow, tolerance_ns: case["options"]["tol"].as_u64().unwrap_or(0) };
    let want = case["sections"].as_array().expect("sections").iter();
    let want = want.map(|json| (text(&json[0]).to_owned(), number(&json[1]), number(&json[2])));
    check(&spans, options, &ids, want.collect())
}

/// The cases list sections latest first, root by root.
fn check(
    spans: &[Arc<Span>],
    options: PathOptions,
    ids: &Ids,
    want: Vec<(String, u64, u64)>,
) -> Result<(), String> {
    let trace = Trace::assemble(spans);
    let paths = critical_path_with(&trace, options);
    let sections = paths.iter().flat_map(|path| path.sections.iter().rev());
    let got: Vec<_> =
        sections.map(|s| (ids.text(trace.span(s.span).span_id).to_owned(), s.start_ns, s.end_ns)).collect();
    if got == want { Ok(()) } else { Err(format!("got {got:?}, want {want:?}")) }
}
