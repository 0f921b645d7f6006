// What every page needs and none should fetch for itself: the language, and the time range as it is now.
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { type Lang, type Translate, translator } from "../i18n";
import { isRelative, RANGE_DEFAULT, type RawRange, REFRESH_DEFAULT_S, resolve, type TimeRange } from "../time/range";
import { useLang } from "./prefs";
import { usePlace } from "./url";

interface App {
  lang: Lang;
  setLang: (lang: Lang) => void;
  t: Translate;
  raw: RawRange;
  /** `raw` resolved at the last refresh. Keeps its identity between refreshes. */
  range: TimeRange;
  /** Seconds between refreshes, 0 = only by hand. */
  refreshS: number;
  refresh: () => void;
}

const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error("BUG: useApp outside of AppProvider");
  return app;
}

export function AppProvider({ children }: { children: ReactNode }) {
  const [lang, setLang] = useLang();
  const { path, params } = usePlace();
  const from = params.get("from") ?? RANGE_DEFAULT.from;
  const to = params.get("to") ?? RANGE_DEFAULT.to;
  const refreshS = refreshOf(params.get("refresh"), to, path);
  const [nowMs, setNowMs] = useState(() => Date.now());
  const refresh = useCallback(() => setNowMs(Date.now()), []);
  useEvery(refreshS, refresh);
  const range = useMemo(() => resolve({ from, to }, nowMs), [from, to, nowMs]);
  const t = useMemo(() => translator(lang), [lang]);
  const app = { lang, setLang, t, raw: { from, to }, range, refreshS, refresh };
  return <AppContext.Provider value={app}>{children}</AppContext.Provider>;
}

/** Lists that one reads and clicks in: they would move under the pointer. They refresh when asked to. */
const STILL_PAGES = ["/traces"];

/** A range that ends in the past does not change: it is not asked again. */
function refreshOf(text: string | null, to: string, path: string): number {
  if (!isRelative({ from: "", to })) return 0;
  const seconds = Number.parseInt(text ?? "", 10);
  if (!Number.isNaN(seconds)) return Math.max(0, seconds);
  return STILL_PAGES.some((page) => path.startsWith(page)) ? 0 : REFRESH_DEFAULT_S;
}

/** Calls `tick` every so many seconds while the page is visible. */
function useEvery(seconds: number, tick: () => void): void {
  useEffect(() => {
    if (seconds === 0) return undefined;
    const timer = window.setInterval(() => {
      if (!document.hidden) tick();
    }, seconds * 1000);
    return () => window.clearInterval(timer);
  }, [seconds, tick]);
}
