// Time ranges as the address writes them, and as queries need them.
//
//   now            now-15m           now-1d/d (start of yesterday)       1763850000000 (Unix ms)      2026-11-22T10:00
//   `from` rounds down at `/unit`, `to` rounds up to the end of it, as in Grafana.
import type { Lang } from "../i18n";

export interface RawRange {
  from: string;
  to: string;
}

export interface TimeRange {
  startMs: number;
  endMs: number;
}

export const RANGE_DEFAULT: RawRange = { from: "now-15m", to: "now" };
/** Minutes of the picker's quick choices. */
export const QUICK_MINUTES = [5, 15, 30, 60, 180, 360, 720, 1440, 2880, 10080] as const;
export const REFRESH_CHOICES_S = [0, 5, 10, 30, 60] as const;
export const REFRESH_DEFAULT_S = 10;

const UNIT_MS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };
const RELATIVE = /^now(?:([+-])(\d{1,9})([smhdw]))?(?:\/([mhdw]))?$/;

/** Unix ms of one end of a range; null = not understood. */
export function parseInstant(text: string, nowMs: number, end: "from" | "to"): number | null {
  const relative = RELATIVE.exec(text.trim());
  if (relative) {
    const [, sign, count, unit, floorUnit] = relative;
    const shift = count && unit ? Number(count) * (UNIT_MS[unit] ?? 0) * (sign === "-" ? -1 : 1) : 0;
    const instant = nowMs + shift;
    return floorUnit ? roundTo(instant, floorUnit, end) : instant;
  }
  if (/^\d{9,14}$/.test(text)) return text.length <= 10 ? Number(text) * 1000 : Number(text);
  const parsed = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

/** Rounds in local time: down for a start, up to the last ms for an end. */
function roundTo(instant: number, unit: string, end: "from" | "to"): number {
  const date = new Date(instant);
  date.setSeconds(0, 0);
  if (unit !== "m") date.setMinutes(0);
  if (unit === "d" || unit === "w") date.setHours(0);
  if (unit === "w") date.setDate(date.getDate() - ((date.getDay() + 6) % 7));
  return end === "from" ? date.getTime() : date.getTime() + (UNIT_MS[unit] ?? 0) - 1;
}

/** Both ends in order; the default range where the text is not understood or empty of time. */
export function resolve(raw: RawRange, nowMs: number): TimeRange {
  const startMs = parseInstant(raw.from, nowMs, "from");
  const endMs = parseInstant(raw.to, nowMs, "to");
  const isRange = startMs !== null && endMs !== null && startMs < endMs;
  return isRange ? { startMs, endMs } : { startMs: nowMs - 15 * 60e3, endMs: nowMs };
}

export function isRelative(raw: RawRange): boolean {
  return raw.to.startsWith("now");
}

/** The same length, moved by half of it: back (-1) or forward (1). */
export function shift(range: TimeRange, direction: -1 | 1): RawRange {
  const half = Math.round((range.endMs - range.startMs) / 2) * direction;
  return fixed({ startMs: range.startMs + half, endMs: range.endMs + half });
}

/** Twice the length around the same middle. */
export function zoomOut(range: TimeRange): RawRange {
  const half = Math.round((range.endMs - range.startMs) / 2);
  return fixed({ startMs: range.startMs - half, endMs: range.endMs + half });
}

export function fixed(range: TimeRange): RawRange {
  return { from: String(Math.round(range.startMs)), to: String(Math.round(range.endMs)) };
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400];

/** Whole seconds between points, so that a chart of this range has about `pointsMax` of them at most. */
export function stepSeconds(range: TimeRange, pointsMax: number): number {
  const wanted = (range.endMs - range.startMs) / 1000 / Math.max(pointsMax, 1);
  return STEPS_S.find((step) => step >= wanted) ?? Math.ceil(wanted / 86400) * 86400;
}

/** Window of `rate()` that always holds a few scrapes: four steps, at least a minute. */
export function rateWindowSeconds(step: number): number {
  return Math.max(60, step * 4);
}

/** `2026-11-22 10:00:00` style text of a range's end, in local time, 24 h. */
export function instantText(ms: number, lang: Lang): string {
  const format = new Intl.DateTimeFormat(lang === "zh" ? "zh-CN" : "en-GB", {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
  return format.format(ms);
}

/** Value of an `<input type="datetime-local">`. */
export function inputValue(ms: number): string {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60e3);
  return date.toISOString().slice(0, 19);
}
