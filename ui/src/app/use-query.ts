// Asks the server when the question changes. The last answer stays on screen while the next one is on its way,
// so a refresh never blinks.
//
//   idle ──question──▶ loading ──▶ data ⇄ (refreshing, data stays)
//                            └───▶ error (data of the same question stays below it)
import { useEffect, useRef, useState } from "react";

export interface Answer<T> {
  data: T | undefined;
  error: Error | undefined;
  loading: boolean;
}

/**
 * `key` names the question, `version` asks it again. A null key asks nothing.
 * Answers that arrive after a newer question are dropped.
 */
export function useQuery<T>(key: string | null, version: unknown, ask: (signal: AbortSignal) => Promise<T>): Answer<T> {
  const [held, setHeld] = useState<{ key: string | null; data?: T; error?: Error }>({ key: null });
  const [loading, setLoading] = useState(key !== null);
  const latestAsk = useRef(ask);
  latestAsk.current = ask;
  useEffect(() => {
    if (key === null) {
      setLoading(false);
      return undefined;
    }
    const abort = new AbortController();
    setLoading(true);
    latestAsk.current(abort.signal).then(
      (data) => {
        if (abort.signal.aborted) return;
        setHeld({ key, data });
        setLoading(false);
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setHeld((old) => ({ ...(old.key === key ? old : { key }), error: asError(error) }));
        setLoading(false);
      },
    );
    return () => abort.abort();
  }, [key, version]);
  const isCurrent = held.key === key;
  return { data: isCurrent ? held.data : undefined, error: isCurrent ? held.error : undefined, loading };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
