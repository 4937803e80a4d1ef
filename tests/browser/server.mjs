// Where the console is: the real binary, which this starts and stops; a server that runs already (POLDER_URL); or the console's
// mock (POLDER_MOCK=1), for work on the console while there is no binary.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MOCK = fileURLToPath(new URL('../../console/dev/mock-server.mjs', import.meta.url));
const READY_MS = 120_000;
const STOP_MS = 30_000;

/** True against the mock: what it acts (unchanging numbers, slow statements by name) may be relied on. */
export const mocked = process.env.POLDER_MOCK === '1';

/**
 * A console to test: `url`, the one-time sign-in `link`, `user` and `password`, and `stop`; of a server that is started here
 * `kafka` too, the address of Kafka's clients.
 * `lake` is `full`, which has the demo, or `empty`.
 */
export function findServer({ lake = 'full' } = {}) {
  if (mocked) return startMock(lake);
  if (process.env.POLDER_URL && lake === 'full') return runningServer();
  return startServer(lake);
}

/** The release binary: `POLDER_BINARY`, or the one in cargo's target folder. */
function binary() {
  if (process.env.POLDER_BINARY) return process.env.POLDER_BINARY;
  const cache = process.env.POLDER_CACHE ?? join(homedir(), '.cache', 'polder');
  return join(process.env.CARGO_TARGET_DIR ?? join(cache, 'target'), 'release', 'polder');
}

/** The environment without settings of the person who runs the tests, but for the console that is being developed. */
function environment() {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('POLDER_') || name === 'POLDER_CONSOLE');
  return { ...Object.fromEntries(kept), RUST_BACKTRACE: '1' };
}

async function startServer(lake) {
  if (!existsSync(binary())) throw new Error(`there is no ${binary()}: run make build`);
  const scratch = await mkdtemp(join(tmpdir(), 'polder-browser-'));
  const data = join(scratch, 'data');
  const demo = lake === 'full' ? ['--demo'] : [];
  const child = spawn(binary(), ['up', ...demo, '--data', data, '--http', '127.0.0.1:0', '--postgres', '127.0.0.1:0', '--kafka', '127.0.0.1:0', '--aws', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'], env: environment() });
  // Also when the tests end without stopping it.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => resolve(code ?? signal));
    child.once('error', reject);
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { printed += text; });
  const stop = async () => {
    child.kill('SIGTERM');
    const late = setTimeout(kill, STOP_MS);
    const code = await ended;
    clearTimeout(late);
    process.off('exit', kill);
    await rm(scratch, { recursive: true, force: true });
    if (code !== 0) throw new Error(`polder up ended with ${code}:\n${printed.slice(-4000)}`);
  };
  try {
    const link = await Promise.race([
      ready(() => printed),
      ended.then((code) => { throw new Error(`polder up ended with ${code}`); }),
    ]);
    const { http, kafka } = JSON.parse(await readFile(join(data, 'endpoints.json'), 'utf8'));
    const url = `http://${http}`;
    if (!link.startsWith(`${url}/`)) throw new Error(`the link ${link} does not lead to ${url}`);
    const health = await fetch(`${url}/healthz`);
    if (!health.ok) throw new Error(`/healthz answered ${health.status}`);
    return { url, link, kafka, ...credentials(await readFile(join(data, 'credentials.toml'), 'utf8')), stop };
  } catch (error) {
    error.message += `\n${printed.slice(-4000)}`;
    await stop().catch(() => {});
    throw error;
  }
}

/** Waits for the sign-in link, which comes last: after the demo is loaded and the server listens. */
async function ready(printed) {
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline) {
    const link = /^\s*console\s+(http:\S+)\s/m.exec(printed());
    if (link) return link[1];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`polder up was not ready within ${READY_MS / 1000} s`);
}

function credentials(toml) {
  const value = (name) => {
    const line = new RegExp(`^${name} = "([^"\\\\]+)"$`, 'm').exec(toml);
    if (!line) throw new Error(`credentials.toml has no ${name}`);
    return line[1];
  };
  return { user: value('user'), password: value('password') };
}

async function runningServer() {
  const { POLDER_URL: url, POLDER_LOGIN_LINK: link, POLDER_USER: user, POLDER_PASSWORD: password } = process.env;
  if (!link || !password) throw new Error('with POLDER_URL set POLDER_LOGIN_LINK and POLDER_PASSWORD too');
  return { url: url.replace(/\/$/, ''), link, user: user ?? 'polder', password, stop: async () => {} };
}

async function startMock(lake) {
  const child = spawn(process.execPath, [MOCK, '--port', '0', '--lake', lake], { stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await new Promise((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(data.toString().trim()));
    child.once('exit', (code) => reject(new Error(`the mock ended with ${code}`)));
  });
  return {
    url,
    link: `${url}/login?token=first`,
    user: 'polder',
    password: 'polder',
    stop: () => new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill();
    }),
  };
}
