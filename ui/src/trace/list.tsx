import { useApp } from "../app/context";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { ago, clockTime, duration } from "../units/format";
import type { TraceSummary } from "./model";

const SERVICES_SHOWN = 3;

export function TraceList({ traces, colors }: { traces: TraceSummary[]; colors: Map<string, string> }) {
  const longestUs = Math.max(...traces.map((trace) => trace.durationUs), 1);
  return (
    <ul className="trace-list">
      {traces.map((trace) => (
        <li key={trace.id}>
          <Item trace={trace} colors={colors} longestUs={longestUs} />
        </li>
      ))}
    </ul>
  );
}

function Item({ trace, colors, longestUs }: { trace: TraceSummary; colors: Map<string, string>; longestUs: number }) {
  const { t, lang, range } = useApp();
  const startMs = trace.startUs / 1000;
  const rest = trace.services.length - SERVICES_SHOWN;
  return (
    <Link className="trace-item" to={`/traces/${trace.id}`}>
      <span className="trace-what">
        <span className="ellipsis">
          <b>{trace.rootService}</b> <span className="muted">{trace.rootOperation}</span>
        </span>
        {trace.errors > 0 ? (
          <span className="badge hot">
            <Icon name="warning" size={12} />
            {t(trace.errors === 1 ? "traces.errors.one" : "traces.errors", { n: trace.errors })}
          </span>
        ) : null}
        {trace.rootMissing ? <span className="badge warn">{t("traces.missing")}</span> : null}
      </span>
      <span className="trace-services muted">
        {trace.services.slice(0, SERVICES_SHOWN).map(([name, spans]) => (
          <span key={name} className="trace-service">
            <i className="dot" style={{ background: colors.get(name) }} />
            {name} {spans}
          </span>
        ))}
        {rest > 0 ? <span>+{rest}</span> : null}
      </span>
      <span className="trace-bar">
        <i style={{ width: `${(trace.durationUs / longestUs) * 100}%` }} className={trace.errors > 0 ? "failed" : ""} />
      </span>
      <b className="num trace-duration">{duration(trace.durationUs / 1000)}</b>
      <span className="num muted trace-spans">{t("traces.spans", { n: trace.spans })}</span>
      <span className="num muted trace-when" title={ago(startMs, range.endMs, lang)}>
        {clockTime(startMs, lang)}
      </span>
    </Link>
  );
}
