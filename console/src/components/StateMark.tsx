import type { QueryState, RunState } from '../services/types';
import { IconAlertTriangle, IconCheck, IconClock, IconPlayerStop, IconRefresh } from './icons';
import classes from './StateMark.module.css';

const MARKS = {
  done: { icon: IconCheck, word: 'Done' },
  failed: { icon: IconAlertTriangle, word: 'Failed' },
  cancelled: { icon: IconPlayerStop, word: 'Cancelled' },
  running: { icon: IconRefresh, word: 'Running' },
  waiting: { icon: IconClock, word: 'Waiting' },
  interrupted: { icon: IconAlertTriangle, word: 'Interrupted' },
  missed: { icon: IconClock, word: 'Missed' },
} as const;

/** How a statement, a load or a job's run ended: an icon and a word. The word is left to screen readers where nothing is wrong. */
export function StateMark({ state, word = false }: { state: QueryState | RunState; word?: boolean }) {
  const mark = MARKS[state];
  const said = word || state === 'failed' || state === 'interrupted' || state === 'missed';
  return (
    <span className={classes.mark} data-state={state}>
      <mark.icon size={14} stroke={2} aria-hidden="true" />
      <span className={said ? undefined : 'hidden-visually'}>{mark.word}</span>
    </span>
  );
}
