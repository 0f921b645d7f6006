// One way to ask the server, one shape of failure.

/** What the server, or the way to it, said instead of an answer. */
export class ApiError extends Error {
  readonly status: number;
  /** Prometheus' `errorType`, empty where there is none. */
  readonly kind: string;

  /** `status` 0 = the server was not reached. */
  constructor(message: string, status: number, kind = "") {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

export type Query = Record<string, string | number | undefined>;

/** Relative to the UI's own root, so that a prefix before it is kept. */
export function apiUrl(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return new URL(path + (text === "" ? "" : `?${text}`), document.baseURI).href;
}

/** GETs JSON. Throws `ApiError` on any other status than 2xx, on a body that is not JSON, and on no answer. */
export async function getJson(path: string, query: Query, signal: AbortSignal): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(apiUrl(path, query), { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(error instanceof Error ? error.message : String(error), 0);
  }
  const text = await response.text();
  const body = parseJson(text);
  if (!response.ok) throw failure(response.status, body, text);
  if (body === undefined) throw new ApiError(`${path} answered something else than JSON`, response.status);
  return body;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Reads `{"error","errorType"}` (Prometheus and ours) and `{"errors":[{"msg"}]}` (Jaeger). */
export function failure(status: number, body: unknown, text: string): ApiError {
  const known = (body ?? {}) as { error?: unknown; errorType?: unknown; errors?: { msg?: unknown }[] | null };
  const message = known.error ?? known.errors?.[0]?.msg;
  const kind = typeof known.errorType === "string" ? known.errorType : "";
  if (typeof message === "string") return new ApiError(message, status, kind);
  return new ApiError(text.slice(0, 300).trim() || `HTTP ${status}`, status, kind);
}
