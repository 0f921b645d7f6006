// The first page: what is slow, why, what fixing it saves; below it every service.
import { fetchReport, type Report } from "../api/eino";
import { queryRange } from "../api/prom";
import { useApp } from "../app/context";
import { Page } from "../app/shell";
import { setParams, usePlace } from "../app/url";
import { useQuery } from "../app/use-query";
import { BottleneckCard } from "../home/bottleneck";
import { ServicesTable } from "../home/services";
import { FirstSteps } from "../home/first-steps";
import { Icon } from "../parts/icons";
import { Empty, Failure, Skeleton } from "../parts/states";
import { rateWindowSeconds, stepSeconds, type TimeRange } from "../time/range";
import { clockTime, count } from "../units/format";

const SPARK_BARS = 28;

export function HomePage() {
  const { t, lang, range, raw } = useApp();
  const key = `${raw.from} ${raw.to}`;
  const report = useQuery(`${key} ${lang}`, range, (signal) => fetchReport(range, lang, signal));
  const trend = useQuery(key, range, (signal) => fetchTrend(range, signal));
  return (
    <Page title={t("nav.services")}>
      {report.error ? <Failure error={report.error} /> : null}
      {report.data ? <Body report={report.data} trend={trend.data ?? new Map()} /> : null}
      {!report.data && !report.error ? (
        <>
          <Skeleton height={292} />
          <Skeleton height={240} label={false} />
        </>
      ) : null}
    </Page>
  );
}

function Body({ report, trend }: { report: Report; trend: Map<string, (number | null)[]> }) {
  const { t, lang } = useApp();
  if (report.traces === 0 && report.services.length === 0) return <FirstSteps />;
  const { start_ms, end_ms } = report.window;
  const read = t("home.read", {
    traces: count(report.traces, lang),
    from: clockTime(start_ms, lang),
    to: clockTime(end_ms, lang),
  });
  return (
    <>
      <Bottlenecks report={report} />
      <section className="panel" aria-labelledby="services-head">
        <div className="panel-head">
          <h2 id="services-head">{t("home.services")}</h2>
          <span className="muted end">{read}</span>
        </div>
        <ServicesTable rows={report.services} trend={trend} hot={hotService(report)} />
      </section>
    </>
  );
}

/** The entry point that the address names, or the first; its first bottleneck in full, the others as a list. */
function Bottlenecks({ report }: { report: Report }) {
  const { t } = useApp();
  const wanted = usePlace().params.get("entry");
  const names = report.entry_points.map((entry) => `${entry.service} ${entry.operation}`);
  const found = names.findIndex((name) => name === wanted);
  const entry = report.entry_points[found >= 0 ? found : 0];
  if (!entry || entry.bottlenecks.length === 0) {
    return (
      <section className="panel">
        <Empty icon="check" title={t("home.calm")}>
          {t("home.calm.do")}
        </Empty>
      </section>
    );
  }
  return (
    <>
      {names.length > 1 ? (
        <div className="entries" role="group" aria-label={t("home.entry")}>
          <span className="muted">{t("home.entry")}</span>
          {report.entry_points.map((choice, i) => (
            <button
              type="button"
              className="button"
              key={names[i]}
              aria-pressed={choice === entry}
              onClick={() => setParams({ entry: names[i] })}
            >
              {choice.bottlenecks.length > 0 ? <Icon name="flame" size={14} /> : null}
              {names[i]}
            </button>
          ))}
        </div>
      ) : null}
      <BottleneckCard entry={entry} />
    </>
  );
}

/** The service to mark: the first bottleneck of the first entry point. */
function hotService(report: Report): string | undefined {
  return report.entry_points[0]?.bottlenecks[0]?.service;
}

/** Requests per second of each service in equal steps, for the small bars; from the store's own span metrics. */
async function fetchTrend(range: TimeRange, signal: AbortSignal): Promise<Map<string, (number | null)[]>> {
  const step = stepSeconds(range, SPARK_BARS);
  const window = rateWindowSeconds(step);
  const expr = `sum by (service) (rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"}[${window}s]))`;
  const { series } = await queryRange(expr, range, step, signal);
  const start = Math.floor(range.startMs / 1000 / step) * step;
  const slots = Math.ceil(range.endMs / 1000 / step) - start / step + 1;
  const rows = series.map(({ metric, values }) => {
    const row: (number | null)[] = new Array<number | null>(slots).fill(null);
    for (const [time, value] of values) row[Math.round((time - start) / step)] = Number(value);
    return [metric["service"] ?? "", row] as const;
  });
  return new Map(rows);
}
