import type { ReactNode } from 'react';

import classes from './Empty.module.css';

/** Nothing here: one sentence of what would be, one action that puts something there. */
export function Empty({ text, action, more }: { text: string; action?: ReactNode; more?: ReactNode }) {
  return (
    <div className={classes.empty}>
      <p>{text}</p>
      {action && <div className={classes.actions}>{action}</div>}
      {more && <div className="small second">{more}</div>}
    </div>
  );
}
