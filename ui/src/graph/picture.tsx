// The service map as SVG. State is told twice, by colour and by shape or text: hot = red, thick frame and a flag;
// outside = dashed; errors = a triangle.
import type { GraphNode } from "../api/eino";
import { useApp } from "../app/context";
import { duration, percent, rate, roundMs } from "../units/format";
import { type Layout, SIZE, type PlacedEdge, type PlacedNode } from "./layout";

interface Props {
  layout: Layout;
  /** The chosen node's id. */
  chosen: string | undefined;
  choose: (id: string | undefined) => void;
}

export function Picture({ layout, chosen, choose }: Props) {
  const { t } = useApp();
  const isNear = (edge: PlacedEdge) => chosen === undefined || edge.source === chosen || edge.target === chosen;
  const near = new Set(layout.edges.filter(isNear).flatMap((edge) => [edge.source, edge.target]));
  const label = t("map.label", { nodes: layout.nodes.length, edges: layout.edges.length });
  return (
    <svg
      className="map"
      viewBox={`0 0 ${layout.width} ${layout.height}`}
      role="group"
      aria-label={label}
      style={{ maxWidth: layout.width * 1.2, aspectRatio: `${layout.width} / ${layout.height}` }}
      onClick={(event) => event.target === event.currentTarget && choose(undefined)}
    >
      {layout.edges.map((edge) => (
        <Edge
          key={`${edge.source} ${edge.target} ${edge.connection_type ?? ""}`}
          edge={edge}
          direction={layout.direction}
          dim={!isNear(edge)}
        />
      ))}
      {layout.nodes.map((node) => (
        <Node
          key={node.id}
          node={node}
          chosen={node.id === chosen}
          dim={chosen !== undefined && !near.has(node.id) && node.id !== chosen}
          choose={() => choose(node.id === chosen ? undefined : node.id)}
        />
      ))}
    </svg>
  );
}

function Edge({ edge, direction, dim }: { edge: PlacedEdge; direction: Layout["direction"]; dim: boolean }) {
  const { x, y, angle } = edge.tip;
  // Over and under a line that runs sideways, beside one that runs down.
  const [dx, dy, anchor] = direction === "LR" ? ([0, [-7, 16], "middle"] as const) : ([9, [-3, 11], "start"] as const);
  const classes = ["edge", edge.errors > 0 ? "failing" : "", dim ? "dim" : ""].join(" ");
  return (
    <g className={classes}>
      <path d={edge.path} style={{ strokeWidth: edge.width }} />
      <path
        className="tip"
        d="M0,0 L-11,-5.5 L-11,5.5 Z"
        transform={`translate(${x},${y}) rotate(${(angle * 180) / Math.PI})`}
      />
      <text x={edge.label.x + dx} y={edge.label.y + dy[0]} textAnchor={anchor}>
        {rate(edge.rate_per_s)}
      </text>
      <text x={edge.label.x + dx} y={edge.label.y + dy[1]} textAnchor={anchor}>
        {duration(edge.p95_ms)}
      </text>
    </g>
  );
}

function Node({ node, chosen, dim, choose }: { node: PlacedNode; chosen: boolean; dim: boolean; choose: () => void }) {
  const { t } = useApp();
  const { width, height } = SIZE[node.kind];
  const classes = ["node", node.kind, node.hot ? "hot" : "", chosen ? "chosen" : "", dim ? "dim" : ""].join(" ");
  const onKey = (event: React.KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose();
  };
  return (
    <g
      className={classes}
      transform={`translate(${node.x - width / 2},${node.y - height / 2})`}
      tabIndex={0}
      role="button"
      aria-pressed={chosen}
      onClick={choose}
      onKeyDown={onKey}
    >
      <rect className="frame" width={width} height={height} rx={node.kind === "user" ? height / 2 : 10} />
      <text className="name" x={width / 2} y={node.kind === "service" ? 26 : height / 2 - 3} textAnchor="middle">
        {short(nameOf(node, t))}
      </text>
      {node.kind === "service" ? (
        <Numbers node={node} />
      ) : (
        <text className="sub" x={width / 2} y={height / 2 + 16} textAnchor="middle">
          {node.kind === "user" ? rate(node.rate_per_s) : `${t("map.external")} · P95 ${duration(node.p95_ms)}`}
        </text>
      )}
      {node.hot ? <Flag node={node} /> : null}
    </g>
  );
}

function Numbers({ node }: { node: PlacedNode }) {
  const { t } = useApp();
  const failing = (node.error_ratio ?? 0) > 0;
  const cells = [
    [t("col.rate"), rate(node.rate_per_s)],
    ["P95", duration(node.p95_ms)],
    [t("col.errors"), percent(node.error_ratio)],
  ] as const;
  return (
    <>
      <line className="rule" x1="12" x2={SIZE.service.width - 12} y1="37" y2="37" />
      {cells.map(([label, value], i) => (
        <g
          key={label}
          transform={`translate(${[12, 66, SIZE.service.width - 12][i]},0)`}
          textAnchor={i === 2 ? "end" : "start"}
        >
          <text className="label" y="52">
            {label}
          </text>
          <text className={i === 2 && failing ? "value failing" : "value"} y="68">
            {i === 2 && failing ? `▲ ${value}` : value}
          </text>
        </g>
      ))}
    </>
  );
}

function Flag({ node }: { node: PlacedNode }) {
  const { t } = useApp();
  const saving = node.saving_p99_ms;
  const text = typeof saving === "number" && saving > 0 ? `${t("map.hot")} · −${roundMs(saving)}` : t("map.hot");
  const width = 18 + [...text].reduce((sum, char) => sum + (char > "\u2fff" ? 12 : 6.4), 0);
  return (
    <g className="flag" transform={`translate(${(SIZE.service.width - width) / 2},-15)`}>
      <rect width={width} height="22" rx="11" />
      <text x={width / 2} y="15" textAnchor="middle">
        {text}
      </text>
    </g>
  );
}

function nameOf(node: GraphNode, t: ReturnType<typeof useApp>["t"]): string {
  return node.kind === "user" ? t("map.user") : node.id;
}

function short(text: string): string {
  return text.length > 21 ? `${text.slice(0, 20)}…` : text;
}
