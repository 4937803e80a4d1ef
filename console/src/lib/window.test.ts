import { describe, expect, test } from 'vitest';

import { HEIGHT_MAX, rowWindow, scrollToRow, totalHeight } from './window';

describe('a list that fits', () => {
  test('at the top', () => expect(rowWindow(100, 28, 0, 280, 0)).toEqual({ first: 0, last: 10, top: 0 }));
  test('in the middle', () => expect(rowWindow(100, 28, 294, 280, 0)).toEqual({ first: 10, last: 21, top: 280 }));
  test('nothing', () => expect(rowWindow(0, 28, 0, 280).last).toBe(-1));
  test('scrolls down to a row', () => expect(scrollToRow(20, 100, 28, 0, 280)).toBe(308));
  test('stays when it is in view', () => expect(scrollToRow(3, 100, 28, 0, 280)).toBeNull());
});

describe('a million rows, taller than a browser can draw', () => {
  const rows = 1_000_000;
  const bottom = totalHeight(rows, 28) - 280;
  test('the height is bounded', () => expect(totalHeight(rows, 28)).toBe(HEIGHT_MAX));
  test('the top shows the first row', () => expect(rowWindow(rows, 28, 0, 280, 0).first).toBe(0));
  test('the bottom shows the last row', () => expect(rowWindow(rows, 28, bottom, 280, 0).last).toBe(rows - 1));
  test('a row asked for is in view after scrolling there', () => {
    for (const row of [1, 12_345, 500_000, 999_999]) {
      const top = scrollToRow(row, rows, 28, 0, 280) ?? 0;
      const { first, last } = rowWindow(rows, 28, top, 280, 1);
      expect(first <= row && row <= last).toBe(true);
    }
  });
});
