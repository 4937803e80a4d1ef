import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launch, openPage, scrollsSideways, shot, signIn, violations } from './browser.mjs';
import { findServer, mocked } from './server.mjs';

let server;
let browser;
let state;
let table = 'public/flights';

before(async () => {
  server = await findServer();
  browser = await launch();
  state = await signIn(browser, server);
  if (!mocked) table = (await firstTable()) ?? table;
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

async function firstTable() {
  const { page, context } = await openPage(browser, { state });
  await page.goto(`${server.url}/`);
  const catalog = await page.evaluate(async () => (await fetch('/api/v1/catalog')).json());
  await context.close();
  const schema = catalog.schemas.find((item) => item.tables.length > 0);
  return schema && `${schema.name}/${schema.tables[0].name}`;
}

const settled = async (page) => {
  await page.waitForLoadState('networkidle');
  await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'), undefined, { timeout: 10_000 }).catch(() => {});
  await page.waitForTimeout(300);
};

/** Runs SQL in a fresh tab of the editor. */
async function run(page, sql) {
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText(sql);
  await page.keyboard.press('Control+Enter');
}

const PAGES = [
  ['home', '/'],
  ['data', '/data'],
  ['data-filter', '/data?filter=nothing-is-called-this'],
  ['table', () => `/data/${table}`, async (page) => page.getByRole('table').getByRole('button').nth(2).click()],
  ['sample', () => `/data/${table}?tab=sample`],
  ['history', () => `/data/${table}?tab=history`],
  ['sql', () => `/data/${table}?tab=sql`],
  ['table-missing', '/data/public/no_such_table'],
  ['query', '/query'],
  ['query-result', '/query', async (page) => { await run(page, `SELECT * FROM ${table.replace('/', '.')} LIMIT 1000`); await page.getByRole('gridcell').first().waitFor(); await page.getByRole('gridcell').nth(3).click(); }],
  ['query-error', '/query', async (page) => { await run(page, 'SELECT *\nFROM no_such_table'); await page.getByRole('alert').waitFor(); }],
  ['query-chart', '/query', async (page) => {
    await run(page, mocked ? "SELECT date_trunc('month', time_hour) AS month, origin, count(*) AS flights FROM flights GROUP BY 1, 2" : "SELECT 'a' AS name, 1 AS amount UNION ALL SELECT 'b', 2");
    await page.getByRole('gridcell').first().waitFor();
    await page.getByText('Chart', { exact: true }).click();
    await page.locator('[role=img] svg').waitFor();
  }],
  ['query-history', '/query', async (page) => page.getByText('History', { exact: true }).click()],
  ['load', '/load'],
  ['settings', '/settings/account'],
  ['settings-tokens', '/settings/tokens'],
  ['settings-appearance', '/settings/appearance'],
  ['settings-about', '/settings/about'],
  ['palette', '/data', async (page) => { await page.keyboard.press('Control+k'); await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor(); }],
  ['shortcuts', '/data', async (page) => { await page.keyboard.press('?'); await page.getByText('Keyboard shortcuts').waitFor(); }],
  ['running', '/data', async (page) => page.getByRole('button', { name: /running/ }).click()],
  ['not-found', '/no/such/page'],
];

for (const dark of [false, true]) {
  const scheme = dark ? 'dark' : 'light';
  describe(`every page, ${scheme}`, () => {
    for (const [name, path, act] of PAGES) {
      test(name, async () => {
        const { page, context, faults } = await openPage(browser, { state, dark, width: 1280 });
        try {
          await page.goto(server.url + (typeof path === 'function' ? path() : path));
          await settled(page);
          if (act) await act(page);
          await page.waitForTimeout(400);
          await shot(page, `${name}-${scheme}`);
          assert.deepEqual(await violations(page), []);
          assert.equal(await scrollsSideways(page), false, 'the page scrolls sideways at 1280 px');
          await page.setViewportSize({ width: 390, height: 844 });
          await page.waitForTimeout(300);
          await shot(page, `${name}-${scheme}-390`);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'the page scrolls sideways at 390 px');
          assert.deepEqual(faults, []);
        } finally {
          await context.close();
        }
      });
    }

    test('login', async () => {
      const { page, context } = await openPage(browser, { dark });
      await page.goto(`${server.url}/#/login?expired=1`);
      await page.getByText('This sign-in link has been used').waitFor();
      await page.waitForTimeout(300);
      await shot(page, `login-${scheme}`);
      assert.deepEqual(await violations(page), []);
      await context.close();
    });
  });
}
