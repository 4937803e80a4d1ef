import { useCallback, useEffect, useRef, useState } from 'react';

import { type Browse, MESSAGES_MAX, withNewest } from '../../lib/messages';
import { isAbort } from '../../services/client';
import { follow } from '../../services/streams';
import type { Message } from '../../services/types';

interface Tail {
  on: boolean;
  /** The newest first; `null` as long as nothing is followed. */
  messages: Message[] | null;
  /** Messages that came too fast to be shown. */
  skipped: number;
  error: unknown;
  /** Begins now, or stops; what has come stays. */
  turn: () => void;
  /** Forgets what has come. */
  clear: () => void;
}

/** Follows a topic: what comes is put in front, and the oldest is forgotten. */
export function useTail(topic: string, browse: Browse, shown: Message[] | undefined): Tail {
  const [on, setOn] = useState(false);
  const [messages, setMessages] = useState<Message[] | null>(null);
  const [skipped, setSkipped] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const begin = useRef(shown);
  begin.current = shown;
  const clear = useCallback(() => {
    setMessages(null);
    setSkipped(0);
  }, []);
  const turn = useCallback(() => {
    setError(null);
    setOn((before) => !before);
  }, []);
  // Another partition or search shows what is found there.
  useEffect(() => clear, [browse, clear]);
  useEffect(() => {
    if (!on) return undefined;
    const stop = new AbortController();
    setMessages((before) => before ?? (browse.from === 'newest' ? (begin.current ?? []).slice(0, MESSAGES_MAX) : []));
    follow(topic, browse, stop.signal, (part) => {
      setMessages((before) => withNewest(before ?? [], part.messages));
      if (part.skipped > 0) setSkipped((before) => before + part.skipped);
    })
      .catch((caught: unknown) => {
        if (!isAbort(caught) && !stop.signal.aborted) setError(caught);
      })
      .finally(() => {
        if (!stop.signal.aborted) setOn(false);
      });
    return () => stop.abort();
  }, [on, topic, browse]);
  return { on, messages, skipped, error, turn, clear };
}
