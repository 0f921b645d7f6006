// Prometheus matrices as columns for the chart, and the numbers of its legend. Pure.
import { type Labels, type Series, seriesName } from "../api/prom";

/** More lines than this tell nobody anything; the page says how many were left out. */
export const LINES_MAX = 40;

export interface Line {
  key: string;
  /** The labels in which the series differ, or the whole name. */
  name: string;
  values: (number | null)[];
  mean: number | null;
  max: number | null;
  last: number | null;
}

export interface Chart {
  /** Unix seconds, one per step. */
  times: number[];
  lines: Line[];
  /** Series over `LINES_MAX`. */
  hidden: number;
}

/** One column per series on a common grid of steps; a missing point is a gap. Largest maximum first. */
export function toChart(series: Series[], startS: number, endS: number, step: number): Chart {
  const first = Math.floor(startS / step) * step;
  const slots = Math.max(0, Math.round((Math.ceil(endS / step) * step - first) / step)) + 1;
  const times = Array.from({ length: slots }, (_, i) => first + i * step);
  const names = shortNames(series.map((one) => one.metric));
  const lines = series.map((one, i) => toLine(one, names[i] ?? "", first, step, slots));
  lines.sort((a, b) => (b.max ?? -Infinity) - (a.max ?? -Infinity) || (a.key < b.key ? -1 : 1));
  return { times, lines: lines.slice(0, LINES_MAX), hidden: Math.max(0, lines.length - LINES_MAX) };
}

function toLine(series: Series, name: string, first: number, step: number, slots: number): Line {
  const values = new Array<number | null>(slots).fill(null);
  let [sum, n, max, last] = [0, 0, null as number | null, null as number | null];
  for (const [time, text] of series.values) {
    const value = parseValue(text);
    const slot = Math.round((time - first) / step);
    if (!Number.isFinite(value) || slot < 0 || slot >= slots) continue;
    values[slot] = value;
    sum += value;
    n += 1;
    max = max === null ? value : Math.max(max, value);
    last = value;
  }
  return { key: seriesName(series.metric), name, values, mean: n > 0 ? sum / n : null, max, last };
}

/** `+Inf`, `-Inf` and `NaN` as PromQL writes them. */
export function parseValue(text: string): number {
  if (text === "+Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}

/** Only what tells series apart: labels with the same value everywhere are left out. */
export function shortNames(metrics: Labels[]): string[] {
  if (metrics.length === 1) return metrics.map(seriesName);
  const keys = [...new Set(metrics.flatMap((metric) => Object.keys(metric)))];
  const differing = keys.filter((key) => new Set(metrics.map((metric) => metric[key])).size > 1).sort();
  return metrics.map((metric) => {
    const kept = Object.fromEntries(
      differing.filter((key) => metric[key] !== undefined).map((key) => [key, metric[key] ?? ""]),
    );
    const values = Object.values(kept);
    if (differing.length === 1 && values.length === 1) return values[0] || "{}";
    return seriesName(kept);
  });
}
