import { useQuery } from '@tanstack/react-query';

import { OWN_MARK } from './own';
import { runStatement } from './statements';

/** The answer to a statement that only asks, kept under a key of its own. */
export function useAnswer(key: readonly unknown[], sql: string, rowLimit: number, enabled = true) {
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) => runStatement({ sql: OWN_MARK + sql, rowLimit, signal }),
    staleTime: 60_000,
    refetchOnWindowFocus: false,
    // Arrow batches are no plain objects: a new answer replaces the old one whole.
    structuralSharing: false,
    enabled,
  });
}
