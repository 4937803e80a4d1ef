import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { dropFile, dropPicture, launch, markup, onPage, runSql, scrollsSideways, settled, shot, signIn, SLOW, still, violations, write } from './browser.mjs';
import { findServer, mocked } from './server.mjs';
import { makeStreams } from './streams.mjs';

let browser;
/** Servers by kind, each with the cookies of somebody signed in. Started when first asked for. */
const lakes = new Map();

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
  for (const lake of lakes.values()) await (await lake).server.stop();
});

function lakeOf(kind) {
  if (!lakes.has(kind)) lakes.set(kind, startLake(kind));
  return lakes.get(kind);
}

async function startLake(kind) {
  const server = await findServer({ lake: kind });
  return { server, state: await signIn(browser, server) };
}

async function run(page, sql) {
  await write(page, sql);
  await page.keyboard.press('Control+Enter');
}

async function drop(page, name, text) {
  await dropFile(page, name, text);
  await page.getByRole('heading', { name }).waitFor();
  await page.getByRole('region', { name: 'First rows' }).waitFor();
}

/** Most of a page's time is waiting. */
const PAGES_AT_ONCE = 3;

let loads = 0;
/** One row that is too long for its table, so that it is rejected; a long name. */
const UNEVEN = 'Station,Opened on,Passengers a day in the year before the last census\nAmersfoort Centraal,1863-08-20,43400\nEde-Wageningen,1845-05-16,19800,oops\nUtrecht Centraal,1843-12-18,207000\n';

async function load(page) {
  loads += 1;
  await drop(page, `stations_and_how_many_passengers_they_had_${loads}_${Date.now()}.csv`, UNEVEN);
  await page.getByRole('button', { name: 'Load', exact: true }).click();
  await page.getByText(/^Loaded into/).waitFor();
}

const openSide = (page) => page.getByRole('button', { name: 'Side panel' }).click();

/** Jobs that went well, that fail, that rest and that never ran; made when first asked for. */
let jobs = null;

function withJobs(page) {
  jobs ??= makeJobs(page);
  return jobs;
}

async function makeJobs(page) {
  await runSql(page, "CREATE JOB count_flights_of_the_day_before_yesterday SCHEDULE '30 2 * * *' IN TIME ZONE 'Europe/Amsterdam' RETRY 2 AS $$ SELECT count(*) FROM flights; SELECT 2 $$");
  await runSql(page, 'CREATE JOB report AFTER count_flights_of_the_day_before_yesterday AS SELECT 1');
  await runSql(page, 'CREATE JOB failing AS SELECT * FROM no_such_table');
  await runSql(page, "CREATE JOB resting SCHEDULE '@weekly' AS SELECT 1");
  await runSql(page, 'ALTER JOB resting PAUSE');
  await runSql(page, `CREATE JOB lasting TIMEOUT '15 seconds' AS ${SLOW}`);
  for (let time = 0; time < 2; time += 1) for (const job of ['count_flights_of_the_day_before_yesterday', 'failing']) await runSql(page, `RUN JOB ${job}`);
  while ((await runSql(page, "SELECT run_id FROM polder.runs WHERE state IN ('waiting', 'running')")).length > 0) await page.waitForTimeout(100);
}

/** Opens the newest run of a job from the job's page. */
async function openRun(page) {
  await page.getByRole('table', { name: 'Runs' }).getByRole('link').first().click();
  await page.getByRole('log').waitFor();
}

/** The page again, now that there are jobs. */
async function shown(page, what) {
  await withJobs(page);
  await page.reload();
  await what.waitFor();
}

const JOBS = [
  ['jobs', '/jobs', (page) => shown(page, page.getByRole('link', { name: 'failing' }))],
  ['jobs-runs', '/jobs?tab=runs', async (page) => {
    await shown(page, page.getByRole('table', { name: 'Runs' }));
    await page.getByRole('region', { name: 'Runs over time' }).getByRole('link', { name: /^failing: / }).first().hover();
  }],
  ['job', '/jobs/count_flights_of_the_day_before_yesterday', (page) => shown(page, page.getByRole('table', { name: 'Runs' }))],
  ['job-paused', '/jobs/resting', (page) => shown(page, page.getByText('It has not run yet.'))],
  ['job-missing', '/jobs/no_such_job', (page) => page.getByRole('alert').first().waitFor()],
  ['job-run', '/jobs/count_flights_of_the_day_before_yesterday', async (page) => {
    await shown(page, page.getByRole('table', { name: 'Runs' }));
    await openRun(page);
  }],
  ['job-run-failed', '/jobs/failing', async (page) => {
    await shown(page, page.getByRole('table', { name: 'Runs' }));
    await openRun(page);
    await page.getByRole('alert').waitFor();
  }],
  ['job-run-live', '/jobs/lasting', async (page) => {
    await shown(page, page.getByRole('heading', { name: 'lasting' }));
    await page.getByRole('button', { name: 'Run now' }).first().click();
    await page.getByRole('progressbar', { name: "The run's statement" }).waitFor();
  }],
];

/** Topics with records, made when first asked for. */
let streams = null;

/** The page again, now that there are topics. */
async function streamed(page, what) {
  streams ??= lakeOf('full').then(({ server }) => makeStreams(page, server));
  await streams;
  await page.reload();
  await what(page).waitFor();
}

const VIEWS = 'page-views-of-the-shop-in-the-year-before';

const STREAMS = [
  ['streams', '/streams', (page) => streamed(page, () => page.getByRole('link', { name: VIEWS }))],
  ['streams-new-topic', '/streams', async (page) => {
    await streamed(page, () => page.getByRole('link', { name: VIEWS }));
    await page.getByRole('button', { name: 'New topic' }).click();
    await page.getByRole('dialog', { name: 'New topic' }).waitFor();
  }],
  ['streams-groups', '/streams?tab=groups', (page) => streamed(page, () => page.getByRole('link', { name: 'billing' }))],
  ['streams-deliveries', '/streams?tab=deliveries', (page) => streamed(page, () => page.getByRole('link', { name: 'orders_into_the_lake' }))],
  ['delivery', '/streams/deliveries/orders_into_the_lake', (page) => streamed(page, () => page.getByRole('table', { name: 'Rejected records' }))],
  ['delivery-samples', '/streams/deliveries/orders_into_the_lake', async (page) => {
    const figure = page.getByRole('figure', { name: 'records behind' });
    await streamed(page, () => figure.getByRole('button', { name: 'Table' }));
    await figure.getByRole('button', { name: 'Table' }).click();
    await figure.getByRole('button', { name: 'Show SQL' }).click();
    await figure.getByRole('table').waitFor();
  }],
  ['delivery-failing', '/streams/deliveries/orders_for_the_warehouse', (page) => streamed(page, () => page.getByRole('region', { name: 'Last error' }))],
  ['delivery-paused', '/streams/deliveries/resting_views', (page) => streamed(page, () => page.getByRole('button', { name: 'Resume' }))],
  ['delivery-missing', '/streams/deliveries/no_such_delivery', (page) => page.getByRole('alert').first().waitFor()],
  ['topic', `/streams/${VIEWS}`, (page) => streamed(page, () => page.getByRole('button', { name: 'Message 39 of partition 2' }))],
  ['topic-key', `/streams/${VIEWS}?key=visitor-3`, (page) => streamed(page, () => page.getByText(/^\d+ messages found in 120 records$/))],
  ['topic-message', '/streams/orders', async (page) => {
    await streamed(page, () => page.getByRole('button', { name: 'Message 39 of partition 0' }));
    await page.getByRole('button', { name: 'Message 39 of partition 0' }).click();
    await page.getByRole('heading', { name: 'Message 39' }).waitFor();
  }],
  ['topic-live', `/streams/${VIEWS}`, async (page) => {
    await streamed(page, () => page.getByRole('button', { name: 'Follow' }));
    await page.getByRole('button', { name: 'Follow' }).click();
    await page.getByText(/^Following: /).waitFor();
  }],
  ['topic-empty', '/streams/nothing-yet', (page) => streamed(page, () => page.getByText('Nothing is in this topic yet.'))],
  ['topic-partitions', `/streams/${VIEWS}?tab=partitions`, (page) => streamed(page, () => page.getByRole('table', { name: 'Partitions' }))],
  ['topic-readers', '/streams/orders?tab=readers', (page) => streamed(page, () => page.getByRole('table', { name: 'Readers' }))],
  ['topic-settings', '/streams/orders?tab=settings', async (page) => {
    await streamed(page, () => page.getByText(/settings left as they are$/));
    await page.getByText(/settings left as they are$/).click();
  }],
  ['topic-delete', '/streams/nothing-yet', async (page) => {
    await streamed(page, () => page.getByRole('button', { name: 'Delete' }));
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog', { name: 'Delete topic' }).waitFor();
  }],
  ['topic-missing', '/streams/no-such-topic', (page) => page.getByRole('alert').first().waitFor()],
  ['group', '/streams/groups/billing', (page) => streamed(page, () => page.getByRole('table', { name: 'Partitions' }))],
];

const PLANNED = 'EXPLAIN ANALYZE SELECT a.name, count(*) AS flights FROM flights f JOIN airlines a ON a.carrier = f.carrier WHERE f.dep_delay > 30 GROUP BY a.name ORDER BY flights DESC LIMIT 5';

/** Name, address, what is done there, and what again in a narrow window. */
const FULL = [
  ['home', '/', async (page) => page.getByRole('region', { name: 'Saved queries' }).getByRole('article').nth(5).locator('[role=img] svg').waitFor()],
  ['data', '/data'],
  ['data-filter', '/data?filter=nothing-is-called-this'],
  ['table', '/data/public/flights', async (page) => page.getByRole('table').getByRole('button').nth(2).click()],
  ['sample', '/data/public/flights?tab=sample', async (page) => page.getByRole('gridcell').first().waitFor()],
  ['history', '/data/public/flights?tab=history'],
  ['sql', '/data/public/flights?tab=sql'],
  ['table-missing', '/data/public/no_such_table', async (page) => page.getByRole('alert').waitFor()],
  ['query', '/query'],
  ['query-result', '/query', async (page) => {
    await run(page, 'SELECT * FROM flights LIMIT 1000');
    await page.getByRole('gridcell').nth(3).click();
  }],
  ['query-error', '/query', async (page) => {
    await run(page, 'SELECT *\nFROM no_such_table');
    await page.getByRole('alert').waitFor();
  }],
  ['query-chart', '/query', async (page) => {
    await run(page, "SELECT date_trunc('month', time_hour) AS month, origin, count(*) AS flights FROM flights GROUP BY 1, 2");
    await page.getByRole('gridcell').first().waitFor();
    await page.getByText('Chart', { exact: true }).click();
    await page.locator('[role=img] svg').waitFor();
  }],
  ['query-plan', '/query', async (page) => {
    await run(page, PLANNED);
    await page.getByRole('treeitem', { name: /^HashJoinExec/ }).click();
    await page.getByRole('region', { name: 'HashJoinExec, whole' }).waitFor();
  }],
  ['query-plan-text', '/query', async (page) => {
    await run(page, PLANNED);
    await page.getByRole('tree').waitFor();
    await page.getByText('Text', { exact: true }).click();
    await page.getByRole('region', { name: 'Plan as text' }).waitFor();
  }],
  ['query-cell-whole', '/query', async (page) => {
    await run(page, PLANNED);
    await page.getByRole('tree').waitFor();
    await page.locator('label').getByText('Table', { exact: true }).click();
    await page.getByRole('button', { name: /^\+\d+ lines$/ }).first().click();
    await page.getByRole('region', { name: 'plan, whole' }).waitFor();
  }],
  ['query-running', '/query', async (page) => {
    await run(page, SLOW);
    await page.getByRole('progressbar', { name: 'The statement is running' }).waitFor();
    // Counted first: a list that stays empty is another fault than one that does not open.
    await page.getByRole('button', { name: /^[1-9]\d* running/ }).click();
    // Of the whole lake: other pages may have something running, too.
    await page.getByRole('button', { name: 'Cancel statement' }).first().waitFor();
  }],
  ['query-tables', '/query', (page) => page.getByText('Tables', { exact: true }).click(), openSide],
  ['query-history', '/query', (page) => page.getByText('History', { exact: true }).click(), openSide],
  ['query-saved', '/query', (page) => page.getByText('Saved', { exact: true }).click(), openSide],
  ['load', '/load'],
  ['load-preview', '/load', (page) => drop(page, 'stations_and_how_many_passengers_they_had_in_the_year_before.csv', UNEVEN)],
  ['load-done', '/load', load],
  ['load-no-table', '/load', dropPicture],
  ['settings', '/settings/account'],
  ['settings-tokens', '/settings/tokens'],
  ['settings-appearance', '/settings/appearance'],
  ['settings-about', '/settings/about'],
  ['palette', '/data', async (page) => {
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search or jump to' }).waitFor();
  }],
  ['shortcuts', '/data', async (page) => {
    await page.keyboard.press('?');
    await page.getByText('Keyboard shortcuts').waitFor();
  }],
  ['running', '/data', async (page) => page.getByRole('button', { name: /running/ }).click()],
  ['not-found', '/no/such/page'],
  ...(mocked ? [] : [...JOBS, ...STREAMS]),
];

const EMPTY = [
  ['empty-home', '/', async (page) => page.getByText('No tables yet.').waitFor()],
  ['empty-data', '/data'],
  ['empty-query', '/query'],
  ['empty-load', '/load'],
  ['empty-tokens', '/settings/tokens'],
  ...(mocked ? [] : [['empty-jobs', '/jobs'], ['empty-jobs-runs', '/jobs?tab=runs'], ['empty-streams', '/streams'], ['empty-streams-groups', '/streams?tab=groups'], ['empty-streams-deliveries', '/streams?tab=deliveries']]),
];

/**
 * The page in one theme and then in the other: it follows the system's, which changes while it is open. What is the same in
 * both but for its colours is looked at whole in the first.
 */
async function inBothThemes(page, name, where, schemes = ['light', 'dark']) {
  let looked = null;
  for (const scheme of schemes) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForFunction((wanted) => document.documentElement.dataset.mantineColorScheme === wanted, scheme);
    await still(page);
    await shot(page, name.replace('SCHEME', scheme));
    const there = await markup(page);
    let found = await violations(page, there === looked ? 'colours' : 'everything');
    if (found.length > 0) {
      // What is painted while the theme changes has colours of both, for as long as a busy machine takes. What is wrong stays so.
      await page.waitForTimeout(1000);
      await still(page);
      found = await violations(page);
    }
    assert.deepEqual(found, [], `${scheme}, ${where}`);
    looked = there;
  }
}

function check(kind, [name, path, act, narrowAct]) {
  test(name, async () => {
    const { server, state } = await lakeOf(kind);
    await onPage(browser, { state }, async (page) => {
      await page.goto(server.url + path);
      await settled(page);
      if (act) await act(page);
      await inBothThemes(page, `${name}-SCHEME`, 'at 1440 px');
      await page.setViewportSize({ width: 1280, height: 800 });
      await still(page);
      assert.equal(await scrollsSideways(page), false, 'the page scrolls sideways at 1280 px');
      await page.setViewportSize({ width: 390, height: 844 });
      if (narrowAct) await narrowAct(page);
      await inBothThemes(page, `${name}-SCHEME-390`, 'at 390 px', ['dark', 'light']);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'the page scrolls sideways at 390 px');
    }, { name });
  });
}

describe('every page, light and dark', { concurrency: PAGES_AT_ONCE }, () => {
  for (const entry of FULL) check('full', entry);

  test('login', async () => {
    const { server } = await lakeOf('full');
    await onPage(browser, { dark: true }, async (page) => {
      await page.goto(`${server.url}/#/login?expired=1`);
      await page.getByText('This sign-in link has been used').waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.dataset.mantineColorScheme), 'dark', 'a page that is opened in the dark');
      await inBothThemes(page, 'login-SCHEME', 'at 1440 px');
      await page.setViewportSize({ width: 390, height: 844 });
      await inBothThemes(page, 'login-SCHEME-390', 'at 390 px', ['dark', 'light']);
    }, { name: 'login' });
  });
});

describe('an empty lake, light and dark', { concurrency: PAGES_AT_ONCE }, () => {
  for (const entry of EMPTY) check('empty', entry);
});
