//! Spans to columns.

use std::collections::HashMap;
use std::sync::Arc;

use codec::{put_bytes, put_varint, zigzag};
use model::{Resource, Scope, Span, SpanId, StatusCode};

use super::attributes::AttributesWriter;
use super::section::put_section;
use super::strings::StringsWriter;
use super::values::put_pairs;

/// Appends a page of `spans` to `out`. `level` is zstd's.
pub(crate) fn encode(spans: &[Arc<Span>], level: i32, out: &mut Vec<u8>) {
    let mut strings = StringsWriter::new();
    let core = encode_core(spans, &mut strings);
    let detail = encode_detail(spans, &mut strings);
    put_section(out, &strings.finish(), level);
    put_section(out, &core, level);
    put_section(out, &detail, level);
}

#[derive(Default)]
struct CoreColumns {
    span_id: Vec<u8>,
    start: Vec<u8>,
    duration: Vec<u8>,
    parent: Vec<u8>,
    parent_raw: Vec<u8>,
    name: Vec<u8>,
    resource: Vec<u8>,
    scope: Vec<u8>,
    kind_status: Vec<u8>,
}

fn encode_core<'a>(spans: &'a [Arc<Span>], strings: &mut StringsWriter<'a>) -> Vec<u8> {
    let start_min = spans.iter().map(|span| span.start_ns).min().unwrap_or_default();
    let mut columns = CoreColumns::default();
    let mut resources = Table::default();
    let mut scopes = Table::default();
    let mut runs = Vec::new();
    let mut run_count = 0;
    for run in spans.chunk_by(|left, right| left.trace_id == right.trace_id) {
        run_count += 1;
        if let Some(first) = run.first() {
            runs.extend_from_slice(&first.trace_id.0);
        }
        put_varint(&mut runs, run.len() as u64);
        put_times(&mut columns, run, start_min);
        put_parents(&mut columns, run);
        for span in run {
            strings.put_code(&mut columns.name, &span.name);
            let resource = resources.index(&span.resource, |out, it| put_resource(out, strings, it));
            put_varint(&mut columns.resource, resource);
            let scope = scopes.index(&span.scope, |out, it| put_scope(out, strings, it));
            put_varint(&mut columns.scope, scope);
            columns.kind_status.push(span.kind.to_otlp() as u8 | status_number(span.status.code) << 3);
        }
    }
    let mut core = Vec::with_capacity(spans.len() * 24);
    put_varint(&mut core, spans.len() as u64);
    put_varint(&mut core, start_min);
    put_varint(&mut core, run_count);
    core.extend_from_slice(&runs);
    resources.finish(&mut core);
    scopes.finish(&mut core);
    let CoreColumns { span_id, start, duration, parent, parent_raw, name, resource, scope, kind_status } =
        columns;
    for column in [span_id, start, duration, parent, parent_raw, name, resource, scope, kind_status] {
        put_bytes(&mut core, &column);
    }
    core
}

fn put_times(columns: &mut CoreColumns, run: &[Arc<Span>], start_min: u64) {
    let mut previous = start_min;
    for span in run {
        columns.span_id.extend_from_slice(&span.span_id.0);
        put_varint(&mut columns.start, zigzag(span.start_ns.wrapping_sub(previous) as i64));
        put_varint(&mut columns.duration, span.end_ns.wrapping_sub(span.start_ns));
        previous = span.start_ns;
    }
}

/// Up to this run length a parent is found by looking at every row.
const LINEAR_SEARCH_MAX: usize = 16;

fn put_parents(columns: &mut CoreColumns, run: &[Arc<Span>]) {
    let rows: HashMap<SpanId, usize, foldhash::fast::RandomState> = if run.len() > LINEAR_SEARCH_MAX {
        run.iter().enumerate().map(|(row, span)| (span.span_id, row)).collect()
    } else {
        HashMap::default()
    };
    for (row, span) in run.iter().enumerate() {
        let Some(parent) = span.parent_span_id else {
            columns.parent.push(0);
            continue;
        };
        let parent_row = if run.len() > LINEAR_SEARCH_MAX {
            rows.get(&parent).copied()
        } else {
            run.iter().position(|candidate| candidate.span_id == parent)
        };
        match parent_row {
            Some(parent_row) => {
                put_varint(&mut columns.parent, 2 + zigzag(parent_row as i64 - row as i64));
            }
            None => {
                columns.parent.push(1);
                columns.parent_raw.extend_from_slice(&parent.0);
            }
        }
    }
}

pub(super) fn status_number(code: StatusCode) -> u8 {
    match code {
        StatusCode::Unset => 0,
        StatusCode::Ok => 1,
        StatusCode::Error => 2,
    }
}

fn put_resource<'a>(out: &mut Vec<u8>, strings: &mut StringsWriter<'a>, resource: &'a Resource) {
    strings.put_code(out, &resource.service);
    put_pairs(out, strings, &resource.attributes);
}

fn put_scope<'a>(out: &mut Vec<u8>, strings: &mut StringsWriter<'a>, scope: &'a Scope) {
    strings.put_code(out, &scope.name);
    strings.put_code(out, &scope.version);
    put_pairs(out, strings, &scope.attributes);
}

/// Distinct values; the same allocation is recognised without looking inside.
#[derive(Default)]
struct Table {
    by_address: HashMap<usize, u64, foldhash::fast::RandomState>,
    by_content: HashMap<Vec<u8>, u64, foldhash::fast::RandomState>,
    list: Vec<u8>,
}

impl Table {
    fn index<'a, T>(&mut self, value: &'a Arc<T>, encode: impl FnOnce(&mut Vec<u8>, &'a T)) -> u64 {
        let address = Arc::as_ptr(value) as usize;
        if let Some(index) = self.by_address.get(&address) {
            return *index;
        }
        let mut blob = Vec::new();
        encode(&mut blob, value);
        let next = self.by_content.len() as u64;
        let index = match self.by_content.get(&blob) {
            Some(index) => *index,
            None => {
                put_bytes(&mut self.list, &blob);
                self.by_content.insert(blob, next);
                next
            }
        };
        self.by_address.insert(address, index);
        index
    }

    fn finish(&self, out: &mut Vec<u8>) {
        put_varint(out, self.by_content.len() as u64);
        out.extend_from_slice(&self.list);
    }
}

#[derive(Default)]
struct DetailColumns {
    flags: Vec<u8>,
    rare: Vec<u8>,
    event_count: Vec<u8>,
    event: Vec<u8>,
    link_count: Vec<u8>,
    link: Vec<u8>,
    attributes: AttributesWriter,
    event_attributes: AttributesWriter,
    link_attributes: AttributesWriter,
}

fn encode_detail<'a>(spans: &'a [Arc<Span>], strings: &mut StringsWriter<'a>) -> Vec<u8> {
    let mut columns = DetailColumns::default();
    for span in spans {
        put_rare(&mut columns, span, strings);
        columns.attributes.push(strings, &span.attributes);
        put_varint(&mut columns.event_count, span.events.len() as u64);
        for event in &span.events {
            put_varint(&mut columns.event, zigzag(event.time_ns.wrapping_sub(span.start_ns) as i64));
            strings.put_code(&mut columns.event, &event.name);
            put_varint(&mut columns.event, u64::from(event.dropped_attributes));
            columns.event_attributes.push(strings, &event.attributes);
        }
        put_varint(&mut columns.link_count, span.links.len() as u64);
        for link in &span.links {
            columns.link.extend_from_slice(&link.trace_id.0);
            columns.link.extend_from_slice(&link.span_id.0);
            strings.put_code(&mut columns.link, &link.trace_state);
            put_varint(&mut columns.link, u64::from(link.flags));
            columns.link_attributes.push(strings, &link.attributes);
        }
    }
    let mut detail = Vec::new();
    put_bytes(&mut detail, &columns.flags);
    put_bytes(&mut detail, &columns.rare);
    columns.attributes.finish(&mut detail);
    put_bytes(&mut detail, &columns.event_count);
    put_bytes(&mut detail, &columns.event);
    columns.event_attributes.finish(&mut detail);
    put_bytes(&mut detail, &columns.link_count);
    put_bytes(&mut detail, &columns.link);
    columns.link_attributes.finish(&mut detail);
    detail
}

/// Fields that most spans lack: one byte 0, or 1 and the fields.
fn put_rare<'a>(columns: &mut DetailColumns, span: &'a Span, strings: &mut StringsWriter<'a>) {
    put_varint(&mut columns.flags, u64::from(span.flags));
    let dropped = [span.dropped_attributes, span.dropped_events, span.dropped_links];
    let has_rare = dropped != [0; 3] || !span.trace_state.is_empty() || !span.status.message.is_empty();
    columns.rare.push(u8::from(has_rare));
    if has_rare {
        strings.put_code(&mut columns.rare, &span.trace_state);
        strings.put_code(&mut columns.rare, &span.status.message);
        for count in dropped {
            put_varint(&mut columns.rare, u64::from(count));
        }
    }
}
