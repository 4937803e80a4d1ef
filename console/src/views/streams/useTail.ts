import { useCallback, useEffect, useState } from 'react';

import { isAbort } from '../../services/client';
import { type Browse, endsAfter, type Message, withNewest } from '../../lib/messages';
import { type Partition, tail } from '../../services/streams';

/** How long to wait between two looks at what has come. */
const EVERY_MS = 1_000;

interface Tail {
  on: boolean;
  /** The newest first; `null` as long as nothing is followed. */
  messages: Message[] | null;
  error: unknown;
  /** Begins at these ends, or stops. */
  turn: (partitions: Partition[]) => void;
}

/** Follows a topic: what comes is put in front, and the oldest is forgotten. */
export function useTail(topic: string, browse: Browse, shown: Message[] | undefined): Tail {
  const [begin, setBegin] = useState<Map<number, number> | null>(null);
  const [messages, setMessages] = useState<Message[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const turn = useCallback(
    (partitions: Partition[]) => {
      if (begin) {
        setBegin(null);
        return;
      }
      setError(null);
      setMessages(shown && browse.from === 'newest' ? shown : []);
      setBegin(new Map(partitions.map((one) => [one.partition, one.end])));
    },
    [begin, shown, browse.from],
  );
  useEffect(() => {
    if (!begin) return undefined;
    const stop = new AbortController();
    let ends: ReadonlyMap<number, number> = begin;
    let timer: number | undefined;
    const look = async (): Promise<void> => {
      try {
        const arrived = await tail(topic, ends, browse, stop.signal);
        if (stop.signal.aborted) return;
        ends = endsAfter(ends, arrived);
        if (arrived.length > 0) setMessages((before) => withNewest(before ?? [], arrived));
        timer = window.setTimeout(() => void look(), EVERY_MS);
      } catch (caught) {
        if (isAbort(caught)) return;
        setError(caught);
        setBegin(null);
      }
    };
    void look();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [begin, topic, browse]);
  // Another place or partition shows what is found there; what stands there after following stays until then.
  useEffect(() => {
    if (!begin) setMessages(null);
  }, [browse]);
  return { on: begin !== null, messages, error, turn };
}
