import { IconAlertTriangle, IconClock, IconPlayerPause, IconRefresh } from '../../components/icons';
import type { DeliveryState } from '../../services/types';
import classes from './Streams.module.css';

const MARKS = {
  running: { icon: IconRefresh, word: 'running' },
  starting: { icon: IconClock, word: 'starting' },
  paused: { icon: IconPlayerPause, word: 'paused' },
  failing: { icon: IconAlertTriangle, word: 'failing' },
} as const;

/** What a delivery is at: an icon and a word. */
export function DeliveryMark({ state }: { state: DeliveryState }) {
  const mark = MARKS[state];
  return (
    <span className={classes.mark} data-state={state}>
      <mark.icon size={14} stroke={2} aria-hidden="true" />
      {mark.word}
    </span>
  );
}
