import { describe, expect, test } from 'vitest';

import { chartColours } from './chart';

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** WCAG 2.1, "contrast ratio". */
function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

describe.each([
  ['light', false],
  ['dark', true],
])('%s', (_, dark) => {
  const colours = chartColours(dark);
  test.each(colours.categories)('%s is at least 3:1 on the ground', (colour) => expect(contrast(colour, colours.ground)).toBeGreaterThanOrEqual(3));
  test('text is at least 4.5:1', () => {
    for (const colour of [colours.text, colours.second, colours.quiet]) expect(contrast(colour, colours.ground)).toBeGreaterThanOrEqual(4.5);
  });
  test('eight that differ', () => expect(new Set(colours.categories).size).toBe(8));
});
