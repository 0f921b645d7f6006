// The address holds all state: a copied link shows the same thing to somebody else.
//
//   /traces?service=order-service&min=100ms&from=now-1h&to=now
//    path   the page's own parameters      global: follow the reader from page to page
//
// Names of the global ones are Grafana's (`from`, `to`, `refresh`), so links made for it carry over.
import { useSyncExternalStore } from "react";

export const GLOBAL_PARAMS = ["from", "to", "refresh", "theme", "lang"] as const;

/** Changes of parameters: `undefined` or an empty string removes one. */
export type Changes = Record<string, string | undefined>;

export interface Place {
  /** Below the UI's root, starting with `/`. */
  path: string;
  params: URLSearchParams;
}

/** A copy of `params` with the changes made. */
export function withChanges(params: URLSearchParams, changes: Changes): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") next.delete(name);
    else next.set(name, value);
  }
  return next;
}

/** Parameters of a link to another page: the global ones of this place, and the page's own. */
export function linkParams(current: URLSearchParams, own: Changes): URLSearchParams {
  const kept = new URLSearchParams();
  for (const name of GLOBAL_PARAMS) {
    const value = current.get(name);
    if (value !== null) kept.set(name, value);
  }
  return withChanges(kept, own);
}

/** `path?params`, without a lone `?`. Characters that are safe in a query stay readable. */
export function format(place: Place): string {
  const query = place.params.toString().replaceAll("%2F", "/").replaceAll("%3A", ":");
  return query === "" ? place.path : `${place.path}?${query}`;
}

/** The last segment of `/traces/ID`, decoded; null for other paths or a broken escape. */
export function segmentAfter(prefix: string, path: string): string | null {
  if (!path.startsWith(`${prefix}/`)) return null;
  try {
    return decodeURIComponent(path.slice(prefix.length + 1)) || null;
  } catch {
    return null;
  }
}

/** The UI's root without a trailing `/`: empty unless the server lives below a prefix. */
function root(): string {
  return new URL(document.baseURI).pathname.replace(/\/$/, "");
}

export function hrefOf(place: Place): string {
  return root() + format(place);
}

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

function parse(href: string): Place {
  const url = new URL(href);
  const path = url.pathname.slice(root().length);
  return { path: path === "" ? "/" : path, params: url.searchParams };
}

export function currentPlace(): Place {
  return parse(window.location.href);
}

export function go(place: Place, how: "push" | "replace" = "push"): void {
  const href = hrefOf(place);
  if (how === "push") window.history.pushState(null, "", href);
  else window.history.replaceState(null, "", href);
  for (const listener of listeners) listener();
}

/** Changes parameters of the page one is on. */
export function setParams(changes: Changes, how: "push" | "replace" = "push"): void {
  const { path, params } = currentPlace();
  go({ path, params: withChanges(params, changes) }, how);
}

/** Where the reader is; renders again when that changes. */
export function usePlace(): Place {
  const href = useSyncExternalStore(subscribe, () => window.location.href);
  return parse(href);
}
