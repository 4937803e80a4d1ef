import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { runSql, shot } from './browser.mjs';
import { server, signedIn } from './journey.mjs';
import { mocked } from './server.mjs';
import { framedReading, makeTopics, produce, readSome, registerReadings, whileRead } from './streams.mjs';

describe('streams', { skip: mocked }, () => {
  const named = (name) => `${name}-${Date.now()}`;
  const messages = (page) => page.getByRole('table', { name: 'Messages' });
  const views = (count) => Array.from({ length: count }, (_, number) => ({ key: `visitor-${number}`, value: JSON.stringify({ number, page: number % 2 ? '/docs' : '/pricing' }), headers: { trace: `t-${number}` } }));

  test('make a topic, write to it, see what is in it, ask it by SQL', () =>
    signedIn(async (page) => {
      const topic = named('page-views');
      await page.goto(`${server.url}/streams`);
      await page.getByRole('button', { name: 'New topic' }).first().click();
      const dialog = page.getByRole('dialog', { name: 'New topic' });
      await dialog.getByLabel('Name').fill('no good name');
      await dialog.getByText('Letters, digits, dots, dashes and underscores').waitFor();
      assert.equal(await dialog.getByRole('button', { name: 'Make topic' }).isDisabled(), true);
      await dialog.getByLabel('Name').fill(topic);
      await dialog.getByLabel('Partitions').fill('2');
      await dialog.getByRole('button', { name: 'Make topic' }).click();
      await page.getByRole('heading', { name: topic, level: 1 }).waitFor();
      await page.getByText('Nothing is in this topic yet.').waitFor();
      await produce(server, topic, views(30), 1);
      await page.getByRole('button', { name: 'Message 29 of partition 1' }).click();
      await page.getByRole('heading', { name: 'Message 29' }).waitFor();
      await page.getByText('trace', { exact: true }).waitFor();
      await shot(page, 'journey-topic-message');
      await page.getByRole('button', { name: 'Query' }).click();
      await page.getByText('30 rows', { exact: true }).waitFor();
      await page.getByRole('gridcell').filter({ hasText: /^visitor-/ }).first().waitFor();
      assert.deepEqual(await runSql(page, `SELECT count(*) AS n, sum((value->>'number')::bigint) AS total FROM topics."${topic}"`), [{ n: 30, total: 435 }]);
    }));

  test('find a message by its text, by its offset, by its partition', () =>
    signedIn(async (page) => {
      const topic = named('to-be-searched');
      await makeTopics(server, [{ topic, numPartitions: 2 }]);
      for (const partition of [0, 1]) await produce(server, topic, views(300), partition);
      await page.goto(`${server.url}/streams/${topic}`);
      await page.getByLabel('Find in key, value or headers').fill('"number":217');
      await page.getByText(/^2 messages found in 600 records$/).waitFor();
      assert.equal(await messages(page).locator('tbody tr').count(), 2);
      await page.getByLabel('Find in key, value or headers').fill('t-299');
      await page.getByText(/^2 messages found/).waitFor();
      await page.getByLabel('Find in key, value or headers').fill('');
      await page.getByText('From offset', { exact: true }).click();
      await page.getByLabel('Offset', { exact: true }).fill('120');
      await page.getByRole('combobox', { name: 'Partition' }).click();
      await page.getByRole('option', { name: 'Partition 1' }).click();
      await page.getByRole('button', { name: 'Message 120 of partition 1' }).waitFor();
      assert.equal(await page.getByRole('button', { name: /of partition 0$/ }).count(), 0);
      assert.equal(await page.getByRole('button', { name: 'Message 119 of partition 1' }).count(), 0);
      await page.getByLabel('Offset', { exact: true }).fill('1.5');
      await page.getByRole('textbox', { name: 'Offset', exact: true }).and(page.locator('[aria-invalid=true]')).waitFor();
    }));

  test('all messages of a key, the newest first, and of none but that key', () =>
    signedIn(async (page) => {
      const topic = named('keyed');
      await makeTopics(server, [{ topic, numPartitions: 2 }]);
      const keyed = Array.from({ length: 300 }, (_, number) => ({ key: `visitor-${number % 30}`, value: JSON.stringify({ number, friend: `visitor-${(number + 1) % 30}` }) }));
      await produce(server, topic, keyed, 1);
      await produce(server, topic, [{ key: Buffer.from([255, 7]), value: 'of bytes' }, { key: null, value: 'of none' }]);
      await page.goto(`${server.url}/streams/${topic}`);
      await page.getByLabel('Key', { exact: true }).fill('visitor-2');
      await page.getByText('10 messages found in 302 records', { exact: true }).waitFor();
      const keys = await messages(page).locator('tbody tr td:nth-child(4)').allInnerTexts();
      assert.deepEqual([...new Set(keys)], ['visitor-2']);
      assert.deepEqual((await messages(page).locator('tbody tr td:nth-child(2)').allInnerTexts()).map(Number), [272, 242, 212, 182, 152, 122, 92, 62, 32, 2]);
      // The address has it.
      await page.reload();
      await page.getByText('10 messages found in 302 records', { exact: true }).waitFor();
      await shot(page, 'journey-topic-key');
      await page.getByLabel('Key', { exact: true }).fill('visitor-');
      await page.getByText(/^No message has the key “visitor-” here/).waitFor();
      await page.getByLabel('Key', { exact: true }).fill('');
      await page.getByRole('button', { name: 'Message 0 of partition 0' }).click();
      await page.getByRole('button', { name: 'All with this key' }).click();
      await page.getByText('1 message found in 302 records', { exact: true }).waitFor();
      assert.equal(await page.getByLabel('Key', { exact: true }).inputValue(), '\\xff07');
      // A tail is of the key, too.
      await page.getByLabel('Key', { exact: true }).fill('visitor-2');
      await page.getByText('10 messages found in 302 records', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Follow' }).click();
      await page.getByText(/^Following: /).waitFor();
      await produce(server, topic, [{ key: 'visitor-3', value: 'another' }, { key: 'visitor-2', value: 'the same' }], 1);
      await page.getByRole('button', { name: 'Message 301 of partition 1' }).waitFor();
      assert.equal(await messages(page).locator('tbody tr').count(), 11);
    }));

  test('looking for what is rare goes on by itself, says how far it is, and can be stopped', () =>
    signedIn(async (page) => {
      const topic = named('long');
      await makeTopics(server, [{ topic, numPartitions: 1 }]);
      await produce(server, topic, views(20));
      await page.goto(`${server.url}/streams/${topic}`);
      await page.getByRole('button', { name: 'Message 19 of partition 0' }).waitFor();
      // Each page looks at four records, as if they were many.
      const asked = [];
      let hold = null;
      await page.route(/\/messages\?/, async (route) => {
        const questions = new URL(route.request().url()).searchParams;
        const cursor = questions.get('cursor');
        asked.push(cursor);
        if (asked.length === 3) await new Promise((release) => { hold = release; });
        const next = Number(cursor?.slice(2) ?? 20) - 4;
        await route.fulfill({ json: { messages: [], next: next > 0 ? `0:${next}` : null, looked_at: 4 } }).catch(() => {});
      });
      await page.getByLabel('Key', { exact: true }).fill('rare');
      await page.getByText('0 messages found, 8 of 20 records looked through', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByText('0 messages found in 8 records; there are more to look through', { exact: true }).waitFor();
      hold();
      await page.waitForTimeout(300);
      assert.deepEqual(asked, [null, '0:16', '0:12']);
      await page.getByRole('button', { name: 'Look further' }).click();
      await page.getByText('0 messages found in 20 records', { exact: true }).waitFor();
      assert.deepEqual(asked.slice(3), ['0:12', '0:8', '0:4']);
    }));

  test('from a time on', () =>
    signedIn(async (page) => {
      const topic = named('timed');
      await makeTopics(server, [{ topic, numPartitions: 1 }]);
      const begin = new Date(2026, 10, 20, 8, 0);
      await produce(server, topic, views(60).map((message, minute) => ({ ...message, timestamp: String(begin.getTime() + minute * 60_000) })));
      await page.goto(`${server.url}/streams/${topic}`);
      await page.getByText('From time', { exact: true }).click();
      await page.getByLabel('Time', { exact: true }).fill('2026-11-20 08:50');
      await page.getByText('10 messages, that is all', { exact: true }).waitFor();
      const first = messages(page).locator('tbody tr').first();
      assert.match(await first.innerText(), /2026-11-20 08:50:00\.000/);
      assert.match(await first.innerText(), /visitor-50/);
      await page.getByLabel('Time', { exact: true }).fill('2026-11-20 09:30');
      await page.getByText('No message is found here.').waitFor();
      await page.getByLabel('Time', { exact: true }).fill('noon');
      await page.getByText('Like 2026-11-28 12:00').waitFor();
    }));

  test('values are decoded by the schema that the registry has', () =>
    signedIn(async (page) => {
      const topic = named('readings');
      await makeTopics(server, [{ topic, numPartitions: 1 }]);
      const schema = await registerReadings(server, topic);
      await produce(server, topic, [{ key: 'a', value: framedReading(schema, 'on the roof', -12) }, { key: 'b', value: framedReading(schema, 'in the cellar', 1300) }]);
      await page.goto(`${server.url}/streams/${topic}`);
      const row = messages(page).locator('tbody tr').filter({ hasText: 'on the roof' });
      assert.match(await row.innerText(), /\{"sensor": ?"on the roof", ?"degrees": ?-12\}/);
      await page.getByRole('button', { name: 'Message 1 of partition 0' }).click();
      const panel = page.getByRole('region', { name: 'Message 1, whole' });
      await panel.getByText(`JSON by schema ${schema}`).waitFor();
      await panel.getByText('degrees: ').waitFor();
      await panel.getByText('1300', { exact: true }).waitFor();
      await shot(page, 'journey-topic-schema');
      await page.getByLabel('Find in key, value or headers').fill('CELLAR');
      await page.getByText('1 message found in 2 records', { exact: true }).waitFor();
      await page.getByRole('tab', { name: 'Settings' }).click();
      await page.getByText(`AVRO · version 1 of ${topic}-value · id ${schema}`).waitFor();
    }));

  test('follow a topic: what is written stands in front', () =>
    signedIn(async (page) => {
      const topic = named('live');
      await makeTopics(server, [{ topic, numPartitions: 1 }]);
      await produce(server, topic, views(3));
      await page.goto(`${server.url}/streams/${topic}`);
      await page.getByRole('button', { name: 'Follow' }).click();
      await page.getByText(/^Following: /).waitFor();
      await produce(server, topic, [{ key: 'late', value: '{"number": 999}' }]);
      await page.getByRole('button', { name: 'Message 3 of partition 0' }).waitFor();
      assert.match(await messages(page).locator('tbody tr').first().innerText(), /late/);
      await shot(page, 'journey-topic-live');
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByRole('button', { name: 'Follow' }).waitFor();
    }));

  test('a group that reads, and how far one that is gone is behind', () =>
    signedIn(async (page) => {
      const topic = named('read');
      const group = named('billing');
      await makeTopics(server, [{ topic, numPartitions: 1 }]);
      await produce(server, topic, views(50));
      await readSome(server, group, topic, 20);
      await page.goto(`${server.url}/streams?tab=groups`);
      await page.getByRole('link', { name: group }).click();
      await page.getByText('Nobody reads in this group now. It keeps its place until somebody does.').waitFor();
      const row = page.getByRole('table', { name: 'Partitions' }).getByRole('row').filter({ hasText: topic });
      assert.deepEqual((await row.getByRole('cell').allInnerTexts()).slice(0, 5).map((text) => text.trim()), [topic, '0', '20', '50', '30']);
      // The picture's numbers as a table, and how they are asked for.
      const figure = page.getByRole('figure', { name: 'records behind' });
      await figure.getByRole('button', { name: 'Table' }).click();
      const sample = figure.getByRole('table', { name: 'Table of records behind' }).locator('tbody tr').first();
      await sample.waitFor();
      assert.match(await sample.innerText(), /^\d\d:\d\d:\d\d\s+30$/);
      await figure.getByRole('button', { name: 'Show SQL' }).click();
      const asked = await figure.locator('pre').innerText();
      assert.deepEqual(await runSql(page, asked), [{ records_behind: 30 }]);
      await figure.getByRole('button', { name: 'Picture' }).click();
      await figure.locator('[role=img] svg').waitFor();
      await whileRead(server, group, topic, async () => {
        await page.getByRole('table', { name: 'Members' }).getByText('browser-tests').first().waitFor();
        await page.getByText(`${topic} 0`, { exact: true }).waitFor();
        await shot(page, 'journey-group');
      });
    }));

  test('a delivery: how fast it is, what it rejects, pause and go on, and deliver again once the reason is gone', () =>
    signedIn(async (page) => {
      const topic = named('orders');
      const delivery = `d_${Date.now()}`;
      await makeTopics(server, [{ topic, numPartitions: 1 }]);
      await page.goto(`${server.url}/streams?tab=deliveries`);
      await runSql(page, `CREATE DELIVERY ${delivery} FROM TOPIC "${topic}" INTO TABLE public.${delivery} TRANSFORM AS SELECT (value->>'number')::bigint AS number FROM "${topic}" BUFFER 1 MB OR 1 SECONDS`);
      await produce(server, topic, [...views(20), { key: 'odd', value: '{"number": "many"}' }]);
      const row = page.getByRole('table', { name: 'Deliveries' }).getByRole('row').filter({ hasText: delivery });
      // Throughput, lag and rejected records.
      await row.getByText(/^0\.[1-9]\/s$/).waitFor();
      await row.getByText('nothing', { exact: true }).waitFor();
      await row.getByText('1', { exact: true }).waitFor();
      await row.getByRole('link', { name: delivery }).click();
      await page.getByRole('heading', { name: delivery, level: 1 }).waitFor();
      const rejected = page.getByRole('table', { name: 'Rejected records' });
      await rejected.getByText(/many/).waitFor();
      await shot(page, 'journey-delivery');
      for (const name of ['records a second', 'records behind']) {
        const figure = page.getByRole('figure', { name });
        await figure.getByRole('button', { name: 'Table' }).click();
        await figure.getByRole('table', { name: `Table of ${name}` }).locator('tbody tr').first().waitFor();
        await figure.getByRole('button', { name: 'Show SQL' }).click();
        assert.equal((await runSql(page, await figure.locator('pre').innerText())).length, 1);
      }
      await shot(page, 'journey-delivery-samples');
      const rows = async () => (await runSql(page, `SELECT count(*) AS n FROM public.${delivery}`))[0].n;
      assert.equal(await rows(), 20);

      // Once more for the same reason, then without it.
      await page.getByRole('button', { name: 'Deliver again' }).click();
      await page.getByText('1 record taken up: 0 delivered, 1 rejected again.').waitFor();
      await runSql(page, `ALTER DELIVERY ${delivery} SET TRANSFORM AS SELECT try_cast(value->>'number' AS bigint) AS number FROM "${topic}"`);
      await page.getByRole('button', { name: 'Deliver again' }).click();
      await page.getByText('1 record taken up: 1 delivered, 0 rejected again.').waitFor();
      await page.getByText(/^None\. What makes no row is kept here/).waitFor();
      assert.equal(await rows(), 21);

      const state = async () => (await runSql(page, `SELECT state FROM polder.deliveries WHERE delivery_name = '${delivery}'`))[0].state;
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByRole('button', { name: 'Resume' }).waitFor();
      assert.equal(await state(), 'paused');
      await page.getByRole('button', { name: 'Resume' }).click();
      await page.getByRole('button', { name: 'Pause' }).waitFor();
      assert.notEqual(await state(), 'paused');

      await page.getByRole('button', { name: 'Delete' }).click();
      await page.getByLabel(/^Type/).fill(delivery);
      await page.getByRole('button', { name: 'Delete delivery' }).click();
      await page.waitForURL(/tab=deliveries/);
      await row.waitFor({ state: 'detached' });
      assert.equal((await runSql(page, `SELECT count(*) AS n FROM polder.deliveries WHERE delivery_name = '${delivery}'`))[0].n, 0);
      assert.equal(await rows(), 21);
    }));

  test('a rejected record leads to its message', () =>
    signedIn(async (page) => {
      const topic = named('odd');
      const delivery = `odd_${Date.now()}`;
      await makeTopics(server, [{ topic, numPartitions: 2 }]);
      await page.goto(`${server.url}/streams/deliveries/${delivery}`);
      await page.getByText(`there is no delivery "${delivery}"`).waitFor();
      await runSql(page, `CREATE DELIVERY ${delivery} FROM TOPIC "${topic}" INTO TABLE public.${delivery} BUFFER 1 MB OR 1 SECONDS`);
      await produce(server, topic, [...views(5), { key: 'odd', value: 'no JSON' }], 1);
      await page.reload();
      await page.getByRole('table', { name: 'Rejected records' }).getByRole('link', { name: '5' }).click();
      await page.getByRole('button', { name: 'Message 5 of partition 1' }).waitFor();
      assert.match(await messages(page).locator('tbody tr').first().innerText(), /no JSON/);
    }));

  test('a delivery that fails says why, on the list and on its page', () =>
    signedIn(async (page) => {
      const topic = named('lost');
      const delivery = `lost_${Date.now()}`;
      await makeTopics(server, [{ topic, numPartitions: 1 }]);
      await page.goto(`${server.url}/streams?tab=deliveries`);
      // Nothing listens at that port.
      await runSql(page, `CREATE DELIVERY ${delivery} FROM TOPIC "${topic}" INTO POSTGRES WITH (host '127.0.0.1', port 9, database 'd', "user" 'u', "table" 't', password 'p') BUFFER 1 MB OR 1 SECONDS`);
      await produce(server, topic, views(3));
      const row = page.getByRole('table', { name: 'Deliveries' }).getByRole('row').filter({ hasText: delivery });
      await row.getByText('failing', { exact: true }).waitFor();
      await row.getByText(/refused/).waitFor();
      await row.getByRole('link', { name: delivery }).click();
      await page.getByRole('region', { name: 'Last error' }).getByText(/refused/).waitFor();
      await page.getByText(/^oldest waits /).waitFor();
      await shot(page, 'journey-delivery-failing');
      await runSql(page, `DROP DELIVERY ${delivery}`);
    }));

  test('deleting asks for the name', () =>
    signedIn(async (page) => {
      const topic = named('to-go');
      await makeTopics(server, [{ topic, numPartitions: 1 }]);
      await page.goto(`${server.url}/streams/${topic}`);
      await page.getByRole('button', { name: 'Delete' }).click();
      const dialog = page.getByRole('dialog', { name: 'Delete topic' });
      const button = dialog.getByRole('button', { name: 'Delete topic' });
      await dialog.getByRole('textbox').fill(topic.slice(0, -1));
      assert.equal(await button.isDisabled(), true);
      await dialog.getByRole('textbox').fill(topic);
      await button.click();
      await page.getByRole('heading', { name: 'Streams', level: 1 }).waitFor();
      assert.deepEqual(await runSql(page, `SELECT count(*) AS n FROM polder.topics WHERE topic_name = '${topic}'`), [{ n: 0 }]);
    }));
});
