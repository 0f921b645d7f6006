// The service map and, below it, the same connections as a table.
import { useEffect, useState } from "react";
import { fetchGraph, type ServiceGraph } from "../api/eino";
import { useApp } from "../app/context";
import { Page } from "../app/shell";
import { setParams, usePlace } from "../app/url";
import { useQuery } from "../app/use-query";
import { layout, type Layout } from "../graph/layout";
import { Picture } from "../graph/picture";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { Empty, Failure, Skeleton } from "../parts/states";
import { count, duration, percent, rate } from "../units/format";

export function MapPage() {
  const { t, range, raw } = useApp();
  const graph = useQuery(`${raw.from} ${raw.to}`, range, (signal) => fetchGraph(range, signal));
  return (
    <Page title={t("map.title")}>
      {graph.error ? <Failure error={graph.error} /> : null}
      {graph.data ? <Body graph={graph.data} /> : null}
      {!graph.data && !graph.error ? <Skeleton height={460} /> : null}
    </Page>
  );
}

function Body({ graph }: { graph: ServiceGraph }) {
  const { t } = useApp();
  const asked = usePlace().params.get("node") ?? undefined;
  const chosen = graph.nodes.some((node) => node.id === asked) ? asked : undefined;
  const placed = useLayout(graph);
  if (graph.nodes.length === 0) {
    return (
      <section className="panel">
        <Empty icon="map" title={t("map.empty")}>
          {t("map.empty.do")}
        </Empty>
      </section>
    );
  }
  const choose = (id: string | undefined) => setParams({ node: id }, "replace");
  return (
    <>
      <section className="panel map-panel">
        <Legend />
        {placed ? <Picture layout={placed} chosen={chosen} choose={choose} /> : <Skeleton height={420} />}
      </section>
      <Calls graph={graph} chosen={chosen} />
    </>
  );
}

/** The layout of the graph; the old one stays until the new one is there. */
function useLayout(graph: ServiceGraph): Layout | undefined {
  const [placed, setPlaced] = useState<Layout>();
  const isNarrow = useNarrow();
  useEffect(() => {
    let isCurrent = true;
    void layout(graph, isNarrow ? "TB" : "LR").then((next) => {
      if (isCurrent) setPlaced(next);
    });
    return () => {
      isCurrent = false;
    };
  }, [graph, isNarrow]);
  return placed;
}

function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(() => window.matchMedia("(max-width: 860px)").matches);
  useEffect(() => {
    const media = window.matchMedia("(max-width: 860px)");
    const update = () => setNarrow(media.matches);
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, []);
  return isNarrow;
}

function Legend() {
  const { t } = useApp();
  return (
    <ul className="legend muted">
      <li>
        <i className="key hot" />
        {t("map.legend.hot")}
      </li>
      <li>
        <i className="key external" />
        {t("map.legend.external")}
      </li>
      <li>
        <span className="key-text">▲</span>
        {t("map.legend.errors")}
      </li>
    </ul>
  );
}

function Calls({ graph, chosen }: { graph: ServiceGraph; chosen: string | undefined }) {
  const { t, lang } = useApp();
  const edges = graph.edges.filter((edge) => chosen === undefined || edge.source === chosen || edge.target === chosen);
  const isService = graph.nodes.some((node) => node.id === chosen && node.kind === "service");
  return (
    <section className="panel" aria-labelledby="calls-head">
      <div className="panel-head">
        <h2 id="calls-head">{chosen === undefined ? t("map.calls") : t("map.calls.of", { service: chosen })}</h2>
        {chosen === undefined ? null : (
          <span className="end actions-row">
            {isService ? (
              <Link className="button" to="/traces" params={{ service: chosen }}>
                {t("map.traces")}
              </Link>
            ) : null}
            <button type="button" className="button" onClick={() => setParams({ node: undefined }, "replace")}>
              <Icon name="close" size={12} />
              {t("map.close")}
            </button>
          </span>
        )}
      </div>
      <div className="table-scroll" tabIndex={0} role="group" aria-labelledby="calls-head">
        <table className="calls-table">
          <thead>
            <tr>
              <th>{t("map.from")}</th>
              <th>{t("map.to")}</th>
              <th className="num calls">{t("map.calls")}</th>
              <th className="num">{t("col.rate")}</th>
              <th className="num">P95</th>
              <th className="num">{t("col.errors")}</th>
            </tr>
          </thead>
          <tbody>
            {edges.map((edge) => (
              <tr key={`${edge.source} ${edge.target} ${edge.connection_type ?? ""}`}>
                <td>{edge.source}</td>
                <td>{edge.target}</td>
                <td className="num calls">{count(edge.calls, lang)}</td>
                <td className="num">{rate(edge.rate_per_s)}</td>
                <td className="num">{duration(edge.p95_ms)}</td>
                <td className={edge.errors > 0 ? "num errors" : "num muted"}>
                  {percent(edge.calls > 0 ? edge.errors / edge.calls : 0)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
