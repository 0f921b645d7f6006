import { type FormEvent, useEffect, useRef, useState } from "react";
import { useApp } from "../app/context";
import { setParams } from "../app/url";
import type { Translate } from "../i18n";
import { Icon } from "../parts/icons";
import {
  inputValue,
  instantText,
  parseInstant,
  QUICK_MINUTES,
  type RawRange,
  REFRESH_CHOICES_S,
  shift,
  zoomOut,
} from "./range";

/** The time range of the page, at its top right. */
export function RangePicker() {
  const { t, lang, raw, range, refreshS, refresh } = useApp();
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useDismiss(box, open, () => setOpen(false));
  const choose = (next: RawRange) => {
    setOpen(false);
    setParams({ from: next.from, to: next.to });
    refresh();
  };
  const quick = quickMinutes(raw);
  const span = `${instantText(range.startMs, lang)} – ${instantText(range.endMs, lang)}`;
  const shown = quick === null ? span : t("time.last", { span: minutesText(quick, t) });
  return (
    <div className="range" ref={box}>
      <div className="group pick-group" style={{ minWidth: 0 }}>
        <IconButton className="shifts" icon="left" title={t("time.back")} onClick={() => choose(shift(range, -1))} />
        <button
          type="button"
          className="button pick"
          aria-expanded={open}
          aria-haspopup="dialog"
          title={span}
          onClick={() => setOpen(!open)}
        >
          <Icon name="clock" />
          <span className="ellipsis">{shown}</span>
          <Icon name="down" size={12} />
        </button>
        <IconButton className="shifts" icon="right" title={t("time.forward")} onClick={() => choose(shift(range, 1))} />
        <IconButton
          className="shifts"
          icon="zoomout"
          title={t("time.zoomout")}
          onClick={() => choose(zoomOut(range))}
        />
      </div>
      <div className="group">
        <IconButton icon="refresh" title={t("time.refresh")} onClick={refresh} />
        <RefreshSelect value={refreshS} />
      </div>
      {open ? <Choices raw={raw} quick={quick} choose={choose} /> : null}
    </div>
  );
}

function IconButton(props: {
  icon: "left" | "right" | "zoomout" | "refresh";
  title: string;
  className?: string;
  onClick: () => void;
}) {
  return (
    <button
      type="button"
      className={`button square ${props.className ?? ""}`}
      title={props.title}
      aria-label={props.title}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}

function RefreshSelect({ value }: { value: number }) {
  const { t } = useApp();
  const choices = [...new Set([...REFRESH_CHOICES_S, value])].sort((a, b) => a - b);
  return (
    <select
      className="input"
      style={{ borderRadius: "0 6px 6px 0", marginLeft: -1 }}
      aria-label={t("time.every")}
      title={t("time.every")}
      value={value}
      onChange={(event) => setParams({ refresh: event.target.value }, "replace")}
    >
      {choices.map((s) => (
        <option key={s} value={s}>
          {s === 0 ? t("time.off") : `${s} s`}
        </option>
      ))}
    </select>
  );
}

function Choices({ raw, quick, choose }: { raw: RawRange; quick: number | null; choose: (raw: RawRange) => void }) {
  const { t, range } = useApp();
  const [from, setFrom] = useState(quick === null ? inputValue(range.startMs) : raw.from);
  const [to, setTo] = useState(quick === null ? inputValue(range.endMs) : raw.to);
  const [bad, setBad] = useState<string | null>(null);
  const apply = (event: FormEvent) => {
    event.preventDefault();
    const now = Date.now();
    const [startMs, endMs] = [parseInstant(from, now, "from"), parseInstant(to, now, "to")];
    if (startMs === null || endMs === null) return setBad(startMs === null ? from : to);
    if (startMs >= endMs) return setBad(`${from} – ${to}`);
    const keep = (text: string, ms: number) => (text.startsWith("now") ? text : String(ms));
    return choose({ from: keep(from, startMs), to: keep(to, endMs) });
  };
  return (
    <div className="popover" role="dialog" aria-label={t("time.range")}>
      <form onSubmit={apply}>
        <label className="field">
          <span>{t("time.from")}</span>
          <input className="input mono" value={from} onChange={(event) => setFrom(event.target.value)} />
        </label>
        <label className="field">
          <span>{t("time.to")}</span>
          <input className="input mono" value={to} onChange={(event) => setTo(event.target.value)} />
        </label>
        {bad === null ? null : (
          <p className="field-error" role="alert">
            {t("time.bad", { text: bad })}
          </p>
        )}
        <button type="submit" className="button primary">
          {t("time.apply")}
        </button>
      </form>
      <ul>
        {QUICK_MINUTES.map((minutes) => (
          <li key={minutes}>
            <button
              type="button"
              aria-current={minutes === quick}
              onClick={() => choose({ from: `now-${minutes}m`, to: "now" })}
            >
              {minutesText(minutes, t)}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Minutes of a range such as `now-3h` to `now`; null for any other. */
export function quickMinutes(raw: RawRange): number | null {
  const match = /^now-(\d+)([mhd])$/.exec(raw.from);
  if (!match || raw.to !== "now") return null;
  return Number(match[1]) * ({ m: 1, h: 60, d: 1440 }[match[2] ?? ""] ?? 1);
}

/** 15 minutes · 1 hour · 2 days. */
export function minutesText(minutes: number, t: Translate): string {
  const [n, one, many] =
    minutes % 1440 === 0
      ? ([minutes / 1440, "time.day", "time.days"] as const)
      : minutes % 60 === 0
        ? ([minutes / 60, "time.hour", "time.hours"] as const)
        : ([minutes, "time.minute", "time.minutes"] as const);
  return t(n === 1 ? one : many, { n });
}

/** Closes what is open at Escape and at a click elsewhere. */
function useDismiss(box: React.RefObject<HTMLElement | null>, open: boolean, close: () => void): void {
  const latest = useRef(close);
  latest.current = close;
  useEffect(() => {
    if (!open) return undefined;
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && latest.current();
    const onDown = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) latest.current();
    };
    document.addEventListener("keydown", onKey);
    document.addEventListener("pointerdown", onDown);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("pointerdown", onDown);
    };
  }, [box, open]);
}
