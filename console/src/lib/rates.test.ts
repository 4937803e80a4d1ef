import { describe, expect, it } from 'vitest';

import { History, SAMPLES_MAX } from './rates';

describe('history', () => {
  it('tells a rate over the last seconds', () => {
    const history = new History();
    expect(history.rate('a')).toBeNull();
    history.add('a', 0, 0);
    history.add('a', 100, 5);
    expect(history.rate('a')).toBeNull();
    history.add('a', 60_000, 1_000);
    history.add('a', 62_000, 1_100);
    expect(history.rate('a')).toBe(50);
    history.add('a', 64_000, 3);
    expect(history.rate('a')).toBe(0);
  });

  it('is bounded, and takes nothing twice', () => {
    const history = new History();
    for (let at = 1; at <= SAMPLES_MAX + 10; at += 1) history.add('a', at, at);
    history.add('a', 5, 99);
    expect(history.of('a')).toHaveLength(SAMPLES_MAX);
    expect(history.of('a')[0]).toEqual({ at: 11, value: 11 });
    for (let name = 0; name < 600; name += 1) history.add(`b${name}`, 1, 1);
    expect(history.of('a')).toHaveLength(0);
    expect(history.of('b599')).toHaveLength(1);
  });
});
