// The pages, and how one knows that a page shows what the server knows.

/** What the server under test knows now. Throws when it has no traces: there would be nothing to look at. */
export async function facts(base) {
  const get = async (path) => (await fetch(base + path)).json();
  const end = Date.now() / 1000;
  const report = await get(`/eino/v1/bottlenecks?start=${end - 900}&end=${end}`);
  const entry = report.entry_points?.find((candidate) => candidate.bottlenecks.length > 0);
  if (!entry) throw new Error(`${base} reports no bottleneck: start "eino demo" and wait for its report`);
  const found = await get(
    `/jaeger/api/traces?limit=20&service=${encodeURIComponent(entry.service)}&start=${Math.floor((end - 900) * 1e6)}&end=${Math.ceil((end - 12) * 1e6)}`,
  );
  // Spans of the newest traces may still arrive: take the largest that is older than any exporter's batch delay.
  const isAtRest = (trace) => trace.spans.every((span) => (span.startTime + span.duration) / 1e6 < end - 10);
  const trace = found.data.filter(isAtRest).sort((a, b) => b.spans.length - a.spans.length)[0];
  if (!trace) throw new Error(`${base} has no trace that ended 10 s ago`);
  return {
    report,
    entry,
    first: entry.bottlenecks[0],
    trace,
    graph: await get(`/eino/v1/service-graph?start=${end - 900}&end=${end}`),
  };
}

const RATE = 'sum by (service) (rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"}[1m]))';
const HEADINGS = {
  en: { bottleneck: "Bottleneck", path: "Critical path", targets: "Scrape targets" },
  zh: { bottleneck: "瓶颈", path: "关键路径", targets: "采集目标" },
};

export const PAGES = [
  {
    name: "home",
    path: () => "/",
    async ready(tab, { first, report }, lang) {
      await has(tab, ".where", first.service);
      await has(tab, ".where", first.operation);
      await has(tab, ".eyebrow", HEADINGS[lang].bottleneck);
      for (const row of report.services) await has(tab, ".services", row.service);
    },
  },
  {
    name: "map",
    path: () => "/map",
    async ready(tab, { graph }) {
      await tab.locator(".map .node").first().waitFor();
      const drawn = await tab.locator(".map .node").count();
      if (drawn < graph.nodes.length) throw new Error(`${drawn} of ${graph.nodes.length} nodes are drawn`);
      if (graph.nodes.some((node) => node.hot)) await tab.locator(".map .node.hot .flag").first().waitFor();
    },
  },
  {
    name: "traces",
    path: ({ entry }) => `/traces?service=${encodeURIComponent(entry.service)}`,
    async ready(tab, { entry }) {
      await has(tab, ".trace-list", entry.service);
    },
  },
  {
    name: "trace",
    path: ({ trace }) => `/traces/${trace.traceID}?span=${trace.spans.at(-2).spanID}`,
    async ready(tab, { trace }, lang) {
      await has(tab, ".path-strip", HEADINGS[lang].path);
      await tab.locator(".wf-path").first().waitFor();
      await has(tab, ".detail", trace.spans.at(-2).operationName);
      const rows = await tab.locator(".wf-row").count();
      if (rows !== Math.min(rows, trace.spans.length) || rows < 2)
        throw new Error(`${rows} rows for ${trace.spans.length} spans`);
    },
  },
  {
    name: "explore",
    path: () => `/explore?expr=${encodeURIComponent(RATE)}`,
    async ready(tab) {
      await tab.locator(".chart canvas").waitFor();
      await tab.locator(".cm-content").waitFor();
      await tab.locator(".legend-table .series").first().waitFor();
    },
  },
  {
    name: "status",
    path: () => "/status",
    async ready(tab, _known, lang) {
      await has(tab, "#targets-head", HEADINGS[lang].targets);
      await tab.locator(".pairs").first().waitFor();
    },
  },
];

/** Waits until the element's text holds `text`. */
export async function has(tab, selector, text) {
  await tab.locator(selector).filter({ hasText: text }).first().waitFor();
}
