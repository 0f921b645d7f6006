// One PromQL expression, as a graph over the range and as a table at its end.
import { lazy, Suspense, useMemo, useState } from "react";
import { ApiError } from "../api/http";
import { errorPosition, type Instant, queryInstant, queryRange, type Series, seriesName } from "../api/prom";
import { useApp } from "../app/context";
import { Page } from "../app/shell";
import { setParams, usePlace } from "../app/url";
import { useQuery } from "../app/use-query";
import { colorsOf } from "../charts/colors";
import { Legend } from "../charts/legend";
import { toChart } from "../charts/series";
import type { TextKey } from "../i18n";
import { Icon } from "../parts/icons";
import { Empty, Failure, Skeleton } from "../parts/states";
import { fixed, stepSeconds, type TimeRange, zoomOut } from "../time/range";
import { dateTime, duration } from "../units/format";

const Editor = lazy(() => import("../query/editor"));
const LineChart = lazy(() => import("../charts/line-chart"));
const POINTS_MAX = 300;

const EXAMPLES: [TextKey, string][] = [
  ["explore.example.rate", 'sum by (service) (rate(traces_spanmetrics_calls_total{span_kind="SPAN_KIND_SERVER"}[1m]))'],
  [
    "explore.example.p99",
    "histogram_quantile(0.99, sum by (service, le) (rate(traces_spanmetrics_latency_bucket[1m])))",
  ],
  ["explore.example.path", "sum by (service, operation) (rate(eino_critical_path_seconds_total[1m]))"],
  ["explore.example.up", "up"],
];

export function ExplorePage() {
  const { t, refresh } = useApp();
  const { params } = usePlace();
  const expr = params.get("expr") ?? "";
  const [draft, setDraft] = useState({ text: expr, of: expr });
  // The address changed under the editor (back, an example): follow it.
  if (draft.of !== expr) setDraft({ text: expr, of: expr });
  const run = (text: string) => {
    setParams({ expr: text.trim() });
    refresh();
  };
  const isTable = params.get("tab") === "table";
  return (
    <Page title={t("explore.title")}>
      <section className="panel query">
        <Suspense
          fallback={
            <div className="editor">
              <pre className="mono editor-wait">{expr || " "}</pre>
            </div>
          }
        >
          <Editor
            value={draft.text}
            label={t("explore.expr")}
            onChange={(text) => setDraft({ text, of: expr })}
            onRun={run}
          />
        </Suspense>
        <button type="button" className="button primary" onClick={() => run(draft.text)}>
          <Icon name="play" size={13} />
          {t("explore.run")}
        </button>
      </section>
      {expr === "" ? (
        <Examples run={run} />
      ) : (
        <section className="panel">
          <div className="panel-head">
            {(["graph", "table"] as const).map((tab) => (
              <button
                key={tab}
                type="button"
                className="button quiet"
                aria-pressed={(tab === "table") === isTable}
                onClick={() => setParams({ tab: tab === "table" ? "table" : undefined }, "replace")}
              >
                {t(`explore.${tab}`)}
              </button>
            ))}
          </div>
          {isTable ? <Table expr={expr} /> : <Graph expr={expr} />}
        </section>
      )}
    </Page>
  );
}

function Examples({ run }: { run: (expr: string) => void }) {
  const { t } = useApp();
  return (
    <section className="panel">
      <Empty icon="explore" title={t("explore.start")}>
        {t("explore.start.do")}
      </Empty>
      <ul className="examples">
        {EXAMPLES.map(([key, expr]) => (
          <li key={key}>
            <button type="button" onClick={() => run(expr)}>
              <b>{t(key)}</b>
              <code>{expr}</code>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Graph({ expr }: { expr: string }) {
  const { range, raw } = useApp();
  const step = stepSeconds(range, POINTS_MAX);
  const answer = useQuery(`${expr}\n${raw.from}\n${raw.to}\n${step}`, range, async (signal) => ({
    ...(await queryRange(expr, range, step, signal)),
    range,
    step,
  }));
  if (answer.error)
    return (
      <div className="panel-body">
        <QueryFailure error={answer.error} expr={expr} />
      </div>
    );
  if (!answer.data)
    return (
      <div className="panel-body">
        <Skeleton height={340} />
      </div>
    );
  return (
    <>
      <Warnings texts={answer.data.warnings} />
      <Lines {...answer.data} />
    </>
  );
}

function Lines({ series, range, step }: { series: Series[]; range: TimeRange; step: number }) {
  const { t, lang } = useApp();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const chart = useMemo(() => toChart(series, range.startMs / 1000, range.endMs / 1000, step), [series, range, step]);
  const colors = useMemo(() => {
    // By the short name, so that a service has the colour that it has elsewhere.
    const byName = colorsOf(chart.lines.map((line) => line.name));
    return new Map(chart.lines.map((line) => [line.key, byName.get(line.name) ?? "var(--c0)"]));
  }, [chart]);
  if (chart.lines.length === 0) return <Empty title={t("explore.empty")}>{t("explore.empty.do")}</Empty>;
  const zoom = (startMs: number, endMs: number) => setParams({ ...fixed({ startMs, endMs }) });
  return (
    <>
      <p className="chart-note muted">
        {series.length === 1 ? t("explore.series.one") : t("explore.series", { n: series.length })} ·{" "}
        {t("explore.step", { step: duration(step * 1000) })} · {t("explore.zoom")}
      </p>
      <Suspense fallback={<Skeleton height={340} />}>
        <LineChart
          chart={chart}
          colors={colors}
          hidden={hidden}
          lang={lang}
          label={t("explore.chart", { n: chart.lines.length })}
          zoom={zoom}
          zoomOut={() => setParams({ ...zoomOut(range) })}
        />
      </Suspense>
      {chart.hidden > 0 ? <p className="chart-note warn-text">{t("explore.more", { n: chart.hidden })}</p> : null}
      <Legend lines={chart.lines} colors={colors} hidden={hidden} setHidden={setHidden} />
    </>
  );
}

function Table({ expr }: { expr: string }) {
  const { t, lang, range, raw } = useApp();
  const answer = useQuery(`${expr}\n${raw.to}`, range, (signal) => queryInstant(expr, range.endMs, signal));
  if (answer.error)
    return (
      <div className="panel-body">
        <QueryFailure error={answer.error} expr={expr} />
      </div>
    );
  if (!answer.data)
    return (
      <div className="panel-body">
        <Skeleton height={200} />
      </div>
    );
  const rows = rowsOf(answer.data);
  return (
    <>
      <Warnings texts={answer.data.warnings} />
      <p className="chart-note muted">{t("explore.at", { time: dateTime(range.endMs, lang) })}</p>
      {rows.length === 0 ? (
        <Empty title={t("explore.empty")}>{t("explore.empty.do")}</Empty>
      ) : (
        <div className="table-scroll" tabIndex={0} role="group" aria-label={t("explore.series", { n: rows.length })}>
          <table>
            <thead>
              <tr>
                <th>{t("explore.series", { n: rows.length })}</th>
                <th className="num">{t("explore.value")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(([name, value]) => (
                <tr key={name}>
                  <td className="mono series-name">{name}</td>
                  <td className="num mono">{value}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function rowsOf(answer: Instant): [string, string][] {
  switch (answer.resultType) {
    case "vector":
      return answer.result.map((one) => [seriesName(one.metric), one.value[1]]);
    case "matrix":
      return answer.result.map((one) => [seriesName(one.metric), one.values.map(([, value]) => value).join("  ")]);
    default:
      return [[answer.resultType, answer.result[1]]];
  }
}

function Warnings({ texts }: { texts: string[] }) {
  return (
    <>
      {texts.map((text) => (
        <p key={text} className="chart-note warn-text">
          {text}
        </p>
      ))}
    </>
  );
}

/** The server's words, and the place they speak of marked in the expression. */
function QueryFailure({ error, expr }: { error: Error; expr: string }) {
  const { t } = useApp();
  const isOurs = error instanceof ApiError && error.status >= 400 && error.status < 500;
  if (!isOurs) return <Failure error={error} />;
  const position = errorPosition(error.message);
  const line = position ? expr.split("\n")[position.line - 1] : undefined;
  return (
    <div className="notice hot" role="alert">
      <Icon name="warning" size={18} />
      <div className="query-error">
        <strong>
          {t("explore.error")}
          {position ? ` · ${t("explore.error.at", position)}` : ""}
        </strong>
        {line !== undefined && position ? (
          <pre className="mono">{`${line}\n${" ".repeat(Math.max(0, position.column - 1))}▲`}</pre>
        ) : null}
        <p className="mono">{error.message}</p>
      </div>
    </div>
  );
}
