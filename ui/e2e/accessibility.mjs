// axe's rules on a page: names of controls, roles, contrast in both themes.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];

/** Throws with one line per rule that is broken, and the first elements that break it. */
export async function accessible(tab) {
  await tab.evaluate(SOURCE);
  const broken = await tab.evaluate(async (values) => {
    const { violations } = await window.axe.run(document, { runOnly: { type: "tag", values } });
    return violations.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.length} × ${nodes
          .slice(0, 3)
          .map((node) => `${node.target} (${node.any[0]?.message ?? ""})`)
          .join(", ")}`,
    );
  }, TAGS);
  if (broken.length > 0) throw new Error(`not accessible: ${broken.join(" ; ")}`);
}
