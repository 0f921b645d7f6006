//! The critical path as the HTTP API answers it.

use model::{SpanId, TraceId};

use crate::{Class, Overflow, Trace, critical_path};

/// Critical paths of a trace.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CriticalPathJson {
    pub trace_id: TraceId,
    pub roots: Vec<RootPathJson>,
}

/// Critical path of one root, earliest section first.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RootPathJson {
    pub span_id: SpanId,
    pub duration_ns: u64,
    pub sections: Vec<SectionJson>,
}

/// A section; times are offsets from the root's start.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SectionJson {
    pub span_id: SpanId,
    pub service: String,
    pub operation: String,
    pub class: Class,
    pub start_ns: u64,
    pub end_ns: u64,
}

/// Critical paths of a trace in the shape of `GET /eino/v1/traces/{id}/critical-path`.
pub fn critical_path_json(trace_id: TraceId, trace: &Trace, overflow: Overflow) -> CriticalPathJson {
    let paths = critical_path(trace, overflow);
    let roots = paths.iter().map(|path| {
        let root = trace.span(path.root);
        let sections = path.sections.iter().map(|section| {
            let span = trace.span(section.span);
            SectionJson {
                span_id: span.span_id,
                service: span.service().to_string(),
                operation: span.name.to_string(),
                class: section.class,
                start_ns: section.start_ns - root.start_ns,
                end_ns: section.end_ns - root.start_ns,
            }
        });
        RootPathJson { span_id: root.span_id, duration_ns: root.duration_ns(), sections: sections.collect() }
    });
    CriticalPathJson { trace_id, roots: roots.collect() }
}
