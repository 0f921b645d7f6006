import type { MouseEvent } from "react";
import { useApp } from "../app/context";
import { compact, DASH } from "../units/format";
import type { Line } from "./series";

interface Props {
  lines: Line[];
  colors: Map<string, string>;
  hidden: ReadonlySet<string>;
  setHidden: (hidden: ReadonlySet<string>) => void;
}

/** A row per line. A click shows it alone, or all again; with Ctrl it hides or shows that one. */
export function Legend({ lines, colors, hidden, setHidden }: Props) {
  const { t } = useApp();
  const click = (key: string) => (event: MouseEvent) =>
    setHidden(event.ctrlKey || event.metaKey ? toggle(hidden, key) : isolate(lines, hidden, key));
  return (
    <div className="table-scroll legend-table">
      <table>
        <thead>
          <tr>
            <th>
              {hidden.size > 0 ? (
                <button type="button" className="link" onClick={() => setHidden(new Set())}>
                  {t("explore.all")}
                </button>
              ) : (
                t("explore.isolate")
              )}
            </th>
            <th className="num">{t("explore.mean")}</th>
            <th className="num">{t("explore.max")}</th>
            <th className="num">{t("explore.last")}</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <tr key={line.key} className={hidden.has(line.key) ? "off" : ""}>
              <td>
                <button
                  type="button"
                  className="link series"
                  aria-pressed={!hidden.has(line.key)}
                  title={line.key}
                  onClick={click(line.key)}
                >
                  <i className="dot" style={{ background: colors.get(line.key) }} />
                  <span className="ellipsis">{line.name}</span>
                </button>
              </td>
              {[line.mean, line.max, line.last].map((value, i) => (
                <td className="num" key={i}>
                  {value === null ? DASH : compact(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function toggle(hidden: ReadonlySet<string>, key: string): Set<string> {
  const next = new Set(hidden);
  if (!next.delete(key)) next.add(key);
  return next;
}

/** Hides all others; all come back when it stood alone already. */
export function isolate(lines: Line[], hidden: ReadonlySet<string>, key: string): Set<string> {
  const others = lines.map((line) => line.key).filter((other) => other !== key);
  const isAlone = !hidden.has(key) && others.every((other) => hidden.has(other));
  return isAlone ? new Set() : new Set(others);
}
