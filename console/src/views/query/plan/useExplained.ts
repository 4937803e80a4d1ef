import { useMemo } from 'react';

import { explained, type Explained, isExplained } from '../../../lib/explain';
import type { QueryTab } from '../../../services/tabs';
import type { Run } from '../runs';

/** What EXPLAIN said, when that is what ran; `null` for every other answer. */
export function useExplained(run: Run | undefined): Explained | null {
  const result = run?.result ?? null;
  const command = run?.answer?.command ?? null;
  return useMemo(() => (result && isExplained(result.columns, command, run?.sql ?? '') ? explained(result) : null), [result, run?.version, command, run?.sql]);
}

export type PlanShown = NonNullable<QueryTab['plan']>;

/** How a tab shows a plan: as a tree, unless the person chose otherwise or it cannot be read. */
export function planShown(tab: QueryTab, told: Explained): PlanShown {
  const wanted = tab.plan ?? 'plan';
  return wanted === 'plan' && !told.plan ? 'text' : wanted;
}
