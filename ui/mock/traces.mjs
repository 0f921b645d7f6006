// Traces of the shop: gateway → order → inventory, then payment with its pool of two. Every fortieth fails.
export const SERVICES = ["gateway", "inventory-service", "order-service", "payment-service"];
const COUNT = 60;

/** Newest first, the same for the same time. */
export function jaegerTraces(nowMs) {
  return Array.from({ length: COUNT }, (_, i) => trace(i, nowMs));
}

/** Park–Miller: enough for pictures. */
function random(seed) {
  let state = (seed * 48271 + 7) % 2147483647;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

function trace(i, nowMs) {
  const next = random(i + 1);
  const id = Array.from({ length: 4 }, () =>
    Math.floor(next() * 0xffffffff)
      .toString(16)
      .padStart(8, "0"),
  ).join("");
  const startUs = Math.round((nowMs - 4_000 - i * 13_500 - next() * 9_000) * 1000);
  const failed = i % 40 === 7;
  const card = Math.round(18_000 * Math.exp(0.3 * (next() + next() + next() - 1.5) * 2));
  const wait = next() < 0.35 ? 40 : Math.round(110_000 * next() ** 2);
  const read = 300 + Math.round(next() * 400);
  const write = 500 + Math.round(next() * 900);
  const stock = 700 + Math.round(next() ** 3 * 7000);
  const spans = [];
  const add = (process, operationName, parent, start, duration, tags = [], logs = []) => {
    const spanID = (BigInt(`0x${id.slice(0, 12)}`) * 16n + BigInt(spans.length + 1))
      .toString(16)
      .padStart(16, "0")
      .slice(-16);
    spans.push({
      traceID: id,
      spanID,
      processID: process,
      operationName,
      startTime: startUs + start,
      duration,
      tags,
      logs,
      warnings: null,
      references: parent ? [{ refType: "CHILD_OF", traceID: id, spanID: parent }] : [],
    });
    return spanID;
  };
  const tag = (key, value) => ({
    key,
    type: typeof value === "string" ? "string" : typeof value === "boolean" ? "bool" : "int64",
    value,
  });
  const status = failed
    ? [tag("error", true), tag("otel.status_code", "ERROR"), tag("http.response.status_code", 502)]
    : [tag("http.response.status_code", 200)];
  const held = wait + read + card + (failed ? 0 : write) + 400;
  const paid = held + 500;
  const total = 900 + stock + 700 + paid + 1500;
  const server = (route) => [tag("span.kind", "server"), tag("http.request.method", "POST"), tag("http.route", route)];
  const root = add("p1", "POST /orders", null, 0, total, [...server("/orders"), ...status]);
  const toOrder = add("p1", "POST", root, 250, total - 500, [
    tag("span.kind", "client"),
    tag("server.address", "order-service"),
    ...status,
  ]);
  const order = add("p2", "POST /orders", toOrder, 480, total - 960, [
    ...server("/orders"),
    tag("order.items", 3),
    ...status,
  ]);
  const toStock = add("p2", "GET", order, 700, stock + 300, [
    tag("span.kind", "client"),
    tag("server.address", "inventory-service"),
  ]);
  add("p3", "GET /stock/{item}", toStock, 850, stock, [
    tag("span.kind", "server"),
    tag("http.route", "/stock/{item}"),
    tag("cache.hit", stock < 1500),
  ]);
  const toPay = add("p2", "POST", order, 1200 + stock, paid + 200, [
    tag("span.kind", "client"),
    tag("server.address", "payment-service"),
    ...status,
  ]);
  const pay = add("p4", "POST /charges", toPay, 1300 + stock, paid, [...server("/charges"), ...status]);
  const base = 1400 + stock;
  add("p4", "db.pool.acquire", pay, base, wait, [
    tag("db.client.connection.pool.name", "payments"),
    tag("db.client.connection.max", 2),
  ]);
  add("p4", "SELECT accounts", pay, base + wait, read, [
    tag("span.kind", "client"),
    tag("db.system.name", "sqlite"),
    tag("db.query.text", "SELECT balance FROM accounts WHERE id = ?1"),
  ]);
  add(
    "p4",
    "POST card-processor",
    pay,
    base + wait + read,
    card,
    [tag("span.kind", "client"), tag("server.address", "card-processor"), ...status],
    failed
      ? [
          {
            timestamp: startUs + base + wait + read + card,
            fields: [
              tag("event", "exception"),
              tag("exception.type", "CardDeclined"),
              tag("exception.message", "the card processor answered 502 Bad Gateway"),
            ],
          },
        ]
      : [],
  );
  if (!failed)
    add("p4", "INSERT charges", pay, base + wait + read + card, write, [
      tag("span.kind", "client"),
      tag("db.system.name", "sqlite"),
    ]);
  const process = (serviceName, port) => ({
    serviceName,
    tags: [tag("service.instance.id", `${serviceName}-${port}`), tag("telemetry.sdk.language", "rust")],
  });
  return {
    traceID: id,
    spans,
    processes: {
      p1: process("gateway", 41001),
      p2: process("order-service", 41002),
      p3: process("inventory-service", 41003),
      p4: process("payment-service", 41004),
    },
  };
}

/** What the root waited for, walking back from its end: the child that ends last, then what was before it. */
export function criticalPath(trace) {
  const root = trace.spans[0];
  const children = (span) => trace.spans.filter((other) => other.references.some((ref) => ref.spanID === span.spanID));
  const sections = [];
  const walk = (span, from, to) => {
    let until = to;
    for (const child of children(span).sort((a, b) => b.startTime + b.duration - a.startTime - a.duration)) {
      const end = Math.min(child.startTime + child.duration, until);
      const start = Math.max(child.startTime, from);
      if (end <= start) continue;
      push(span, end, until);
      walk(child, start, end);
      until = start;
    }
    push(span, from, until);
  };
  const push = (span, from, to) => {
    if (to <= from) return;
    const isWait = span.operationName === "db.pool.acquire";
    const isGap =
      span.tags.some((tag) => tag.key === "span.kind" && tag.value === "client") && children(span).length > 0;
    sections.push({
      span_id: span.spanID,
      service: trace.processes[span.processID].serviceName,
      operation: span.operationName,
      class: isWait ? "pool_wait" : isGap ? "network" : "self",
      start_ns: (from - root.startTime) * 1000,
      end_ns: (to - root.startTime) * 1000,
    });
  };
  walk(root, root.startTime, root.startTime + root.duration);
  sections.sort((a, b) => a.start_ns - b.start_ns);
  return { trace_id: trace.traceID, roots: [{ span_id: root.spanID, duration_ns: root.duration * 1000, sections }] };
}
