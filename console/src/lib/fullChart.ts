import type { components } from '../services/schema.gen';

type Chart = components['schemas']['Chart'];

/** A chart's description with what was left out filled in: most of it may be, in a query that another client has saved. */
export function fullChart({ kind, x = null, y = [], series = null, stacked = false, title = null }: Chart): Required<Chart> {
  return { kind, x, y, series, stacked, title };
}
