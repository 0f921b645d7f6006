// Says whether crates/ui/assets were built from these sources, and whether they keep their size budget.
//   node scripts/check-built.mjs           exit 1 when stale or too large
//   node scripts/check-built.mjs --write   after a build: writes the hash and the third-party licences
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { licences } from "./licences.mjs";
import { ASSETS, hashSources } from "./sources.mjs";

const HASH_FILE = join(ASSETS, "sources.sha256");
/** Gzip bytes of what the first page loads, and of any one file that a later page adds. */
const BUDGET = { first: 160_000, lazy: 170_000 };

if (process.argv.includes("--write")) {
  writeFileSync(HASH_FILE, `${hashSources()}\n`);
  writeFileSync(join(ASSETS, "third-party-licences.txt"), licences());
}
const problems = [...stale(), ...tooLarge()];
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function stale() {
  const built = readFileSync(HASH_FILE, "utf8").trim();
  const now = hashSources();
  return built === now
    ? []
    : [
        `crates/ui/assets are stale: built from ${built.slice(0, 12)}, sources are ${now.slice(0, 12)}; run "npm run build" in ui/`,
      ];
}

function tooLarge() {
  const index = readFileSync(join(ASSETS, "index.html"), "utf8");
  const found = [];
  let first = 0;
  for (const name of readdirSync(join(ASSETS, "assets"))) {
    const size = gzipSync(readFileSync(join(ASSETS, "assets", name))).length;
    if (index.includes(name)) first += size;
    else if (size > BUDGET.lazy)
      found.push(`${name} is ${size} bytes gzipped, the limit of a lazy file is ${BUDGET.lazy}`);
  }
  console.log(`first load ${first} bytes gzipped of ${BUDGET.first}`);
  if (first > BUDGET.first) found.push(`the first load is ${first} bytes gzipped, the limit is ${BUDGET.first}`);
  return found;
}
