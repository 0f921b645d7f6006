// A range graph: crosshair, sorted tooltip, drag to zoom, double-click to zoom out. uPlot draws; a lazy chunk.
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Lang } from "../i18n";
import { clockTime, compact, dateTime } from "../units/format";
import type { Chart, Line } from "./series";

const HEIGHT = 340;
const TOOLTIP_LINES = 12;

interface Props {
  chart: Chart;
  colors: Map<string, string>;
  /** Keys of lines that are not drawn. */
  hidden: ReadonlySet<string>;
  lang: Lang;
  label: string;
  zoom: (startMs: number, endMs: number) => void;
  zoomOut: () => void;
}

interface Hover {
  index: number;
  left: number;
  /** Which side of the crosshair the box stands on. */
  flip: boolean;
  /** Key of the line nearest to the pointer. */
  near: string | undefined;
}

export default function LineChart({ chart, colors, hidden, lang, label, zoom, zoomOut }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const calls = useRef({ zoom, zoomOut });
  calls.current = { zoom, zoomOut };
  const [hover, setHover] = useState<Hover | null>(null);
  const theme = useColorScheme();
  // By key, so that a refresh which changes the order of the legend keeps the plot.
  const shown = chart.lines.filter((line) => !hidden.has(line.key)).sort((a, b) => (a.key < b.key ? -1 : 1));
  const latest = useRef(shown);
  latest.current = shown;
  const plotted = useRef<uPlot | null>(null);
  const drawn = shown.map((line) => line.key).join("\n");
  useEffect(() => {
    const parent = box.current;
    if (!parent) return undefined;
    const options = chartOptions(parent, latest, colors, lang, setHover, calls);
    const plot = new uPlot(options, undefined, parent);
    plotted.current = plot;
    const resize = new ResizeObserver(() => plot.setSize({ width: parent.clientWidth, height: HEIGHT }));
    resize.observe(parent);
    return () => {
      resize.disconnect();
      plot.destroy();
      plotted.current = null;
      setHover(null);
    };
  }, [drawn, theme, lang]);
  // New values go into the plot that is there: the crosshair stays where the reader holds it.
  useEffect(() => {
    plotted.current?.setData([chart.times, ...latest.current.map((line) => line.values)]);
  }, [chart, drawn, theme, lang]);
  return (
    <div className="chart" role="img" aria-label={label} onDoubleClick={() => calls.current.zoomOut()}>
      <div ref={box} />
      {hover ? <Tooltip hover={hover} times={chart.times} lines={shown} colors={colors} lang={lang} /> : null}
    </div>
  );
}

function chartOptions(
  parent: HTMLElement,
  lines: React.RefObject<Line[]>,
  colors: Map<string, string>,
  lang: Lang,
  setHover: (hover: Hover | null) => void,
  calls: React.RefObject<Pick<Props, "zoom" | "zoomOut">>,
): uPlot.Options {
  const paint = (css: string) => resolveColor(parent, css);
  const axis = {
    stroke: paint("var(--muted)"),
    font: "11px Inter, system-ui, sans-serif",
    grid: { stroke: paint("var(--line)"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: parent.clientWidth,
    height: HEIGHT,
    padding: [12, 16, 0, 4],
    legend: { show: false },
    cursor: {
      drag: { x: true, y: false, setScale: false },
      points: { size: 7 },
      focus: { prox: 24 },
      y: false,
    },
    focus: { alpha: 0.4 },
    scales: { x: { time: true }, y: { range: (_plot, min, max) => valueRange(min, max) } },
    axes: [
      { ...axis, values: (_plot, splits) => splits.map((s) => axisTime(s, splits, lang)), space: 80, size: 30 },
      { ...axis, values: (_plot, splits) => splits.map(compact), size: 58 },
    ],
    series: [
      {},
      ...lines.current.map((line) => {
        const stroke = paint(colors.get(line.key) ?? "var(--c0)");
        return { label: line.name, stroke, width: 1.6, points: { show: isSparse(line) }, spanGaps: false };
      }),
    ],
    hooks: {
      setCursor: [(plot) => setHover(hoverOf(plot, lines.current))],
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          const at = (px: number) => plot.posToVal(px, "x") * 1000;
          calls.current.zoom(at(plot.select.left), at(plot.select.left + plot.select.width));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

/** Single points between gaps would not be seen as a line. */
function isSparse(line: Line): boolean {
  return line.values.filter((value) => value !== null).length < 3;
}

/** From zero where that costs no more than a third of the height. */
export function valueRange(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 1];
  if (min === max) return min === 0 ? [0, 1] : min > 0 ? [0, max * 1.2] : [min * 1.2, 0];
  const from = min > 0 && min < (max - min) / 2 ? 0 : min - (max - min) * 0.06;
  return [min >= 0 ? Math.max(0, from) : from, max + (max - min) * 0.08];
}

function axisTime(seconds: number, splits: number[], lang: Lang): string {
  const span = (splits.at(-1) ?? 0) - (splits[0] ?? 0);
  if (span > 2 * 86400)
    return new Intl.DateTimeFormat(lang === "zh" ? "zh-CN" : "en-GB", { month: "short", day: "numeric" }).format(
      seconds * 1000,
    );
  const text = clockTime(seconds * 1000, lang);
  return splits.every((split) => split % 60 === 0) ? text.slice(0, 5) : text;
}

function hoverOf(plot: uPlot, lines: Line[]): Hover | null {
  const { idx, left } = plot.cursor;
  if (idx === null || idx === undefined || left === undefined || left < 0) return null;
  const top = plot.cursor.top ?? 0;
  let [near, best] = [undefined as string | undefined, 24];
  for (const line of lines) {
    const value = line.values[idx];
    if (value === null || value === undefined) continue;
    const distance = Math.abs(plot.valToPos(value, "y") - top);
    if (distance < best) [near, best] = [line.key, distance];
  }
  const offset = plot.bbox.left / devicePixelRatio;
  return { index: idx, left: left + offset, flip: left > plot.bbox.width / devicePixelRatio / 2, near };
}

function Tooltip({
  hover,
  times,
  lines,
  colors,
  lang,
}: {
  hover: Hover;
  times: number[];
  lines: Line[];
  colors: Map<string, string>;
  lang: Lang;
}) {
  const values = lines.map((line) => ({ line, value: line.values[hover.index] ?? null }));
  const sorted = values.filter((one) => one.value !== null).sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
  const style = hover.flip ? { right: `calc(100% - ${hover.left - 12}px)` } : { left: hover.left + 12 };
  return (
    <div className="tooltip" style={style}>
      <p className="muted">{dateTime((times[hover.index] ?? 0) * 1000, lang)}</p>
      {sorted.slice(0, TOOLTIP_LINES).map(({ line, value }) => (
        <p key={line.key} className={line.key === hover.near ? "near" : ""}>
          <i className="dot" style={{ background: colors.get(line.key) }} />
          <span className="ellipsis">{line.name}</span>
          <b>{compact(value ?? 0)}</b>
        </p>
      ))}
      {sorted.length > TOOLTIP_LINES ? <p className="muted">+{sorted.length - TOOLTIP_LINES}</p> : null}
    </div>
  );
}

/** Canvas needs plain colours: let the browser resolve variables and `light-dark()`. */
function resolveColor(parent: HTMLElement, css: string): string {
  const probe = parent.appendChild(document.createElement("i"));
  probe.style.color = css;
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

/** Changes when the page turns dark or light, whoever asked for it. */
function useColorScheme(): string {
  const read = () =>
    `${document.documentElement.dataset["theme"] ?? ""} ${window.matchMedia("(prefers-color-scheme: dark)").matches}`;
  const [scheme, setScheme] = useState(read);
  useEffect(() => {
    const update = () => setScheme(read());
    const watch = new MutationObserver(update);
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", update);
    return () => {
      watch.disconnect();
      media.removeEventListener("change", update);
    };
  }, []);
  return scheme;
}
