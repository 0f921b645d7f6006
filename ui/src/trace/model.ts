// A trace as the waterfall draws it: one row per span, parents before children, children by start.
//
//   Jaeger JSON ──buildTrace──▶ rows (depth first) ──visibleRows(collapsed)──▶ what is on screen
//   critical path sections ──pathBySpan──▶ intervals per span, in µs from the trace's start
import type { CriticalPath, PathSection } from "../api/eino";
import type { JaegerSpan, JaegerTag, JaegerTrace } from "../api/jaeger";

export interface Row {
  span: JaegerSpan;
  service: string;
  /** The parent is of the same service. */
  inService: boolean;
  resource: JaegerTag[];
  depth: number;
  /** Rows below this one that are its descendants. */
  descendants: number;
  /** µs from the start of the trace. */
  startUs: number;
  /** Time in which no child runs, µs. */
  selfUs: number;
  failed: boolean;
}

export interface TraceModel {
  id: string;
  rows: Row[];
  /** Unix µs. */
  startUs: number;
  durationUs: number;
  /** Sorted by name. */
  services: string[];
  errors: number;
  depth: number;
}

/** Never fails: orphans become roots, cycles are cut at the span seen first, doubled ids are kept once. */
export function buildTrace(trace: JaegerTrace): TraceModel {
  const byId = new Map<string, JaegerSpan>();
  for (const span of trace.spans) if (!byId.has(span.spanID)) byId.set(span.spanID, span);
  const spans = [...byId.values()].sort(byStart);
  const children = new Map<string, JaegerSpan[]>();
  const roots: JaegerSpan[] = [];
  for (const span of spans) {
    const parent = parentOf(span, byId);
    if (parent === null) roots.push(span);
    else children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const startUs = Math.min(...spans.map((span) => span.startTime));
  const endUs = Math.max(...spans.map((span) => span.startTime + span.duration));
  const rows = order(roots, spans, children).map(({ span, depth }) => toRow(trace, span, depth, children, startUs));
  linkServices(rows);
  countDescendants(rows);
  return {
    id: trace.traceID,
    rows,
    startUs: spans.length > 0 ? startUs : 0,
    durationUs: spans.length > 0 ? endUs - startUs : 0,
    services: [...new Set(rows.map((row) => row.service))].sort(),
    errors: rows.filter((row) => row.failed).length,
    depth: rows.reduce((max, row) => Math.max(max, row.depth + 1), 0),
  };
}

function byStart(a: JaegerSpan, b: JaegerSpan): number {
  return a.startTime - b.startTime || b.duration - a.duration || (a.spanID < b.spanID ? -1 : 1);
}

function parentOf(span: JaegerSpan, byId: Map<string, JaegerSpan>): string | null {
  const reference = span.references?.find((ref) => ref.refType === "CHILD_OF" && ref.traceID === span.traceID);
  return reference && reference.spanID !== span.spanID && byId.has(reference.spanID) ? reference.spanID : null;
}

/** Depth first with an own stack: a chain of 20 000 spans must not overflow. Spans of a cycle come last, as roots. */
function order(roots: JaegerSpan[], all: JaegerSpan[], children: Map<string, JaegerSpan[]>) {
  const seen = new Set<string>();
  const ordered: { span: JaegerSpan; depth: number }[] = [];
  for (const root of [...roots, ...all]) {
    const stack = [{ span: root, depth: 0 }];
    for (let item = stack.pop(); item; item = stack.pop()) {
      if (seen.has(item.span.spanID)) continue;
      seen.add(item.span.spanID);
      ordered.push(item);
      const below = children.get(item.span.spanID) ?? [];
      for (let i = below.length - 1; i >= 0; i -= 1) {
        const span = below[i];
        if (span) stack.push({ span, depth: item.depth + 1 });
      }
    }
  }
  return ordered;
}

function toRow(
  trace: JaegerTrace,
  span: JaegerSpan,
  depth: number,
  children: Map<string, JaegerSpan[]>,
  startUs: number,
): Row {
  const process = trace.processes[span.processID];
  return {
    span,
    depth,
    service: process?.serviceName ?? "?",
    inService: false,
    resource: process?.tags ?? [],
    descendants: 0,
    startUs: span.startTime - startUs,
    selfUs: selfTime(span, children.get(span.spanID) ?? []),
    failed: isFailed(span),
  };
}

/** The span's duration without the union of its children's, clipped to it. `children` by start. */
export function selfTime(span: JaegerSpan, children: JaegerSpan[]): number {
  let covered = 0;
  let until = span.startTime;
  const end = span.startTime + span.duration;
  for (const child of children) {
    const from = Math.max(child.startTime, until);
    const to = Math.min(child.startTime + child.duration, end);
    if (to > from) {
      covered += to - from;
      until = to;
    }
  }
  return Math.max(0, span.duration - covered);
}

export function isFailed(span: JaegerSpan): boolean {
  return span.tags.some(
    ({ key, value }) =>
      (key === "error" && (value === true || value === "true")) || (key === "otel.status_code" && value === "ERROR"),
  );
}

function linkServices(rows: Row[]): void {
  const above: string[] = [];
  for (const row of rows) {
    row.inService = row.depth > 0 && above[row.depth - 1] === row.service;
    above[row.depth] = row.service;
  }
}

function countDescendants(rows: Row[]): void {
  const open: number[] = [];
  rows.forEach((row, i) => {
    while (open.length > row.depth) closeLast(rows, open, i);
    open.push(i);
  });
  while (open.length > 0) closeLast(rows, open, rows.length);
}

function closeLast(rows: Row[], open: number[], next: number): void {
  const index = open.pop();
  const row = index === undefined ? undefined : rows[index];
  if (row && index !== undefined) row.descendants = next - index - 1;
}

/** Rows that are not below a collapsed one; with `only`, those whose span is in it. */
export function visibleRows(rows: Row[], collapsed: ReadonlySet<string>, only?: ReadonlySet<string>): Row[] {
  const shown: Row[] = [];
  for (let i = 0; i < rows.length; i += 1) {
    const row = rows[i];
    if (!row) continue;
    if (!only || only.has(row.span.spanID)) shown.push(row);
    if (collapsed.has(row.span.spanID)) i += row.descendants;
  }
  return shown;
}

export interface PathPiece {
  /** µs from the trace's start. */
  startUs: number;
  endUs: number;
  section: PathSection;
}

/** The critical path as pieces in time order: sections are offsets from their root, roots start where they start. */
export function pathPieces(path: CriticalPath, trace: TraceModel): PathPiece[] {
  const starts = new Map(trace.rows.map((row) => [row.span.spanID, row.startUs]));
  return path.roots.flatMap((root) => {
    const rootUs = starts.get(root.span_id) ?? 0;
    return root.sections.map((section) => ({
      startUs: rootUs + section.start_ns / 1000,
      endUs: rootUs + section.end_ns / 1000,
      section,
    }));
  });
}

export function piecesBySpan(pieces: PathPiece[]): Map<string, PathPiece[]> {
  const bySpan = new Map<string, PathPiece[]>();
  for (const piece of pieces) {
    const list = bySpan.get(piece.section.span_id);
    if (list) list.push(piece);
    else bySpan.set(piece.section.span_id, [piece]);
  }
  return bySpan;
}

/** Time on the path by service and operation, most first. */
export function pathTotals(
  pieces: PathPiece[],
): { service: string; operation: string; us: number; class: PathSection["class"] }[] {
  const totals = new Map<string, { service: string; operation: string; us: number; class: PathSection["class"] }>();
  for (const { section, startUs, endUs } of pieces) {
    const key = `${section.service}\u0000${section.operation}\u0000${section.class}`;
    const total = totals.get(key) ?? {
      service: section.service,
      operation: section.operation,
      us: 0,
      class: section.class,
    };
    total.us += endUs - startUs;
    totals.set(key, total);
  }
  return [...totals.values()].sort((a, b) => b.us - a.us);
}

/** What a list of traces says of one of them. */
export interface TraceSummary {
  id: string;
  rootService: string;
  rootOperation: string;
  rootMissing: boolean;
  startUs: number;
  durationUs: number;
  spans: number;
  errors: number;
  /** Spans per service, most first. */
  services: [string, number][];
}

export function summarize(trace: JaegerTrace): TraceSummary {
  const model = buildTrace(trace);
  const root = model.rows[0];
  const counts = new Map<string, number>();
  for (const row of model.rows) counts.set(row.service, (counts.get(row.service) ?? 0) + 1);
  return {
    id: model.id,
    rootService: root?.service ?? "?",
    rootOperation: root?.span.operationName ?? "?",
    rootMissing: (root?.span.references?.length ?? 0) > 0,
    startUs: model.startUs,
    durationUs: model.durationUs,
    spans: model.rows.length,
    errors: model.errors,
    services: [...counts.entries()].sort((a, b) => b[1] - a[1]),
  };
}

export type SortOrder = "time" | "duration" | "spans" | "errors";

export function sortSummaries(list: TraceSummary[], order: SortOrder): TraceSummary[] {
  const newest = (a: TraceSummary, b: TraceSummary) => b.startUs - a.startUs;
  const by: Record<SortOrder, (a: TraceSummary, b: TraceSummary) => number> = {
    time: newest,
    duration: (a, b) => b.durationUs - a.durationUs || newest(a, b),
    spans: (a, b) => b.spans - a.spans || newest(a, b),
    errors: (a, b) => b.errors - a.errors || newest(a, b),
  };
  return [...list].sort(by[order]);
}
