import { useState } from 'react';

import { useJobsRefresh } from '../../services/hooks';

/** Does something to a job or a run, shows afterwards how it stands, and keeps what went wrong. */
export function useAct(): { act: <T>(work: () => Promise<T>, then?: (result: T) => void) => void; busy: boolean; error: unknown } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const refresh = useJobsRefresh();
  const act = <T,>(work: () => Promise<T>, then?: (result: T) => void): void => {
    setBusy(true);
    setError(null);
    work()
      .then((result) => then?.(result))
      .catch(setError)
      .finally(() => {
        setBusy(false);
        refresh();
      });
  };
  return { act, busy, error };
}
