// One server, one browser and one person signed in, for the journeys of a test file.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { launch, onPage, signIn } from './browser.mjs';
import { findServer } from './server.mjs';

export let server;
export let browser;
let state;

before(async () => {
  server = await findServer();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** What the browser keeps of somebody who has signed in, for the tests that follow. */
export function keepSignIn(kept) {
  state = { ...kept, origins: [] };
}

/** Works on a page that is signed in. Begun anew when it was not done in time, so what it makes has names of its own. */
export async function signedIn(work, options = {}) {
  state ??= await signIn(browser, server);
  await onPage(browser, { state, ...options }, work, { finish: endSessions });
}

/** A user has a few conversations at a time, and each test's tabs begin new ones. */
function endSessions(page) {
  return page.evaluate(async () => {
    for (const { session } of JSON.parse(localStorage.getItem('polder.tabs') ?? '[]')) await fetch(`/api/v1/sessions/${session}`, { method: 'DELETE', headers: { 'X-Polder': '1' } });
  }).catch(() => {});
}

/** How many statements run in the server. */
const running = (page) => page.evaluate(async () => (await (await fetch('/api/v1/running')).json()).queries.length);

async function until(page, expected, otherwise) {
  const deadline = Date.now() + 30_000;
  while (!expected(await running(page))) {
    assert.ok(Date.now() < deadline, otherwise);
    await page.waitForTimeout(50);
  }
}

export const untilSomethingRuns = (page) => until(page, (count) => count > 0, 'no statement has begun in the server');

export const untilNothingRuns = (page) => until(page, (count) => count === 0, 'the statement still runs in the server');
