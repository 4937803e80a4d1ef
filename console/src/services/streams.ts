import { useQuery } from '@tanstack/react-query';

import type { ResultSet } from '../lib/result';
import { type Browse, type Message, browseSql, messagesOf, MESSAGES_MAX, tailSql } from '../lib/messages';
import { quoteText } from '../lib/sql';
import { OWN_MARK } from './own';
import { runStatement } from './statements';

export interface Topic {
  name: string;
  partitions: number;
  records: number;
  cleanup: string;
  retentionMs: number | null;
  newestAt: string | null;
}

export interface Partition {
  partition: number;
  start: number;
  end: number;
  newestAt: string | null;
}

export interface Group {
  name: string;
  kind: string;
  state: string;
  protocol: string | null;
  members: number;
  topics: string[];
  lag: number | null;
}

export interface Reading {
  group: string;
  topic: string;
  partition: number;
  committed: number;
  end: number | null;
  lag: number | null;
}

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
    queryFn: ({ signal }) =>
      asked<Topic>(
        `SELECT topic_name, partitions, records, cleanup_policy, retention_ms, ${millis('newest_record_at')} FROM polder.topics WHERE NOT is_internal ORDER BY topic_name`,
        signal,
        (found, row) => ({
          name: found.text(row, 0) ?? '',
          partitions: found.number(row, 1) ?? 0,
          records: found.number(row, 2) ?? 0,
          cleanup: found.text(row, 3) ?? 'delete',
          retentionMs: found.number(row, 4),
          newestAt: moment(found.number(row, 5)),
        }),
      ),
  });

export const usePartitions = (topic: string) =>
  useQuery({
    queryKey: ['partitions', topic],
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) =>
      asked<Partition>(
        `SELECT partition, start_offset, end_offset, ${millis('newest_record_at')} FROM polder.topic_partitions WHERE topic_name = ${quoteText(topic)} ORDER BY partition`,
        signal,
        (found, row) => ({ partition: found.number(row, 0) ?? 0, start: found.number(row, 1) ?? 0, end: found.number(row, 2) ?? 0, newestAt: moment(found.number(row, 3)) }),
      ),
  });

export const useReadings = () =>
  useQuery({
    queryKey: ['readings'],
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) =>
      asked<Reading>('SELECT group_name, topic_name, partition, committed_offset, end_offset, lag FROM polder.consumer_offsets ORDER BY 1, 2, 3', signal, (found, row) => ({
        group: found.text(row, 0) ?? '',
        topic: found.text(row, 1) ?? '',
        partition: found.number(row, 2) ?? 0,
        committed: found.number(row, 3) ?? 0,
        end: found.number(row, 4),
        lag: found.number(row, 5),
      })),
  });

export const useGroups = () =>
  useQuery({
    queryKey: ['groups'],
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) =>
      asked<Group>(
        `SELECT g.group_name, g.kind, g.state, g.protocol, g.members, string_agg(DISTINCT o.topic_name, ', '), sum(o.lag)
         FROM polder.consumer_groups g LEFT JOIN polder.consumer_offsets o ON o.group_name = g.group_name GROUP BY 1, 2, 3, 4, 5 ORDER BY 1`,
        signal,
        (found, row) => ({
          name: found.text(row, 0) ?? '',
          kind: found.text(row, 1) ?? '',
          state: found.text(row, 2) ?? '',
          protocol: found.text(row, 3),
          members: found.number(row, 4) ?? 0,
          topics: (found.text(row, 5) ?? '').split(', ').filter(Boolean),
          lag: found.number(row, 6),
        }),
      ),
  });

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

/** Messages as they are asked for: the newest first, unless they are read from a place on. */
export const useMessages = (topic: string, partitions: Partition[] | undefined, browse: Browse) =>
  useQuery({
    queryKey: ['messages', topic, browse],
    enabled: partitions !== undefined,
    structuralSharing: false,
    refetchOnWindowFocus: false,
    queryFn: async ({ signal }): Promise<Message[]> => {
      const { result } = await runStatement({ sql: OWN_MARK + browseSql(topic, partitions ?? [], browse), rowLimit: MESSAGES_MAX, signal });
      return messagesOf(result);
    },
  });

/** The messages behind these places, the oldest first. */
export async function tail(topic: string, ends: ReadonlyMap<number, number>, browse: Browse, signal: AbortSignal): Promise<Message[]> {
  const { result } = await runStatement({ sql: OWN_MARK + tailSql(topic, ends, browse), rowLimit: MESSAGES_MAX, signal });
  return messagesOf(result);
}
