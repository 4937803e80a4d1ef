// One server, one browser and one person signed in, for the journeys of a test file.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';

import { launch, openPage, shot, signIn } from './browser.mjs';
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

/** A page that is signed in, and closed with its faults looked at. */
export async function signedIn(work, options = {}) {
  state ??= await signIn(browser, server);
  const { page, context, faults } = await openPage(browser, { state, ...options });
  try {
    await work(page);
    assert.deepEqual(faults, []);
  } catch (error) {
    await shot(page, `failed-${Date.now()}`);
    throw error;
  } finally {
    await endSessions(page);
    await context.close();
  }
}

/** A user has a few conversations at a time, and each test's tabs begin new ones. */
function endSessions(page) {
  return page.evaluate(async () => {
    for (const { session } of JSON.parse(localStorage.getItem('polder.tabs') ?? '[]')) await fetch(`/api/v1/sessions/${session}`, { method: 'DELETE', headers: { 'X-Polder': '1' } });
  }).catch(() => {});
}

/** How many statements run in the server. */
export const running = (page) => page.evaluate(async () => (await (await fetch('/api/v1/running')).json()).queries.length);

export async function untilNothingRuns(page) {
  const deadline = Date.now() + 30_000;
  while ((await running(page)) > 0) {
    assert.ok(Date.now() < deadline, 'the statement still runs in the server');
    await page.waitForTimeout(50);
  }
}
