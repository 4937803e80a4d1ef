import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { runSql, shot, SLOW, write } from './browser.mjs';
import { server, signedIn, untilNothingRuns } from './journey.mjs';
import { mocked } from './server.mjs';

describe('jobs', { skip: mocked }, () => {
  const named = (name) => `${name}_${Date.now()}`;

  /** Opens a job's page and presses "Run now", which leads to the run. */
  const runNow = async (page, job) => {
    await page.goto(`${server.url}/jobs/${job}`);
    await page.getByRole('button', { name: 'Run now' }).first().click();
    await page.getByRole('heading', { name: `Run of ${job}`, level: 1 }).waitFor();
  };

  test('write one, run it, read its log, find its run on the line of time', () =>
    signedIn(async (page) => {
      const job = named('keep_count');
      await page.goto(`${server.url}/jobs`);
      await page.getByRole('button', { name: 'New job' }).first().click();
      await page.locator('.cm-content').getByText('CREATE JOB').waitFor();
      await write(page, `CREATE JOB ${job} SCHEDULE '30 2 * * *' IN TIME ZONE 'Europe/Amsterdam' AS CREATE OR REPLACE TABLE flight_count AS SELECT count(*) AS n FROM flights`);
      await page.keyboard.press('Control+Enter');
      await page.getByText('CREATE JOB', { exact: true }).first().waitFor();
      await page.getByRole('link', { name: 'Jobs' }).click();
      await page.getByRole('link', { name: job }).click();
      await page.getByText('every day at 02:30 Europe/Amsterdam').waitFor();
      await page.getByRole('button', { name: 'Run now' }).first().click();
      await page.getByRole('heading', { name: `Run of ${job}`, level: 1 }).waitFor();
      await page.getByRole('main').getByText('Done', { exact: true }).waitFor();
      await page.getByRole('log').getByText(/^asked for by /).waitFor();
      await page.getByRole('log').getByText(/^query [0-9a-f-]{36}$/).waitFor();
      assert.deepEqual(await runSql(page, 'SELECT n FROM flight_count'), [{ n: 336776 }]);
      await page.getByRole('link', { name: job }).click();
      const line = page.getByRole('region', { name: 'Runs over time' });
      await line.getByRole('link', { name: new RegExp(`^${job}: done, `) }).waitFor();
      await shot(page, 'journey-job');
      await line.getByRole('link', { name: new RegExp(`^${job}: done, `) }).press('Enter');
      await page.getByRole('heading', { name: `Run of ${job}`, level: 1 }).waitFor();
    }));

  test('one that fails says why; mended, it is run again', () =>
    signedIn(async (page) => {
      const job = named('needs_table');
      const table = named('came_later');
      await page.goto(server.url);
      await runSql(page, `CREATE JOB ${job} AS INSERT INTO ${table} SELECT 1`);
      await runNow(page, job);
      await page.getByRole('alert').getByText(/came_later/).waitFor();
      await page.getByRole('log').getByText(/^failed: .*came_later/).waitFor();
      await runSql(page, `CREATE TABLE ${table} (a bigint)`);
      const before = page.url();
      await page.getByRole('button', { name: 'Run again' }).click();
      await page.waitForURL((url) => url.href !== before);
      await page.getByRole('main').getByText('Done', { exact: true }).waitFor();
      assert.deepEqual(await runSql(page, `SELECT count(*) AS n FROM ${table}`), [{ n: 1 }]);
      await page.goto(`${server.url}/jobs`);
      await page.getByRole('img', { name: 'The last 2 runs: 1 failed, 1 done' }).waitFor();
    }));

  test('pause and go on', () =>
    signedIn(async (page) => {
      const job = named('hourly');
      await page.goto(server.url);
      await runSql(page, `CREATE JOB ${job} SCHEDULE '@hourly' AS SELECT 1`);
      const paused = async () => (await runSql(page, `SELECT next_at IS NULL AS paused FROM polder.jobs WHERE job_name = '${job}'`))[0].paused;
      await page.goto(`${server.url}/jobs/${job}`);
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByText('paused, runs only when asked').waitFor();
      assert.equal(await paused(), true);
      await page.getByRole('button', { name: 'Resume' }).click();
      await page.getByText(/next in \d+ (s|min)/).waitFor();
      assert.equal(await paused(), false);
    }));

  test('one that runs shows how far it is; cancelled, the server stops', () =>
    signedIn(async (page) => {
      const job = named('endless');
      await page.goto(server.url);
      await runSql(page, `CREATE JOB ${job} AS ${SLOW}`);
      await runNow(page, job);
      await page.getByRole('progressbar', { name: "The run's statement" }).waitFor();
      await page.getByText('live', { exact: true }).waitFor();
      await page.getByRole('log').getByText(/^query /).waitFor();
      await shot(page, 'journey-job-live');
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByRole('main').getByText('Cancelled', { exact: true }).waitFor();
      // The line that came while the page was open.
      await page.getByRole('log').getByText('cancelled', { exact: true }).waitFor();
      await untilNothingRuns(page);
      await page.getByText('live', { exact: true }).waitFor({ state: 'detached' });
    }));
});
