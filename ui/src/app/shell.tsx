// The frame around every page: menu, title, time range. Below 860 px the menu moves to the bottom.
import { type ReactNode, useEffect } from "react";
import icon from "../icon.svg";
import type { TextKey } from "../i18n";
import { Icon, type IconName } from "../parts/icons";
import { Link } from "../parts/link";
import { RangePicker } from "../time/picker";
import { useApp } from "./context";
import { type Theme, useTheme } from "./prefs";
import { usePlace } from "./url";

const PAGES: { path: string; icon: IconName; text: TextKey; short: TextKey }[] = [
  { path: "/", icon: "services", text: "nav.services", short: "nav.services" },
  { path: "/map", icon: "map", text: "nav.map", short: "nav.map.short" },
  { path: "/traces", icon: "traces", text: "nav.traces", short: "nav.traces" },
  { path: "/explore", icon: "explore", text: "nav.explore", short: "nav.explore" },
  { path: "/status", icon: "status", text: "nav.status", short: "nav.status" },
];

export function Shell({ children }: { children: ReactNode }) {
  const { t } = useApp();
  return (
    <div className="shell">
      <a className="button skip" href="#content">
        {t("nav.skip")}
      </a>
      <aside className="side">
        <div className="brand">
          <img src={icon} alt="" />
          Eino
        </div>
        <Nav />
        <Prefs />
      </aside>
      <main className="main">{children}</main>
    </div>
  );
}

/** The head and the body of one page. `range` = the page looks at a time range. */
export function Page({
  title,
  range = true,
  lead,
  children,
}: {
  title: string;
  range?: boolean;
  lead?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · Eino`;
  }, [title]);
  return (
    <>
      <header className="top">
        {lead}
        <h1 className="ellipsis">{title}</h1>
        <Prefs />
        {range ? <RangePicker /> : null}
      </header>
      <div className="content" id="content" tabIndex={-1}>
        {children}
      </div>
    </>
  );
}

function Nav() {
  const { t } = useApp();
  const { path } = usePlace();
  return (
    <nav className="nav" aria-label={t("nav.label")}>
      {PAGES.map((page) => {
        const current = page.path === "/" ? path === "/" : path === page.path || path.startsWith(`${page.path}/`);
        return (
          <Link key={page.path} to={page.path} current={current}>
            <Icon name={page.icon} />
            <span className="long">{t(page.text)}</span>
            <span className="short">{t(page.short)}</span>
          </Link>
        );
      })}
    </nav>
  );
}

const NEXT_THEME: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const THEME_ICON: Record<Theme, IconName> = { system: "system", light: "sun", dark: "moon" };

function Prefs() {
  const { t, lang, setLang } = useApp();
  const [theme, setTheme] = useTheme();
  const label = t("app.theme", { theme: t(`app.theme.${theme}`) });
  return (
    <div className="prefs">
      <button
        type="button"
        className="button quiet square"
        title={label}
        aria-label={label}
        onClick={() => setTheme(NEXT_THEME[theme])}
      >
        <Icon name={THEME_ICON[theme]} />
      </button>
      <button
        type="button"
        className="button quiet"
        title={t("app.lang.title")}
        lang={lang === "en" ? "zh-CN" : "en"}
        onClick={() => setLang(lang === "en" ? "zh" : "en")}
      >
        {t("app.lang")}
      </button>
    </div>
  );
}
