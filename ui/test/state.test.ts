import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseTags } from "../src/api/jaeger";
import { ApiError, failure } from "../src/api/http";
import { langOf } from "../src/app/prefs";
import { format, linkParams, segmentAfter, withChanges } from "../src/app/url";
import { TEXTS, type TextKey, translator } from "../src/i18n";
import { searchOf } from "../src/pages/traces";

describe("state in the address", () => {
  it("a link keeps what is global and drops what is another page's", () => {
    const here = new URLSearchParams("from=now-1h&theme=dark&expr=up&span=1");
    expect(format({ path: "/traces", params: linkParams(here, { service: "a b", operation: undefined }) })).toBe(
      "/traces?from=now-1h&theme=dark&service=a+b",
    );
  });

  it("an empty value removes its name", () => {
    expect(withChanges(new URLSearchParams("a=1&b=2"), { a: "", c: "3" }).toString()).toBe("b=2&c=3");
    expect(format({ path: "/", params: new URLSearchParams() })).toBe("/");
  });

  it("expressions survive the round trip", () => {
    const expr = 'sum by (le) (rate(x{route="/a:b",q=~"c|d+"}[5m])) > 0 and 100 % 7';
    const text = format({ path: "/explore", params: new URLSearchParams({ expr }) });
    expect(new URL(text, "http://x").searchParams.get("expr")).toBe(expr);
  });

  it("finds the last part of a path", () => {
    expect(
      ["/traces/ab", "/traces/", "/traces", "/traces/%E0", "/tracesx/ab"].map((path) => segmentAfter("/traces", path)),
    ).toEqual(["ab", null, null, null, null]);
  });

  it("reads a search", () => {
    const search = searchOf(new URLSearchParams('service=a&tags=error=true%20http.route="/a b"&min=5ms&limit=-3'), {
      startMs: 1,
      endMs: 2,
    });
    expect(search).toEqual({
      service: "a",
      operation: "",
      tags: { error: "true", "http.route": "/a b" },
      minDuration: "5ms",
      maxDuration: "",
      limit: 50,
      startMs: 1,
      endMs: 2,
    });
  });

  it.each([
    ["", {}],
    ["a=1", { a: "1" }],
    ['a="x \\"y\\"" b=', { a: 'x "y"', b: "" }],
  ])("attributes %j", (text, want) => expect(parseTags(text)).toEqual(want));
  it.each(["a", "=1", "a=1 b"])("refuses attributes %j", (text) => expect(parseTags(text)).toBeNull());
});

describe("failures", () => {
  it("reads the three shapes of an error", () => {
    expect(failure(400, { status: "error", errorType: "bad_data", error: "1:3: no" }, "")).toEqual(
      new ApiError("1:3: no", 400, "bad_data"),
    );
    expect(failure(404, { data: null, errors: [{ code: 404, msg: "trace not found" }] }, "").message).toBe(
      "trace not found",
    );
    expect(failure(502, undefined, "<html>bad gateway").message).toBe("<html>bad gateway");
    expect(failure(500, undefined, "").message).toBe("HTTP 500");
  });
});

describe("two languages", () => {
  const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
  const keys = Object.keys(TEXTS.en) as TextKey[];

  it("have the same keys, none empty, with the same holes", () => {
    expect(Object.keys(TEXTS.zh).sort()).toEqual([...keys].sort());
    for (const key of keys) {
      expect(TEXTS.zh[key].trim(), key).not.toBe("");
      expect(holes(TEXTS.zh[key]), key).toEqual(holes(TEXTS.en[key]));
    }
  });

  it("are used in full, and nothing else is asked for", () => {
    const sources = join(import.meta.dirname, "../src");
    const files = readdirSync(sources, { recursive: true, encoding: "utf8" }).filter(
      (name) => /\.tsx?$/.test(name) && !name.startsWith("i18n"),
    );
    const all = files.map((name) => readFileSync(join(sources, name), "utf8")).join("\n");
    const built = [
      "app.theme.",
      "cause.",
      "class.",
      "home.reference.",
      "status.up",
      "status.down",
      "status.unknown",
      "traces.sort.",
      "explore.graph",
      "explore.table",
    ];
    const unused = keys.filter((key) => !all.includes(`"${key}"`) && !built.some((prefix) => key.startsWith(prefix)));
    expect(unused).toEqual([]);
  });

  it("fill their holes, and leave unknown ones to be seen", () => {
    expect(translator("en")("traces.found", { n: 3 })).toBe("3 traces");
    expect(translator("zh")("traces.found", {})).toBe("{n} 条链路");
  });

  it("follow the browser", () => {
    expect([["zh-TW"], ["fr", "zh-CN"], ["fr"], []].map(langOf)).toEqual(["zh", "zh", "en", "en"]);
  });
});
