import type { QueryTab } from '../../services/tabs';
import type { ChartSpec, SavedQuery } from '../../services/types';

/** Two descriptions of a chart that would draw the same. */
export function sameChart(a: ChartSpec | null, b: ChartSpec | null): boolean {
  if (a === null || b === null) return (a === null || a.kind === 'table') && (b === null || b.kind === 'table');
  const key = (chart: ChartSpec): string => JSON.stringify([chart.kind, chart.x, chart.y, chart.series ?? null, chart.stacked ?? false, chart.title ?? null]);
  return key(a) === key(b);
}

/** A saved query whose tab says something else by now. */
export function isDirty(tab: QueryTab, saved: SavedQuery[]): boolean {
  const query = tab.savedId ? saved.find((item) => item.id === tab.savedId) : undefined;
  if (!query) return false;
  return tab.sql !== query.sql || !sameChart(tab.chart, query.chart);
}
