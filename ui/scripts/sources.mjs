// One SHA-256 over everything the build reads, in a fixed order: it tells whether the committed assets are stale.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

export const UI = join(dirname(fileURLToPath(import.meta.url)), "..");
export const ASSETS = join(UI, "..", "crates", "ui", "assets");
const INPUTS = ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "src"];

/** Hex hash of the build's inputs: for each file its path, its length and its bytes. */
export function hashSources() {
  const hash = createHash("sha256");
  for (const path of INPUTS.flatMap((name) => walk(join(UI, name))).sort()) {
    const bytes = readFileSync(path);
    hash.update(`${relative(UI, path).split(sep).join("/")} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}

function walk(path) {
  let entries;
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (error.code === "ENOTDIR") return [path];
    throw error;
  }
  return entries.flatMap((entry) => walk(join(path, entry.name)));
}
