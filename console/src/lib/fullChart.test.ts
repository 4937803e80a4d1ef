import { expect, test } from 'vitest';

import { fullChart } from './fullChart';

test('what a chart leaves out is filled in', () => {
  expect(fullChart({ kind: 'bar' })).toEqual({ kind: 'bar', x: null, y: [], series: null, stacked: false, title: null });
  const full = { kind: 'line', x: 'month', y: ['late'], series: 'origin', stacked: true, title: 'Late flights' } as const;
  expect(fullChart({ ...full, y: ['late'] })).toEqual(full);
});
