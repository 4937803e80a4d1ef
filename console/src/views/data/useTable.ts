import { useQuery } from '@tanstack/react-query';

import { api } from '../../services/api';

export const useTable = (schema: string, name: string) => useQuery({ queryKey: ['table', schema, name], queryFn: () => api.table(schema, name) });

/** A profile reads the whole table, so it is kept until the table changes. */
export const useProfile = (schema: string, name: string, changed: string | null) =>
  useQuery({ queryKey: ['profile', schema, name, changed], queryFn: () => api.profile(schema, name), staleTime: Infinity, refetchOnWindowFocus: false });

export const useHistory = (schema: string, name: string) => useQuery({ queryKey: ['history', schema, name], queryFn: () => api.history(schema, name) });
