// What stands where an answer is not: on its way, failed, empty. Each says why and what to do.
import type { ReactNode } from "react";
import { ApiError } from "../api/http";
import { useApp } from "../app/context";
import { Icon, type IconName } from "./icons";

/** Grey bars of the height the answer will have. */
export function Skeleton({ height, label = true }: { height: number; label?: boolean }) {
  const { t } = useApp();
  return (
    <div className="skeleton" style={{ height }} role="status" aria-label={label ? t("state.loading") : undefined} />
  );
}

export function Failure({ error, children }: { error: Error; children?: ReactNode }) {
  const { t, refresh } = useApp();
  const isUnreachable = error instanceof ApiError && error.status === 0;
  return (
    <div className="notice hot" role="alert">
      <Icon name="warning" size={18} />
      <div>
        <strong>{t(isUnreachable ? "state.unreachable" : "state.error")}</strong>
        <p className={isUnreachable ? "muted" : "mono"}>{isUnreachable ? t("state.unreachable.do") : error.message}</p>
        {children}
        <button type="button" className="button" style={{ marginTop: 10 }} onClick={refresh}>
          {t("state.retry")}
        </button>
      </div>
    </div>
  );
}

export function Empty({ icon = "empty", title, children }: { icon?: IconName; title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <Icon name={icon} size={28} />
      <h2>{title}</h2>
      <div className="muted">{children}</div>
    </div>
  );
}
