import { describe, expect, it } from 'vitest';

import { sidesOfNames } from './pointNames';

const PLOT = { width: 400, height: 200 };

describe('the names of points', () => {
  it('stand to the right where nothing is in the way', () => {
    expect(sidesOfNames([{ name: 'one', x: 0, y: 0 }, { name: 'two', x: 5, y: 8 }, { name: '3', x: 9, y: 3 }], PLOT)).toEqual(['right', 'right', 'right']);
  });

  it('do not leave the picture', () => {
    expect(sidesOfNames([{ name: 'first', x: 0, y: 0 }, { name: 'a long name', x: 10, y: 10 }], PLOT)[1]).toBe('left');
  });

  it('do not stand on another point', () => {
    const points = [{ name: 'Delta Air Lines', x: 4, y: 5 }, { name: 'x', x: 5, y: 5 }, { name: 'y', x: 0, y: 0 }, { name: 'z', x: 10, y: 10 }];
    expect(sidesOfNames(points, PLOT)[0]).toBe('left');
  });

  it('are left out where every side is taken, and none is drawn over another', () => {
    const crowd = Array.from({ length: 60 }, (_, index) => ({ name: `point ${index}`, x: 5 + (index % 8) * 0.1, y: 5 + Math.floor(index / 8) * 0.1 }));
    const sides = sidesOfNames([...crowd, { name: 'low', x: 0, y: 0 }, { name: 'high', x: 10, y: 10 }], PLOT);
    expect(sides.filter((side) => side === null).length).toBeGreaterThan(30);
    expect(sides.at(-2)).toBe('right');
  });

  it('are not looked for among very many', () => {
    const many = Array.from({ length: 1000 }, (_, index) => ({ name: 'a', x: index, y: index }));
    expect(new Set(sidesOfNames(many, PLOT))).toEqual(new Set([null]));
  });
});
