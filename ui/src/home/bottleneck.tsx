// One bottleneck as a person at three in the morning needs it: where, why, what it is worth, how sure we are.
import type { Bottleneck, EntryPoint } from "../api/eino";
import { useApp } from "../app/context";
import { Icon } from "../parts/icons";
import { Link } from "../parts/link";
import { digits, percent, roundMs } from "../units/format";

export function BottleneckCard({ entry }: { entry: EntryPoint }) {
  const { t } = useApp();
  const [first, ...others] = entry.bottlenecks;
  if (!first) return null;
  const minDuration = `${Math.max(1, Math.round(entry.p99_ms * 0.9))}ms`;
  return (
    <section className="panel bottleneck" aria-labelledby="bottleneck-where">
      <div className="bottleneck-main">
        <p className="eyebrow">
          <span className="badge hot">
            <Icon name="flame" size={13} />
            {t("home.bottleneck")}
          </span>
          <span className="muted">{t("home.of", { entry: `${entry.service} · ${entry.operation}` })}</span>
        </p>
        <h2 id="bottleneck-where" className="where">
          {first.service}
          <span className="slash"> / </span>
          <span className="operation">{first.operation}</span>
        </h2>
        <p className="because">{t(`cause.${first.cause.kind}`)}</p>
        <Saving entry={entry} first={first} />
        <Facts bottleneck={first} />
        <div className="actions">
          <Link
            className="button primary"
            to="/traces"
            params={{ service: entry.service, operation: entry.operation, min: minDuration, sort: "duration" }}
          >
            {t("home.slow")}
          </Link>
          <Link className="button" to="/map" params={{ node: first.service }}>
            {t("home.onmap")}
          </Link>
        </div>
      </div>
      <div className="bottleneck-side">
        <h3>{t("home.why")}</h3>
        <ul className="evidence">
          {first.cause.evidence.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
        <Votes votes={first.votes ?? []} />
      </div>
      {others.length > 0 ? <Others bottlenecks={others} firstSaving={first.saving_p99_ms} /> : null}
    </section>
  );
}

/** A bar as long as P99; the part that a fix would take away is red and hatched. */
function Saving({ entry, first }: { entry: EntryPoint; first: Bottleneck }) {
  const { t } = useApp();
  const [now, saving] = [entry.p99_ms, Math.max(0, first.saving_p99_ms)];
  if (saving <= 0) return <p className="saves">{t("home.saves.none")}</p>;
  const share = now > 0 ? Math.min(1, saving / now) : 0;
  const label = t("home.p99.bar", { now: roundMs(now), saving: roundMs(saving) });
  const text = t("home.saves", { saving: "\u0000", service: entry.service, p99: roundMs(now) }).split("\u0000");
  return (
    <>
      <p className="saves">
        {text[0]}
        <strong>{roundMs(saving)}</strong>
        {text[1]}
      </p>
      <div className="p99" role="img" aria-label={label}>
        <div className="p99-bar">
          <i className="kept" style={{ width: `${(1 - share) * 100}%` }} />
          <i className="saved" style={{ width: `${share * 100}%` }} />
        </div>
        <div className="p99-text">
          <span>
            <b>{roundMs(now - saving)}</b> <span className="muted">{t("home.p99.then")}</span>
          </span>
          <span>
            <b>{roundMs(now)}</b> <span className="muted">{t("home.p99.now")}</span>
          </span>
        </div>
      </div>
    </>
  );
}

/** The looks that the confidence counts, agreeing ones with a tick. */
function Votes({ votes }: { votes: NonNullable<Bottleneck["votes"]> }) {
  const { t } = useApp();
  if (votes.length === 0) return null;
  const agree = votes.filter((vote) => vote.agrees).length;
  return (
    <div className="votes">
      <h3>{t("home.votes", { agree, all: votes.length })}</h3>
      <ul>
        {votes.map((vote) => (
          <li key={vote.name} className={vote.agrees ? "agrees" : "muted"}>
            <Icon name={vote.agrees ? "check" : "close"} size={13} />
            <span className="hidden-visually">{t(vote.agrees ? "home.votes.yes" : "home.votes.no")}: </span>
            {vote.detail}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Facts({ bottleneck }: { bottleneck: Bottleneck }) {
  const { t } = useApp();
  const reference = t(`home.reference.${bottleneck.saving_reference}`);
  return (
    <dl className="facts">
      <div>
        <dt>{t("home.pathshare")}</dt>
        <dd>{percent(bottleneck.critical_path_share)}</dd>
      </div>
      <div title={t("home.lift.help")}>
        <dt>{t("home.lift")}</dt>
        <dd>× {digits(bottleneck.tail_lift)}</dd>
      </div>
      <div>
        <dt>{t("home.confidence")}</dt>
        <dd>{percent(bottleneck.confidence)}</dd>
      </div>
      <div className="wide">
        <dt>{t("home.reference")}</dt>
        <dd>{reference}</dd>
      </div>
    </dl>
  );
}

function Others({ bottlenecks, firstSaving }: { bottlenecks: Bottleneck[]; firstSaving: number }) {
  const { t } = useApp();
  return (
    <div className="others">
      <h3>{t("home.next")}</h3>
      <ol>
        {bottlenecks.map((b) => (
          <li key={b.rank}>
            <span className="rank">{b.rank}</span>
            <span className="what">
              <span className="ellipsis">
                {b.service} <span className="muted">/</span> {b.operation}
              </span>
              <span className="muted ellipsis">{t(`cause.${b.cause.kind}`)}</span>
            </span>
            <span className="bar" title={t("home.saving")}>
              <span className="meter">
                <i style={{ width: `${widthOf(b.saving_p99_ms, firstSaving)}%` }} />
              </span>
            </span>
            <span className="num">{b.saving_p99_ms > 0 ? `−${roundMs(b.saving_p99_ms)}` : "0 ms"}</span>
            <span className="num muted share" title={t("home.pathshare")}>
              {percent(b.critical_path_share)}
            </span>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** Percent of the largest saving, so that bars compare with the card above. */
function widthOf(saving: number, largest: number): number {
  return largest > 0 ? Math.min(100, Math.max(0, (saving / largest) * 100)) : 0;
}
