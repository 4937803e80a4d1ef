/** How well a text answers a search: whole, at its start, at a word's start, inside, scattered; -1 for not at all. */
export function score(text: string, search: string): number {
  const hay = text.toLowerCase();
  const needle = search.trim().toLowerCase();
  if (needle === '') return 1;
  if (hay === needle) return 100;
  if (hay.startsWith(needle)) return 80;
  const inside = hay.indexOf(needle);
  if (inside > 0) return /[\s._-]/.test(hay[inside - 1] ?? '') ? 60 : 40;
  const words = needle.split(/\s+/);
  if (words.length > 1 && words.every((word) => hay.includes(word))) return 30;
  let at = 0;
  for (const char of needle) {
    at = hay.indexOf(char, at) + 1;
    if (at === 0) return -1;
  }
  return 10;
}

/** The items that answer a search, best first; the given order decides between equals. */
export function rank<T>(items: T[], search: string, text: (item: T) => string): T[] {
  return items
    .map((item, index) => ({ item, index, score: score(text(item), search) }))
    .filter((found) => found.score >= 0)
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .map((found) => found.item);
}
