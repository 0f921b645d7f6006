// Colours that stay with their names: a series keeps its colour when another appears or goes.
const COUNT = 10;

/** FNV-1a over UTF-16 units: small, and spreads short names well enough for ten colours. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

/**
 * One of ten colours per name, as CSS `var(--cN)`. A name takes the colour of its hash, or the next free one
 * if an alphabetically earlier name has it; past ten names colours repeat.
 */
export function colorsOf(names: Iterable<string>): Map<string, string> {
  const taken = new Set<number>();
  const colors = new Map<string, string>();
  for (const name of [...new Set(names)].sort()) {
    let slot = hashText(name) % COUNT;
    if (taken.size < COUNT) while (taken.has(slot)) slot = (slot + 1) % COUNT;
    taken.add(slot);
    colors.set(name, `var(--c${slot})`);
  }
  return colors;
}
