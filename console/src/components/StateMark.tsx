import type { QueryState } from '../services/types';
import { IconAlertTriangle, IconCheck, IconPlayerStop, IconRefresh } from './icons';
import classes from './StateMark.module.css';

const MARKS = {
  done: { icon: IconCheck, word: 'Done' },
  failed: { icon: IconAlertTriangle, word: 'Failed' },
  cancelled: { icon: IconPlayerStop, word: 'Cancelled' },
  running: { icon: IconRefresh, word: 'Running' },
} as const;

/** How a statement or a load ended: an icon and a word. The word is left to screen readers where nothing is wrong. */
export function StateMark({ state, word = false }: { state: QueryState; word?: boolean }) {
  const mark = MARKS[state];
  const said = word || state === 'failed';
  return (
    <span className={classes.mark} data-state={state}>
      <mark.icon size={14} stroke={2} aria-hidden="true" />
      <span className={said ? undefined : 'hidden-visually'}>{mark.word}</span>
    </span>
  );
}
