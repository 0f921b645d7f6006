// Traces, through Jaeger's query API under /jaeger.
import { getJson } from "./http";

export interface JaegerTag {
  key: string;
  type?: string;
  value: unknown;
}

export interface JaegerSpan {
  traceID: string;
  spanID: string;
  processID: string;
  operationName: string;
  /** Unix microseconds. */
  startTime: number;
  /** Microseconds. */
  duration: number;
  tags: JaegerTag[];
  logs?: { timestamp: number; fields: JaegerTag[] }[];
  references?: { refType: string; traceID: string; spanID: string }[];
  warnings?: string[] | null;
}

export interface JaegerTrace {
  traceID: string;
  spans: JaegerSpan[];
  processes: Record<string, { serviceName: string; tags?: JaegerTag[] }>;
}

/** What a search asks; durations as Go writes them (`100ms`), times in Unix ms. */
export interface Search {
  service: string;
  operation: string;
  /** Attribute names and values that one span of the trace must have. */
  tags: Record<string, string>;
  minDuration: string;
  maxDuration: string;
  limit: number;
  startMs: number;
  endMs: number;
}

export async function fetchServices(signal: AbortSignal): Promise<string[]> {
  return data<string[]>(await getJson("jaeger/api/services", {}, signal)) ?? [];
}

export async function fetchOperations(service: string, signal: AbortSignal): Promise<string[]> {
  const path = `jaeger/api/services/${encodeURIComponent(service)}/operations`;
  return data<string[]>(await getJson(path, {}, signal)) ?? [];
}

export async function searchTraces(search: Search, signal: AbortSignal): Promise<JaegerTrace[]> {
  const query = {
    service: search.service,
    operation: search.operation,
    tags: Object.keys(search.tags).length > 0 ? JSON.stringify(search.tags) : undefined,
    minDuration: search.minDuration,
    maxDuration: search.maxDuration,
    limit: search.limit,
    start: Math.floor(search.startMs * 1000),
    end: Math.ceil(search.endMs * 1000),
  };
  return data<JaegerTrace[]>(await getJson("jaeger/api/traces", query, signal)) ?? [];
}

/** One trace; null when the server has none with this id. */
export async function fetchTrace(id: string, signal: AbortSignal): Promise<JaegerTrace | null> {
  const found = data<JaegerTrace[]>(await getJson(`jaeger/api/traces/${encodeURIComponent(id)}`, {}, signal));
  return found?.[0] ?? null;
}

function data<T>(envelope: unknown): T | null {
  return (envelope as { data?: T | null }).data ?? null;
}

/** `key=value key2="two words"` as an object; null names text that is not of this form. */
export function parseTags(text: string): Record<string, string> | null {
  const tags: Record<string, string> = {};
  const pair = /\s*([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)\s*/y;
  while (pair.lastIndex < text.trimEnd().length) {
    const match = pair.exec(text);
    if (!match?.[1]) return null;
    const value = match[2] ?? "";
    tags[match[1]] = value.startsWith('"') && value.length > 1 ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
  }
  return tags;
}
