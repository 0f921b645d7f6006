// The spans of a trace over time. Rows have one height, so that only those on screen are drawn: a trace of
// 10 000 spans scrolls as one of ten.
//
//   ┌ name ─────────────┬ 0 ms ── 30 ms ── 60 ms ─┐
//   │ ▾ gateway POST …  │ ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ │   bar = span, in its service's colour
//   │   ▾ order  POST … │  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁    │   line below = on the critical path
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useApp } from "../app/context";
import { Icon } from "../parts/icons";
import { duration } from "../units/format";
import type { PathPiece, Row } from "./model";

const ROW_PX = 30;
const OVERSCAN_ROWS = 12;
const TICKS = 5;

export interface WaterfallProps {
  rows: Row[];
  durationUs: number;
  colors: Map<string, string>;
  pieces: Map<string, PathPiece[]>;
  collapsed: ReadonlySet<string>;
  chosen: string | undefined;
  choose: (id: string | undefined) => void;
  fold: (id: string, closed: boolean) => void;
}

export function Waterfall(props: WaterfallProps) {
  const { t } = useApp();
  const { rows, durationUs, chosen } = props;
  const box = useRef<HTMLDivElement>(null);
  const [first, last] = useWindow(box, rows.length);
  const index = rows.findIndex((row) => row.span.spanID === chosen);
  useEffect(() => {
    if (index >= 0) reveal(box.current, index);
  }, [index]);
  return (
    <div className="waterfall">
      <div className="wf-head">
        <span className="wf-name" />
        <Ticks durationUs={durationUs} />
      </div>
      <div
        className="wf-body"
        ref={box}
        role="tree"
        tabIndex={0}
        aria-label={t("trace.rows")}
        aria-activedescendant={chosen ? `span-${chosen}` : undefined}
        onKeyDown={(event) => onKey(event, index, props)}
      >
        <div style={{ height: first * ROW_PX }} />
        {rows.slice(first, last).map((row) => (
          <SpanRow key={row.span.spanID} row={row} {...props} />
        ))}
        <div style={{ height: (rows.length - last) * ROW_PX }} />
      </div>
    </div>
  );
}

function Ticks({ durationUs }: { durationUs: number }) {
  const shares = Array.from({ length: TICKS }, (_, i) => i / (TICKS - 1));
  return (
    <span className="wf-ticks" aria-hidden="true">
      {shares.map((share) => (
        <i key={share} style={{ left: `${share * 100}%` }}>
          {duration((durationUs * share) / 1000)}
        </i>
      ))}
    </span>
  );
}

function SpanRow({ row, durationUs, colors, pieces, collapsed, chosen, choose, fold }: WaterfallProps & { row: Row }) {
  const { span, service, depth } = row;
  const id = span.spanID;
  const color = colors.get(service) ?? "var(--muted)";
  const closed = collapsed.has(id);
  const left = share(row.startUs, durationUs);
  const width = share(span.duration, durationUs);
  const onPath = pieces.get(id) ?? [];
  const classes = ["wf-row", id === chosen ? "chosen" : "", onPath.length > 0 ? "on-path" : ""].join(" ");
  return (
    <div
      className={classes}
      id={`span-${id}`}
      role="treeitem"
      aria-level={depth + 1}
      aria-selected={id === chosen}
      aria-expanded={row.descendants > 0 ? !closed : undefined}
      onClick={() => choose(id === chosen ? undefined : id)}
    >
      <div className="wf-name" style={{ paddingLeft: `calc(8px + ${Math.min(depth, 16)} * var(--indent))` }}>
        <button
          type="button"
          className="wf-fold"
          tabIndex={-1}
          aria-hidden="true"
          disabled={row.descendants === 0}
          onClick={(event) => {
            event.stopPropagation();
            fold(id, !closed);
          }}
        >
          {row.descendants > 0 ? <Icon name={closed ? "right" : "down"} size={11} /> : null}
        </button>
        <i className="dot" style={{ background: color }} />
        <span className="ellipsis" title={`${service} ${span.operationName}`}>
          {row.inService ? null : <b className="service">{service} </b>}
          <span className={row.inService ? "alone" : "muted"}>{span.operationName}</span>
        </span>
        {row.failed ? <Icon name="warning" size={13} className="failed" /> : null}
        {closed ? <span className="badge">+{row.descendants}</span> : null}
      </div>
      <div className="wf-lane">
        <i
          className={row.failed ? "wf-bar failed" : "wf-bar"}
          style={{ left: `${left}%`, width: `max(${width}%, 2px)`, background: color }}
        />
        {onPath.map((piece) => (
          <i
            key={piece.startUs}
            className={`wf-path ${piece.section.class}`}
            style={{
              left: `${share(piece.startUs, durationUs)}%`,
              width: `max(${share(piece.endUs - piece.startUs, durationUs)}%, 1px)`,
            }}
          />
        ))}
        <BarTime left={left} width={width} text={duration(span.duration / 1000)} />
      </div>
    </div>
  );
}

/** Beside the bar where there is room: at its right, else at its left, else in it. */
function BarTime({ left, width, text }: { left: number; width: number; text: string }) {
  const end = left + width;
  if (end <= 84)
    return (
      <span className="wf-time" style={{ left: `${end}%`, marginLeft: 6 }}>
        {text}
      </span>
    );
  const isInside = left < 16;
  const right = isInside ? 100 - end : 100 - left;
  return (
    <span className={isInside ? "wf-time inside" : "wf-time"} style={{ right: `${right}%`, marginRight: 6 }}>
      {text}
    </span>
  );
}

/** Percent of the whole; a trace without length is drawn in full. */
export function share(us: number, wholeUs: number): number {
  return wholeUs > 0 ? (us / wholeUs) * 100 : 100;
}

/** Rows that are on screen, and some around them. */
function useWindow(box: React.RefObject<HTMLDivElement | null>, count: number): [number, number] {
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(900);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const measure = () => {
      setTop(element.scrollTop);
      setHeight(element.clientHeight);
    };
    measure();
    element.addEventListener("scroll", measure, { passive: true });
    window.addEventListener("resize", measure);
    return () => {
      element.removeEventListener("scroll", measure);
      window.removeEventListener("resize", measure);
    };
  }, [box]);
  return rowWindow(top, height, count);
}

/** First row to draw and the one after the last. */
export function rowWindow(top: number, height: number, count: number): [number, number] {
  const first = Math.min(Math.max(0, Math.floor(top / ROW_PX) - OVERSCAN_ROWS), count);
  return [first, Math.min(count, Math.ceil((top + height) / ROW_PX) + OVERSCAN_ROWS)];
}

function reveal(box: HTMLDivElement | null, index: number): void {
  if (!box) return;
  const [top, bottom] = [index * ROW_PX, (index + 1) * ROW_PX];
  if (top < box.scrollTop) box.scrollTop = top;
  else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
}

function onKey(event: KeyboardEvent, index: number, { rows, choose, fold, collapsed }: WaterfallProps): void {
  const at = (i: number) => rows[Math.min(Math.max(i, 0), rows.length - 1)]?.span.spanID;
  const row = rows[index];
  const actions: Record<string, () => void> = {
    ArrowDown: () => choose(at(index + 1)),
    ArrowUp: () => choose(at(index - 1)),
    Home: () => choose(at(0)),
    End: () => choose(at(rows.length - 1)),
    ArrowLeft: () => row && fold(row.span.spanID, true),
    ArrowRight: () => row && collapsed.has(row.span.spanID) && fold(row.span.spanID, false),
    Escape: () => choose(undefined),
  };
  const action = actions[event.key];
  if (!action || event.metaKey || event.ctrlKey || event.altKey) return;
  event.preventDefault();
  action();
}
