// What the server collects from, and how it is itself.
import { fetchStatus, type Status } from "../api/eino";
import { fetchTargets, type Target } from "../api/prom";
import { useApp } from "../app/context";
import { Page } from "../app/shell";
import { useQuery } from "../app/use-query";
import { Icon } from "../parts/icons";
import { Empty, Failure, Skeleton } from "../parts/states";
import { ago, bytes, count, dateTime, DASH, duration } from "../units/format";

export function StatusPage() {
  const { t, range } = useApp();
  const targets = useQuery("targets", range, fetchTargets);
  const status = useQuery("status", range, fetchStatus);
  return (
    <Page title={t("status.title")} range={false}>
      {targets.error ? <Failure error={targets.error} /> : null}
      {targets.data ? <Targets targets={targets.data} /> : null}
      {!targets.data && !targets.error ? <Skeleton height={180} /> : null}
      {status.error ? <Failure error={status.error} /> : null}
      {status.data ? <Server status={status.data} /> : null}
      {!status.data && !status.error ? <Skeleton height={240} label={false} /> : null}
    </Page>
  );
}

function Targets({ targets }: { targets: Target[] }) {
  const { t } = useApp();
  const up = targets.filter((target) => target.health === "up").length;
  const sorted = [...targets].sort(
    (a, b) =>
      compare(a.health === "down" ? 0 : 1, b.health === "down" ? 0 : 1) ||
      compare(a.scrapePool, b.scrapePool) ||
      compare(a.scrapeUrl, b.scrapeUrl),
  );
  return (
    <section className="panel" aria-labelledby="targets-head">
      <div className="panel-head">
        <h2 id="targets-head">{t("status.targets")}</h2>
        {targets.length > 0 ? (
          <span className={up === targets.length ? "badge good" : "badge hot"}>
            {t("status.upof", { up, all: targets.length })}
          </span>
        ) : null}
      </div>
      {targets.length === 0 ? (
        <Empty title={t("status.targets.none")}>{t("status.targets.none.do")}</Empty>
      ) : (
        <div className="table-scroll" tabIndex={0} role="group" aria-labelledby="targets-head">
          <table className="targets">
            <thead>
              <tr>
                <th>{t("status.endpoint")}</th>
                <th>{t("col.state")}</th>
                <th>{t("status.labels")}</th>
                <th className="num">{t("status.scraped")}</th>
                <th className="num">{t("status.took")}</th>
              </tr>
            </thead>
            <tbody>
              {sorted.map((target) => (
                <TargetRow key={`${target.scrapePool} ${target.scrapeUrl}`} target={target} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const HEALTH = { up: ["good", "check"], down: ["hot", "warning"], unknown: ["", "clock"] } as const;

function TargetRow({ target }: { target: Target }) {
  const { t, lang } = useApp();
  const [tone, icon] = HEALTH[target.health] ?? HEALTH.unknown;
  const scrapedMs = Date.parse(target.lastScrape);
  const { job, instance, ...labels } = target.labels;
  return (
    <tr>
      <td className="mono endpoint">
        {target.scrapeUrl}
        {target.lastError ? <p className="field-error">{target.lastError}</p> : null}
      </td>
      <td>
        <span className={`badge ${tone}`}>
          <Icon name={icon} size={12} />
          {t(`status.${target.health}`)}
        </span>
      </td>
      <td>
        <div className="labels">
          {Object.entries({ job, instance, ...labels })
            .filter(([, value]) => value !== undefined)
            .map(([key, value]) => (
              <span className="badge" key={key}>
                {key}={value}
              </span>
            ))}
        </div>
      </td>
      <td className="num muted">{scrapedMs > 0 ? ago(scrapedMs, Date.now(), lang) : DASH}</td>
      <td className="num">{target.lastScrapeDuration > 0 ? duration(target.lastScrapeDuration * 1000) : DASH}</td>
    </tr>
  );
}

function Server({ status }: { status: Status }) {
  const { t, lang } = useApp();
  const { version, role, started_ms, now_ms, listeners = {}, warnings = [], stores, ...more } = status;
  const nowMs = now_ms ?? Date.now();
  return (
    <>
      {warnings.length > 0 ? (
        <div className="notice">
          <Icon name="warning" size={18} />
          <div>
            <strong>{t("status.warnings")}</strong>
            {warnings.map((text) => (
              <p key={String(text)} className="muted">
                {plain(text)}
              </p>
            ))}
          </div>
        </div>
      ) : null}
      <div className="status-grid">
        <section className="panel">
          <div className="panel-head">
            <h2>{t("status.server")}</h2>
          </div>
          <dl className="pairs">
            <Pair name={t("status.version")}>{version ?? DASH}</Pair>
            <Pair name={t("status.role")}>{role ?? DASH}</Pair>
            {started_ms ? (
              <Pair name={t("status.started")}>
                {dateTime(started_ms, lang)} · {duration(nowMs - started_ms)}
              </Pair>
            ) : null}
            {Object.entries(listeners).map(([name, address]) => (
              <Pair key={name} name={`${t("status.listeners")} · ${name}`}>
                <span className="mono">{plain(address)}</span>
              </Pair>
            ))}
            {Object.entries(more).map(([name, value]) => (
              <Pair key={name} name={name}>
                <span className="mono">{plain(value)}</span>
              </Pair>
            ))}
          </dl>
        </section>
        {isObject(stores) ? (
          <section className="panel">
            <div className="panel-head">
              <h2>{t("status.stores")}</h2>
            </div>
            <dl className="pairs">
              {flatten(stores).map(([name, value]) => (
                <Pair key={name} name={name}>
                  {amount(name, value, lang)}
                </Pair>
              ))}
            </dl>
          </section>
        ) : null}
      </div>
    </>
  );
}

function Pair({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `{metrics: {series: 3}}` as `metrics.series` 3. */
function flatten(value: Record<string, unknown>, prefix = ""): [string, unknown][] {
  return Object.entries(value).flatMap(([name, inner]) =>
    isObject(inner) ? flatten(inner, `${prefix}${name}.`) : [[prefix + name, inner] as [string, unknown]],
  );
}

/** Units are the end of a name, as everywhere in this system. */
function amount(name: string, value: unknown, lang: "en" | "zh"): string {
  if (typeof value !== "number") return plain(value);
  if (name.endsWith("bytes")) return bytes(value);
  if (name.endsWith("_ms") && value > 1e12) return dateTime(value, lang);
  return name.endsWith("_ms") ? duration(value) : count(value, lang);
}

function plain(value: unknown): string {
  if (value === null || value === undefined || value === "") return DASH;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
