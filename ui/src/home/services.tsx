import type { ServiceRow } from "../api/eino";
import { useApp } from "../app/context";
import { SparkBars } from "../charts/spark";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { count, duration, percent, rate } from "../units/format";

interface Props {
  rows: ServiceRow[];
  /** Requests per second in equal steps, by service. */
  trend: Map<string, (number | null)[]>;
  /** The service that holds the bottleneck. */
  hot: string | undefined;
}

/** Rate, errors and durations of every service. On a phone each row is a card. */
export function ServicesTable({ rows, trend, hot }: Props) {
  const { t, lang } = useApp();
  const slowest = Math.max(...rows.map((row) => row.p99_ms), 0);
  return (
    <div className="table-scroll">
      <table className="services">
        <thead>
          <tr>
            <th>{t("col.service")}</th>
            <th className="num">{t("col.requests")}</th>
            <th className="num">{t("col.rate")}</th>
            <th className="trend">{t("col.trend")}</th>
            <th className="num">{t("col.avg")}</th>
            <th className="num">P50</th>
            <th className="num">P95</th>
            <th className="num">P99</th>
            <th className="num">{t("col.errors")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.service}>
              <td className="name">
                <Link className="text" to="/traces" params={{ service: row.service }}>
                  {row.service}
                </Link>
                {row.service === hot ? (
                  <span className="badge hot">
                    <Icon name="flame" size={12} />
                    {t("home.bottleneck")}
                  </span>
                ) : null}
              </td>
              <Cell label={t("col.requests")}>{count(row.requests, lang)}</Cell>
              <Cell label={t("col.rate")}>{rate(row.rate_per_s)}</Cell>
              <td className="trend">
                <SparkBars values={trend.get(row.service) ?? []} />
              </td>
              <Cell label={t("col.avg")}>{duration(row.avg_ms)}</Cell>
              <Cell label="P50">{duration(row.p50_ms)}</Cell>
              <Cell label="P95">{duration(row.p95_ms)}</Cell>
              <td className="num p99-cell" data-label="P99">
                <span className="tick" style={{ width: `${slowest > 0 ? (row.p99_ms / slowest) * 100 : 0}%` }} />
                <b>{duration(row.p99_ms)}</b>
              </td>
              <td className="num" data-label={t("col.errors")}>
                {row.error_ratio > 0 ? <ErrorLink row={row} /> : <span className="muted">0 %</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ label, children }: { label: string; children: string }) {
  return (
    <td className="num" data-label={label}>
      {children}
    </td>
  );
}

function ErrorLink({ row }: { row: ServiceRow }) {
  return (
    <Link
      className={row.error_ratio >= 0.05 ? "errors bad" : "errors"}
      to="/traces"
      params={{ service: row.service, tags: "error=true" }}
    >
      {percent(row.error_ratio)}
    </Link>
  );
}
