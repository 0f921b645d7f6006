// Every page in a real browser: two languages × two themes × a desktop and a phone, then what a person does on them.
//
//   EINO_URL=http://127.0.0.1:9090 npm run e2e    against a running server that has traces (`eino demo`)
//   npm run e2e                                   against the built pages with the mock API
//   EINO_SCREENSHOTS=DIR                          writes one PNG per page and form
//   CHROMIUM=/usr/bin/chromium
//
// What a page must show is asked from the same API first, so the checks hold for any data.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { accessible } from "./accessibility.mjs";
import { PAGES, facts } from "./pages.mjs";
import { SCENES } from "./scenes.mjs";
import { serve } from "./serve.mjs";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const FORMS = ["en", "zh"].flatMap((lang) =>
  ["light", "dark"].flatMap((theme) => [
    { lang, theme, width: 1440, height: 900 },
    { lang, theme, width: 390, height: 844 },
  ]),
);

const own = process.env.EINO_URL ? null : await serve();
const base = (process.env.EINO_URL ?? own.url).replace(/\/$/, "");
const shots = process.env.EINO_SCREENSHOTS;
if (shots) await mkdir(shots, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
const failures = [];
let checks = 0;

try {
  const known = await facts(base);
  for (const form of FORMS) await pages(known, form);
  for (const scene of SCENES) await play(scene, known);
} finally {
  await browser.close();
  own?.close();
}
for (const failure of failures) console.error(`FAILED ${failure}`);
console.log(`ui e2e: ${checks - failures.length} of ${checks} passed`);
process.exitCode = failures.length > 0 ? 1 : 0;

async function pages(known, form) {
  const name = `${form.lang}-${form.theme}-${form.width}`;
  for (const page of PAGES) {
    await check(`${page.name} ${name}`, form, async (tab) => {
      await tab.goto(address(page.path(known), form));
      await page.ready(tab, known, form.lang);
      await noSidewaysScroll(tab);
      await accessible(tab);
      if (shots) await tab.screenshot({ path: join(shots, `${page.name}-${name}.png`), fullPage: form.width < 500 });
    });
  }
}

async function play(scene, known) {
  await check(scene.name, { lang: "en", theme: "light", width: 1440, height: 900, ...scene.form }, (tab) =>
    scene.run(tab, known, (path) => address(path, { lang: "en", theme: "light" })),
  );
}

/** Runs one check in a fresh profile; a console error, a page error or a foreign request fails it too. */
async function check(name, form, run) {
  checks += 1;
  const context = await browser.newContext({
    viewport: { width: form.width, height: form.height },
    colorScheme: form.theme,
    locale: form.lang === "zh" ? "zh-CN" : "en-US",
    reducedMotion: "reduce",
  });
  const tab = await context.newPage();
  tab.setDefaultTimeout(20_000);
  const seen = [];
  tab.on(
    "console",
    (message) => message.type() === "error" && !isExpected(message) && seen.push(`console: ${message.text()}`),
  );
  tab.on("pageerror", (error) => seen.push(`page error: ${error.message}`));
  tab.on(
    "request",
    (request) =>
      !request.url().startsWith(base) &&
      !/^(data|blob):/.test(request.url()) &&
      seen.push(`foreign request: ${request.url()}`),
  );
  try {
    await run(tab);
    if (seen.length > 0) throw new Error(seen.join("; "));
  } catch (error) {
    failures.push(`${name}: ${error.message.split("\n").slice(0, 6).join(" | ")}`);
    if (shots)
      await tab.screenshot({ path: join(shots, `FAILED-${name.replaceAll(/\W+/g, "-")}.png`) }).catch(() => {});
  } finally {
    await context.close();
  }
}

/** The browser logs each 4xx answer as an error; a page that asks a wrong query on purpose gets one. */
function isExpected(message) {
  return (
    /status of 4\d\d/.test(message.text()) && /\/api\/v1\/query|\/traces\/|\/bottlenecks/.test(message.location().url)
  );
}

async function noSidewaysScroll(tab) {
  const [content, view] = await tab.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  if (content > view) throw new Error(`the page is ${content} px wide in a window of ${view} px`);
}

function address(path, { lang, theme }) {
  const url = new URL(base + path);
  url.searchParams.set("lang", lang);
  url.searchParams.set("theme", theme);
  url.searchParams.set("refresh", "0");
  return url.href;
}
