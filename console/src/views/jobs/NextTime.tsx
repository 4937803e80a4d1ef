import { Tooltip } from '@mantine/core';

import { exactTime } from '../../lib/format';
import { soon } from './words';

/** `in 5 min`, with the exact time on hover. */
export function NextTime({ time }: { time: string | null }) {
  if (!time) return <span className="quiet">–</span>;
  return (
    <Tooltip label={exactTime(time)}>
      <time dateTime={time} className="num" style={{ whiteSpace: 'nowrap' }}>
        {soon(time, Date.now())}
      </time>
    </Tooltip>
  );
}
