import { describe, expect, it } from "vitest";
import { minutesText, quickMinutes } from "../src/time/picker";
import { translator } from "../src/i18n";
import { fixed, parseInstant, rateWindowSeconds, resolve, shift, stepSeconds, zoomOut } from "../src/time/range";

const NOW = Date.parse("2026-11-22T10:30:15.500Z");

describe("instants", () => {
  it.each([
    ["now", NOW],
    ["now-15m", NOW - 900_000],
    ["now+1h", NOW + 3_600_000],
    ["now-2w", NOW - 1_209_600_000],
    ["1763850000000", 1763850000000],
    ["1763850000", 1763850000000],
    ["2026-11-22T10:00:00Z", Date.parse("2026-11-22T10:00:00Z")],
  ])("%s", (text, want) => expect(parseInstant(text, NOW, "from")).toBe(want));

  it.each(["", "yesterday", "now-", "now-5y", "now - 5m", "15m", "2026", "-5", "1e12"])("refuses %j", (text) => {
    expect(parseInstant(text, NOW, "from")).toBeNull();
  });

  it("rounds a start down and an end up, in local time", () => {
    const start = new Date(parseInstant("now-1d/d", NOW, "from") ?? 0);
    const end = new Date(parseInstant("now-1d/d", NOW, "to") ?? 0);
    expect([start.getHours(), start.getMinutes(), start.getMilliseconds()]).toEqual([0, 0, 0]);
    expect([end.getHours(), end.getMinutes(), end.getMilliseconds()]).toEqual([23, 59, 999]);
    expect(new Date(parseInstant("now/w", NOW, "from") ?? 0).getDay()).toBe(1);
  });
});

describe("ranges", () => {
  it("falls back to the last 15 minutes when an end is not understood or before the start", () => {
    const fallback = { startMs: NOW - 900_000, endMs: NOW };
    expect(resolve({ from: "tomorrow", to: "now" }, NOW)).toEqual(fallback);
    expect(resolve({ from: "now", to: "now-1h" }, NOW)).toEqual(fallback);
    expect(resolve({ from: "now-1h", to: "now" }, NOW)).toEqual({ startMs: NOW - 3_600_000, endMs: NOW });
  });

  it("moves by half and doubles around the middle", () => {
    const range = { startMs: 1_000_000, endMs: 2_000_000 };
    expect(shift(range, -1)).toEqual({ from: "500000", to: "1500000" });
    expect(zoomOut(range)).toEqual({ from: "500000", to: "2500000" });
    expect(fixed({ startMs: 1.4, endMs: 2.6 })).toEqual({ from: "1", to: "3" });
  });

  it.each([
    [60, 300, 1],
    [900, 300, 5],
    [3600, 300, 15],
    [86_400, 300, 300],
    [30 * 86_400, 300, 10_800 * 2],
    [3650 * 86_400, 300, 1_123_200],
  ])("a range of %d s on %d points has steps of %d s", (seconds, points, want) => {
    expect(stepSeconds({ startMs: 0, endMs: seconds * 1000 }, points)).toBe(want);
  });

  it("keeps enough scrapes in a rate's window", () => {
    expect([1, 15, 60].map(rateWindowSeconds)).toEqual([60, 60, 240]);
  });

  it("names quick ranges in both languages", () => {
    expect([quickMinutes({ from: "now-3h", to: "now" }), quickMinutes({ from: "now-3h", to: "now-1h" })]).toEqual([
      180,
      null,
    ]);
    expect([1, 15, 60, 180, 2880].map((n) => minutesText(n, translator("en")))).toEqual([
      "1 minute",
      "15 minutes",
      "1 hour",
      "3 hours",
      "2 days",
    ]);
    expect(minutesText(60, translator("zh"))).toBe("1 小时");
  });
});
