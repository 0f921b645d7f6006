// Theme and language: the address first (a link can fix both), then what this browser chose, then the system.
import { useEffect } from "react";
import type { Lang } from "../i18n";
import { setParams, usePlace } from "./url";

export type Theme = "system" | "light" | "dark";
const THEMES: readonly string[] = ["system", "light", "dark"];
const LANGS: readonly string[] = ["en", "zh"];

/** Language of a browser that says `tags`, most wanted first. */
export function langOf(tags: readonly string[]): Lang {
  for (const tag of tags) {
    const base = tag.toLowerCase().split("-")[0] ?? "";
    if (LANGS.includes(base)) return base as Lang;
  }
  return "en";
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const asked = usePlace().params.get("theme") ?? recall("theme");
  const theme = asked !== null && THEMES.includes(asked) ? (asked as Theme) : "system";
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  return [theme, (next) => choose("theme", next)];
}

export function useLang(): [Lang, (lang: Lang) => void] {
  const asked = usePlace().params.get("lang") ?? recall("lang");
  const lang = asked !== null && LANGS.includes(asked) ? (asked as Lang) : langOf(navigator.languages);
  useEffect(() => {
    document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  }, [lang]);
  return [lang, (next) => choose("lang", next)];
}

function choose(name: "theme" | "lang", value: string): void {
  try {
    window.localStorage.setItem(`eino.${name}`, value);
  } catch {
    // Storage may be off. The address keeps the choice then.
  }
  setParams({ [name]: value }, "replace");
}

function recall(name: string): string | null {
  try {
    return window.localStorage.getItem(`eino.${name}`);
  } catch {
    return null;
  }
}
