import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { runSql, shot, SLOW, write } from './browser.mjs';
import { server, signedIn, untilNothingRuns, untilSomethingRuns } from './journey.mjs';
import { mocked } from './server.mjs';

const MONTHS = "SELECT date_trunc('month', flight_date) AS month, count(*) AS flights FROM flights GROUP BY 1";

describe('queries', () => {
  test('write and cancel: the server stops', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, SLOW);
      await page.keyboard.press('Control+Enter');
      await page.getByRole('progressbar', { name: 'The statement is running' }).waitFor();
      await untilSomethingRuns(page);
      await shot(page, 'journey-progress');
      await page.getByRole('button', { name: /^Cancel/ }).click();
      await untilNothingRuns(page);
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

  test('a statement that reads a table says how many rows and bytes it has read', { skip: mocked }, () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, 'SELECT count(*) AS n FROM flights a, flights b WHERE (a.distance::bigint * b.distance + a.flight) % 7 = 3');
      await page.keyboard.press('Control+Enter');
      const bar = page.getByRole('progressbar', { name: 'The statement is running' });
      await bar.waitFor();
      const facts = page.getByText(/[1-9][\d,]*( of [1-9][\d,]*)? rows read/).locator('..');
      await facts.waitFor();
      await facts.getByText(/^[1-9][\d.,]* (B|KB|MB)$/).waitFor();
      await facts.getByText(/^[1-9][\d.,]* (B|KB|MB)\/s$/).waitFor();
      // What is told is what the server counts.
      const [running] = await page.evaluate(async () => (await (await fetch('/api/v1/running')).json()).queries);
      assert.ok(running.bytes_scanned > 0 && running.rows_scanned > 0, JSON.stringify(running));
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
      await page.keyboard.press('Control+End');
      await page.getByRole('gridcell', { name: 'row 1000000' }).waitFor();
      assert.ok((await page.getByRole('gridcell').count()) < 1000, 'only the rows in view are drawn');
    }));

  test('a chart is suggested, and becomes another kind', { skip: mocked }, () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, MONTHS);
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell').first().waitFor();
      await page.getByText('Chart', { exact: true }).click();
      await page.locator('[role=img] svg').waitFor();
      const kind = (name) => page.getByRole('radio', { name });
      assert.ok(await kind('Line').isChecked());
      await page.getByText('Bar', { exact: true }).click();
      assert.ok(await kind('Bar').isChecked());
      await page.getByRole('button', { name: 'Show SQL' }).click();
      assert.equal(await page.getByRole('figure').locator('pre').textContent(), MONTHS);
      await page.getByRole('button', { name: 'Hide SQL' }).click();
      await page.getByRole('figure').locator('pre').waitFor({ state: 'detached' });
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

  test('the history finds what ran, and opens it again', { skip: mocked }, () =>
    signedIn(async (page) => {
      const mark = Date.now();
      await page.goto(`${server.url}/query`);
      await runSql(page, `SELECT ${mark} AS mark`);
      await assert.rejects(runSql(page, `SELECT nothing_${mark}`));
      await write(page, 'SELECT 1');
      const side = page.getByRole('complementary', { name: 'Tables, saved queries and history' });
      if (!(await side.isVisible())) await page.getByRole('button', { name: 'Side panel' }).click();
      await side.getByText('History', { exact: true }).click();
      await side.getByLabel('Search statements').fill(`${mark}`);
      const entries = side.getByRole('listitem');
      await page.waitForFunction(() => document.querySelectorAll('aside li').length === 2);
      // The newest first.
      assert.match(await entries.nth(0).innerText(), new RegExp(`SELECT nothing_${mark}`));
      await entries.filter({ hasText: `SELECT ${mark} AS mark` }).getByRole('button').click();
      await page.locator('.cm-content').getByText(`SELECT ${mark} AS mark`).waitFor();
      await page.keyboard.press('Control+Enter');
      await page.getByRole('gridcell', { name: `${mark}` }).waitFor();
    }));

  test('a plan is a tree: walk it, open an operator, fold it, read it as text', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, 'EXPLAIN ANALYZE SELECT a.name, count(*) AS flights FROM flights f JOIN airlines a ON a.carrier = f.carrier GROUP BY a.name');
      await page.keyboard.press('Control+Enter');
      const items = page.getByRole('treeitem');
      await items.first().waitFor();
      const all = await items.count();
      assert.equal(await items.first().getAttribute('aria-level'), '1');
      const join = page.getByRole('treeitem', { name: /^HashJoinExec Inner · carrier = carrier [\d.,k]+ rows .+ of the work$/ });
      const level = Number(await join.getAttribute('aria-level'));
      // Down to the join by keys, and its detail.
      await items.first().focus();
      for (let step = 0; step < all && !(await join.evaluate((item) => item === document.activeElement)); step += 1) await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      // Only the tree scrolls.
      assert.equal(await page.locator('main').evaluate((main) => main.scrollTop), 0);
      const detail = page.getByRole('region', { name: 'HashJoinExec, whole' });
      await detail.getByText('join type').waitFor();
      await detail.getByRole('row', { name: /^output rows/ }).waitFor();
      assert.equal(await join.getAttribute('aria-selected'), 'true');
      // The detail follows, and Esc closes it where the focus is.
      await page.keyboard.press('ArrowDown');
      await detail.waitFor({ state: 'hidden' });
      await page.getByRole('region', { name: /Exec, whole$/ }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('region', { name: /Exec, whole$/ }).waitFor({ state: 'hidden' });
      await page.keyboard.press('ArrowLeft');
      assert.ok(await page.evaluate(() => document.activeElement?.getAttribute('role')) === 'treeitem');
      await join.focus();
      await join.press('ArrowLeft');
      assert.equal(await join.getAttribute('aria-expanded'), 'false');
      const levels = await items.evaluateAll((shown) => shown.map((item) => Number(item.getAttribute('aria-level'))));
      assert.ok(levels.length < all && levels.every((shown) => shown <= level), `under a folded join: ${levels}`);
      await shot(page, 'journey-plan');
      await page.getByText('Text', { exact: true }).click();
      const text = page.getByRole('region', { name: 'Plan as text' });
      assert.match(await text.textContent(), /HashJoinExec: mode=.*metrics=\[output_rows=/s);
      await page.getByRole('button', { name: 'Copy', exact: true }).click();
      await page.waitForFunction(async () => / {2}HashJoinExec: /.test((await navigator.clipboard.readText()).replace(/\n */g, '\n  ')));
      await page.locator('label').getByText('Table', { exact: true }).click();
      await page.getByRole('gridcell', { name: 'Plan with Metrics' }).waitFor();
    }));

  test('a cell of several lines says so, and opens whole', () =>
    signedIn(async (page) => {
      await page.goto(`${server.url}/query`);
      await write(page, mocked ? 'EXPLAIN SELECT 1' : "SELECT 'first' || chr(10) || 'second' || chr(10) || 'third' AS words");
      await page.keyboard.press('Control+Enter');
      if (mocked) await page.locator('label').getByText('Table', { exact: true }).click();
      const more = page.getByRole('button', { name: /^\+\d+ lines?$/ }).first();
      await more.waitFor();
      await more.click();
      const whole = page.getByRole('region', { name: /, whole$/ });
      await whole.locator('pre').waitFor();
      const lines = (await whole.locator('pre').textContent()).split('\n');
      assert.equal(await more.textContent(), `+${lines.length - 1} ${lines.length === 2 ? 'line' : 'lines'}`);
      if (!mocked) assert.deepEqual(lines, ['first', 'second', 'third']);
      // By keys from the grid, which keeps the focus.
      await page.keyboard.press('Escape');
      await whole.waitFor({ state: 'hidden' });
      await page.keyboard.press('Enter');
      await whole.locator('pre').waitFor();
      await page.keyboard.press('Enter');
      await whole.waitFor({ state: 'hidden' });
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
      await page.waitForFunction(async () => (await navigator.clipboard.readText()) === '5000');
    }));
});
