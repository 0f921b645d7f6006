// The built pages with the mock API behind them, on a free port of loopback.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { answer } from "../mock/api.mjs";
import { ASSETS } from "../scripts/sources.mjs";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
/** As the server sends it: see crates/ui. */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'; form-action 'self'";

/** Resolves to `{ url, close }`. */
export function serve() {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://mock");
    const found = answer(url, Date.now());
    if (found)
      return response.writeHead(found[0], { "content-type": "application/json" }).end(JSON.stringify(found[1]));
    const file = await fileOf(url.pathname);
    return response.writeHead(200, { "content-type": file.type, "content-security-policy": POLICY }).end(file.bytes);
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () =>
      resolve({ url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() }),
    ),
  );
}

async function fileOf(path) {
  const isAsset = path.startsWith("/assets/");
  const name = isAsset ? normalize(path).slice(1) : "index.html";
  return { bytes: await readFile(join(ASSETS, name)), type: TYPES[extname(name)] ?? "application/octet-stream" };
}
