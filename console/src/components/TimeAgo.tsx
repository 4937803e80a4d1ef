import { Tooltip } from '@mantine/core';

import { ago, exactTime } from '../lib/format';

/** `3 min ago`, with the exact time on hover and for screen readers. */
export function TimeAgo({ time }: { time: string | null }) {
  if (!time) return <span className="quiet">–</span>;
  return (
    <Tooltip label={exactTime(time)}>
      <time dateTime={time} style={{ whiteSpace: 'nowrap' }}>
        {ago(time, Date.now())}
      </time>
    </Tooltip>
  );
}
