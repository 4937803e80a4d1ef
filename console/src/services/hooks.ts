import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';

import { api } from './api';
import type { CatalogTable } from './types';

export const useMe = () => useQuery({ queryKey: ['me'], queryFn: api.me, staleTime: 60_000 });

export const useCatalog = () => useQuery({ queryKey: ['catalog'], queryFn: api.catalog, refetchInterval: 30_000 });

export const useSavedQueries = () => useQuery({ queryKey: ['saved'], queryFn: api.savedQueries, staleTime: 15_000 });

export const useQueries = (limit: number, search = '') =>
  useQuery({ queryKey: ['queries', limit, search], queryFn: () => api.queries(limit, search), placeholderData: (before) => before });

/** What is running now: asked often while something runs, seldom otherwise. */
export const useRunning = () =>
  useQuery({
    queryKey: ['running'],
    queryFn: api.running,
    refetchInterval: (query) => {
      const data = query.state.data;
      return data && data.queries.length + data.loads.length > 0 ? 1_000 : 8_000;
    },
  });

/** Jobs and runs change by themselves, so they are asked for again and again. */
export const useJobs = () => useQuery({ queryKey: ['jobs'], queryFn: api.jobs, refetchInterval: 3_000 });

export const useJob = (name: string) => useQuery({ queryKey: ['jobs', name], queryFn: () => api.job(name), refetchInterval: 3_000 });

export const useRuns = (limit: number, job?: string) =>
  useQuery({ queryKey: ['runs', limit, job ?? ''], queryFn: () => api.runs(limit, job), refetchInterval: 3_000, placeholderData: (before) => before });

/** Asks again for all that running, pausing or cancelling a job may have changed. */
export function useJobsRefresh(): () => void {
  const client = useQueryClient();
  return useCallback(() => {
    for (const key of ['jobs', 'runs', 'run']) void client.invalidateQueries({ queryKey: [key] });
  }, [client]);
}

/** Asks again for all that a write may have changed. */
export function useRefresh(): () => void {
  const client = useQueryClient();
  return useCallback(() => {
    for (const key of ['catalog', 'table', 'profile', 'history', 'queries', 'sample', 'running', 'changes']) void client.invalidateQueries({ queryKey: [key] });
  }, [client]);
}

export interface NamedTable extends CatalogTable {
  schema: string;
}

/** All tables with their schema's name, in the catalog's order. */
export function useTables(): { tables: NamedTable[]; query: ReturnType<typeof useCatalog> } {
  const query = useCatalog();
  const tables = query.data?.schemas.flatMap((schema) => schema.tables.map((table) => ({ ...table, schema: schema.name }))) ?? [];
  return { tables, query };
}
