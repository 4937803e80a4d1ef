import { compact, duration } from '../../lib/format';
import { quoteName } from '../../lib/sql';
import type { Delivery, ReaderState, Topic } from '../../services/types';

/** How long a topic keeps its records. */
export function kept(topic: Topic): string {
  const cleanup = topic.cleanup_policy ?? 'delete';
  const compacted = cleanup.includes('compact');
  const time = topic.retention_ms === null || topic.retention_ms < 0 ? null : span(topic.retention_ms);
  if (!cleanup.includes('delete')) return 'the last of each key';
  if (compacted) return `the last of each key, ${time ?? 'for ever'}`;
  return time ?? 'for ever';
}

/** Whole days and hours, where a duration would have minutes. */
function span(ms: number): string {
  const hours = ms / 3_600_000;
  if (hours >= 48 && hours % 24 === 0) return `${hours / 24} days`;
  return hours >= 1 && Number.isInteger(hours) ? `${hours} h` : duration(ms);
}

/** What a group is at. */
export const STATES: Record<ReaderState, string> = { empty: 'no readers', rebalancing: 'dividing', stable: 'reading', dead: 'gone' };

/** Records a second. */
export function perSecond(rate: number | null): string {
  if (rate === null) return '–';
  if (rate === 0) return '0/s';
  return rate < 10 ? `${rate.toFixed(1)}/s` : `${compact(Math.round(rate))}/s`;
}

/** A delivery to begin with. */
export const TEMPLATE = (topic = 'clicks'): string => `CREATE DELIVERY ${quoteName(`${topic}_to_table`)} FROM TOPIC ${quoteName(topic)}
  INTO TABLE ${quoteName(topic === 'clicks' ? 'clicks_delivered' : `${topic}_delivered`)}
  BUFFER 16 MB OR 5 SECONDS`;

const PLACES: Record<string, string> = { table: 'table', history: 'history', objects: 'bucket', http: 'endpoint', opensearch: 'index', splunk: 'Splunk', postgres: 'PostgreSQL' };

/** What a delivery brings its records into: `table`, `bucket`. */
export const placeOf = (delivery: Delivery): string => PLACES[delivery.kind] ?? delivery.kind;

/** Whether nothing has arrived since the last error. */
export function isTroubled(delivery: Delivery): boolean {
  if (delivery.state === 'failing') return true;
  if (delivery.last_error_at === null) return false;
  return delivery.last_delivery_at === null || Date.parse(delivery.last_delivery_at) < Date.parse(delivery.last_error_at);
}
