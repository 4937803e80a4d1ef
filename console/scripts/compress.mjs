// Writes .br and .gz beside every file that shrinks, and holds the shell to its budget.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const DIST = new URL('../dist/', import.meta.url).pathname;
const TEXT = new Set(['.html', '.js', '.css', '.svg', '.json', '.txt', '.map']);
/** What the first page downloads before anything lazy, gzip, without fonts. */
const SHELL_BYTES_MAX = 180 * 1024;

async function* files(folder) {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else yield path;
  }
}

const sizes = new Map();
for await (const path of files(DIST)) {
  if (!TEXT.has(extname(path))) continue;
  const raw = await readFile(path);
  const gz = gzipSync(raw, { level: 9 });
  sizes.set('/' + relative(DIST, path), gz.length);
  if (raw.length < 256) continue;
  const br = brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length } });
  await writeFile(`${path}.gz`, gz);
  await writeFile(`${path}.br`, br);
}

const html = await readFile(join(DIST, 'index.html'), 'utf8');
const shell = [...html.matchAll(/(?:src|href)="(\/[^"]+\.(?:js|css))"/g)].map((match) => match[1]);
const total = shell.reduce((sum, path) => sum + (sizes.get(path) ?? 0), sizes.get('/index.html') ?? 0);
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
console.log(`shell: ${kib(total)} gzip of ${kib(SHELL_BYTES_MAX)} (${shell.length} files)`);
if (total > SHELL_BYTES_MAX) {
  console.error('the shell is over its budget: make a part of it lazy');
  process.exit(1);
}
