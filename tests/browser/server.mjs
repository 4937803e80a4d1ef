// Where the console is: a server that the harness has started (POLDER_URL, POLDER_PASSWORD, POLDER_LOGIN_LINK), or the mock
// (POLDER_MOCK=1). The link works once, so only the journey that tests it uses it when the password is known.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MOCK = fileURLToPath(new URL('../../console/dev/mock-server.mjs', import.meta.url));

/** True against the mock: what it acts (unchanging numbers, slow statements by name) may be relied on. */
export const mocked = process.env.POLDER_MOCK === '1';

/** Starts the mock, or finds the server. `lake` is the mock's: full, empty or many. */
export async function findServer({ lake = 'full' } = {}) {
  if (!mocked) {
    const url = process.env.POLDER_URL;
    const link = process.env.POLDER_LOGIN_LINK;
    if (!url) throw new Error('set POLDER_URL and POLDER_LOGIN_LINK, or POLDER_MOCK=1');
    return { url: url.replace(/\/$/, ''), link: link ?? null, user: process.env.POLDER_USER ?? 'polder', password: process.env.POLDER_PASSWORD ?? null, stop: async () => {} };
  }
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
