// Duration over time, a dot per trace: the slow ones stand out before one reads the list. Failed ones are diamonds.
import { useApp } from "../app/context";
import { go, linkParams, usePlace } from "../app/url";
import type { TimeRange } from "../time/range";
import { clockTime, duration } from "../units/format";
import type { TraceSummary } from "./model";

const [WIDTH, HEIGHT, TOP] = [1000, 110, 8];

export function Scatter({ traces, range }: { traces: TraceSummary[]; range: TimeRange }) {
  const { t, lang } = useApp();
  const { params } = usePlace();
  const longestUs = niceMax(Math.max(...traces.map((trace) => trace.durationUs), 1) / 1000) * 1000;
  const x = (trace: TraceSummary) => ((trace.startUs / 1000 - range.startMs) / (range.endMs - range.startMs)) * 100;
  const y = (trace: TraceSummary) => (1 - trace.durationUs / longestUs) * 100;
  return (
    <figure className="scatter" aria-label={t("traces.chart")}>
      <span className="scatter-axis muted at-top">{duration(longestUs / 1000)}</span>
      <span className="scatter-axis muted at-middle">{duration(longestUs / 2000)}</span>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {[0, 0.5, 1].map((share) => (
          <line
            key={share}
            x1="0"
            x2={WIDTH}
            y1={TOP + share * (HEIGHT - TOP * 2)}
            y2={TOP + share * (HEIGHT - TOP * 2)}
          />
        ))}
      </svg>
      <div className="dots">
        {traces.map((trace) => (
          <i
            key={trace.id}
            className={trace.errors > 0 ? "failed" : ""}
            style={{ left: `${Math.min(100, Math.max(0, x(trace)))}%`, top: `${y(trace)}%` }}
            title={`${trace.rootService} ${trace.rootOperation}: ${duration(trace.durationUs / 1000)}, ${clockTime(trace.startUs / 1000, lang)}`}
            onClick={() => go({ path: `/traces/${trace.id}`, params: linkParams(params, {}) })}
          />
        ))}
      </div>
      <figcaption className="scatter-time muted">
        <span>{clockTime(range.startMs, lang)}</span>
        <span>{clockTime(range.endMs, lang)}</span>
      </figcaption>
    </figure>
  );
}

/** The next of 1, 2, 5 × 10ⁿ. */
export function niceMax(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  const factor = [1, 2, 5, 10].find((step) => step * power >= value) ?? 10;
  return factor * power;
}
