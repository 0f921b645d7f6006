// Search for traces. What was asked is in the address; typing changes nothing until it is sent.
import { useMemo } from "react";
import { type JaegerTrace, parseTags, type Search, searchTraces } from "../api/jaeger";
import { useApp } from "../app/context";
import { Page } from "../app/shell";
import { setParams, usePlace } from "../app/url";
import { useQuery } from "../app/use-query";
import { colorsOf } from "../charts/colors";
import { Empty, Failure, Skeleton } from "../parts/states";
import { TraceList } from "../trace/list";
import { type SortOrder, sortSummaries, summarize } from "../trace/model";
import { Scatter } from "../trace/scatter";
import { SearchForm } from "../trace/search-form";
import type { TimeRange } from "../time/range";

const LIMIT_DEFAULT = 50;
const ORDERS: SortOrder[] = ["time", "duration", "spans", "errors"];

export function TracesPage() {
  const { t, range } = useApp();
  const { params } = usePlace();
  const search = searchOf(params, range);
  const { startMs: _start, endMs: _end, ...asked } = search;
  const found = useQuery(JSON.stringify([asked, params.get("from"), params.get("to")]), range, (signal) =>
    searchTraces(search, signal),
  );
  return (
    <Page title={t("traces.title")}>
      <SearchForm key={JSON.stringify(asked)} params={params} limitDefault={LIMIT_DEFAULT} />
      {found.error ? <Failure error={found.error} /> : null}
      {found.data ? <Results traces={found.data} limit={search.limit} range={range} /> : null}
      {!found.data && !found.error ? <Skeleton height={420} /> : null}
    </Page>
  );
}

/** The search that an address asks for. */
export function searchOf(params: URLSearchParams, range: TimeRange): Search {
  const text = (name: string) => params.get(name) ?? "";
  const limit = Number.parseInt(text("limit"), 10);
  return {
    service: text("service"),
    operation: text("operation"),
    tags: parseTags(text("tags")) ?? {},
    minDuration: text("min"),
    maxDuration: text("max"),
    limit: limit > 0 ? limit : LIMIT_DEFAULT,
    startMs: range.startMs,
    endMs: range.endMs,
  };
}

function Results({ traces, limit, range }: { traces: JaegerTrace[]; limit: number; range: TimeRange }) {
  const { t } = useApp();
  const asked = usePlace().params.get("sort");
  const order = ORDERS.find((candidate) => candidate === asked) ?? "time";
  const summaries = useMemo(() => traces.map(summarize), [traces]);
  const colors = useMemo(() => colorsOf(summaries.flatMap((one) => one.services.map(([name]) => name))), [summaries]);
  const sorted = useMemo(() => sortSummaries(summaries, order), [summaries, order]);
  if (sorted.length === 0) {
    return (
      <section className="panel">
        <Empty icon="search" title={t("traces.empty")}>
          {t("traces.empty.do")}
        </Empty>
      </section>
    );
  }
  return (
    <section className="panel" aria-labelledby="found-head">
      <div className="panel-head">
        <h2 id="found-head">{sorted.length === 1 ? t("traces.found.one") : t("traces.found", { n: sorted.length })}</h2>
        {sorted.length >= limit ? <span className="muted">{t("traces.found.limit", { n: limit })}</span> : null}
        <label className="end sort">
          <span className="muted">{t("traces.sort")}</span>
          <select
            className="input"
            value={order}
            onChange={(event) => setParams({ sort: event.target.value }, "replace")}
          >
            {ORDERS.map((one) => (
              <option key={one} value={one}>
                {t(`traces.sort.${one}`)}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Scatter traces={sorted} range={range} />
      <TraceList traces={sorted} colors={colors} />
    </section>
  );
}
