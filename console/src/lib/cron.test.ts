import { expect, test } from 'vitest';

import { inWords } from './cron';

test('what people write most is said in words', () => {
  const said: [string, string][] = [
    ['* * * * *', 'every minute'],
    ['*/15 * * * *', 'every 15 minutes'],
    ['*/20 * * * * *', 'every 20 seconds'],
    ['20 * * * *', 'every hour at :20'],
    ['0 */6 * * *', 'every 6 hours'],
    ['5 */6 * * *', 'every 6 hours at :05'],
    ['30 2 * * *', 'every day at 02:30'],
    ['0 30 2 * * *', 'every day at 02:30'],
    ['0 9 * * MON-FRI', 'Monday to Friday at 09:00'],
    ['0 9 * * 1', 'every Monday at 09:00'],
    ['0 9 * * 7', 'every Sunday at 09:00'],
    ['15 4 1 * *', 'on day 1 of each month at 04:15'],
    ['@hourly', 'every hour at :00'],
    ['@weekly', 'every Sunday at 00:00'],
  ];
  expect(said.map(([schedule]) => inWords(schedule))).toEqual(said.map(([, words]) => words));
});

test('the rest is not guessed at', () => {
  for (const schedule of ['*/45 * * * *', '*/45 * * * * *', '0 2,14 * * *', '0 9 L * *', '0 9 * * 1#2', '0 9 1 * 1', '0 0 1 1 *', '@yearly', '10-20 * * * *', 'nonsense']) expect(inWords(schedule), schedule).toBeNull();
});
