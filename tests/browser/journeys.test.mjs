import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { dropFile, launch, openPage, shot, signIn } from './browser.mjs';
import { findServer, mocked } from './server.mjs';

let server;
let browser;
let state;

before(async () => {
  server = await findServer();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page that is signed in, and closed with its faults looked at. */
async function signedIn(work, options = {}) {
  state ??= await signIn(browser, server);
  const { page, context, faults } = await openPage(browser, { state, ...options });
  try {
    await work(page);
    assert.deepEqual(faults, []);
  } catch (error) {
    await shot(page, `failed-${Date.now()}`);
    throw error;
  } finally {
    await context.close();
  }
}

async function write(page, sql) {
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText(sql);
}

/** A statement that runs for long in the server. */
const SLOW = mocked ? 'SELECT slow FROM flights' : 'SELECT count(*) FROM generate_series(1, 3000000) a, generate_series(1, 300000) b WHERE (a.value * b.value) % 7 = 3';

describe('first login', () => {
  test('the link signs in once, and says so the second time', async () => {
    if (!server.link) return;
    const { page, context } = await openPage(browser);
    await page.goto(server.link);
    await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
    await shot(page, 'journey-login');
    state = { ...(await context.storageState()), origins: [] };
    await context.close();

    const again = await openPage(browser);
    await again.page.goto(server.link);
    await again.page.getByText('This sign-in link has been used').waitFor();
    await again.context.close();
  });

  test('a wrong password says so; the right one leads back to the page asked for', async () => {
    if (!server.password) return;
    const { page, context } = await openPage(browser);
    await page.goto(`${server.url}/data?filter=fl`);
    await page.getByLabel('User').fill(server.user);
    await page.getByLabel('Password', { exact: true }).fill('not the password');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await page.waitForTimeout(1500);
    await page.getByLabel('Password', { exact: true }).fill(server.password);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Data', level: 1 }).waitFor();
    assert.match(page.url(), /\/data\?filter=fl$/);
    await context.close();
  });
});

describe('from a file to a chart', () => {
  const rows = Array.from({ length: 240 }, (_, n) => `2024-${String((n % 12) + 1).padStart(2, '0')}-15,${['North', 'South', 'East'][n % 3]},${(n * 37) % 500}`);
  const csv = `Day,Region,Amount\n${rows.join('\n')}\n`;
  const table = `dropped_${Date.now()}`;

  test('drop a CSV, load it, chart it: five clicks at most', () =>
    signedIn(async (page) => {
      let clicks = 0;
      const click = async (name) => {
        clicks += 1;
        await page.getByRole('button', { name, exact: true }).click();
      };
      await page.goto(server.url);
      await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
      const begun = Date.now();
      await dropFile(page, `${table}.csv`, csv);
      await page.getByRole('heading', { name: `${table}.csv` }).waitFor();
      await page.getByRole('region', { name: 'First rows' }).waitFor();
      await shot(page, 'journey-preview');
      await click('Load');
      await page.getByText(`Loaded into ${table}`).waitFor();
      await shot(page, 'journey-loaded');
      await click('Chart it');
      await page.locator('[role=img] svg').waitFor();
      await shot(page, 'journey-chart');
      assert.ok(clicks <= 5, `${clicks} clicks`);
      assert.ok(Date.now() - begun < 60_000, 'longer than a minute');
    }));

  test('the rows on the screen are those of the file', { skip: mocked }, () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, `SELECT region, sum(amount) AS total FROM ${table} GROUP BY region ORDER BY region`);
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell').first().waitFor();
      const shown = await page.getByRole('gridcell').allTextContents();
      const totals = new Map();
      for (const row of rows) {
        const [, region, amount] = row.split(',');
        totals.set(region, (totals.get(region) ?? 0) + Number(amount));
      }
      assert.deepEqual(shown, [...totals].sort().flatMap(([region, total]) => [region, String(total)]));
    }));

  test('a name that is taken is said before loading', () =>
    signedIn(async (page) => {
      await page.goto(server.url);
      await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
      await dropFile(page, `${table}.csv`, csv);
      await page.getByText('This table exists').waitFor();
    }));

  test('what is no table says what it is instead', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/load`);
      await dropFile(page, 'picture.png', '\u0089PNG\r\n\u001a\n', 'image/png');
      await page.getByRole('alert').waitFor();
      await shot(page, 'journey-no-table');
    }));
});

describe('queries', () => {
  test('write and cancel: the server stops within a second', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, SLOW);
      await page.keyboard.press('Control+Enter');
      await page.getByRole('progressbar', { name: 'The statement is running' }).waitFor();
      await page.waitForTimeout(600);
      await shot(page, 'journey-progress');
      await page.getByRole('button', { name: /^Cancel/ }).click();
      await page.getByText('The statement was cancelled').waitFor({ timeout: 1000 });
      await page.waitForTimeout(1000);
      const running = await page.evaluate(async () => (await (await fetch('/api/v1/running')).json()).queries.length);
      assert.equal(running, 0);
    }));

  test('Esc cancels from the keyboard', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, SLOW);
      await page.keyboard.press('Control+Enter');
      await page.getByRole('progressbar', { name: 'The statement is running' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByText('The statement was cancelled').waitFor({ timeout: 1000 });
    }));

  test('the statement under the cursor runs, not the whole', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, 'SELECT * FROM no_such_table;\n\nSELECT 42 AS answer');
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell', { name: '42' }).waitFor();
    }));

  test('an error is underlined where it is, and has an id to copy', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, 'SELECT 1;\n\nSELECT *\nFROM no_such_table');
      await page.keyboard.press('Control+Enter');
      await page.getByRole('alert').waitFor();
      await shot(page, 'journey-error');
      assert.equal(await page.locator('.cm-lintRange-error').textContent(), 'no_such_table');
      assert.ok(await page.getByRole('button', { name: /Copy the request id/ }).isVisible());
    }));

  test('a reload restores the tab, and what it showed', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, 'SELECT 42 AS answer');
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell', { name: '42' }).waitFor();
      await page.reload();
      await page.getByRole('gridcell', { name: '42' }).waitFor();
      assert.match(await page.locator('.cm-content').textContent(), /SELECT 42 AS answer/);
    }));

  test('save, find by Ctrl-K, delete, undo', () =>
    signedIn(async (page) => {
      const name = `Answer ${Date.now()}`;
      await page.goto(`${server.url}/query`);
      await write(page, 'SELECT 42 AS answer');
      await page.keyboard.press('Control+s');
      await page.getByLabel('Name').fill(name);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Saved', exact: true }).waitFor();
      await page.goto(`${server.url}/data`);
      await page.getByRole('heading', { name: 'Data', level: 1 }).waitFor();
      await page.keyboard.press('Control+k');
      await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor();
      await page.keyboard.type(name);
      await page.getByRole('option', { name }).waitFor();
      await page.keyboard.press('Enter');
      await page.getByRole('gridcell', { name: '42' }).waitFor();
      await page.getByText('Saved', { exact: true }).first().click();
      await page.getByRole('button', { name: `Delete ${name}` }).click();
      await page.getByRole('button', { name: 'Undo' }).click();
      await page.getByRole('button', { name: `Delete ${name}` }).waitFor();
      await page.getByRole('button', { name: `Delete ${name}` }).click();
    }));

  test('a result can be walked through and copied by keyboard', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, mocked ? 'SELECT * FROM range(5000)' : 'SELECT value AS id FROM generate_series(1, 5000)');
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell').first().waitFor();
      await page.getByRole('grid', { name: 'Result' }).focus();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Control+End');
      await page.keyboard.press('Home');
      await page.keyboard.press('Control+c');
      await page.waitForTimeout(200);
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), '5000');
    }));
});

describe('finding a table by keyboard', () => {
  const wanted = 'weather';

  test('g d, type, down, enter', async (t) => {
    await signedIn(async (page) => {
      await page.goto(server.url);
      await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
      const names = await page.evaluate(async () => (await (await fetch('/api/v1/catalog')).json()).schemas.flatMap((schema) => schema.tables.map((table) => table.name)));
      const name = names.includes(wanted) ? wanted : names[0];
      if (!name) return t.skip('the lake has no table');
      await page.keyboard.press('g');
      await page.keyboard.press('d');
      await page.getByRole('heading', { name: 'Data', level: 1 }).waitFor();
      await page.getByRole('table', { name: 'Tables' }).waitFor();
      await page.keyboard.press('/');
      await page.keyboard.type(name);
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name, level: 1 }).waitFor();
      await page.getByRole('table', { name: `Columns of ${name}` }).waitFor();
      await shot(page, 'journey-table');
    });
  });

  test('every page is reached by Ctrl-K', () =>
    signedIn(async (page) => {
      for (const [name, path] of [['Data', '/data'], ['Query', '/query'], ['Settings', '/settings'], ['Load a file', '/load'], ['Home', '/']]) {
        await page.goto(`${server.url}/settings/about`);
        await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
        await page.keyboard.press('Control+k');
        await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor();
        await page.keyboard.type(name);
        await page.keyboard.press('Enter');
        await page.waitForURL((url) => url.pathname === path);
      }
    }));
});
