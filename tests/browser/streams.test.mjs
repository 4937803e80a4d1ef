import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { runSql, shot } from './browser.mjs';
import { server, signedIn } from './journey.mjs';
import { mocked } from './server.mjs';
import { makeTopics, produce, readSome, whileRead } from './streams.mjs';

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
      await whileRead(server, group, topic, async () => {
        await page.getByRole('table', { name: 'Members' }).getByText('browser-tests').first().waitFor();
        await page.getByText(`${topic} 0`, { exact: true }).waitFor();
        await shot(page, 'journey-group');
      });
    }));

  test('a delivery: its figures, what it rejects, pause and go on', () =>
    signedIn(async (page) => {
      const topic = named('orders');
      const delivery = `d_${Date.now()}`;
      await makeTopics(server, [{ topic, numPartitions: 1 }]);
      await page.goto(`${server.url}/streams?tab=deliveries`);
      await runSql(page, `CREATE DELIVERY ${delivery} FROM TOPIC "${topic}" INTO TABLE public.${delivery} BUFFER 1 MB OR 1 SECONDS`);
      await produce(server, topic, [...views(20), { key: 'odd', value: 'no JSON' }]);
      const card = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: delivery }) });
      await card.getByText(/^1 record rejected since the server started/).waitFor();
      await shot(page, 'journey-delivery');
      assert.deepEqual(await runSql(page, `SELECT count(*) AS n FROM public.${delivery}`), [{ n: 20 }]);
      await card.getByRole('button', { name: 'Pause' }).click();
      await card.getByRole('button', { name: 'Resume' }).waitFor();
      const state = async () => (await runSql(page, `SELECT state FROM polder.deliveries WHERE delivery_name = '${delivery}'`))[0].state;
      assert.equal(await state(), 'paused');
      await card.getByRole('button', { name: 'Resume' }).click();
      await card.getByRole('button', { name: 'Pause' }).waitFor();
      assert.notEqual(await state(), 'paused');
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
