//! What a pool's connections were doing while someone waited for one.
//!
//! No span says when a connection is given back, so it is read off the structure: it is held from the end of the
//! acquiring span to the end of the last database span beside it, or of their parent if there is none.
//! ```text
//!  parent   ├──────────────────────────────────────────┤
//!   acquire    ├──────┤
//!   SELECT            ├─┤             ┐
//!   POST card            ├─────────┤  │ held
//!   INSERT                          ├─┤
//! ```

use std::collections::BTreeMap;

use model::AttributeValue;

use super::sentences;
use super::study::{OpId, Studied, Study};
use crate::Trace;
use crate::calls::outside_peer;
use crate::operation::operation;

/// A wait shorter than this is taking a free connection.
const WAIT_MIN_NS: u64 = 200_000;

#[derive(Default)]
struct Pool {
    /// `[start, end)` of waits and holds.
    waits: Vec<(u64, u64)>,
    holds: Vec<(u64, u64)>,
}

/// Sentences about the pool that operation `acquire` takes from.
pub(super) fn evidence(study: &Study<'_>, acquire: OpId) -> Vec<String> {
    let mut pools: BTreeMap<String, Pool> = BTreeMap::new();
    let mut during: BTreeMap<String, u128> = BTreeMap::new();
    let mut size = None;
    for studied in &study.traces {
        let trace = studied.trace;
        for index in (0..trace.spans().len()).filter(|index| studied.operations[*index] == acquire) {
            let span = trace.span(index);
            size = size.or_else(|| pool_size(trace, index));
            let pool = pools.entry(instance(trace, index)).or_default();
            if span.duration_ns() >= WAIT_MIN_NS {
                pool.waits.push((span.start_ns, span.end_ns));
            }
            if let Some(hold) = hold(studied, index) {
                pool.holds.push((hold.start, hold.end));
                add_during(trace, index, &hold, &mut during);
            }
        }
    }
    in_words(&pools, &during, size, study)
}

fn in_words(
    pools: &BTreeMap<String, Pool>,
    during: &BTreeMap<String, u128>,
    size: Option<(String, i64)>,
    study: &Study<'_>,
) -> Vec<String> {
    let lang = study.lang;
    let mut said = Vec::new();
    if let Some((key, size)) = size {
        said.push(sentences::pool_size(lang, size, &key));
    }
    let held: u128 = pools.values().flat_map(|pool| &pool.holds).map(|(s, e)| u128::from(e - s)).sum();
    let busy =
        pools.values().map(held_while_waiting).fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if busy.1 > 0.0 && study.is_complete {
        said.push(sentences::held_while_waiting(lang, busy.0 / busy.1));
    }
    let holds: usize = pools.values().map(|pool| pool.holds.len()).sum();
    if let Some((operation, ns)) = during.iter().max_by_key(|(_, ns)| **ns).filter(|_| held > 0) {
        let (hold_ms, share) = (held as f64 / holds as f64 / 1e6, *ns as f64 / held as f64);
        said.push(sentences::hold(lang, hold_ms, share, operation));
    }
    said
}

/// The pool belongs to an instance of a service.
fn instance(trace: &Trace, index: usize) -> String {
    let resource = &trace.span(index).resource;
    let id = model::attribute(&resource.attributes, "service.instance.id");
    id.map(ToString::to_string).unwrap_or_default()
}

/// An attribute such as `db.client.connection.max` or `pool.size`.
fn pool_size(trace: &Trace, index: usize) -> Option<(String, i64)> {
    trace.span(index).attributes.iter().find_map(|(key, value)| {
        let about_pool = key.contains("pool") || key.contains("connection");
        let is_limit =
            ["max", "size", "limit"].iter().any(|word| key.rsplit(['.', '_']).next() == Some(word));
        match value {
            AttributeValue::Int(size) if about_pool && is_limit => Some((key.to_string(), *size)),
            _ => None,
        }
    })
}

fn hold(studied: &Studied<'_>, index: usize) -> Option<std::ops::Range<u64>> {
    let trace = studied.trace;
    let parent = trace.parent(index)?;
    let start = trace.span(index).end_ns;
    let mut end = None;
    for sibling in trace.children(parent) {
        let span = trace.span(*sibling);
        if *sibling == index || span.start_ns < start {
            continue;
        }
        if studied.operations[*sibling] == studied.operations[index] {
            break;
        }
        let is_database = span.attribute("db.system").or(span.attribute("db.system.name")).is_some();
        if is_database {
            end = end.max(Some(span.end_ns));
        }
    }
    let end = end.unwrap_or(trace.span(parent).end_ns);
    (start < end).then_some(start..end)
}

/// Time of a hold by what runs beside it under the same parent.
fn add_during(trace: &Trace, index: usize, hold: &std::ops::Range<u64>, during: &mut BTreeMap<String, u128>) {
    let Some(parent) = trace.parent(index) else { return };
    for sibling in trace.children(parent).iter().filter(|sibling| **sibling != index) {
        let span = trace.span(*sibling);
        let (start, end) = (span.start_ns.max(hold.start), span.end_ns.min(hold.end));
        if start < end {
            *during.entry(activity(trace, *sibling)).or_default() += u128::from(end - start);
        }
    }
}

/// The name of a span's operation, and whom it calls if the name does not say.
fn activity(trace: &Trace, index: usize) -> String {
    let name = operation(trace.span(index));
    match outside_peer(trace, index) {
        Some((peer, _)) if !name.contains(&*peer) => format!("{name} ({peer})"),
        _ => name.to_string(),
    }
}

/// Integral of (connections held) over the time in which at least one waits, and that time, in nanoseconds.
fn held_while_waiting(pool: &Pool) -> (f64, f64) {
    let mut changes: Vec<(u64, i64, i64)> = Vec::new();
    for (start, end) in &pool.waits {
        changes.push((*start, 1, 0));
        changes.push((*end, -1, 0));
    }
    for (start, end) in &pool.holds {
        changes.push((*start, 0, 1));
        changes.push((*end, 0, -1));
    }
    changes.sort_unstable();
    let (mut waiting, mut held, mut previous) = (0, 0, 0);
    let (mut held_ns, mut waited_ns) = (0.0, 0.0);
    for (at, waits, holds) in changes {
        if waiting > 0 {
            let ns = (at - previous) as f64;
            held_ns += held as f64 * ns;
            waited_ns += ns;
        }
        waiting += waits;
        held += holds;
        previous = at;
    }
    (held_ns, waited_ns)
}
