// The critical path as one line of time: who the answer waited for, from the first moment to the last.
import { useApp } from "../app/context";
import { duration, percent } from "../units/format";
import { type PathPiece, pathTotals } from "./model";
import { share } from "./waterfall";

const SHOWN = 5;

interface Props {
  pieces: PathPiece[];
  durationUs: number;
  colors: Map<string, string>;
  choose: (spanId: string) => void;
}

export function PathStrip({ pieces, durationUs, colors, choose }: Props) {
  const { t } = useApp();
  const totals = pathTotals(pieces);
  const wholeUs = totals.reduce((sum, total) => sum + total.us, 0);
  return (
    <div className="path-strip">
      <p>
        <b>{t("trace.path")}</b> <span className="muted">{t("trace.path.help")}</span>
      </p>
      <div className="strip" aria-hidden="true">
        {pieces.map((piece) => (
          <i
            key={`${piece.startUs} ${piece.section.span_id}`}
            className={piece.section.class}
            title={`${piece.section.service} ${piece.section.operation}: ${duration((piece.endUs - piece.startUs) / 1000)}`}
            style={{
              left: `${share(piece.startUs, durationUs)}%`,
              width: `${share(piece.endUs - piece.startUs, durationUs)}%`,
              background: colors.get(piece.section.service),
            }}
            onClick={() => choose(piece.section.span_id)}
          />
        ))}
      </div>
      <ul className="path-totals">
        {totals.slice(0, SHOWN).map((total) => (
          <li key={`${total.service} ${total.operation} ${total.class}`}>
            <i className="dot" style={{ background: colors.get(total.service) }} />
            <span className="ellipsis">
              {total.service} <span className="muted">/ {total.operation}</span>
            </span>
            {total.class === "self" ? null : (
              <span className={total.class === "network" ? "badge" : "badge hot"}>{t(`class.${total.class}`)}</span>
            )}
            <b>{duration(total.us / 1000)}</b>
            <span className="muted">{percent(wholeUs > 0 ? total.us / wholeUs : 0)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
