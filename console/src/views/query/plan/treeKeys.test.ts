import { expect, test } from 'vitest';

import { parsePlan, unfolded } from '../../../lib/plan';
import { treeKey } from './treeKeys';

const { nodes } = parsePlan('UnionExec\n  FilterExec: a\n    EmptyExec\n  PlaceholderRowExec', false)!;

test('the keys of a tree', () => {
  const check = (key: string, at: number, expected: unknown, folded: number[] = []): void => {
    const away = new Set(folded);
    expect(treeKey(key, nodes[at]!, unfolded(nodes, away), away)).toEqual(expected);
  };
  check('ArrowDown', 1, { kind: 'focus', index: 2 });
  check('ArrowDown', 1, { kind: 'focus', index: 3 }, [1]);
  check('ArrowDown', 3, { kind: 'focus', index: 3 });
  check('ArrowUp', 3, { kind: 'focus', index: 2 });
  check('ArrowUp', 0, { kind: 'focus', index: 0 });
  check('ArrowLeft', 1, { kind: 'fold', index: 1 });
  check('ArrowLeft', 1, { kind: 'focus', index: 0 }, [1]);
  check('ArrowLeft', 2, { kind: 'focus', index: 1 });
  check('ArrowRight', 1, { kind: 'unfold', index: 1 }, [1]);
  check('ArrowRight', 1, { kind: 'focus', index: 2 });
  check('ArrowRight', 3, { kind: 'focus', index: 3 });
  check('Home', 3, { kind: 'focus', index: 0 });
  check('End', 0, { kind: 'focus', index: 3 });
  check('Enter', 2, { kind: 'open' });
  check('Escape', 2, { kind: 'close' });
  check('x', 2, null);
});
