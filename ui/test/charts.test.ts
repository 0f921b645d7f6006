import { describe, expect, it } from "vitest";
import { answer } from "../mock/api.mjs";
import { errorPosition, type Series, seriesName } from "../src/api/prom";
import { colorsOf } from "../src/charts/colors";
import { isolate, toggle } from "../src/charts/legend";
import { valueRange } from "../src/charts/line-chart";
import { LINES_MAX, parseValue, shortNames, toChart } from "../src/charts/series";
import { layout, line, usable } from "../src/graph/layout";

describe("series as lines", () => {
  const series: Series[] = [
    {
      metric: { __name__: "a" },
      values: [
        [10, "1"],
        [20, "NaN"],
        [40, "3"],
      ],
    },
    { metric: { __name__: "b" }, values: [[20, "9"]] },
  ];

  it("share one grid; what is missing is a gap", () => {
    const chart = toChart(series, 12, 38, 10);
    expect(chart.times).toEqual([10, 20, 30, 40]);
    expect(chart.lines.map((one) => [one.name, one.values])).toEqual([
      ["b", [null, 9, null, null]],
      ["a", [1, null, null, 3]],
    ]);
    expect(chart.lines[1]).toMatchObject({ mean: 2, max: 3, last: 3 });
  });

  it("are cut at the limit, and say how many are left out", () => {
    const many = Array.from({ length: LINES_MAX + 7 }, (_, i): Series => ({
      metric: { i: String(i) },
      values: [[0, String(i)]],
    }));
    const chart = toChart(many, 0, 1, 1);
    expect([chart.lines.length, chart.hidden, chart.lines[0]?.max]).toEqual([LINES_MAX, 7, LINES_MAX + 6]);
  });

  it("are named by what tells them apart", () => {
    expect(
      shortNames([
        { __name__: "up", job: "a", x: "1" },
        { __name__: "up", job: "b", x: "1" },
      ]),
    ).toEqual(["a", "b"]);
    expect(shortNames([{ __name__: "up", job: "a" }])).toEqual(['up{job="a"}']);
    expect(shortNames([{ a: "1", b: "2" }, { a: "2", b: "3" }, { a: "1" }])).toEqual([
      '{a="1", b="2"}',
      '{a="2", b="3"}',
      '{a="1"}',
    ]);
    expect(seriesName({})).toBe("{}");
  });

  it("read PromQL's numbers", () =>
    expect(["+Inf", "-Inf", "1e3"].map(parseValue)).toEqual([Infinity, -Infinity, 1000]));

  it.each([
    [null, null, [0, 1]],
    [5, 5, [0, 6]],
    [-5, -5, [-6, 0]],
    [0, 0, [0, 1]],
    [1, 10, [0, 10.72]],
    [100, 110, [99.4, 110.8]],
    [-10, 10, [-11.2, 11.6]],
  ])("values from %d to %d", (min, max, want) =>
    valueRange(min, max).forEach((got, i) => expect(got).toBeCloseTo((want as number[])[i] ?? Number.NaN)),
  );
});

describe("errors in expressions", () => {
  it.each([
    ["1:8: parse error: x", { line: 1, column: 8 }],
    ['invalid parameter "query": 2:13: parse error', { line: 2, column: 13 }],
    ["timeout", null],
    ["at 12:30 it failed", null],
  ])("%s", (text, want) => expect(errorPosition(text)).toEqual(want));
});

describe("colours", () => {
  it("stay when another name comes later in the alphabet, and differ for ten names", () => {
    const names = Array.from({ length: 10 }, (_, i) => `service-${i}`);
    expect(new Set(colorsOf(names).values()).size).toBe(10);
    expect(colorsOf(["gateway", "order", "zebra"]).get("gateway")).toBe(colorsOf(["gateway"]).get("gateway"));
    expect(colorsOf([...names, "an eleventh"]).size).toBe(11);
  });
});

describe("the legend", () => {
  const lines = toChart(
    ["a", "b", "c"].map((i): Series => ({ metric: { i }, values: [[0, "1"]] })),
    0,
    0,
    1,
  ).lines;
  const [a, b] = lines.map((one) => one.key) as [string, string];
  it("isolates, brings back, moves to another", () => {
    const alone = isolate(lines, new Set(), a);
    expect([alone.size, alone.has(a)]).toEqual([2, false]);
    expect(isolate(lines, alone, a).size).toBe(0);
    expect(isolate(lines, alone, b).has(b)).toBe(false);
    expect([...toggle(toggle(new Set(), a), b), ...toggle(new Set([a]), a)]).toEqual([a, b]);
  });
});

describe("the map", () => {
  const found = answer(new URL("http://x/eino/v1/service-graph"), 0);
  const graph = found?.[1];

  it("puts callers before callees, and nothing outside of the picture", async () => {
    const placed = await layout(graph, "LR");
    const at = (id: string) => placed.nodes.find((node) => node.id === id)?.x ?? Number.NaN;
    expect(at("user")).toBeLessThan(at("gateway"));
    expect(at("gateway")).toBeLessThan(at("payment-service"));
    for (const node of placed.nodes)
      expect(node.x > 0 && node.x < placed.width && node.y > 0 && node.y < placed.height, node.id).toBe(true);
    expect(placed.edges.length).toBe(graph.edges.length);
  });

  it("leaves out edges to nowhere and to oneself", () => {
    const edge = (source: string, target: string) => ({ source, target, calls: 1, errors: 0 });
    expect(
      usable({
        nodes: [
          { id: "a", kind: "service" },
          { id: "b", kind: "service" },
        ],
        edges: [edge("a", "b"), edge("a", "a"), edge("a", "gone")],
      }),
    ).toEqual([edge("a", "b")]);
  });

  it("draws one line for two ways of calling", () => {
    const edge = (calls: number, p95_ms: number, connection_type: string) => ({
      source: "a",
      target: "b",
      calls,
      errors: 1,
      rate_per_s: calls / 10,
      p95_ms,
      connection_type,
    });
    const nodes = [
      { id: "a", kind: "service" as const },
      { id: "b", kind: "service" as const },
    ];
    const [one, ...rest] = usable({ nodes, edges: [edge(10, 5, "http"), edge(20, 3, "messaging")] });
    expect([one?.calls, one?.errors, one?.rate_per_s, one?.p95_ms, rest.length]).toEqual([30, 2, 3, 5, 0]);
  });

  it("draws a line whose label is on it", () => {
    expect(
      line([
        { x: 0, y: 0 },
        { x: 10, y: 0 },
      ]),
    ).toMatchObject({ path: "M0,0L10,0", label: { x: 5, y: 0 }, tip: { x: 10, y: 0, angle: 0 } });
    expect(
      line([
        { x: 0, y: 0 },
        { x: 10, y: 8 },
        { x: 20, y: 0 },
      ]).label,
    ).toEqual({ x: 10, y: 4 });
  });
});
