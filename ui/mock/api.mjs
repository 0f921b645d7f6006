// A small server in one function: the answers a running shop would give, from a fixed seed. For work on the pages
// without a server, and for the quick form of the end-to-end test.
import { criticalPath, jaegerTraces, SERVICES } from "./traces.mjs";

/** `[status, body]` for an API path, null for any other. `nowMs` = the time the data end at. */
export function answer(url, nowMs) {
  const { pathname: path, searchParams: params } = url;
  const found = ROUTES.find(([pattern]) => pattern.test(path));
  if (!found)
    return path.startsWith("/api/") || path.startsWith("/eino/") || path.startsWith("/jaeger/")
      ? [404, { status: "error", errorType: "not_found", error: `GET ${path} is not a path of this server` }]
      : null;
  const [pattern, handle] = found;
  return handle({ params, parts: pattern.exec(path).slice(1).map(decodeURIComponent), nowMs });
}

const ROUTES = [
  [/^\/eino\/v1\/bottlenecks$/, ({ nowMs }) => [200, report(nowMs)]],
  [/^\/eino\/v1\/services$/, ({ nowMs }) => [200, { window: report(nowMs).window, services: report(nowMs).services }]],
  [/^\/eino\/v1\/service-graph$/, () => [200, graph()]],
  [/^\/eino\/v1\/status$/, ({ nowMs }) => [200, status(nowMs)]],
  [
    /^\/eino\/v1\/traces\/([^/]+)\/critical-path$/,
    ({ parts, nowMs }) => one(jaegerTraces(nowMs), parts[0], (trace) => criticalPath(trace)),
  ],
  [/^\/jaeger\/api\/services$/, () => [200, envelope(SERVICES)]],
  [
    /^\/jaeger\/api\/services\/([^/]+)\/operations$/,
    ({ parts, nowMs }) => [200, envelope(operations(parts[0], nowMs))],
  ],
  [/^\/jaeger\/api\/traces$/, ({ params, nowMs }) => [200, envelope(search(params, nowMs))]],
  [
    /^\/jaeger\/api\/traces\/([^/]+)$/,
    ({ parts, nowMs }) => one(jaegerTraces(nowMs), parts[0], (trace) => envelope([trace])),
  ],
  [/^\/api\/v1\/query_range$/, ({ params }) => query(params, matrix)],
  [/^\/api\/v1\/query$/, ({ params, nowMs }) => query(params, (p) => vector(p, nowMs))],
  [/^\/api\/v1\/targets$/, ({ nowMs }) => [200, success({ activeTargets: targets(nowMs), droppedTargets: [] })]],
  [/^\/api\/v1\/label\/__name__\/values$/, () => [200, success(Object.keys(METRICS).sort())]],
  [/^\/api\/v1\/label\/[^/]+\/values$/, () => [200, success(SERVICES)]],
  [/^\/api\/v1\/labels$/, () => [200, success(["__name__", "instance", "job", "service", "span_kind", "le"])]],
  [/^\/api\/v1\/metadata$/, () => [200, success(METRICS)]],
  [
    /^\/api\/v1\/series$/,
    () => [200, success(SERVICES.map((service) => ({ __name__: "traces_spanmetrics_calls_total", service })))],
  ],
  [/^\/api\/v1\/status\/(?:flags|buildinfo)$/, () => [200, success({ version: "3.14.0" })]],
];

const METRICS = Object.fromEntries(
  [
    ["up", "gauge", "1 if the last scrape worked."],
    ["traces_spanmetrics_calls_total", "counter", "Spans by service, name, kind and status."],
    ["traces_spanmetrics_latency_bucket", "histogram", "Duration of spans, seconds."],
    ["db_pool_connections", "gauge", "Connections by state."],
    ["db_pool_wait_seconds_bucket", "histogram", "Wait for a connection."],
    ["http_requests_total", "counter", "Requests by route and status."],
    ["eino_critical_path_seconds_total", "counter", "Time on the critical path."],
  ].map(([name, type, help]) => [name, [{ type, help, unit: "" }]]),
);

function success(data) {
  return { status: "success", data };
}

function envelope(data) {
  return { data, total: data.length, limit: 0, offset: 0, errors: null };
}

function one(traces, id, then) {
  const trace = traces.find((candidate) => candidate.traceID === id);
  return trace ? [200, then(trace)] : [404, { data: null, errors: [{ code: 404, msg: "trace not found" }] }];
}

function operations(service, nowMs) {
  const names = jaegerTraces(nowMs).flatMap((trace) =>
    trace.spans
      .filter((span) => trace.processes[span.processID].serviceName === service)
      .map((span) => span.operationName),
  );
  return [...new Set(names)].sort();
}

function search(params, nowMs) {
  const ms = (text) => (text ? Number.parseFloat(text) * (/[^mun]s$/.test(text) ? 1000 : 1) : null);
  const [service, operation, min, max] = [
    params.get("service"),
    params.get("operation"),
    ms(params.get("minDuration")),
    ms(params.get("maxDuration")),
  ];
  const tags = Object.entries(JSON.parse(params.get("tags") ?? "{}"));
  const isWanted = (trace) =>
    trace.spans.some(
      (span) =>
        (!service || trace.processes[span.processID].serviceName === service) &&
        (!operation || span.operationName === operation) &&
        (min === null || span.duration >= min * 1000) &&
        (max === null || span.duration <= max * 1000) &&
        tags.every(([key, value]) => span.tags.some((tag) => tag.key === key && String(tag.value) === value)),
    );
  return jaegerTraces(nowMs)
    .filter(isWanted)
    .slice(0, Number(params.get("limit") ?? 20));
}

function report(nowMs) {
  const row = (service, requests, avg_ms, p50_ms, p95_ms, p99_ms, error_ratio) => ({
    service,
    requests,
    rate_per_s: requests / 20,
    avg_ms,
    p50_ms,
    p95_ms,
    p99_ms,
    error_ratio,
  });
  const rank = (
    rank,
    service,
    operation,
    critical_path_share,
    tail_lift,
    saving_p99_ms,
    kind,
    evidence,
    confidence,
  ) => ({
    rank,
    service,
    operation,
    critical_path_share,
    tail_lift,
    saving_p99_ms,
    saving_reference: "body_median",
    cause: { kind, evidence },
    confidence,
    votes: [
      {
        name: "critical_path",
        agrees: confidence > 0.6,
        detail: `saves ${Math.round(saving_p99_ms / 1.103)} % of P99`,
      },
      { name: "tail_or_steady", agrees: tail_lift > 1.3, detail: `${tail_lift} times its share in the tail` },
      { name: "load", agrees: kind === "pool_wait", detail: "grows with the requests in flight: Spearman 0.94" },
    ],
  });
  return {
    window: { start_ms: nowMs - 20_000, end_ms: nowMs },
    traces: 1502,
    services: [
      row("gateway", 1502, 45.1, 38.2, 88.4, 110.3, 0.0053),
      row("inventory-service", 1502, 1.94, 1.12, 6.2, 9.71, 0),
      row("order-service", 1502, 43.2, 36.4, 86.1, 108.2, 0.0053),
      row("payment-service", 1502, 38.7, 32.1, 81.9, 103.4, 0.0053),
    ],
    entry_points: [
      {
        service: "gateway",
        operation: "POST /orders",
        p99_ms: 110.3,
        bottlenecks: [
          rank(
            1,
            "payment-service",
            "db.pool.acquire",
            0.384,
            2.61,
            57.2,
            "pool_wait",
            [
              "41 % of the critical path among the slowest 1 % of requests, 12 % among the others",
              "1,083 of 1,502 requests waited for a connection, 14.8 ms on average",
              "while they waited, 2.0 of 2 connections were held; holders spend 78 % of that time in POST card-processor",
              "the wait grows with the number of requests in flight (correlation 0.94)",
            ],
            0.92,
          ),
          rank(
            2,
            "payment-service",
            "POST card-processor",
            0.442,
            1.08,
            9.4,
            "downstream",
            ["a client span without a server's: nothing on the other side sends traces"],
            0.71,
          ),
          rank(
            3,
            "inventory-service",
            "GET /stock/{item}",
            0.041,
            1.31,
            1.2,
            "self_time",
            ["its own work is 4 % of the critical path"],
            0.55,
          ),
        ],
      },
    ],
    mermaid: "graph TD\n  gateway --> order-service\n  order-service --> payment-service",
  };
}

function graph() {
  const node = (id, kind, rate_per_s, p95_ms, error_ratio = 0, hot = false, saving_p99_ms = null) => ({
    id,
    kind,
    rate_per_s,
    error_ratio,
    p95_ms,
    hot,
    saving_p99_ms,
  });
  const edge = (source, target, calls, errors, p95_ms, connection_type = "http") => ({
    source,
    target,
    calls,
    rate_per_s: calls / 20,
    errors,
    p95_ms,
    connection_type,
  });
  return {
    nodes: [
      node("user", "user", 75.1, null),
      node("gateway", "service", 75.1, 88.4, 0.0053),
      node("order-service", "service", 75.1, 86.1, 0.0053),
      node("inventory-service", "service", 75.1, 6.2),
      node("payment-service", "service", 75.1, 81.9, 0.0053, true, 57.2),
      node("card-processor", "external", 75.1, 29.4, 0.0053),
      node("sqlite", "external", 150.2, 1.4),
    ],
    edges: [
      edge("user", "gateway", 1502, 8, 88.4),
      edge("gateway", "order-service", 1502, 8, 87.2),
      edge("order-service", "inventory-service", 1502, 0, 6.8),
      edge("order-service", "payment-service", 1502, 8, 82.6),
      edge("payment-service", "card-processor", 1502, 8, 29.4),
      edge("payment-service", "sqlite", 3004, 0, 1.4, "database"),
    ],
  };
}

function status(nowMs) {
  return {
    version: "0.1.0",
    role: "all",
    started_ms: nowMs - 754_000,
    now_ms: nowMs,
    data_dir: "./data",
    config_file: "eino.yaml",
    listeners: { http: "127.0.0.1:9090", "otlp-grpc": "127.0.0.1:4317", "otlp-http": "127.0.0.1:4318" },
    warnings: ["scrape job 'nodes': consul_sd_configs is not built yet"],
    stores: {
      metrics: { series: 1284, samples_total: 921_344, disk_bytes: 1_412_096 },
      traces: { spans: 15_020, traces: 1502, disk_bytes: 3_870_720, oldest_ms: nowMs - 700_000 },
    },
  };
}

function targets(nowMs) {
  const target = (job, port, health, lastError = "") => ({
    discoveredLabels: {},
    labels: { job, instance: `127.0.0.1:${port}` },
    scrapePool: job,
    scrapeUrl: `http://127.0.0.1:${port}/metrics`,
    globalUrl: "",
    lastError,
    lastScrape: new Date(nowMs - 3_200).toISOString(),
    lastScrapeDuration: 0.0042,
    health,
    scrapeInterval: "5s",
    scrapeTimeout: "5s",
  });
  return [
    target("shop", 41001, "up"),
    target("shop", 41002, "up"),
    target("shop", 41003, "up"),
    target("nodes", 9100, "down", "connection refused (os error 111)"),
  ];
}

function query(params, run) {
  const expr = params.get("query") ?? "";
  const open = [...expr].reduce((depth, char) => depth + (char === "(" ? 1 : char === ")" ? -1 : 0), 0);
  if (open !== 0)
    return [
      400,
      {
        status: "error",
        errorType: "bad_data",
        error: `invalid parameter "query": 1:${expr.length + 1}: parse error: unclosed left parenthesis`,
      },
    ];
  return [200, success(run(params))];
}

function matrix(params) {
  const [start, end, step] = ["start", "end", "step"].map((name) => Number(params.get(name)));
  const times = Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, i) => start + i * step);
  const wave = (time, i) =>
    75 * (1 - i * 0.13) + 9 * Math.sin(time / 97 + i) + 5 * Math.sin(time / 23 + i * 2) + 3 * Math.sin(time / 7);
  return {
    resultType: "matrix",
    result: SERVICES.map((service, i) => ({
      metric: { service },
      values: times.map((time) => [time, wave(time, i).toFixed(3)]),
    })),
  };
}

function vector(params, nowMs) {
  return {
    resultType: "vector",
    result: SERVICES.map((service, i) => ({ metric: { service }, value: [nowMs / 1000, (75 - i * 9.5).toFixed(3)] })),
  };
}
