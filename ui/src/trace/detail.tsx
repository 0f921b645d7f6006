// Everything one span says.
import { Fragment } from "react";
import type { JaegerTag } from "../api/jaeger";
import { useApp } from "../app/context";
import { Icon } from "../parts/icons";
import { duration } from "../units/format";
import type { PathPiece, Row, TraceModel } from "./model";

interface Props {
  row: Row;
  trace: TraceModel;
  pieces: PathPiece[];
  color: string | undefined;
  close: () => void;
}

export function SpanDetail({ row, trace, pieces, color, close }: Props) {
  const { t } = useApp();
  const { span } = row;
  const onPathUs = pieces.reduce((sum, piece) => sum + piece.endUs - piece.startUs, 0);
  const classes = [...new Set(pieces.map((piece) => t(`class.${piece.section.class}`)))].join(", ");
  const links = (span.references ?? []).filter((ref) => ref.refType !== "CHILD_OF");
  return (
    <aside className="panel detail" aria-label={`${row.service} ${span.operationName}`}>
      <div className="panel-head">
        <i className="dot" style={{ background: color }} />
        <h2 className="ellipsis">{row.service}</h2>
        {row.failed ? (
          <span className="badge hot">
            <Icon name="warning" size={12} />
            {t("trace.span.error")}
          </span>
        ) : null}
        <button
          type="button"
          className="button quiet square end"
          onClick={close}
          aria-label={t("trace.span.close")}
          title={t("trace.span.close")}
        >
          <Icon name="close" size={14} />
        </button>
      </div>
      <div className="panel-body">
        <p className="detail-name">{span.operationName}</p>
        <dl className="facts">
          <div>
            <dt>{t("trace.duration")}</dt>
            <dd>{duration(span.duration / 1000)}</dd>
          </div>
          <div>
            <dt>{t("trace.span.self")}</dt>
            <dd>{duration(row.selfUs / 1000)}</dd>
          </div>
          <div>
            <dt>{t("trace.span.start")}</dt>
            <dd>{duration(row.startUs / 1000)}</dd>
          </div>
          {onPathUs > 0 ? (
            <div className="wide">
              <dt>{t("trace.span.onpath")}</dt>
              <dd>
                {duration(onPathUs / 1000)} · {classes}
              </dd>
            </div>
          ) : null}
        </dl>
        {(span.warnings ?? []).length > 0 ? (
          <Section title={t("trace.span.warnings")}>
            <ul className="field-error">
              {span.warnings?.map((text) => (
                <li key={text}>{text}</li>
              ))}
            </ul>
          </Section>
        ) : null}
        <Section title={t("trace.span.attributes")}>
          <Tags tags={span.tags} />
        </Section>
        {(span.logs ?? []).length > 0 ? (
          <Section title={t("trace.span.events")}>
            {span.logs?.map((log) => (
              <div className="event" key={log.timestamp + String(log.fields[0]?.value)}>
                <span className="muted">{duration((log.timestamp - trace.startUs) / 1000)}</span>
                <Tags tags={log.fields} />
              </div>
            ))}
          </Section>
        ) : null}
        {links.length > 0 ? (
          <Section title={t("trace.span.links")}>
            <Tags tags={links.map((ref) => ({ key: ref.refType, value: `${ref.traceID} ${ref.spanID}` }))} />
          </Section>
        ) : null}
        <Section title={t("trace.span.resource")}>
          <Tags tags={row.resource} />
        </Section>
        <p className="muted mono span-id">
          {t("trace.span.id")} {span.spanID}
        </p>
      </div>
    </aside>
  );
}

function Section({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section className="detail-section">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Tags({ tags }: { tags: JaegerTag[] }) {
  if (tags.length === 0) return <p className="muted">–</p>;
  return (
    <dl className="tags">
      {tags.map((tag, i) => (
        <div key={`${tag.key} ${i}`}>
          <dt>{breakable(tag.key)}</dt>
          <dd className="mono">{text(tag.value)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Long keys may break after a dot or an underscore, not in a word. */
function breakable(key: string) {
  return key.split(/(?<=[._])/).map((part, i) => (
    <Fragment key={i}>
      {i > 0 ? <wbr /> : null}
      {part}
    </Fragment>
  ));
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
