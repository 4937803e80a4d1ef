import { type InfiniteData, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useState } from 'react';

import { type Browse, isChoosy, PAGE } from '../../lib/messages';
import { messagesKey, useMessages } from '../../services/streams';
import type { Message, MessagePage } from '../../services/types';

/** Pages that are asked for by themselves; each looks at 200,000 records at most. */
const PAGES_AT_ONCE = 50;

export interface Look {
  messages: Message[] | undefined;
  error: unknown;
  /** Records that were looked at. */
  looked: number;
  /** It looks for the first or for further ones now. */
  isLooking: boolean;
  /** There is more to look at. */
  isMore: boolean;
  /** Somebody ended it before there was anything to show. */
  isStopped: boolean;
  /** Looks until there is another page full. */
  further: () => void;
  /** Ends looking, in the server too; what was found stays. */
  stop: () => void;
  /** Looks from the beginning. */
  again: () => void;
}

/** Messages page by page. Rare ones are looked for until there is a page full of them, or until somebody has waited long enough. */
export function useLook(topic: string, browse: Browse, isBare: boolean): Look {
  const client = useQueryClient();
  const found = useMessages(topic, browse, isBare);
  /** What is looked for: so many messages, in so many pages at most. */
  const [goal, setGoal] = useState({ messages: PAGE, pages: PAGES_AT_ONCE });
  const pages = found.data?.pages;
  const messages = useMemo(() => pages?.flatMap((page) => page.messages), [pages]);
  const shown = messages?.length ?? 0;
  const read = pages?.length ?? 0;
  const { fetchNextPage, refetch } = found;
  useEffect(() => setGoal({ messages: PAGE, pages: PAGES_AT_ONCE }), [topic, browse]);
  const goesOn = isChoosy(browse) && found.hasNextPage && !found.isFetching && !found.error && shown < goal.messages && read < goal.pages;
  useEffect(() => {
    if (goesOn && read > 0) void fetchNextPage();
  }, [goesOn, read, fetchNextPage]);
  const stop = useCallback(() => {
    setGoal({ messages: 0, pages: 0 });
    void client.cancelQueries({ queryKey: messagesKey(topic, browse) });
  }, [client, topic, browse]);
  const further = useCallback(() => {
    setGoal({ messages: shown + PAGE, pages: read + PAGES_AT_ONCE });
    void (read === 0 ? refetch() : fetchNextPage());
  }, [shown, read, refetch, fetchNextPage]);
  const again = useCallback(() => {
    setGoal({ messages: PAGE, pages: PAGES_AT_ONCE });
    // Only the first page: all of them would be looked through once more.
    client.setQueryData<InfiniteData<MessagePage>>(messagesKey(topic, browse), (data) => data && { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) });
    void refetch();
  }, [client, topic, browse, refetch]);
  return {
    messages,
    error: found.error,
    looked: pages?.reduce((sum, page) => sum + page.looked_at, 0) ?? 0,
    isLooking: found.isFetching || goesOn,
    isMore: found.hasNextPage,
    isStopped: goal.pages === 0 && !found.isFetching && messages === undefined,
    further,
    stop,
    again,
  };
}
