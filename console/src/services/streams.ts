import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';

import type { ResultSet } from '../lib/result';
import { type Browse, MESSAGES_MAX, pageQuestions, tailQuestions, tailReader } from '../lib/messages';
import { History } from '../lib/rates';
import { api } from './api';
import { OWN_MARK } from './own';
import { runStatement } from './statements';
import type { TailPart } from './types';

export interface Delivery {
  name: string;
  topic: string;
  targetKind: string;
  target: string;
  state: string;
  lag: number | null;
  lagSeconds: number | null;
  records: number;
  rejected: number;
  rate: number;
  lastAt: string | null;
  lastError: string | null;
  transform: string | null;
  errorsInto: string;
}

/** More than these are not shown in one list. */
const ROWS_MAX = 5_000;

/** Streams change by themselves, so they are asked for again and again. */
const EVERY_MS = 3_000;

/** Records that ever came into topics, by their names. */
export const WRITTEN = new History();

/** How far groups were behind, by their names. */
export const LAGS = new History();

const moment = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

const millis = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::bigint`;

async function asked<T>(sql: string, signal: AbortSignal, row: (result: ResultSet, index: number) => T): Promise<T[]> {
  const { result } = await runStatement({ sql: OWN_MARK + sql, rowLimit: ROWS_MAX, signal });
  return Array.from({ length: result.rows }, (_, index) => row(result, index));
}

export const useTopics = () =>
  useQuery({
    queryKey: ['topics'],
    refetchInterval: EVERY_MS,
    queryFn: async () => {
      const answer = await api.topics();
      const now = Date.now();
      for (const topic of answer.topics) WRITTEN.add(topic.name, now, topic.written);
      return { ...answer, topics: answer.topics.filter((topic) => !topic.internal) };
    },
  });

export const useTopic = (name: string) =>
  useQuery({
    queryKey: ['topics', name],
    refetchInterval: EVERY_MS,
    queryFn: async () => {
      const answer = await api.topic(name);
      WRITTEN.add(name, Date.now(), answer.topic.written);
      return answer;
    },
  });

export const useGroups = () =>
  useQuery({
    queryKey: ['groups'],
    refetchInterval: EVERY_MS,
    queryFn: async () => {
      const groups = await api.groups();
      const now = Date.now();
      for (const group of groups) LAGS.add(group.name, now, group.lag);
      return groups;
    },
  });

export const useGroup = (name: string) =>
  useQuery({
    queryKey: ['groups', name],
    refetchInterval: EVERY_MS,
    queryFn: async () => {
      const answer = await api.group(name);
      LAGS.add(name, Date.now(), answer.group.lag);
      return answer;
    },
  });

/** Asks again for all that making or deleting a topic or a group may have changed. */
export function useStreamsRefresh(): () => void {
  const client = useQueryClient();
  return useCallback(() => {
    for (const key of ['topics', 'groups']) void client.invalidateQueries({ queryKey: [key] });
  }, [client]);
}

export const useDeliveries = () =>
  useQuery({
    queryKey: ['deliveries'],
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) =>
      asked<Delivery>(
        `SELECT delivery_name, topic, target_kind, target, state, lag_records, lag_seconds, records, rejected, records_per_second, ${millis('last_delivery_at')}, last_error, transform, errors_into
         FROM polder.deliveries ORDER BY delivery_name`,
        signal,
        (found, row) => ({
          name: found.text(row, 0) ?? '',
          topic: found.text(row, 1) ?? '',
          targetKind: found.text(row, 2) ?? '',
          target: found.text(row, 3) ?? '',
          state: found.text(row, 4) ?? '',
          lag: found.number(row, 5),
          lagSeconds: found.number(row, 6),
          records: found.number(row, 7) ?? 0,
          rejected: found.number(row, 8) ?? 0,
          rate: found.number(row, 9) ?? 0,
          lastAt: moment(found.number(row, 10)),
          lastError: found.text(row, 11),
          transform: found.text(row, 12),
          errorsInto: found.text(row, 13) ?? '',
        }),
      ),
  });

export const messagesKey = (topic: string, browse: Browse): unknown[] => ['messages', topic, browse];

/**
 * Messages as they are asked for, page by page: the newest first, unless they are read from a place on.
 * Asks for nothing as long as the topic is known to be empty; so the first record that comes is found.
 */
export const useMessages = (topic: string, browse: Browse, isBare: boolean) =>
  useInfiniteQuery({
    enabled: !isBare,
    queryKey: messagesKey(topic, browse),
    structuralSharing: false,
    refetchOnWindowFocus: false,
    // Pages of a search may have taken long, and all of them would be asked for again.
    gcTime: 0,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) => api.messages(topic, pageQuestions(browse, pageParam), signal),
    getNextPageParam: (last, pages) => (pages.reduce((sum, page) => sum + page.messages.length, 0) < MESSAGES_MAX ? last.next : null),
  });

export const useMessage = (topic: string, partition: number, offset: number) =>
  useQuery({ queryKey: ['message', topic, partition, offset], queryFn: () => api.message(topic, partition, offset), staleTime: Infinity });

/**
 * Follows a topic until it is stopped, or the server ends it. What came between a reading before and the beginning of this is
 * told too, where the newest are looked at; so are some that are known already.
 */
export async function follow(topic: string, browse: Browse, signal: AbortSignal, onPart: (part: TailPart) => void): Promise<void> {
  const response = await api.tail(topic, tailQuestions(browse), signal);
  const reader = response.body?.getReader();
  if (!reader) return;
  if (browse.from === 'newest') {
    const { messages } = await api.messages(topic, pageQuestions(browse, null), signal);
    onPart({ messages: messages.reverse(), skipped: 0 });
  }
  const read = tailReader(onPart);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    read(value);
  }
}
