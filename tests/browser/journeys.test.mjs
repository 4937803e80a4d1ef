import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { dropFile, dropPicture, onPage, openPage, runSql, settled, shot, signIn, write } from './browser.mjs';
import { browser, keepSignIn, server, signedIn } from './journey.mjs';
import { findServer, mocked } from './server.mjs';
import { makeTopics, produce, readSome } from './streams.mjs';

describe('first login', () => {
  test('the link signs in once, and says so the second time', async () => {
    const { page, context } = await openPage(browser);
    await page.goto(server.link);
    await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
    await shot(page, 'journey-login');
    keepSignIn(await context.storageState());
    await context.close();

    const again = await openPage(browser);
    await again.page.goto(server.link);
    await again.page.getByText('This sign-in link has been used').waitFor();
    await again.context.close();
  });

  test('a wrong password says so; the right one leads back to the page asked for', () =>
    onPage(browser, {}, async (page) => {
      await page.goto(`${server.url}/data?filter=fl`);
      await page.getByLabel('User').fill(server.user);
      await page.getByLabel('Password', { exact: true }).fill('not the password');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').waitFor();
      await page.getByLabel('Password', { exact: true }).fill(server.password);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Data', level: 1 }).waitFor();
      assert.match(page.url(), /\/data\?filter=fl$/);
    }));
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

describe('nothing jumps', () => {
  /** What the browser counts of a page's parts that move by themselves; above this a visit is called unsteady. */
  const SHIFT_MAX = 0.1;

  test('while a page loads', { skip: mocked }, () =>
    signedIn(async (page) => {
      await page.addInitScript(() => {
        globalThis.shifts = [];
        new PerformanceObserver((list) => {
          for (const shift of list.getEntries()) if (!shift.hadRecentInput) globalThis.shifts.push({ value: shift.value, at: shift.sources.map(({ node }) => `${node?.nodeName} ${node?.textContent?.slice(0, 40)}`) });
        }).observe({ type: 'layout-shift', buffered: true });
      });
      for (const path of ['/', '/data', '/data/public/weather', '/data/public/weather?tab=history', '/query', '/streams', '/jobs', '/load', '/settings/about']) {
        await page.goto(`${server.url}${path}`);
        await page.getByRole('heading', { level: 1 }).first().or(page.locator('.cm-content')).first().waitFor();
        await settled(page);
        const shifts = await page.evaluate(() => globalThis.shifts);
        const sum = shifts.reduce((all, { value }) => all + value, 0);
        assert.ok(sum <= SHIFT_MAX, `${path}: ${sum}: ${JSON.stringify(shifts)}`);
      }
    }));
});

describe('Home', { skip: mocked }, () => {
  test('its summary says what SQL says', () =>
    signedIn(async (page) => {
      await page.goto(server.url);
      const summary = page.getByText(/^\d[\d,]* tables · [\d,]+ rows · /);
      await summary.waitFor();
      const [told] = await runSql(page, "SELECT count(*) AS tables, sum(row_count) FILTER (WHERE kind = 'table') AS rows, sum(byte_count) AS bytes FROM polder.tables WHERE schema_name <> 'polder'");
      const [, tables, rows, size, unit] = /^([\d,]+) tables · ([\d,]+) rows · ([\d.]+) (KB|MB)/.exec(await summary.innerText()) ?? assert.fail(await summary.innerText());
      assert.deepEqual([tables, rows], [told.tables, told.rows].map((n) => n.toLocaleString('en-GB')));
      assert.ok(Math.abs(Number(size) * (unit === 'MB' ? 1e6 : 1e3) - told.bytes) <= told.bytes / 20, `${size} ${unit} is not ${told.bytes} bytes`);
    }));

  test('one chart that waits and one that fails hold up no other', () =>
    signedIn(async (page) => {
      let held = null;
      const release = new Promise((resolve) => { held = resolve; });
      let seen = 0;
      await page.route('**/api/v1/statements', async (route) => {
        seen += 1;
        if (seen === 1) await release;
        if (seen === 2) return route.fulfill({ status: 400, json: { error: { kind: 'invalid', code: '22012', message: 'made to fail', request_id: 'r1' } } });
        return route.continue();
      });
      await page.goto(server.url);
      const cards = page.getByRole('region', { name: 'Saved queries' }).getByRole('article');
      await cards.getByText('made to fail').waitFor();
      const drawn = cards.locator('[role=img] svg');
      await drawn.nth(3).waitFor();
      assert.equal(await drawn.count(), 4);
      held();
      await drawn.nth(4).waitFor();
      await page.unrouteAll({ behavior: 'wait' });
      await cards.getByRole('button', { name: 'Try again' }).click();
      await drawn.nth(5).waitFor();
    }));

  test('an empty lake: a sample table is made by one button, and a file loaded by another', async () => {
    const empty = await findServer({ lake: 'empty' });
    try {
      await onPage(browser, { state: await signIn(browser, empty) }, async (page) => {
        await page.goto(empty.url);
        await page.getByText('No tables yet.').waitFor();
        await page.getByRole('button', { name: 'Make a sample table' }).click();
        await page.locator('[role=img] svg').waitFor();
        assert.deepEqual(await runSql(page, 'SELECT count(*) AS n FROM sample'), [{ n: 365 }]);
        await page.goto(empty.url);
        await page.getByText(/^1 table · 365 rows · .* · sample changed /).waitFor();
        await page.getByRole('link', { name: 'Load file' }).click();
        await page.getByRole('heading', { name: 'Load a file', level: 1 }).waitFor();
      });
    } finally {
      await empty.stop();
    }
  });
});

describe('what ran', { skip: mocked }, () => {
  test('Home has the last statements, what came of them, and opens them again', () =>
    signedIn(async (page) => {
      const [mark, table] = [Date.now(), `ran_${Date.now()}`];
      await page.goto(server.url);
      await runSql(page, `CREATE TABLE ${table} AS SELECT value AS a FROM generate_series(1, 3) AS s(value)`);
      await runSql(page, `SELECT a, ${mark} AS mark FROM ${table}`);
      await runSql(page, `DELETE FROM ${table} WHERE a < 3`);
      await assert.rejects(runSql(page, `SELECT nothing_${mark} FROM ${table}`));
      await page.goto(server.url);
      const recent = page.getByRole('region', { name: 'Recent statements' });
      const items = recent.getByRole('listitem');
      await items.filter({ hasText: `nothing_${mark}` }).waitFor();
      const shown = (await items.allTextContents()).slice(0, 4);
      // The newest first, each with its rows or its error, and when it ran.
      assert.match(shown[0], new RegExp(`SELECT nothing_${mark} FROM ${table}.*42703 · .*(now|second|ago)`));
      assert.match(shown[1], new RegExp(`DELETE FROM ${table} WHERE a < 3.*2 rows changed · `));
      assert.match(shown[2], new RegExp(`SELECT a, ${mark} AS mark FROM ${table}.*3 rows · `));
      assert.match(shown[3], new RegExp(`CREATE TABLE ${table} AS .*3 rows changed · `));
      await items.nth(2).getByRole('button').click();
      await page.locator('.cm-content').getByText(`SELECT a, ${mark} AS mark FROM ${table}`).waitFor();
    }));
});

describe('from a file to a chart', () => {
  const rows = Array.from({ length: 240 }, (_, n) => `2024-${String((n % 12) + 1).padStart(2, '0')}-15,${['North', 'South', 'East'][n % 3]},${(n * 37) % 500}`);
  const csv = `Day,Region,Amount\n${rows.join('\n')}\n`;
  let table;

  test('drop a CSV, load it, chart it: five clicks at most', () =>
    signedIn(async (page) => {
      table = `dropped_${Date.now()}`;
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

  test('its histogram has each value that is there, in its place', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/data/public/weather`);
      const row = page.getByRole('row').filter({ hasText: 'wind_gust' });
      const small = row.getByRole('img', { name: /^Histogram of wind_gust from / });
      await small.waitFor();
      await row.getByRole('button').first().click();
      const figure = page.getByRole('figure', { name: 'Distribution' });
      const large = figure.getByRole('img', { name: /^Histogram of wind_gust from / });
      await large.waitFor();
      const [told] = await runSql(page, 'SELECT count(wind_gust) AS known, min(wind_gust)::float8 AS least, max(wind_gust)::float8 AS most FROM weather');
      const bins = (await large.locator('title').allTextContents()).map((title) => {
        const [, low, high, rows] = /^(\S+) to (\S+): ([\d,]+) rows$/.exec(title) ?? assert.fail(title);
        return { low: Number(low.replaceAll(',', '')), high: Number(high.replaceAll(',', '')), rows: Number(rows.replaceAll(',', '')) };
      });
      assert.ok(bins.length > 4, `${bins.length} bins`);
      assert.equal(await small.locator('rect').count(), bins.length);
      assert.equal(bins.reduce((sum, bin) => sum + bin.rows, 0), told.known);
      // The most frequent one is the highest, and what is empty has no height.
      const heights = await large.locator('rect').evaluateAll((all) => all.map((bar) => Number(bar.getAttribute('height'))));
      assert.equal(heights.indexOf(Math.max(...heights)), bins.findIndex((bin) => bin.rows === Math.max(...bins.map(({ rows }) => rows))));
      assert.deepEqual(heights.map((height) => height === 0), bins.map((bin) => bin.rows === 0));
      const near = (one, other) => assert.ok(Math.abs(one - other) <= Math.abs(other) / 50 + 0.01, `${one} is not ${other}`);
      near(bins[0].low, told.least);
      near(bins.at(-1).high, told.most);
      const [middle] = await runSql(page, `SELECT count(*) AS n FROM weather WHERE wind_gust < ${bins[Math.floor(bins.length / 2)].low}`);
      const before = bins.slice(0, Math.floor(bins.length / 2)).reduce((sum, bin) => sum + bin.rows, 0);
      assert.ok(Math.abs(middle.n - before) <= told.known / 20, `${before} rows before the middle, ${middle.n} by SQL`);
    }));

  test('its extremes and its sample are those of SQL', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/data/public/weather`);
      const [told] = await runSql(page, 'SELECT min(wind_gust)::float8 AS least, max(wind_gust)::float8 AS most FROM weather');
      await page.getByRole('row').filter({ hasText: 'wind_gust' }).getByRole('button').first().click();
      const fact = async (name) => Number((await page.getByRole('term').filter({ hasText: name }).locator('xpath=following-sibling::dd').innerText()).replaceAll(',', ''));
      assert.deepEqual([await fact('Smallest'), await fact('Largest')], [told.least, told.most]);

      await page.goto(`${server.url}/data/public/airlines?tab=sample`);
      const grid = page.getByRole('grid', { name: 'First rows of airlines' });
      await grid.getByRole('gridcell').first().waitFor();
      const rows = await runSql(page, 'SELECT * FROM airlines');
      const cells = await grid.getByRole('gridcell').allTextContents();
      assert.equal(await grid.getAttribute('aria-rowcount'), `${rows.length + 1}`);
      const width = Object.keys(rows[0]).length;
      const shown = Array.from({ length: Math.floor(cells.length / width) }, (_, row) => cells.slice(row * width, (row + 1) * width).join(' | '));
      assert.ok(shown.length > 3);
      const known = rows.map((row) => Object.values(row).join(' | '));
      for (const row of shown) assert.ok(known.includes(row), row);
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
      for (const [name, path] of [['Data', '/data'], ['Query', '/query'], ['Streams', '/streams'], ['Jobs', '/jobs'], ['Settings', '/settings'], ['Load a file', '/load'], ['Home', '/']]) {
        await page.goto(`${server.url}/settings/about`);
        await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
        await page.keyboard.press('Control+k');
        await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor();
        await page.keyboard.type(name);
        await page.keyboard.press('Enter');
        await page.waitForURL((url) => url.pathname === path);
      }
    }));

  test('every action is reached by Ctrl-K', () =>
    signedIn(async (page) => {
      const scheme = (wanted) => page.locator(`html[data-mantine-color-scheme=${wanted}]`).waitFor();
      const leads = {
        'Load a file': () => page.waitForURL((url) => url.pathname === '/load'),
        'New query': () => page.waitForURL((url) => url.pathname.startsWith('/query')),
        'Create an API token': () => page.waitForURL((url) => url.pathname === '/settings/tokens'),
        'Dark appearance': () => scheme('dark'),
        'Light appearance': () => scheme('light'),
        'Appearance of the system': () => page.emulateMedia({ colorScheme: 'dark' }).then(() => scheme('dark')),
        'Keyboard shortcuts': () => page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor(),
      };
      const open = async (typed) => {
        await page.goto(`${server.url}/settings/about`);
        await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
        await page.keyboard.press('Control+k');
        await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor();
        await page.keyboard.type(typed);
      };
      // Those that this test does not know of fail it.
      await open('Action');
      const actions = page.getByRole('option').filter({ hasText: /Action/ });
      await actions.first().waitFor();
      assert.equal(await actions.count(), Object.keys(leads).length, (await actions.allInnerTexts()).join(', '));
      for (const [name, done] of Object.entries(leads)) {
        await open(name);
        await page.getByRole('option').first().getByText(name).waitFor();
        await page.keyboard.press('Enter');
        await done();
      }
    }));

  test('what a page can do is reached by Ctrl-K on it, and nowhere else', () =>
    signedIn(async (page) => {
      const choose = async (typed, name) => {
        await page.keyboard.press('Control+k');
        await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor();
        await page.keyboard.type(typed);
        await page.getByRole('option', { name }).first().waitFor();
        await page.keyboard.press('Enter');
      };
      await page.goto(`${server.url}/query`);
      await write(page, 'SELECT 41 + 1 AS answer');
      await choose('run the', /^Run the statement/);
      await page.getByRole('gridcell', { name: '42', exact: true }).waitFor();
      const name = `palette_job_${Date.now()}`;
      await runSql(page, `CREATE JOB ${name} AS SELECT 1`);
      await page.goto(`${server.url}/jobs/${name}`);
      await page.getByRole('button', { name: 'Pause' }).waitFor();
      await choose('pause this', /^Pause this job/);
      await page.getByRole('button', { name: 'Resume' }).waitFor();
      await page.goto(`${server.url}/data`);
      await page.getByRole('heading', { name: 'Data', level: 1 }).waitFor();
      await page.keyboard.press('Control+k');
      await page.keyboard.type('this page');
      await page.getByText(/^Nothing is called/).waitFor();
    }));

  test('topics, groups and deliveries are reached by Ctrl-K', { skip: mocked }, () =>
    signedIn(async (page) => {
      const name = `palette${Date.now()}`;
      await makeTopics(server, [{ topic: `${name}-topic`, numPartitions: 1 }]);
      await produce(server, `${name}-topic`, [{ key: 'a', value: '1' }]);
      await readSome(server, `${name}-group`, `${name}-topic`, 1);
      await page.goto(server.url);
      await runSql(page, `CREATE DELIVERY ${name}_delivery FROM TOPIC "${name}-topic" INTO TABLE public.${name}`);
      for (const [typed, path] of [[`${name}-topic`, `/streams/${name}-topic`], [`${name}-group`, `/streams/groups/${name}-group`], [`${name}_delivery`, `/streams/deliveries/${name}_delivery`]]) {
        await page.goto(`${server.url}/settings/about`);
        await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
        await page.keyboard.press('Control+k');
        await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor();
        await page.keyboard.type(typed);
        await page.getByRole('option', { name: new RegExp(`^${typed}`) }).first().waitFor();
        await page.keyboard.press('Enter');
        await page.waitForURL((url) => url.pathname === path);
        await page.getByRole('heading', { name: typed, level: 1 }).waitFor();
      }
    }));
});
