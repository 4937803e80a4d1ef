import { duration, plural } from '../../lib/format';
import { quoteName } from '../../lib/sql';
import type { Topic } from '../../services/streams';

const DAY = 86_400_000;

/** How long a topic keeps its records. */
export function kept(topic: Topic): string {
  const compacted = topic.cleanup.includes('compact');
  const time = topic.retentionMs === null || topic.retentionMs < 0 ? null : topic.retentionMs >= DAY && topic.retentionMs % DAY === 0 ? plural(topic.retentionMs / DAY, 'day') : duration(topic.retentionMs);
  if (!topic.cleanup.includes('delete')) return 'the last of each key';
  if (compacted) return `the last of each key, ${time ?? 'for ever'}`;
  return time ?? 'for ever';
}

/** A delivery to begin with. */
export const TEMPLATE = (topic = 'clicks'): string => `CREATE DELIVERY ${quoteName(`${topic}_to_table`)} FROM TOPIC ${quoteName(topic)}
  INTO TABLE ${quoteName(topic === 'clicks' ? 'clicks_delivered' : `${topic}_delivered`)}
  BUFFER 16 MB OR 5 SECONDS`;
