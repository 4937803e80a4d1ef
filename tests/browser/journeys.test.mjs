import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { dropFile, dropPicture, launch, openPage, runSql, shot, signIn, SLOW, write } from './browser.mjs';
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
const running = (page) => page.evaluate(async () => (await (await fetch('/api/v1/running')).json()).queries.length);

async function untilNothingRuns(page) {
  const deadline = Date.now() + 30_000;
  while ((await running(page)) > 0) {
    assert.ok(Date.now() < deadline, 'the statement still runs in the server');
    await page.waitForTimeout(50);
  }
}

describe('first login', () => {
  test('the link signs in once, and says so the second time', async () => {
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
    const { page, context } = await openPage(browser);
    await page.goto(`${server.url}/data?filter=fl`);
    await page.getByLabel('User').fill(server.user);
    await page.getByLabel('Password', { exact: true }).fill('not the password');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Password', { exact: true }).fill(server.password);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Data', level: 1 }).waitFor();
    assert.match(page.url(), /\/data\?filter=fl$/);
    await context.close();
  });
});

describe('the demo', () => {
  test('its six saved queries are drawn on Home', () =>
    signedIn(async (page) => {
      await page.goto(server.url);
      const cards = page.getByRole('region', { name: 'Saved queries' }).getByRole('article');
      await cards.nth(5).locator('[role=img] svg').waitFor();
      for (let card = 0; card < 5; card += 1) await cards.nth(card).locator('[role=img] svg').waitFor();
      assert.equal(await cards.count(), 6);
      await shot(page, 'journey-demo');
    }));

  test('a saved query opens as its chart, and its rows are those of the lake', { skip: mocked }, () =>
    signedIn(async (page) => {
      await page.goto(server.url);
      await page.getByRole('link', { name: /^1\. What happened/ }).click();
      await page.getByRole('img').locator('svg').waitFor();
      await page.getByText('Table', { exact: true }).click();
      await page.getByRole('gridcell').first().waitFor();
      // 12 months of 3 airports, below the names.
      assert.equal(await page.getByRole('grid', { name: 'Result' }).getAttribute('aria-rowcount'), '37');
      const shown = await page.getByRole('gridcell').allTextContents();
      assert.deepEqual(shown.slice(0, 6), ['2013-01-01', 'EWR', '9893', '2013-01-01', 'JFK', '9161']);
    }));
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

  test('names and types are corrected in the preview, a column is left out', { skip: mocked }, () =>
    signedIn(async (page) => {
      const corrected = `corrected_${Date.now()}`;
      await page.goto(`${server.url}/load`);
      await dropFile(page, `${corrected}.csv`, 'Code,Day,Note\n101,2024-01-15,x\n102,2024-02-15,y\n');
      await page.getByRole('region', { name: 'First rows' }).waitFor();
      await page.getByLabel('Name of column Code').fill('postcode');
      await page.getByLabel('Type of column Code').selectOption('text');
      await page.getByLabel('Load column Note').uncheck();
      await page.getByRole('button', { name: 'Load', exact: true }).click();
      await page.getByText(`Loaded into ${corrected}`).waitFor();
      assert.deepEqual(await runSql(page, `SELECT * FROM ${corrected} ORDER BY 1`), [{ postcode: '101', day: '2024-01-15' }, { postcode: '102', day: '2024-02-15' }]);
    }));

  test('a row that cannot be read is shown with its line and reason', { skip: mocked }, () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/load`);
      await dropFile(page, `rejected_${Date.now()}.csv`, 'a,b\n1,x\n2,y,too many\n3,z\n');
      await page.getByRole('region', { name: 'First rows' }).waitFor();
      await page.getByRole('button', { name: 'Load', exact: true }).click();
      await page.getByText(/^Loaded into/).waitFor();
      const row = page.getByRole('row').filter({ hasText: '2,y,too many' });
      assert.match(await row.textContent(), /^3.*3 fields instead of 2/);
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
      await dropPicture(page);
      await page.getByRole('heading', { name: 'picture.png', level: 1 }).waitFor();
      await shot(page, 'journey-no-table');
    }));
});

describe('queries', () => {
  test('write and cancel: the server stops', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, SLOW);
      await page.keyboard.press('Control+Enter');
      await page.getByRole('progressbar', { name: 'The statement is running' }).waitFor();
      assert.equal(await running(page), 1);
      await shot(page, 'journey-progress');
      const asked = Date.now();
      await page.getByRole('button', { name: /^Cancel/ }).click();
      await untilNothingRuns(page);
      assert.ok(Date.now() - asked < 3000, `the server went on for ${Date.now() - asked} ms`);
      await page.getByText('The statement was cancelled').waitFor();
    }));

  test('Esc cancels from the keyboard', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, SLOW);
      await page.keyboard.press('Control+Enter');
      await page.getByRole('progressbar', { name: 'The statement is running' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByText('The statement was cancelled').waitFor();
      await untilNothingRuns(page);
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
      // In the editor's lines, though the statement that ran begins further down.
      await page.getByRole('alert').getByText('at line 4, column 6').waitFor();
      assert.ok(await page.getByRole('button', { name: /Copy the request id/ }).isVisible());
    }));

  test('what is selected runs, not the rest', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, 'SELECT 42 AS answer');
      await page.keyboard.insertText(', no_such_column');
      await page.keyboard.press('Home');
      await page.keyboard.down('Shift');
      for (let letter = 0; letter < 'SELECT 42 AS answer'.length; letter += 1) await page.keyboard.press('ArrowRight');
      await page.keyboard.up('Shift');
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell', { name: '42' }).waitFor();
    }));

  test('names of the catalog complete: a table, then its columns', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, '');
      await page.keyboard.type('SELECT * FROM weat');
      await page.getByRole('option', { name: /^weather/ }).first().waitFor();
      // For a moment Enter is still a new line, for who types on.
      await page.waitForTimeout(200);
      await page.keyboard.press('Enter');
      await page.keyboard.type(' WHERE wind_sp');
      await page.getByRole('option', { name: /^wind_speed/ }).first().waitFor();
      await page.waitForTimeout(200);
      await page.keyboard.press('Enter');
      assert.match(await page.locator('.cm-content').textContent(), /FROM weather WHERE wind_speed$/);
    }));

  test('several tabs keep what is theirs', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, 'SELECT 42 AS answer');
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell', { name: '42' }).waitFor();
      await page.getByRole('button', { name: 'New query' }).click();
      await write(page, 'SELECT 43 AS other');
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell', { name: '43' }).waitFor();
      await page.getByRole('tab', { name: /SELECT 42/ }).click();
      await page.getByRole('gridcell', { name: '42' }).waitFor();
      assert.match(await page.locator('.cm-content').textContent(), /SELECT 42 AS answer/);
    }));

  test('a million rows: the last one is there at once', { skip: mocked }, () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, "SELECT n AS id, n * 2 AS double, 'row ' || n AS word FROM generate_series(1, 1000000) AS s(n) ORDER BY n");
      await page.keyboard.press('Control+Enter');
      // All of them, below the names.
      const grid = page.locator('[role=grid][aria-label=Result][aria-rowcount="1000001"]');
      await grid.waitFor();
      await grid.focus();
      await page.keyboard.press('ArrowDown');
      const started = Date.now();
      await page.keyboard.press('Control+End');
      await page.getByRole('gridcell', { name: 'row 1000000' }).waitFor();
      assert.ok(Date.now() - started < 1000, `${Date.now() - started} ms`);
      assert.ok((await page.getByRole('gridcell').count()) < 1000, 'only the rows in view are drawn');
    }));

  test('a chart is suggested, and becomes another kind', { skip: mocked }, () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, "SELECT date_trunc('month', flight_date) AS month, count(*) AS flights FROM flights GROUP BY 1");
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell').first().waitFor();
      await page.getByText('Chart', { exact: true }).click();
      await page.locator('[role=img] svg').waitFor();
      const kind = (name) => page.getByRole('radio', { name });
      assert.ok(await kind('Line').isChecked());
      await page.getByText('Bar', { exact: true }).click();
      assert.ok(await kind('Bar').isChecked());
      await page.waitForTimeout(500);
      await page.reload();
      await page.locator('[role=img] svg').waitFor();
      assert.ok(await kind('Bar').isChecked());
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
      await write(page, mocked ? 'SELECT * FROM range(5000)' : 'SELECT n AS id FROM generate_series(1, 5000) AS n');
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

describe('a table', { skip: mocked }, () => {
  test('its profile says what SQL says', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/data/public/weather`);
      const row = page.getByRole('row').filter({ hasText: 'wind_gust' });
      const [told] = await runSql(page, 'SELECT count(*) AS n, count(*) - count(wind_gust) AS missing, count(DISTINCT wind_gust) AS distinct FROM weather');
      await row.getByText(`${Math.round((told.missing / told.n) * 100)} %`).waitFor();
      await row.getByText(String(told.distinct), { exact: true }).waitFor();
      await row.getByRole('button').first().click();
      await page.getByText(`${told.missing.toLocaleString('en-GB')} (`).waitFor();
    }));

  test('its history has the versions, and an old one is read', () =>
    signedIn(async (page) => {
      const name = `versions_${Date.now()}`;
      await page.goto(server.url);
      await runSql(page, `CREATE TABLE ${name} AS SELECT 1 AS a`);
      await runSql(page, `INSERT INTO ${name} VALUES (2), (3)`);
      await page.goto(`${server.url}/data/public/${name}?tab=history`);
      await page.getByText('+2', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Query', exact: true }).or(page.getByRole('link', { name: 'Query', exact: true })).last().click();
      await page.getByRole('gridcell').first().waitFor();
      assert.deepEqual(await page.getByRole('gridcell').allTextContents(), ['1']);
    }));
});

describe('jobs', { skip: mocked }, () => {
  /** Opens a job's page and presses "Run now", which leads to the run. */
  const runNow = async (page, job) => {
    await page.goto(`${server.url}/jobs/${job}`);
    await page.getByRole('button', { name: 'Run now' }).first().click();
    await page.getByRole('heading', { name: `Run of ${job}`, level: 1 }).waitFor();
  };

  test('write one, run it, read its log, find its run on the line of time', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/jobs`);
      await page.getByRole('button', { name: 'New job' }).first().click();
      await page.locator('.cm-content').getByText('CREATE JOB').waitFor();
      await write(page, "CREATE JOB keep_count SCHEDULE '30 2 * * *' IN TIME ZONE 'Europe/Amsterdam' AS CREATE OR REPLACE TABLE flight_count AS SELECT count(*) AS n FROM flights");
      await page.keyboard.press('Control+Enter');
      await page.getByText('CREATE JOB', { exact: true }).first().waitFor();
      await page.getByRole('link', { name: 'Jobs' }).click();
      await page.getByRole('link', { name: 'keep_count' }).click();
      await page.getByText('every day at 02:30 Europe/Amsterdam').waitFor();
      await page.getByRole('button', { name: 'Run now' }).first().click();
      await page.getByRole('heading', { name: 'Run of keep_count', level: 1 }).waitFor();
      await page.getByRole('main').getByText('Done', { exact: true }).waitFor();
      await page.getByRole('log').getByText(/^asked for by /).waitFor();
      await page.getByRole('log').getByText(/^query [0-9a-f-]{36}$/).waitFor();
      assert.deepEqual(await runSql(page, 'SELECT n FROM flight_count'), [{ n: 336776 }]);
      await page.getByRole('link', { name: 'keep_count' }).click();
      const line = page.getByRole('region', { name: 'Runs over time' });
      await line.getByRole('link', { name: /^keep_count: done, / }).waitFor();
      await shot(page, 'journey-job');
      await line.getByRole('link', { name: /^keep_count: done, / }).press('Enter');
      await page.getByRole('heading', { name: 'Run of keep_count', level: 1 }).waitFor();
    }));

  test('one that fails says why; mended, it is run again', () =>
    signedIn(async (page) => {
      await page.goto(server.url);
      await runSql(page, 'CREATE JOB needs_table AS INSERT INTO came_later SELECT 1');
      await runNow(page, 'needs_table');
      await page.getByRole('alert').getByText(/came_later/).waitFor();
      await page.getByRole('log').getByText(/^failed: .*came_later/).waitFor();
      await runSql(page, 'CREATE TABLE came_later (a bigint)');
      const before = page.url();
      await page.getByRole('button', { name: 'Run again' }).click();
      await page.waitForURL((url) => url.href !== before);
      await page.getByRole('main').getByText('Done', { exact: true }).waitFor();
      assert.deepEqual(await runSql(page, 'SELECT count(*) AS n FROM came_later'), [{ n: 1 }]);
      await page.goto(`${server.url}/jobs`);
      await page.getByRole('img', { name: 'The last 2 runs: 1 failed, 1 done' }).waitFor();
    }));

  test('pause and go on', () =>
    signedIn(async (page) => {
      await page.goto(server.url);
      await runSql(page, "CREATE JOB hourly SCHEDULE '@hourly' AS SELECT 1");
      const paused = async () => (await runSql(page, "SELECT next_at IS NULL AS paused FROM polder.jobs WHERE job_name = 'hourly'"))[0].paused;
      await page.goto(`${server.url}/jobs/hourly`);
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByText('paused, runs only when asked').waitFor();
      assert.equal(await paused(), true);
      await page.getByRole('button', { name: 'Resume' }).click();
      await page.getByText(/next in \d+ (s|min)/).waitFor();
      assert.equal(await paused(), false);
    }));

  test('one that runs shows how far it is; cancelled, the server stops', () =>
    signedIn(async (page) => {
      await page.goto(server.url);
      await runSql(page, `CREATE JOB endless AS ${SLOW}`);
      await runNow(page, 'endless');
      await page.getByRole('progressbar', { name: "The run's statement" }).waitFor();
      await page.getByText('live', { exact: true }).waitFor();
      await page.getByRole('log').getByText(/^query /).waitFor();
      await shot(page, 'journey-job-live');
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByRole('main').getByText('Cancelled', { exact: true }).waitFor();
      await untilNothingRuns(page);
      await page.getByText('live', { exact: true }).waitFor({ state: 'detached' });
    }));
});

describe('finding a table by keyboard', () => {
  const wanted = 'weather';

  test('g d, type, down, enter', () =>
    signedIn(async (page) => {
      await page.goto(server.url);
      await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
      await page.keyboard.press('g');
      await page.keyboard.press('d');
      await page.getByRole('heading', { name: 'Data', level: 1 }).waitFor();
      await page.getByRole('table', { name: 'Tables' }).waitFor();
      await page.keyboard.press('/');
      await page.keyboard.type(wanted);
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: wanted, level: 1 }).waitFor();
      await page.getByRole('table', { name: `Columns of ${wanted}` }).waitFor();
      await shot(page, 'journey-table');
    }));

  test('a file becomes a chart without a mouse', { skip: mocked }, () =>
    signedIn(async (page) => {
      /** Tab until something by that name has the focus. */
      const tabTo = async (name) => {
        for (let step = 0; step < 60; step += 1) {
          const found = await page.evaluate(() => document.activeElement?.getAttribute('aria-label') || document.activeElement?.textContent?.trim());
          if (found === name) return;
          await page.keyboard.press('Tab');
        }
        assert.fail(`the Tab key does not come to ${name}`);
      };
      const name = `typed_${Date.now()}`;
      // Asked for in time: the browser needs a moment before it hands the dialog over.
      const chooser = page.waitForEvent('filechooser');
      await page.goto(server.url);
      await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
      await page.keyboard.press('Control+k');
      await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor();
      await page.keyboard.type('Load a file');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Load a file', level: 1 }).waitFor();
      await tabTo('Load file');
      await page.keyboard.press('Enter');
      await (await chooser).setFiles({ name: `${name}.csv`, mimeType: 'text/csv', buffer: Buffer.from('Day,Amount\n2024-01-15,10\n2024-02-15,30\n2024-03-15,20\n') });
      await page.getByRole('region', { name: 'First rows' }).waitFor();
      await tabTo('Load');
      await page.keyboard.press('Enter');
      await page.getByText(`Loaded into ${name}`).waitFor();
      await tabTo('Chart it');
      await page.keyboard.press('Enter');
      await page.locator('[role=img] svg').waitFor();
    }));

  test('g j, type, enter, run', { skip: mocked }, () =>
    signedIn(async (page) => {
      await page.goto(server.url);
      await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
      await runSql(page, 'CREATE JOB IF NOT EXISTS by_keyboard AS SELECT 1');
      await page.keyboard.press('g');
      await page.keyboard.press('j');
      await page.getByRole('table', { name: 'Jobs' }).waitFor();
      await page.keyboard.press('/');
      await page.keyboard.type('by_key');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'by_keyboard', level: 1 }).waitFor();
      await page.getByRole('button', { name: 'Run now' }).first().focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Run of by_keyboard', level: 1 }).waitFor();
      await page.getByRole('main').getByText('Done', { exact: true }).waitFor();
    }));

  test('what is typed right after Ctrl-K is searched for, and does not go into the editor', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, 'SELECT 1');
      await page.keyboard.press('Control+k');
      await page.keyboard.type('weather');
      const field = page.getByRole('combobox', { name: 'Search or jump to' });
      await field.waitFor();
      await page.getByRole('option', { name: /^weather/ }).first().waitFor();
      assert.equal(await field.inputValue(), 'weather');
      assert.equal(await page.locator('.cm-content').textContent(), 'SELECT 1');
    }));

  test('every page is reached by Ctrl-K', () =>
    signedIn(async (page) => {
      for (const [name, path] of [['Data', '/data'], ['Query', '/query'], ['Jobs', '/jobs'], ['Settings', '/settings'], ['Load a file', '/load'], ['Home', '/']]) {
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
