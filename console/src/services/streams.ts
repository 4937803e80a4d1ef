import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';

import { type Browse, MESSAGES_MAX, pageQuestions, tailQuestions, tailReader } from '../lib/messages';
import { History } from '../lib/rates';
import { quoteTable, quoteText } from '../lib/sql';
import { api } from './api';
import { ApiError } from './client';
import { OWN_MARK } from './own';
import { runStatement } from './statements';
import type { Delivery, TailPart } from './types';

/** A record that a delivery has rejected. */
export interface Rejected {
  topic: string;
  partition: number;
  offset: number;
  reason: string;
  at: string | null;
}

/** Rejected records that are shown. */
export const REJECTED_MAX = 20;

/** Streams change by themselves, so they are asked for again and again. */
const EVERY_MS = 3_000;

/** Records that ever came into topics, by their names. */
export const WRITTEN = new History();

/** How far groups were behind, by their names. */
export const LAGS = new History();

/** How fast deliveries were, in records a second, by their names. */
export const PACES = new History();

/** How far deliveries were behind, by their names. */
export const WAITING = new History();

const moment = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

const millis = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::bigint`;

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

/** Asks again for all that making, changing or deleting a topic, a group or a delivery may have changed. */
export function useStreamsRefresh(): () => void {
  const client = useQueryClient();
  return useCallback(() => {
    for (const key of ['topics', 'groups', 'deliveries']) void client.invalidateQueries({ queryKey: [key] });
  }, [client]);
}

function watch(delivery: Delivery): void {
  const now = Date.now();
  PACES.add(delivery.name, now, delivery.records_per_second);
  if (delivery.lag_records !== null) WAITING.add(delivery.name, now, delivery.lag_records);
}

export const useDeliveries = () =>
  useQuery({
    queryKey: ['deliveries'],
    refetchInterval: EVERY_MS,
    queryFn: async () => {
      const deliveries = await api.deliveries();
      for (const delivery of deliveries) watch(delivery);
      return deliveries;
    },
  });

export const useDelivery = (name: string) =>
  useQuery({
    queryKey: ['deliveries', name],
    refetchInterval: EVERY_MS,
    queryFn: async () => {
      const delivery = await api.delivery(name);
      watch(delivery);
      return delivery;
    },
  });

/** No such table: nothing was ever rejected. */
const UNDEFINED_TABLE = '42P01';

/** The newest records that a delivery has rejected and that have not arrived since, and how many there are. */
export const useRejected = (delivery: Delivery) =>
  useQuery({
    queryKey: ['deliveries', delivery.name, 'rejected', delivery.rejected],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => {
      const { schema, name } = delivery.rejected_into;
      const from = `FROM ${quoteTable(schema, name)} WHERE delivery = ${quoteText(delivery.name)}`;
      const ask = (sql: string) => runStatement({ sql: OWN_MARK + sql, rowLimit: REJECTED_MAX, signal }).then((answer) => answer.result);
      try {
        const count = await ask(`SELECT count(*) ${from}`);
        const found = await ask(`SELECT topic, partition, "offset", reason, ${millis('at')} ${from} ORDER BY at DESC, topic, partition, "offset" DESC LIMIT ${REJECTED_MAX}`);
        const rows = Array.from({ length: found.rows }, (_, row): Rejected => ({
          topic: found.text(row, 0) ?? '',
          partition: found.number(row, 1) ?? 0,
          offset: found.number(row, 2) ?? 0,
          reason: found.text(row, 3) ?? '',
          at: moment(found.number(row, 4)),
        }));
        return { count: count.number(0, 0) ?? 0, rows };
      } catch (error) {
        if (error instanceof ApiError && error.code === UNDEFINED_TABLE) return { count: 0, rows: [] };
        throw error;
      }
    },
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
