// Texts in two languages. A missing or extra key in Chinese does not compile; the tests hold the placeholders equal.
import { en } from "./en";
import { zh } from "./zh";

export type Lang = "en" | "zh";
export type TextKey = keyof typeof en;
export type Translate = (key: TextKey, values?: Record<string, string | number>) => string;

export const TEXTS: Record<Lang, Record<TextKey, string>> = { en, zh };

/** A function from key to text; `{name}` in the text becomes `values.name`. */
export function translator(lang: Lang): Translate {
  return (key, values = {}) =>
    TEXTS[lang][key].replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole));
}
