import { useEffect, useState } from 'react';

import { api } from '../../services/api';

const ASK_MS = 700;

export interface RunLog {
  text: string;
  error: unknown;
  ended: boolean;
}

/** A run's log: read to its end, and then as it grows until the run has ended. */
export function useLog(id: string): RunLog {
  const [log, setLog] = useState<RunLog>({ text: '', error: null, ended: false });
  useEffect(() => {
    let from = 0;
    let timer = 0;
    let gone = false;
    const read = async (): Promise<void> => {
      try {
        const part = await api.runLog(id, from);
        if (gone) return;
        from = part.next;
        setLog((before) => ({ text: before.text + part.text, error: null, ended: part.ended }));
        if (part.ended) return;
      } catch (error) {
        if (gone) return;
        setLog((before) => ({ ...before, error }));
      }
      timer = window.setTimeout(() => void read(), ASK_MS);
    };
    setLog({ text: '', error: null, ended: false });
    void read();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [id]);
  return log;
}
