// The mock API inside vite's dev server. `EINO_URL=http://127.0.0.1:9090 npm run dev` asks a real server instead.
import type { Plugin } from "vite";
import { answer } from "./api.mjs";

export function mockApi(): Plugin {
  return {
    name: "mock-api",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const found = answer(new URL(request.url ?? "/", "http://mock"), Date.now());
        if (found === null) return next();
        const [status, body] = found;
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
        return undefined;
      });
    },
  };
}
