import { describe, expect, it } from "vitest";
import { bytes, compact, count, digits, duration, parseDuration, percent, rate, roundMs } from "../src/units/format";

describe("numbers as text", () => {
  it.each([
    [0, "0"],
    [0.0421, "0.0421"],
    [5.714, "5.71"],
    [57.14, "57.1"],
    [571.4, "571"],
    [-3.5, "-3.5"],
    [100, "100"],
    [1e-9, "0"],
  ])("digits %d", (value, want) => expect(digits(value)).toBe(want));

  it.each([
    [0, "0 ms"],
    [0.0000421, "42.1 ns"],
    [0.42, "420 µs"],
    [0.9999, "1 ms"],
    [57.14, "57.1 ms"],
    [999.4, "999 ms"],
    [1234, "1.23 s"],
    [59_940, "59.9 s"],
    [125_000, "2 min 5 s"],
    [3_600_000, "1 h"],
    [90_000_000, "1 d 1 h"],
    [null, "–"],
    [Number.NaN, "–"],
  ])("duration %d ms", (ms, want) => expect(duration(ms)).toBe(want));

  it.each([
    [57.4, "57 ms"],
    [110.3, "110 ms"],
    [4.21, "4.21 ms"],
    [1234, "1.23 s"],
    [undefined, "–"],
  ])("roundMs %d", (ms, want) => expect(roundMs(ms)).toBe(want));

  it.each([
    [0, "0 %"],
    [0.0053, "0.53 %"],
    [0.384, "38.4 %"],
    [1, "100 %"],
    [0.00001, "< 0.01 %"],
    [0.9999, "> 99.9 %"],
    [null, "–"],
  ])("percent %d", (ratio, want) => expect(percent(ratio)).toBe(want));

  it.each([
    [950, "950"],
    [9_999, "9999"],
    [12_345, "12.3k"],
    [3.4e6, "3.4M"],
    [2e9, "2G"],
    [-12_345, "-12.3k"],
  ])("compact %d", (value, want) => expect(compact(value)).toBe(want));

  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [3_870_720, "3.69 MiB"],
    [null, "–"],
  ])("bytes %d", (value, want) => expect(bytes(value)).toBe(want));

  it("groups digits and names rates", () => {
    expect(count(1_234_567, "en")).toBe("1,234,567");
    expect(rate(75.1)).toBe("75.1/s");
    expect(rate(undefined)).toBe("–");
  });
});

describe("durations people write", () => {
  it.each([
    ["100ms", 100],
    ["1.5s", 1500],
    [" 200us ", 0.2],
    ["2 m", 120_000],
    ["7ns", 7e-6],
  ])("%s", (text, want) => {
    expect(parseDuration(text)).toBeCloseTo(want, 9);
  });
  it.each(["", "100", "ms", "-5ms", "1h30m"])("refuses %j", (text) => expect(parseDuration(text)).toBeNull());
});
