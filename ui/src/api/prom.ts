// Metrics, through Prometheus' API under /api/v1.
import type { TimeRange } from "../time/range";
import { ApiError, getJson } from "./http";

export type Labels = Record<string, string>;
export type Point = [number, string];

export interface Series {
  metric: Labels;
  values: Point[];
}

/** Answer of an instant query, with its warnings. */
export type Instant = { warnings: string[] } & (
  | { resultType: "vector"; result: { metric: Labels; value: Point }[] }
  | { resultType: "scalar" | "string"; result: Point }
  | { resultType: "matrix"; result: Series[] }
);

export interface Target {
  labels: Labels;
  discoveredLabels?: Labels;
  scrapePool: string;
  scrapeUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: "up" | "down" | "unknown";
}

interface Envelope<T> {
  status: string;
  data: T;
  warnings?: string[];
  infos?: string[];
  error?: string;
  errorType?: string;
}

export async function queryRange(
  expr: string,
  range: TimeRange,
  step: number,
  signal: AbortSignal,
): Promise<{ series: Series[]; warnings: string[] }> {
  const start = Math.floor(range.startMs / 1000 / step) * step;
  const end = Math.ceil(range.endMs / 1000 / step) * step;
  const answer = await ask<{ result: Series[] }>("query_range", { query: expr, start, end, step }, signal);
  return { series: answer.data.result, warnings: notes(answer) };
}

export async function queryInstant(expr: string, timeMs: number, signal: AbortSignal): Promise<Instant> {
  const answer = await ask<Instant>("query", { query: expr, time: timeMs / 1000 }, signal);
  return { ...answer.data, warnings: notes(answer) };
}

export async function fetchTargets(signal: AbortSignal): Promise<Target[]> {
  const answer = await ask<{ activeTargets: Target[] | null }>("targets", { state: "active" }, signal);
  return answer.data.activeTargets ?? [];
}

async function ask<T>(path: string, query: Record<string, string | number>, signal: AbortSignal): Promise<Envelope<T>> {
  const answer = (await getJson(`api/v1/${path}`, query, signal)) as Envelope<T>;
  if (answer.status !== "success") throw new ApiError(answer.error ?? "no answer", 200, answer.errorType ?? "");
  return answer;
}

function notes<T>(answer: Envelope<T>): string[] {
  return [...(answer.warnings ?? []), ...(answer.infos ?? [])];
}

/** `name{a="b", c="d"}`, the name of a series as PromQL writes it. */
export function seriesName(metric: Labels): string {
  const { __name__: name = "", ...labels } = metric;
  const pairs = Object.keys(labels)
    .sort()
    .map((key) => `${key}=${JSON.stringify(labels[key])}`);
  return pairs.length === 0 ? name || "{}" : `${name}{${pairs.join(", ")}}`;
}

/** Line and column, from 1, of a parse error, as its text names them: `1:8: parse error: …`. */
export function errorPosition(message: string): { line: number; column: number } | null {
  const match = /(?:^|\s)(\d+):(\d+):/.exec(message);
  return match ? { line: Number(match[1]), column: Number(match[2]) } : null;
}
