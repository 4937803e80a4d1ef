import type { PlanNode } from '../../../lib/plan';

export type Move = { kind: 'focus' | 'fold' | 'unfold'; index: number } | { kind: 'open' } | { kind: 'close' };

/** What a key does in a tree, as the ARIA practices have it; `null` when it is none of the tree's. */
export function treeKey(key: string, node: PlanNode, shown: PlanNode[], folded: ReadonlySet<number>): Move | null {
  const place = shown.findIndex((item) => item.index === node.index);
  const to = (target: number | null | undefined): Move => ({ kind: 'focus', index: target ?? node.index });
  const at = (position: number): Move => to(shown[Math.max(0, Math.min(shown.length - 1, position))]?.index);
  const parted = node.children.length > 0;
  switch (key) {
    case 'ArrowDown':
      return at(place + 1);
    case 'ArrowUp':
      return at(place - 1);
    case 'Home':
      return at(0);
    case 'End':
      return at(shown.length - 1);
    case 'ArrowRight':
      return parted && folded.has(node.index) ? { kind: 'unfold', index: node.index } : to(node.children[0]);
    case 'ArrowLeft':
      return parted && !folded.has(node.index) ? { kind: 'fold', index: node.index } : to(node.parent);
    case 'Enter':
    case ' ':
      return { kind: 'open' };
    case 'Escape':
      return { kind: 'close' };
    default:
      return null;
  }
}
