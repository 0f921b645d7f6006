// Places for the nodes and lines for the edges of the service map. Pure but for dagre, which is fetched when needed.
import type { GraphEdge, GraphNode, ServiceGraph } from "../api/eino";

/** Px by kind: what has no numbers of its own needs less room. */
export const SIZE: Record<GraphNode["kind"], { width: number; height: number }> = {
  service: { width: 210, height: 80 },
  external: { width: 146, height: 60 },
  user: { width: 112, height: 56 },
};

export interface PlacedNode extends GraphNode {
  /** Centre. */
  x: number;
  y: number;
}

export interface PlacedEdge extends GraphEdge {
  /** An SVG path from the border of one node to the border of the other. */
  path: string;
  /** The tip, and the direction there in radians. */
  tip: { x: number; y: number; angle: number };
  label: { x: number; y: number };
  /** Line width in px, 1.5 to 5, by the share of the largest rate. */
  width: number;
}

export interface Layout {
  width: number;
  height: number;
  direction: "LR" | "TB";
  nodes: PlacedNode[];
  edges: PlacedEdge[];
}

/** From left to right (`LR`) on wide pages, from top to bottom (`TB`) on narrow ones. */
export async function layout(graph: ServiceGraph, direction: "LR" | "TB"): Promise<Layout> {
  const dagre = await import("@dagrejs/dagre");
  const g = new dagre.Graph();
  const isWide = direction === "LR";
  g.setGraph({ rankdir: direction, nodesep: isWide ? 40 : 18, ranksep: isWide ? 84 : 64, marginx: 8, marginy: 20 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const node of graph.nodes) g.setNode(node.id, { ...SIZE[node.kind] });
  const edges = usable(graph);
  for (const edge of edges) g.setEdge(edge.source, edge.target);
  dagre.layout(g);
  const size = g.graph() as { width?: number; height?: number };
  const ratesMax = Math.max(...edges.map(weight), 0);
  const point = (id: string) => g.node(id) as unknown as { x: number; y: number };
  return {
    width: size.width ?? 0,
    height: size.height ?? 0,
    direction,
    nodes: graph.nodes.map((node) => ({ ...node, ...xy(point(node.id)) })),
    edges: edges.map((edge) => {
      const points = (g.edge(edge.source, edge.target) as { points: Point[] }).points;
      return { ...edge, ...line(points), width: 1.5 + 3.5 * Math.sqrt(ratesMax > 0 ? weight(edge) / ratesMax : 0) };
    }),
  };
}

interface Point {
  x: number;
  y: number;
}

/** Edges between nodes that are there, one per pair; a service that calls itself is left out of the picture. */
export function usable(graph: ServiceGraph): GraphEdge[] {
  const ids = new Set(graph.nodes.map((node) => node.id));
  const pairs = new Map<string, GraphEdge>();
  for (const edge of graph.edges) {
    if (!ids.has(edge.source) || !ids.has(edge.target) || edge.source === edge.target) continue;
    const key = `${edge.source}\u0000${edge.target}`;
    const same = pairs.get(key);
    pairs.set(key, same ? together(same, edge) : edge);
  }
  return [...pairs.values()];
}

/** Two ways of calling the same node, say HTTP and a queue: what both carry, and the slower P95. */
function together(a: GraphEdge, b: GraphEdge): GraphEdge {
  const rate = (a.rate_per_s ?? 0) + (b.rate_per_s ?? 0);
  const p95 = Math.max(a.p95_ms ?? 0, b.p95_ms ?? 0);
  return { ...a, calls: a.calls + b.calls, errors: a.errors + b.errors, rate_per_s: rate, p95_ms: p95 };
}

function weight(edge: GraphEdge): number {
  return edge.rate_per_s ?? edge.calls;
}

function xy({ x, y }: Point): Point {
  return { x, y };
}

/** A smooth line through the points that dagre chose, its tip, and the middle for a label. */
export function line(points: Point[]): Pick<PlacedEdge, "path" | "tip" | "label"> {
  const [first, last] = [points[0] ?? { x: 0, y: 0 }, points.at(-1) ?? { x: 0, y: 0 }];
  let path = `M${first.x},${first.y}`;
  for (let i = 1; i < points.length - 1; i += 1) {
    const [here, next] = [points[i], points[i + 1]];
    if (!here || !next) continue;
    const isLast = i === points.length - 2;
    const end = isLast ? last : { x: (here.x + next.x) / 2, y: (here.y + next.y) / 2 };
    path += `Q${here.x},${here.y} ${end.x},${end.y}`;
  }
  if (points.length === 2) path += `L${last.x},${last.y}`;
  const before = points.at(-2) ?? first;
  const angle = Math.atan2(last.y - before.y, last.x - before.x);
  return { path, tip: { ...xy(last), angle }, label: middleOf(points) };
}

/** A point on the line near its middle: a bend pulls the line only half of the way. */
function middleOf(points: Point[]): Point {
  const last = points.length - 1;
  const [before, here, after] = [Math.floor((last - 1) / 2), Math.floor(last / 2), Math.ceil((last + 1) / 2)].map(
    (i) => points[Math.max(0, i)] ?? { x: 0, y: 0 },
  );
  if (!before || !here || !after) return { x: 0, y: 0 };
  if (last % 2 === 1) return { x: (here.x + after.x) / 2, y: (here.y + after.y) / 2 };
  return { x: (before.x + 2 * here.x + after.x) / 4, y: (before.y + 2 * here.y + after.y) / 4 };
}
