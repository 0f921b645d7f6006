// Our own API under /eino/v1: types of its answers and the calls.
import type { Lang } from "../i18n";
import type { TimeRange } from "../time/range";
import { getJson } from "./http";

export type CauseKind =
  "pool_wait" | "lock_wait" | "self_time" | "downstream" | "network" | "retry" | "n_plus_one" | "error" | "saturation";

export interface ServiceRow {
  service: string;
  requests: number;
  rate_per_s: number;
  avg_ms: number;
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
  error_ratio: number;
}

export interface Bottleneck {
  rank: number;
  service: string;
  operation: string;
  /** Share of the critical path of all traces, 0 to 1. */
  critical_path_share: number;
  /** How much larger its share is among the slowest traces than among the others. */
  tail_lift: number;
  saving_p99_ms: number;
  saving_reference: "body_median" | "healthy_window" | "what_if";
  cause: { kind: CauseKind; evidence: string[] };
  /** Votes that agree over votes there are, 0 to 1. */
  confidence: number;
  /** Independent looks at whether this is the bottleneck. */
  votes?: { name: string; agrees: boolean; detail: string }[];
}

export interface EntryPoint {
  service: string;
  operation: string;
  p99_ms: number;
  bottlenecks: Bottleneck[];
}

export interface Report {
  window: { start_ms: number; end_ms: number };
  traces: number;
  services: ServiceRow[];
  entry_points: EntryPoint[];
  mermaid?: string;
}

export interface GraphNode {
  id: string;
  kind: "service" | "external" | "user";
  rate_per_s?: number | null;
  error_ratio?: number | null;
  p95_ms?: number | null;
  hot?: boolean;
  saving_p99_ms?: number | null;
}

export interface GraphEdge {
  source: string;
  target: string;
  calls: number;
  rate_per_s?: number | null;
  errors: number;
  p95_ms?: number | null;
  connection_type?: string;
}

export interface ServiceGraph {
  nodes: GraphNode[];
  edges: GraphEdge[];
}

export interface Status {
  version?: string;
  role?: string;
  started_ms?: number;
  now_ms?: number;
  listeners?: Record<string, string>;
  warnings?: unknown[];
  stores?: unknown;
  [key: string]: unknown;
}

export type SectionClass = "self" | "network" | "pool_wait" | "lock_wait" | "queue_wait" | "retry";

export interface PathSection {
  span_id: string;
  service: string;
  operation: string;
  class: SectionClass;
  /** From the root's start. */
  start_ns: number;
  end_ns: number;
}

export interface CriticalPath {
  trace_id: string;
  roots: { span_id: string; duration_ns: number; sections: PathSection[] }[];
}

/** `start` and `end` as Unix seconds. */
export function windowOf(range: TimeRange): { start: number; end: number } {
  return { start: range.startMs / 1000, end: range.endMs / 1000 };
}

/** `lang`: of the evidence. */
export async function fetchReport(range: TimeRange, lang: Lang, signal: AbortSignal): Promise<Report> {
  return (await getJson("eino/v1/bottlenecks", { ...windowOf(range), lang }, signal)) as Report;
}

export async function fetchGraph(range: TimeRange, signal: AbortSignal): Promise<ServiceGraph> {
  return (await getJson("eino/v1/service-graph", windowOf(range), signal)) as ServiceGraph;
}

export async function fetchStatus(signal: AbortSignal): Promise<Status> {
  return (await getJson("eino/v1/status", {}, signal)) as Status;
}

export async function fetchCriticalPath(traceId: string, signal: AbortSignal): Promise<CriticalPath> {
  return (await getJson(`eino/v1/traces/${encodeURIComponent(traceId)}/critical-path`, {}, signal)) as CriticalPath;
}
