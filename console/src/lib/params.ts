import { useCallback } from 'react';
import { useLocation, useSearch } from 'wouter';

/** One search parameter as state: reload and links restore it. Changing it replaces the history entry. */
export function useParam(name: string, fallback: string): [string, (value: string) => void] {
  const search = useSearch();
  const [, navigate] = useLocation();
  const value = new URLSearchParams(search).get(name) ?? fallback;
  const set = useCallback(
    (next: string) => {
      const params = new URLSearchParams(window.location.search);
      if (next === fallback) params.delete(name);
      else params.set(name, next);
      const text = params.toString();
      navigate(window.location.pathname + (text ? `?${text}` : ''), { replace: true });
    },
    [name, fallback, navigate],
  );
  return [value, set];
}
