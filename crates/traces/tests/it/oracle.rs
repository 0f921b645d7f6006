//! The store against an ordered map: random appends, cuts, merges and restarts, then every question.
//!
//! A failing seed replays alone: the seed is in the message.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use model::{
    AttributeValue, Scope, Span, SpanEvent, SpanKind, SpanLink, SpanSource, SpanStatus, StatusCode,
    TimeRange, TraceId, TraceQuery,
};
use traces::{TraceStore, TraceStoreConfig};

use crate::data::{Fixture, MS, NOW_NS, attributes, everything, put, resource, span, text, trace_id};

const SERVICES: [&str; 3] = ["cart", "pay", "ship"];
const NAMES: [&str; 3] = ["get", "put", "scan"];

/// What a span is, all derived from its key, so that duplicates are equal.
#[derive(Clone, Copy)]
struct Facts {
    service: usize,
    name: usize,
    duration_ms: u64,
    is_error: bool,
    is_client: bool,
    colour: Option<u64>,
    count: Option<u64>,
    event: Option<u64>,
    link: Option<u64>,
    scope: u64,
}

impl Facts {
    fn of(trace: u64, id: u64, start_ms: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(trace << 40 | id << 20 | start_ms);
        let mut some = |of: u64| Some(random.u64(0..3)).filter(|_| random.u64(0..of) == 0);
        let (colour, count, event, link) = (some(2), some(2), some(4), some(6));
        Self {
            service: random.usize(0..3),
            name: random.usize(0..3),
            duration_ms: random.u64(0..20),
            is_error: random.u8(0..4) == 0,
            is_client: random.bool(),
            colour,
            count,
            event,
            link,
            scope: random.u64(0..2),
        }
    }

    fn span(&self, trace: u64, id: u64, start_ms: u64) -> Span {
        let mut span = span(trace, id, start_ms);
        span.end_ns = span.start_ns + self.duration_ms * MS;
        span.name = NAMES[self.name].into();
        span.kind = if self.is_client { SpanKind::Client } else { SpanKind::Server };
        span.resource = resource(SERVICES[self.service]);
        span.scope = Arc::new(Scope {
            name: format!("lib{}", self.scope).into(),
            attributes: attributes(&[("layer", AttributeValue::Int(self.scope as i64))]),
            ..Scope::default()
        });
        let code = if self.is_error { StatusCode::Error } else { StatusCode::Unset };
        span.status = SpanStatus { code, message: if self.is_error { "broken".into() } else { "".into() } };
        if let Some(count) = self.count {
            span.attributes.push(("count".into(), AttributeValue::Int(count as i64)));
        }
        if let Some(colour) = self.colour {
            let list = AttributeValue::Array(vec![text("any"), text(&format!("c{colour}"))]);
            let value = if colour == 2 { list } else { text(&format!("c{colour}")) };
            span.attributes.push(("colour".into(), value));
        }
        if let Some(event) = self.event {
            let attributes = attributes(&[("reason", AttributeValue::Double(event as f64 + 0.5))]);
            let time_ns = span.start_ns;
            span.events.push(SpanEvent {
                time_ns,
                name: format!("e{event}").into(),
                attributes,
                dropped_attributes: 0,
            });
        }
        if let Some(link) = self.link {
            let attributes = attributes(&[("batch", AttributeValue::Bool(link == 0))]);
            let (trace_id, span_id) = (trace_id(link + 1), span.span_id);
            span.links.push(SpanLink { trace_id, span_id, trace_state: "".into(), attributes, flags: 1 });
        }
        span
    }
}

/// A condition on attributes with its meaning in plain words.
type Condition = (&'static str, String, Box<dyn Fn(&Facts) -> bool>);

fn condition(random: &mut fastrand::Rng) -> Condition {
    let n = random.u64(0..3);
    match random.u8(0..12) {
        0 => ("colour", format!("c{n}"), Box::new(move |facts| facts.colour == Some(n))),
        1 => ("count", n.to_string(), Box::new(move |facts| facts.count == Some(n))),
        2 => ("reason", format!("{n}.5"), Box::new(move |facts| facts.event == Some(n))),
        3 => ("event", format!("e{n}"), Box::new(move |facts| facts.event == Some(n))),
        4 => ("batch", "true".into(), Box::new(|facts| facts.link == Some(0))),
        5 => ("error", "true".into(), Box::new(|facts| facts.is_error)),
        6 => ("otel.status_code", "ERROR".into(), Box::new(|facts| facts.is_error)),
        7 => ("span.kind", "client".into(), Box::new(|facts| facts.is_client)),
        8 => {
            ("service.name", SERVICES[n as usize].into(), Box::new(move |facts| facts.service == n as usize))
        }
        9 => ("otel.scope.name", format!("lib{n}"), Box::new(move |facts| facts.scope == n)),
        10 => ("layer", n.to_string(), Box::new(move |facts| facts.scope == n)),
        _ => ("otel.status_description", "broken".into(), Box::new(|facts| facts.is_error)),
    }
}

type Key = (TraceId, u64, u64);

/// Spans by (trace id, start, span id).
#[derive(Default)]
struct Oracle {
    spans: BTreeMap<Key, (Facts, Span)>,
}

impl Oracle {
    fn search(&self, query: &TraceQuery, conditions: &[Condition]) -> Vec<TraceId> {
        let mut newest: BTreeMap<TraceId, u64> = BTreeMap::new();
        for ((trace, start_ns, _), (facts, span)) in &self.spans {
            let duration_ns = span.end_ns - span.start_ns;
            let is_match = (query.range_ns.start..query.range_ns.end).contains(&(*start_ns as i64))
                && query.service.as_deref().is_none_or(|service| service == SERVICES[facts.service])
                && query.operation.as_deref().is_none_or(|name| name == NAMES[facts.name])
                && query.duration_min_ns.is_none_or(|min| duration_ns >= min)
                && query.duration_max_ns.is_none_or(|max| duration_ns <= max)
                && conditions.iter().all(|(_, _, holds)| holds(facts));
            if is_match {
                let latest = newest.entry(*trace).or_default();
                *latest = (*latest).max(*start_ns);
            }
        }
        let mut found: Vec<_> = newest.into_iter().collect();
        found.sort_by_key(|(trace, start_ns)| (std::cmp::Reverse(*start_ns), *trace));
        found.into_iter().take(query.limit).map(|(trace, _)| trace).collect()
    }

    fn trace(&self, id: TraceId) -> Vec<&Span> {
        self.spans.range((id, 0, 0)..=(id, u64::MAX, u64::MAX)).map(|(_, (_, span))| span).collect()
    }

    fn scan(&self, range: TimeRange) -> Vec<Vec<&Span>> {
        let ids: BTreeSet<TraceId> = self.spans.keys().map(|(trace, ..)| *trace).collect();
        let mut traces: Vec<_> = ids.into_iter().map(|id| self.trace(id)).collect();
        traces.retain(|trace| range.contains(trace[0].start_ns as i64));
        traces.sort_by_key(|trace| (trace[0].start_ns, trace[0].trace_id));
        traces
    }
}

fn random_range(random: &mut fastrand::Rng) -> TimeRange {
    let time = |random: &mut fastrand::Rng| (NOW_NS + random.u64(0..1100) * MS) as i64;
    if random.bool() { TimeRange::ALL } else { TimeRange::new(time(random), time(random)) }
}

fn ask_everything(store: &TraceStore, oracle: &Oracle, random: &mut fastrand::Rng, seed: u64) {
    for _ in 0..20 {
        let conditions: Vec<Condition> = (0..random.usize(0..3)).map(|_| condition(random)).collect();
        let query = TraceQuery {
            service: random.bool().then(|| SERVICES[random.usize(0..3)].to_owned()),
            operation: (random.u8(0..3) == 0).then(|| NAMES[random.usize(0..3)].to_owned()),
            attributes: conditions.iter().map(|(key, value, _)| ((*key).to_owned(), value.clone())).collect(),
            duration_min_ns: (random.u8(0..4) == 0).then(|| random.u64(0..20) * MS),
            duration_max_ns: (random.u8(0..4) == 0).then(|| random.u64(0..20) * MS),
            range_ns: random_range(random),
            ..everything(random.usize(0..40))
        };
        assert_eq!(
            store.search(&query).unwrap(),
            oracle.search(&query, &conditions),
            "seed {seed}: {query:?}"
        );
    }
    for number in 0..30 {
        let found = store.trace(trace_id(number)).unwrap();
        let found: Vec<&Span> = found.iter().map(|span| &**span).collect();
        assert_eq!(found, oracle.trace(trace_id(number)), "seed {seed}: trace {number}");
    }
    for range in [TimeRange::ALL, random_range(random)] {
        let expected = oracle.scan(range);
        let stop_after = random.usize(1..40);
        let mut found = Vec::new();
        let mut visit = |trace: &[Arc<Span>]| {
            found.push(trace.to_vec());
            if found.len() == stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        store.scan(range, &mut visit).unwrap();
        let found: Vec<Vec<&Span>> =
            found.iter().map(|trace| trace.iter().map(|span| &**span).collect()).collect();
        assert_eq!(found, expected[..expected.len().min(stop_after)], "seed {seed}: scan of {range:?}");
    }
    let services: BTreeSet<&str> = oracle.spans.values().map(|(facts, _)| SERVICES[facts.service]).collect();
    let found = store.services().unwrap();
    assert_eq!(found.iter().map(|name| &**name).collect::<Vec<_>>(), Vec::from_iter(services), "seed {seed}");
}

fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let fixture = Fixture::new();
    let config = || TraceStoreConfig {
        memtable_spans: 60,
        scan_spans_max: 50,
        block_spans_max: 400,
        ..fixture.config()
    };
    let mut store = fixture.open_with(config());
    let mut oracle = Oracle::default();
    for _ in 0..60 {
        match random.u8(0..12) {
            0 | 1 => store.flush().unwrap(),
            2 => store.maintain().unwrap(),
            3 => {
                if random.bool() {
                    store.close().unwrap();
                }
                drop(store);
                store = fixture.open_with(config());
            }
            _ => {
                let keys = (0..random.usize(1..30))
                    .map(|_| (random.u64(1..30), random.u64(1..40), random.u64(0..1000)));
                let keys: Vec<_> = keys.collect();
                put(&store, keys.iter().map(|(t, id, ms)| Facts::of(*t, *id, *ms).span(*t, *id, *ms)));
                for (t, id, ms) in keys {
                    let facts = Facts::of(t, id, ms);
                    let key = (trace_id(t), NOW_NS + ms * MS, id);
                    oracle.spans.insert(key, (facts, facts.span(t, id, ms)));
                }
            }
        }
        if random.u8(0..8) == 0 {
            ask_everything(&store, &oracle, &mut random, seed);
        }
    }
    ask_everything(&store, &oracle, &mut random, seed);
}

#[test]
fn the_store_answers_like_an_ordered_map() {
    (0..12).for_each(run);
}
