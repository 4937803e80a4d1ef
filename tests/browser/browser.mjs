import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { chromium, errors } from 'playwright-core';

import { watchCalls, withWords } from './calls.mjs';
import { mocked } from './server.mjs';

const require = createRequire(import.meta.url);
// Without a browser's own tabs and bars around the pages, which would be pages too: they are half of what the tests compute.
const SHELL = '/usr/lib/chromium/chromium-headless-shell';
const CHROMIUM = process.env.POLDER_CHROMIUM ?? (existsSync(SHELL) ? SHELL : '/usr/bin/chromium');
const SHOTS = process.env.POLDER_SCREENSHOTS;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** How often a page's work is begun when it is not done in time. */
const TRIES_MAX = 2;

/** Longer than a tooltip or a popover takes to begin. */
const STILL_MS = 120;
const STILL_MS_MAX = 1000;

/** A statement that ends in no test's time. */
export const SLOW = mocked ? 'SELECT slow FROM flights' : 'SELECT count(*) AS n FROM generate_series(1, 1000000::bigint) a(x), generate_series(1, 1000000) b(y) WHERE (x * y) % 7 = 3';

export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

/**
 * A page that fails the test for every script error, every request to another host, and every error on the browser's console.
 * Answers 4xx are not among them: they belong to the pages that show them.
 */
export async function openPage(browser, { state, dark = false, width = 1440, height = 900 } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', storageState: state, reducedMotion: 'reduce', permissions: ['clipboard-read', 'clipboard-write'] });
  const page = await context.newPage();
  const calls = watchCalls(page);
  const faults = [];
  page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) faults.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol.startsWith('http') && !['127.0.0.1', 'localhost'].includes(hostname)) faults.push(`request to ${request.url()}`);
  });
  return { page, context, faults, calls };
}

/**
 * Works on a page of its own, which must be without faults at the end. A failure says what the page showed and what the
 * server had answered. What was not done in time is done once more from the start, on a fresh page, and the log says so: on
 * a busy machine that is a statement about time.
 */
export async function onPage(browser, options, work, { name = `${Date.now()}`, finish = async () => {} } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const opened = await openPage(browser, options);
    try {
      await work(opened.page);
      assert.deepEqual(opened.faults, []);
      return;
    } catch (error) {
      await shot(opened.page, `failed-${name}-${attempt}`);
      await withWords(error, opened);
      if (attempt === TRIES_MAX || !(error instanceof errors.TimeoutError)) throw error;
      console.log(`not done in time, tried once more: ${error.message}`);
    } finally {
      await finish(opened.page);
      await opened.context.close();
    }
  }
}

/**
 * The cookies of somebody signed in: by password, because the link works once and has a test of its own. Begun once more when it
 * is not done in time: all tests of a file stand on it.
 */
export async function signIn(browser, server) {
  let state;
  await onPage(browser, {}, async (page) => {
    await page.goto(server.url);
    await page.getByLabel('User').fill(server.user);
    await page.getByLabel('Password', { exact: true }).fill(server.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('navigation', { name: 'Rooms' }).waitFor();
    state = await page.context().storageState();
  }, { name: 'sign-in' });
  return { ...state, origins: [] };
}

const axeSource = readFile(require.resolve('axe-core/axe.min.js'), 'utf8');

/** The rules that can come to something else when nothing but colours is another. */
const OF_COLOURS = ['color-contrast', 'link-in-text-block'];

/** The violations of WCAG 2.2 A and AA and of good practice, one line each; `of` colours alone where all else was looked at. */
export async function violations(page, of = 'everything') {
  // Half a megabyte, which is not read again by a page that has it.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(await axeSource);
  const rules = of === 'colours' ? { runOnly: OF_COLOURS } : {};
  const found = await page.evaluate((chosen) => globalThis.axe.run(document, { ...chosen, resultTypes: ['violations'] }), rules);
  return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id} (${rule.impact}): ${node.target.join(' ')}: ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? rule.help}`));
}

/** All that is on the page and seen of it, but for its colours. */
export function markup(page) {
  return page.evaluate(() => document.body.innerHTML.replace(/ (?:style|fill|stroke)="[^"]*"/g, '') + document.body.innerText);
}

/** Keeps a picture when POLDER_SCREENSHOTS names a folder. */
export async function shot(page, name) {
  if (!SHOTS) return;
  await mkdir(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** Drops a file on the page as a person does: enter, over, drop. Its content is text or bytes. */
export async function dropFile(page, name, content, type = 'text/csv') {
  const transfer = await page.evaluateHandle(([fileName, bytes, mime]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], fileName, { type: mime }));
    return data;
  }, [name, [...Buffer.from(content)], type]);
  for (const kind of ['dragenter', 'dragover', 'drop']) await page.dispatchEvent('body', kind, { dataTransfer: transfer });
}

/** Waits until the page has what it asked for. */
export async function settled(page) {
  await page.waitForLoadState('networkidle');
  await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
  await still(page);
}

/** Waits until nothing has moved on the page for a moment, or for a while where something always moves. */
export function still(page) {
  return page.evaluate(([quiet, most]) => new Promise((resolve) => {
    const begun = performance.now();
    let changed = begun;
    const observer = new MutationObserver(() => { changed = performance.now(); });
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    const moving = () => document.getAnimations().some((animation) => animation.playState === 'running' && animation.effect?.getComputedTiming().endTime !== Infinity);
    const look = () => {
      const now = performance.now();
      if (moving()) changed = now;
      if (now - changed < quiet && now - begun < most) return requestAnimationFrame(look);
      observer.disconnect();
      return resolve();
    };
    requestAnimationFrame(look);
  }), [STILL_MS, STILL_MS_MAX]);
}

/** Puts SQL into the editor, in the place of what is there. */
export async function write(page, sql) {
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText(sql);
}

/** Runs a statement as the person who is signed in; its rows. */
export function runSql(page, sql) {
  return page.evaluate(async (text) => {
    const answer = await fetch('/api/v1/statements', { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Polder': '1' }, body: JSON.stringify({ sql: text, format: 'json' }) });
    const body = await answer.text();
    if (!answer.ok) throw new Error(body);
    return body.trim() ? JSON.parse(body) : [];
  }, sql);
}

/** Drops a picture, which is no table, and waits until the page says so. */
export async function dropPicture(page) {
  // The signature, and the header of one pixel.
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');
  await dropFile(page, 'picture.png', png, 'image/png');
  await page.getByRole('alert').waitFor();
}

/** True when the page is wider than its window. */
export function scrollsSideways(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > innerWidth || document.querySelector('main').scrollWidth > document.querySelector('main').clientWidth);
}
