// What people do on the pages, step by step.
import { has } from "./pages.mjs";

export const SCENES = [
  {
    name: "from the bottleneck to a slow trace and its spans, by keyboard",
    async run(tab, { entry }, address) {
      await tab.goto(address("/"));
      await tab.locator(".actions .primary").click();
      await has(tab, ".trace-list", entry.service);
      equal(new URL(tab.url()).searchParams.get("service"), entry.service);
      await tab.locator(".trace-item").first().click();
      await tab.locator(".wf-row").first().waitFor();
      await tab.locator(".wf-body").focus();
      await tab.keyboard.press("ArrowDown");
      await tab.keyboard.press("ArrowDown");
      const second = await tab.locator(".wf-row").nth(1).getAttribute("id");
      equal(`span-${new URL(tab.url()).searchParams.get("span")}`, second);
      const rows = await tab.locator(".wf-row").count();
      await tab.keyboard.press("ArrowLeft");
      await tab.locator(`#${second}[aria-expanded="false"]`).waitFor();
      const folded = await tab.locator(".wf-row").count();
      if (folded >= rows) throw new Error(`folding left ${folded} of ${rows} rows`);
      await tab.keyboard.press("Escape");
      await tab.locator(".detail").waitFor({ state: "detached" });
    },
  },
  {
    name: "the service map: a click shows one service's calls, and the link says so",
    async run(tab, { first }, address) {
      await tab.goto(address("/map"));
      const node = tab.locator(".map .node", { hasText: first.service });
      await node.click();
      await has(tab, "#calls-head", first.service);
      equal(new URL(tab.url()).searchParams.get("node"), first.service);
      await tab.reload();
      await has(tab, "#calls-head", first.service);
    },
  },
  {
    name: "explore: completion, run by Enter, legend, drag zoom, back",
    async run(tab, _known, address) {
      await tab.goto(address("/explore"));
      await tab.locator(".cm-content").click();
      await tab.keyboard.type("traces_spanmetrics_calls");
      await has(tab, ".cm-tooltip-autocomplete", "traces_spanmetrics_calls_total");
      await tab.keyboard.press("Escape");
      await tab.keyboard.type("_total");
      await tab.keyboard.press("Escape");
      await tab.keyboard.press("Enter");
      await tab.locator(".chart canvas").waitFor();
      equal(new URL(tab.url()).searchParams.get("expr"), "traces_spanmetrics_calls_total");
      await legend(tab);
      await zoom(tab);
    },
  },
  {
    name: "explore: a wrong expression is marked where it is wrong",
    async run(tab, _known, address) {
      await tab.goto(address(`/explore?expr=${encodeURIComponent("sum(rate(up[1m])")}`));
      await has(tab, ".query-error", "parse error");
      await has(tab, ".query-error pre", "▲");
      await has(tab, ".query-error", "line 1, column");
    },
  },
  {
    name: "explore: the table shows the same series",
    async run(tab, _known, address) {
      await tab.goto(address("/explore?expr=traces_spanmetrics_calls_total&tab=table"));
      await tab.locator("td.series-name").first().waitFor();
    },
  },
  {
    name: "theme and language change and stay",
    async run(tab, _known, address) {
      await tab.goto(address("/").replace("lang=en&", ""));
      await tab.getByRole("link", { name: "Service map" }).waitFor();
      await tab.locator(".side .prefs .button").nth(1).click();
      await tab.getByRole("link", { name: "服务拓扑" }).first().click();
      await tab.locator(".map .node").first().waitFor();
      equal(new URL(tab.url()).searchParams.get("lang"), "zh");
      await tab.locator(".side .prefs .button").first().click();
      equal(await tab.evaluate(() => document.documentElement.dataset.theme), "dark");
      equal(await tab.evaluate(() => getComputedStyle(document.body).colorScheme), "dark");
    },
  },
  {
    name: "time range: a quick choice lands in the address, a wrong time is refused",
    async run(tab, _known, address) {
      await tab.goto(address("/"));
      await tab.locator(".range .pick").click();
      await tab.locator(".popover input").first().fill("yesterday");
      await tab.locator(".popover .primary").click();
      await has(tab, ".popover .field-error", "yesterday");
      await tab.locator(".popover li button").nth(3).click();
      equal(new URL(tab.url()).searchParams.get("from"), "now-60m");
      await has(tab, ".range .pick", "Last 1 hour");
    },
  },
  {
    name: "a trace that is not stored says so",
    async run(tab, _known, address) {
      await tab.goto(address("/traces/00000000000000000000000000000001"));
      await has(tab, ".empty", "No trace with this id");
    },
  },
  {
    name: "a server without traces says what to do",
    async run(tab, { report }, address) {
      const nothing = { window: report.window, traces: 0, services: [], entry_points: [], mermaid: "" };
      await tab.route("**/eino/v1/bottlenecks*", (route) => route.fulfill({ json: nothing }));
      await tab.route("**/eino/v1/service-graph*", (route) => route.fulfill({ json: { nodes: [], edges: [] } }));
      await tab.goto(address("/"));
      await has(tab, ".first-steps", "OTEL_EXPORTER_OTLP_ENDPOINT");
      await tab.getByRole("link", { name: "Service map" }).click();
      await has(tab, ".empty", "No calls between services");
    },
  },
  {
    name: "a server that fails or is gone is said, and asked again",
    async run(tab, { first }, address) {
      let isGone = true;
      const refusal = { status: "error", errorType: "unavailable", error: "the span store is being repaired" };
      await tab.route("**/eino/v1/bottlenecks*", (route) =>
        isGone ? route.fulfill({ status: 400, json: refusal }) : route.continue(),
      );
      await tab.goto(address("/"));
      await has(tab, ".notice.hot", "the span store is being repaired");
      isGone = false;
      await tab.locator(".notice .button").click();
      await has(tab, ".where", first.service);
    },
  },
  {
    name: "an address without a page says so",
    async run(tab, _known, address) {
      await tab.goto(address("/nowhere"));
      await has(tab, ".empty", "menu");
    },
  },
];

async function legend(tab) {
  const rows = tab.locator(".legend-table tbody tr");
  const all = await rows.count();
  await rows.first().locator("button").click();
  equal(await tab.locator(".legend-table tr.off").count(), all - 1);
  await rows.first().locator("button").click();
  equal(await tab.locator(".legend-table tr.off").count(), 0);
}

async function zoom(tab) {
  const box = await tab.locator(".u-over").boundingBox();
  const y = box.y + box.height / 2;
  await tab.mouse.move(box.x + box.width * 0.5, y);
  await tab.locator(".tooltip").waitFor();
  await tab.mouse.move(box.x + box.width * 0.4, y);
  await tab.mouse.down();
  await tab.mouse.move(box.x + box.width * 0.7, y, { steps: 5 });
  await tab.mouse.up();
  await tab.waitForFunction(() => /^\d{13}$/.test(new URL(location.href).searchParams.get("from") ?? ""));
  await tab.goBack();
  equal(new URL(tab.url()).searchParams.get("from"), null);
}

function equal(got, want) {
  if (got !== want) throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}
