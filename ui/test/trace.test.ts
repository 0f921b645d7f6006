import { describe, expect, it } from "vitest";
import type { JaegerSpan, JaegerTrace } from "../src/api/jaeger";
import {
  buildTrace,
  pathPieces,
  pathTotals,
  selfTime,
  sortSummaries,
  summarize,
  visibleRows,
} from "../src/trace/model";
import { niceMax } from "../src/trace/scatter";
import { rowWindow } from "../src/trace/waterfall";

/** `[id, parent, service, start µs, duration µs, failed]` */
type Short = [id: string, parent: string, service: string, start: number, duration: number, failed?: boolean];

function trace(shorts: Short[]): JaegerTrace {
  const spans = shorts.map(([spanID, parent, service, startTime, duration, failed]): JaegerSpan => ({
    traceID: "t",
    spanID,
    processID: service,
    operationName: `op ${spanID}`,
    startTime: 1_000 + startTime,
    duration,
    tags: failed ? [{ key: "error", value: true }] : [],
    references: parent ? [{ refType: "CHILD_OF", traceID: "t", spanID: parent }] : [],
  }));
  return {
    traceID: "t",
    spans,
    processes: Object.fromEntries(shorts.map(([, , service]) => [service, { serviceName: service }])),
  };
}

/** Each row as indentation and id. */
function outline(shorts: Short[]): string[] {
  return buildTrace(trace(shorts)).rows.map((row) => ".".repeat(row.depth) + row.span.spanID);
}

const SHOP: Short[] = [
  ["c", "b", "pay", 20, 60, true],
  ["a", "", "gate", 0, 100],
  ["b", "a", "pay", 10, 80],
  ["d", "b", "pay", 80, 5],
  ["e", "a", "stock", 92, 4],
];

describe("the rows of a trace", () => {
  it("stand parents first, children by start", () => expect(outline(SHOP)).toEqual(["a", ".b", "..c", "..d", ".e"]));
  it("orphans become roots", () =>
    expect(
      outline([
        ["a", "", "s", 5, 10],
        ["b", "gone", "s", 0, 3],
      ]),
    ).toEqual(["b", "a"]));
  it("a cycle is cut where it is met", () =>
    expect(
      outline([
        ["a", "b", "s", 0, 9],
        ["b", "a", "s", 1, 5],
      ]),
    ).toEqual(["a", ".b"]));
  it("a span that is its own parent is a root", () => expect(outline([["a", "a", "s", 0, 9]])).toEqual(["a"]));
  it("a doubled id is kept once", () =>
    expect(
      outline([
        ["a", "", "s", 0, 9],
        ["a", "", "s", 3, 9],
      ]),
    ).toEqual(["a"]));
  it("no spans, no rows", () =>
    expect(buildTrace(trace([]))).toMatchObject({ rows: [], durationUs: 0, errors: 0, depth: 0 }));

  it("a chain of 20 000 does not overflow", () => {
    const chain = Array.from({ length: 20_000 }, (_, i): Short => [
      `s${i}`,
      i > 0 ? `s${i - 1}` : "",
      "s",
      i,
      40_000 - 2 * i,
    ]);
    const built = buildTrace(trace(chain));
    expect([built.rows.length, built.depth, built.rows[0]?.descendants]).toEqual([20_000, 20_000, 19_999]);
  });

  it("know their times, failures and services", () => {
    const built = buildTrace(trace(SHOP));
    expect(built).toMatchObject({
      startUs: 1_000,
      durationUs: 100,
      services: ["gate", "pay", "stock"],
      errors: 1,
      depth: 3,
    });
    expect(built.rows.map((row) => row.selfUs)).toEqual([16, 15, 60, 5, 4]);
    expect(built.rows.map((row) => row.descendants)).toEqual([4, 2, 0, 0, 0]);
    expect(built.rows.map((row) => row.inService)).toEqual([false, false, true, true, false]);
  });

  it("hide what is below a closed one, and what is not asked for", () => {
    const { rows } = buildTrace(trace(SHOP));
    const ids = (closed: string[], only?: string[]) =>
      visibleRows(rows, new Set(closed), only && new Set(only))
        .map((row) => row.span.spanID)
        .join("");
    expect([ids([]), ids(["b"]), ids(["a"]), ids([], ["a", "c"]), ids(["b"], ["a", "c"])]).toEqual([
      "abcde",
      "abe",
      "a",
      "ac",
      "a",
    ]);
  });
});

describe("own time", () => {
  const [parent] = trace([["p", "", "s", 0, 100]]).spans;
  const self = (...children: [number, number][]) =>
    selfTime(parent!, trace(children.map(([start, length], i): Short => [`c${i}`, "p", "s", start, length])).spans);
  it.each([
    [[] as [number, number][], 100],
    [
      [
        [10, 20],
        [20, 20],
      ],
      70,
    ],
    [
      [
        [10, 50],
        [20, 10],
      ],
      50,
    ],
    [
      [
        [-20, 30],
        [90, 50],
      ],
      80,
    ],
    [[[-5, 200]], 0],
    [[[200, 10]], 100],
  ])("children %j", (children, want) => expect(self(...(children as [number, number][]))).toBe(want));
});

describe("the critical path", () => {
  const built = buildTrace(trace(SHOP));
  const section = (
    span_id: string,
    service: string,
    start_ns: number,
    end_ns: number,
    kind: "self" | "pool_wait" = "self",
  ) => ({ span_id, service, operation: `op ${span_id}`, class: kind, start_ns, end_ns });
  const path = {
    trace_id: "t",
    roots: [
      {
        span_id: "b",
        duration_ns: 80_000,
        sections: [
          section("b", "pay", 0, 10_000),
          section("c", "pay", 10_000, 70_000, "pool_wait"),
          section("b", "pay", 70_000, 80_000),
        ],
      },
    ],
  };

  it("starts where its root starts", () => {
    expect(pathPieces(path, built).map(({ startUs, endUs }) => [startUs, endUs])).toEqual([
      [10, 20],
      [20, 80],
      [80, 90],
    ]);
  });
  it("adds up by operation, most first", () => {
    expect(pathTotals(pathPieces(path, built)).map(({ operation, us }) => [operation, us])).toEqual([
      ["op c", 60],
      ["op b", 20],
    ]);
  });
});

describe("lists of traces", () => {
  it("summarise and sort", () => {
    const [slow, quick] = [summarize(trace(SHOP)), { ...summarize(trace([["z", "gone", "s", 500, 9]])), id: "q" }];
    expect(slow).toMatchObject({
      rootService: "gate",
      rootOperation: "op a",
      spans: 5,
      errors: 1,
      services: [
        ["pay", 3],
        ["gate", 1],
        ["stock", 1],
      ],
      rootMissing: false,
    });
    expect(quick.rootMissing).toBe(true);
    const order = (by: "time" | "duration" | "errors") =>
      sortSummaries([quick, slow], by)
        .map((one) => one.id)
        .join("");
    expect([order("time"), order("duration"), order("errors")]).toEqual(["qt", "tq", "tq"]);
  });

  it.each([
    [0.3, 0.5],
    [1, 1],
    [11, 20],
    [83, 100],
    [420, 500],
  ])("an axis to %d ends at %d", (value, want) => expect(niceMax(value)).toBeCloseTo(want));
  it("draws only the rows on screen", () => {
    expect(rowWindow(0, 600, 10_000)).toEqual([0, 32]);
    expect(rowWindow(150_000, 600, 10_000)).toEqual([4988, 5032]);
    expect(rowWindow(9_000, 600, 8)).toEqual([8, 8]);
  });
});
