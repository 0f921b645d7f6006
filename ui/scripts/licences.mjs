// The licence texts of every package that ends up in the built files, for third-party-licences.txt.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { UI } from "./sources.mjs";

/** One text: name, version, licence and full licence file of each runtime package, sorted by name. */
export function licences() {
  const lock = JSON.parse(readFileSync(join(UI, "package-lock.json"), "utf8"));
  const shipped = Object.entries(lock.packages).filter(([path, info]) => path !== "" && !info.dev && !info.optional);
  return shipped
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, info]) => entry(path, info))
    .join("\n");
}

function entry(path, info) {
  const folder = join(UI, path);
  const file = existsSync(folder) ? readdirSync(folder).find((name) => /^licen[cs]e/i.test(name)) : undefined;
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : "(no licence file in the package)";
  const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
  return `=== ${name} ${info.version} (${info.license})\n\n${text}\n`;
}
