// One trace: summary, critical path, waterfall, and the chosen span beside it.
import { useMemo, useState } from "react";
import { fetchCriticalPath } from "../api/eino";
import { ApiError, apiUrl } from "../api/http";
import { fetchTrace, type JaegerTrace } from "../api/jaeger";
import { useApp } from "../app/context";
import { Page } from "../app/shell";
import { setParams, usePlace } from "../app/url";
import { useQuery } from "../app/use-query";
import { colorsOf } from "../charts/colors";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { Empty, Failure, Skeleton } from "../parts/states";
import { SpanDetail } from "../trace/detail";
import { buildTrace, pathPieces, piecesBySpan, type TraceModel, visibleRows } from "../trace/model";
import { PathStrip } from "../trace/path-strip";
import { Waterfall } from "../trace/waterfall";
import { dateTime, duration } from "../units/format";

export function TracePage({ id }: { id: string }) {
  const { t } = useApp();
  const trace = useQuery(id, 0, (signal) => fetchTrace(id, signal));
  const isMissing = trace.data === null || (trace.error instanceof ApiError && trace.error.status === 404);
  const title = trace.data ? rootTitle(trace.data) : t("traces.title");
  const back = (
    <Link className="button quiet square" to="/traces" title={t("trace.back")}>
      <Icon name="left" />
      <span className="hidden-visually">{t("trace.back")}</span>
    </Link>
  );
  return (
    <Page title={title} range={false} lead={back}>
      {isMissing ? (
        <section className="panel">
          <Empty title={t("trace.missing")}>{t("trace.missing.do")}</Empty>
        </section>
      ) : null}
      {trace.error && !isMissing ? <Failure error={trace.error} /> : null}
      {trace.data ? <Body trace={trace.data} /> : null}
      {trace.loading && !trace.data ? (
        <>
          <Skeleton height={150} />
          <Skeleton height={360} label={false} />
        </>
      ) : null}
    </Page>
  );
}

function rootTitle(trace: JaegerTrace): string {
  const root = buildTrace(trace).rows[0];
  return root ? `${root.service} · ${root.span.operationName}` : trace.traceID;
}

function Body({ trace: json }: { trace: JaegerTrace }) {
  const { t } = useApp();
  const { params } = usePlace();
  const trace = useMemo(() => buildTrace(json), [json]);
  const path = useQuery(trace.id, 0, (signal) => fetchCriticalPath(trace.id, signal));
  const pieces = useMemo(() => (path.data ? pathPieces(path.data, trace) : []), [path.data, trace]);
  const bySpan = useMemo(() => piecesBySpan(pieces), [pieces]);
  const colors = useMemo(() => colorsOf(trace.services), [trace]);
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set());
  const onlyPath = params.get("path") === "only";
  const rows = useMemo(() => {
    const onPath = new Set(bySpan.keys());
    return visibleRows(trace.rows, collapsed, onlyPath && onPath.size > 0 ? onPath : undefined);
  }, [trace, collapsed, onlyPath, bySpan]);
  const chosen = params.get("span") ?? undefined;
  const choose = (id: string | undefined) => setParams({ span: id }, "replace");
  const fold = (id: string, closed: boolean) =>
    setCollapsed((old) => {
      const next = new Set(old);
      if (closed) next.add(id);
      else next.delete(id);
      return next;
    });
  const row = trace.rows.find((candidate) => candidate.span.spanID === chosen);
  return (
    <>
      <section className="panel trace-summary">
        <Summary trace={trace} />
        {path.error ? <p className="muted">{t("trace.path.none", { error: path.error.message })}</p> : null}
        {pieces.length > 0 ? (
          <PathStrip pieces={pieces} durationUs={trace.durationUs} colors={colors} choose={choose} />
        ) : null}
      </section>
      <div className={row ? "trace-body with-detail" : "trace-body"}>
        <section className="panel">
          <div className="panel-head wf-tools">
            <button
              type="button"
              className="button"
              aria-pressed={onlyPath}
              onClick={() => setParams({ path: onlyPath ? undefined : "only" }, "replace")}
            >
              <i className="path-key" />
              {t("trace.path.only")}
            </button>
            <button
              type="button"
              className="button"
              onClick={() => setCollapsed(collapsed.size > 0 ? new Set() : parentsOf(trace))}
            >
              {t(collapsed.size > 0 ? "trace.expand" : "trace.collapse")}
            </button>
            <span className="muted end keys">
              {rows.length < trace.rows.length ? `${t("trace.hidden", { n: trace.rows.length - rows.length })} · ` : ""}
              {t("trace.keys")}
            </span>
          </div>
          <Waterfall
            rows={rows}
            durationUs={trace.durationUs}
            colors={colors}
            pieces={bySpan}
            collapsed={collapsed}
            chosen={chosen}
            choose={choose}
            fold={fold}
          />
        </section>
        {row ? (
          <SpanDetail
            row={row}
            trace={trace}
            pieces={bySpan.get(row.span.spanID) ?? []}
            color={colors.get(row.service)}
            close={() => choose(undefined)}
          />
        ) : null}
      </div>
    </>
  );
}

/** Spans with children, but for the roots. */
function parentsOf(trace: TraceModel): Set<string> {
  return new Set(trace.rows.filter((row) => row.descendants > 0 && row.depth > 0).map((row) => row.span.spanID));
}

function Summary({ trace }: { trace: TraceModel }) {
  const { t, lang } = useApp();
  const [copied, setCopied] = useState(false);
  const copy = () => void navigator.clipboard?.writeText(trace.id).then(() => setCopied(true));
  return (
    <dl className="summary">
      <div>
        <dt>{t("trace.duration")}</dt>
        <dd className="big">{duration(trace.durationUs / 1000)}</dd>
      </div>
      <div>
        <dt>{t("trace.started")}</dt>
        <dd>{dateTime(trace.startUs / 1000, lang)}</dd>
      </div>
      <div>
        <dt>{t("trace.spans")}</dt>
        <dd>{trace.rows.length}</dd>
      </div>
      <div>
        <dt>{t("trace.services")}</dt>
        <dd>{trace.services.length}</dd>
      </div>
      <div>
        <dt>{t("trace.depth")}</dt>
        <dd>{trace.depth}</dd>
      </div>
      <div>
        <dt>{t("trace.errors")}</dt>
        <dd className={trace.errors > 0 ? "bad" : ""}>{trace.errors}</dd>
      </div>
      <div className="id">
        <dt>{t("traces.byid")}</dt>
        <dd className="mono">
          <span className="ellipsis">{trace.id}</span>
          <button
            type="button"
            className="button quiet square"
            onClick={copy}
            title={copied ? t("trace.copied") : t("trace.copy")}
            aria-label={t("trace.copy")}
          >
            <Icon name={copied ? "check" : "copy"} size={14} />
          </button>
          <a className="text" href={apiUrl(`jaeger/api/traces/${trace.id}`)} target="_blank" rel="noreferrer">
            {t("trace.json")}
          </a>
        </dd>
      </div>
    </dl>
  );
}
