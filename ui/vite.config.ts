// How the web UI is built: `vite build` writes the files that crates/ui embeds.
//
//   ui/src ──vite──▶ crates/ui/assets/index.html            (never cached)
//                    crates/ui/assets/assets/NAME-HASH.js   (cached for ever)
//
// Paths in the output are relative, so one build works below any URL prefix (see <base> in index.html).
import { defineConfig } from "vitest/config";
import { mockApi } from "./mock/plugin.ts";

const SERVER = process.env.EINO_URL;
const API_PATHS = ["/api", "/eino", "/jaeger", "/-", "/metrics"];

export default defineConfig({
  base: "./",
  plugins: SERVER ? [] : [mockApi()],
  server: { proxy: SERVER ? Object.fromEntries(API_PATHS.map((path) => [path, SERVER])) : {} },
  build: {
    outDir: "../crates/ui/assets",
    emptyOutDir: true,
    target: ["chrome123", "firefox121", "safari17.5"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: true,
    // The query editor and its grammar are one lazy chunk of about 450 kB.
    chunkSizeWarningLimit: 500,
  },
  test: { include: ["test/**/*.test.ts"], environment: "node" },
});
