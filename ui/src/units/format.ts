// Numbers as people read them. Three significant digits are enough to act on; the raw value is one hover away.
import type { Lang } from "../i18n";

export const DASH = "–";

function locale(lang: Lang): string {
  return lang === "zh" ? "zh-CN" : "en-US";
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** At most three significant digits, no exponent: 0.042 · 5.71 · 57.1 · 571 · 5710. */
export function digits(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  const decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : Math.min(6, 2 - Math.floor(Math.log10(size)));
  const text = value.toFixed(decimals);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A duration given in milliseconds: 420 µs · 57.1 ms · 1.2 s · 2 min 5 s. */
export function duration(ms: number | null | undefined): string {
  if (!isNumber(ms)) return DASH;
  const size = Math.abs(ms);
  if (size === 0) return "0 ms";
  if (size < 0.001) return `${digits(ms * 1e6)} ns`;
  if (size < 0.9995) return `${digits(ms * 1e3)} µs`;
  if (size < 999.5) return `${digits(ms)} ms`;
  if (size < 60e3) return `${digits(ms / 1e3)} s`;
  return longDuration(ms);
}

function longDuration(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1e3);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return (ms < 0 ? "-" : "") + shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** Whole milliseconds where that says enough: 57 ms, 110 ms, but 4.2 ms. */
export function roundMs(ms: number | null | undefined): string {
  if (!isNumber(ms)) return DASH;
  return Math.abs(ms) >= 10 && Math.abs(ms) < 1000 ? `${Math.round(ms)} ms` : duration(ms);
}

export function nanos(ns: number): string {
  return duration(ns / 1e6);
}

/** A share of one: 0.5 % · 12 % · 100 %. Never rounds something to nothing or a part to all. */
export function percent(ratio: number | null | undefined): string {
  if (!isNumber(ratio)) return DASH;
  const value = ratio * 100;
  if (value === 0) return "0 %";
  if (value > 0 && value < 0.01) return "< 0.01 %";
  if (value < 100 && value > 99.9) return "> 99.9 %";
  return `${value >= 10 ? Math.round(value * 10) / 10 : digits(value)} %`;
}

/** Events per second. */
export function rate(perSecond: number | null | undefined): string {
  return isNumber(perSecond) ? `${compact(perSecond)}/s` : DASH;
}

/** 950 · 1.2k · 3.4M: for axes and tables where place is short. */
export function compact(value: number): string {
  const size = Math.abs(value);
  for (const [limit, suffix] of [
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ] as const) {
    if (size >= limit) return digits(value / (suffix === "k" ? 1e3 : limit)) + suffix;
  }
  return digits(value);
}

/** Every digit, grouped: 12,345. */
export function count(value: number | null | undefined, lang: Lang): string {
  return isNumber(value) ? new Intl.NumberFormat(locale(lang)).format(value) : DASH;
}

export function bytes(value: number | null | undefined): string {
  if (!isNumber(value)) return DASH;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${digits(value / 1024 ** power)} ${units[power]}`;
}

/** Local time of day, 24 h, with milliseconds when asked. */
export function clockTime(ms: number, lang: Lang, precise = false): string {
  const options: Intl.DateTimeFormatOptions = {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  };
  if (precise) options.fractionalSecondDigits = 3;
  return new Intl.DateTimeFormat(lang === "zh" ? "zh-CN" : "en-GB", options).format(ms);
}

/** Local date and time, 24 h. */
export function dateTime(ms: number, lang: Lang): string {
  const options: Intl.DateTimeFormatOptions = {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  };
  return new Intl.DateTimeFormat(lang === "zh" ? "zh-CN" : "en-GB", options).format(ms);
}

/** A time relative to now: "3 seconds ago". */
export function ago(ms: number, nowMs: number, lang: Lang): string {
  const seconds = Math.round((ms - nowMs) / 1000);
  const format = new Intl.RelativeTimeFormat(locale(lang), { numeric: "auto" });
  const size = Math.abs(seconds);
  if (size < 90) return format.format(seconds, "second");
  if (size < 90 * 60) return format.format(Math.round(seconds / 60), "minute");
  if (size < 36 * 3600) return format.format(Math.round(seconds / 3600), "hour");
  return format.format(Math.round(seconds / 86400), "day");
}

/** Milliseconds of a written duration such as `100ms`, `1.5s`, `200us`; null = not one. */
export function parseDuration(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m)\s*$/.exec(text);
  const scale: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 60e3 };
  return match ? Number(match[1]) * (scale[match[2] ?? ""] ?? Number.NaN) : null;
}
